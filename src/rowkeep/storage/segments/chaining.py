"""Recomputing the chain of an upload from what is stored, step by step.

A step takes up where the last one stopped: it finds the segment or the entries that hold the next rows on its
own snapshot, so rows may be sealed and compacted meanwhile (they keep their numbers), and the steps of a
large upload hold nobody up. What is compared is the chain that the upload had at the first step: rows that
arrive later are not looked at. Within a step only a piece of a row group or of an entry is held decoded.

Rows from before there were chains are passed over; `first_row` of the outcome says where the chain begins.
"""

from collections.abc import Iterator
from itertools import accumulate

from rowkeep.formats.arrow import ArrowRows
from rowkeep.model.chain import CHAIN_START, ChainWalk, unpacked_counts
from rowkeep.model.decoding.strict import Row, row_decoder
from rowkeep.model.errors import ErrorCode, RowkeepError, damaged, not_found
from rowkeep.model.receipts import ChainOutcome, ChainState
from rowkeep.model.resources import Entry, Segment
from rowkeep.model.schema import Schema
from rowkeep.storage.base import SegmentStore
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.journal.rows import decoded_bodies
from rowkeep.storage.segments.parquet import SegmentFile

READ_BYTES_MAX = 4 * 1024 * 1024
PIECE_CELLS_MAX = 100_000
STEP_PIECES_MAX = 16


class ChainReading:
    """One recomputation. Call `step` until it returns an outcome."""

    def __init__(self, segments: SegmentStore, upload_id: int) -> None:
        self._segments = segments
        self._upload_id = upload_id
        self._state: ChainState | None = None
        self._walk = ChainWalk(0, CHAIN_START)
        self._pieces: Iterator[None] = iter(())

    def step(self, view: CatalogView) -> ChainOutcome | None:
        """Does some of the work. Returns None until it is done.

        Raises not_found_error when the upload has been deleted.
        """
        if self._state is None:
            self._state = self._begin(view)
        try:
            for _ in range(STEP_PIECES_MAX):
                while next(self._pieces, self) is self:
                    if self._walk.row >= self._state.row_count:
                        return self._outcome(self._state)
                    self._pieces = self._read_on(view, self._state)
        except (RowkeepError, LookupError, ValueError) as error:
            if isinstance(error, RowkeepError) and error.code is not ErrorCode.INTERNAL:
                raise
            return ChainOutcome(self._state, self._walk.chain, str(error))
        return None

    def _begin(self, view: CatalogView) -> ChainState:
        state = view.uploads.chain_state(self._upload_id)
        if state is None:
            raise not_found("The upload was deleted meanwhile.")
        self._walk = ChainWalk(state.first_row, CHAIN_START)
        return state

    def _outcome(self, state: ChainState) -> ChainOutcome:
        if (self._walk.row, self._walk.chain) == (state.row_count, state.chain):
            return ChainOutcome(state, self._walk.chain, None)
        problem = "the rows that are stored are not those that were accepted"
        return ChainOutcome(state, self._walk.chain, problem)

    def _read_on(self, view: CatalogView, state: ChainState) -> Iterator[None]:
        """Reads the segment or entries with the next row. Yields after each piece that moved the walk on."""
        row = self._walk.row
        segment = view.segments.at(self._upload_id, row)
        if segment is not None:
            batches = view.segments.batches(segment)
            schema = view.uploads.schema(self._upload_id, segment.schema_version)
            rows = _segment_rows(SegmentFile(self._segments, segment), segment, row, schema)
            return self._through_segment(segment, batches or b"", rows, state)
        entries = view.entries.holding(self._upload_id, row, state.row_count, READ_BYTES_MAX)
        if not entries or entries[0].first_row != row:
            self._begin(view)
            raise damaged(f"The rows of upload {self._upload_id} from {row} on are missing.")
        versions = {entry.schema_version for entry in entries}
        schemas = {version: view.uploads.schema(self._upload_id, version) for version in versions}
        return (
            piece
            for entry in entries
            for piece in self._through_entry(
                entry, decoded_bodies(entry, row_decoder(schemas[entry.schema_version]))
            )
        )

    def _through_segment(
        self, segment: Segment, batches: bytes, pieces: Iterator[list[Row]], state: ChainState
    ) -> Iterator[None]:
        yield from _walk_segment(self._walk, segment, batches, pieces, state.first_row)
        self._check(segment.row_end, segment.chain)

    def _through_entry(self, entry: Entry, pieces: Iterator[tuple[list[list[Row]], int]]) -> Iterator[None]:
        row_end = entry.first_row + entry.row_count
        for bodies, _ in pieces:
            for body in bodies:
                self._walk.add(body)
                if self._walk.row < row_end or not entry.is_continued:
                    self._walk.end_batch()
            yield
        self._check(row_end, entry.chain)

    def _check(self, row_end: int, chain: bytes | None) -> None:
        if (self._walk.row, self._walk.chain) != (row_end, chain):
            raise damaged(
                f"The rows of upload {self._upload_id} before row {row_end} are not those that were accepted."
            )


def _segment_rows(file: SegmentFile, segment: Segment, row: int, schema: Schema) -> Iterator[list[Row]]:
    """Yields the rows of a segment from a row on, in pieces."""
    names = [variable.name for variable in schema.variables]
    decoder = row_decoder(schema)
    piece_rows = max(1, PIECE_CELLS_MAX // len(names))
    for group in file.groups(names, row - segment.first_row, segment.row_count):
        for piece in ArrowRows(group, schema, schema).pieces(piece_rows):
            yield decoder.rows_of(piece.columns())


def _walk_segment(
    walk: ChainWalk, segment: Segment, batches: bytes, pieces: Iterator[list[Row]], covered_from: int
) -> Iterator[None]:
    """Moves a walk over the rows of a segment, piece by piece. It may begin within the segment."""
    ends = accumulate(unpacked_counts(batches), initial=max(segment.first_row, covered_from))
    end = next(end for end in ends if end > walk.row)
    for rows in pieces:
        start = 0
        while start < len(rows):
            count = min(len(rows) - start, end - walk.row)
            walk.add(rows[start : start + count])
            start += count
            if walk.row == end:
                walk.end_batch()
                end = next(ends, segment.row_end + 1)
        yield


def chain_after(store: SegmentStore, segment: Segment, schema: Schema, before: bytes, covered: int) -> bytes:
    """Returns the chain of an upload after a segment, from its rows and the chain before it.

    The chain covers only the last `covered` rows of the segment. Raises RowkeepError, LookupError and
    ValueError for rows that cannot be read.
    """
    row = segment.row_end - covered
    walk = ChainWalk(row, before)
    pieces = _segment_rows(SegmentFile(store, segment), segment, row, schema)
    for _ in _walk_segment(walk, segment, segment.batches, pieces, row):
        pass
    return walk.chain
