"""Reading a stream of rows, step by step.

A step takes up where the last one stopped: it finds the segment or the entries that hold the next rows on
its snapshot, decodes some (bounded in bytes and cells) and encodes batches until a part of the body is
full. Rows keep their number for ever and stay until no session can ask for them (segments.py), so the rows
that a read stream names are the same at every step, wherever they lie by then. If rows are gone (their
upload was deleted while a list of rows was on its way) the step fails; it never makes a shorter stream look
complete.

Between steps only entries that wait to be decoded are held, or a few open segments with at most two row
groups: the one in use and the next, which is read while this one is encoded and sent. Cells are bounded
beside bytes because a row without values takes two bytes in the journal and a pointer for each variable
once it is decoded. A reading that waits long for its reader lets go even of that, and its next step begins
where the last one ended as a new reading would.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from rowkeep.formats.arrow import ArrowEncoder, ArrowRows, CsvEncoder
from rowkeep.formats.columns import Column, columns_of
from rowkeep.formats.json_lines import JsonLinesEncoder
from rowkeep.model.decoding.strict import Row, RowDecoder, row_decoder
from rowkeep.model.errors import not_found
from rowkeep.model.resources import Entry, ReadFormat, ReadStream, RowSlice
from rowkeep.model.schema import Schema
from rowkeep.storage.base import SegmentStore
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.journal.rows import decoded_pieces
from rowkeep.storage.segments.ahead import one_ahead
from rowkeep.storage.segments.parquet import GroupPart, SegmentFile

# What one statement reads, what one batch holds, what one step sends.
READ_BYTES_MAX = 4 * 1024 * 1024
BATCH_ROWS_MAX = 20_000
BATCH_CELLS_MAX = 400_000
BATCH_BYTES_MAX = 1024 * 1024
# The same of rows that are Arrow and stay it: they need no Python value a cell, and each step has its price.
ARROW_BATCH_ROWS_MAX = 65_536
ARROW_BATCH_BYTES_MAX = 4 * 1024 * 1024
# How many segments are opened together: the first group of one is read while the last of another is sent.
SEGMENTS_OPEN_MAX = 4
STEP_BYTES_MAX = 1024 * 1024
STEP_BATCHES_MAX = 16

_Rows = tuple[Schema, list[Row]]
_Batch = _Rows | ArrowRows
_Piece = tuple[Schema, list[Row], int]  # rows, and how many of them make a batch
_Part = tuple[Schema, GroupPart]


class Encoder(Protocol):
    """Encodes columns in a format."""

    def start(self) -> bytes: ...

    def batch(self, columns: Sequence[Column], row_count: int) -> bytes: ...

    def arrow_batch(self, rows: ArrowRows) -> bytes: ...

    def sentinel(self) -> bytes: ...

    def end(self) -> bytes: ...


_ENCODERS: dict[ReadFormat, Callable[[Schema], Encoder]] = {
    ReadFormat.ARROW: ArrowEncoder,
    ReadFormat.CSV: CsvEncoder,
    ReadFormat.JSON_LINES: JsonLinesEncoder,
}


class StreamReader:
    """One reading of a read stream from an offset. Call `step` until it returns None."""

    def __init__(
        self, segments: SegmentStore, stream: ReadStream, *, offset: int, with_sentinel: bool
    ) -> None:
        self._segments = segments
        self._schema = stream.schema
        self._all_slices = stream.slices
        self._row = offset
        self._slices = _slices_after(stream.slices, offset)
        self._with_sentinel = with_sentinel
        self._format = stream.format
        self._encoder: Encoder = _ENCODERS[stream.format](stream.schema)
        self._batches: Iterator[_Batch] = iter(())
        self._has_started = False
        self._has_ended = False

    def step(self, view: CatalogView) -> bytes | None:
        """Returns the next part of the body, or None after the last. Raises not_found_error for lost rows."""
        if self._has_ended:
            return None
        parts: list[bytes] = []
        if not self._has_started:
            self._has_started = True
            parts.append(self._encoder.start())
        size = 0
        for _ in range(STEP_BATCHES_MAX):
            batch = self._next_batch(view)
            if batch is None:
                parts.append(self._ending())
                break
            parts.append(self._encode(batch))
            size += len(parts[-1])
            if size >= STEP_BYTES_MAX:
                break
        return b"".join(parts)

    def let_go(self) -> object:
        """Gives up what is held for the next step, and returns it so that the caller can drop it.

        The next step makes it again.
        """
        held, self._batches = self._batches, iter(())
        self._slices = _slices_after(self._all_slices, self._row)
        return held

    def _next_batch(self, view: CatalogView) -> _Batch | None:
        batch = next(self._batches, None)
        while batch is None and self._slices:
            self._batches = self._read_on(view, self._slices.popleft())
            batch = next(self._batches, None)
        return batch

    def _read_on(self, view: CatalogView, slice_: RowSlice) -> Iterator[_Batch]:
        parts, row = self._segment_parts(view, slice_)
        if not parts:
            return self._from_entries(view, slice_)
        self._leave_rest(slice_, min(row, slice_.row_end))
        return self._from_parts(parts)

    def _segment_parts(self, view: CatalogView, slice_: RowSlice) -> tuple[list[_Part], int]:
        """Returns the row groups of the next segments, and the number of the row behind them."""
        parts: list[_Part] = []
        row = slice_.first_row
        for _ in range(SEGMENTS_OPEN_MAX):
            segment = view.segments.at(slice_.upload_id, row) if row < slice_.row_end else None
            if segment is None:
                break
            schema = view.uploads.schema(segment.upload_id, segment.schema_version)
            file = SegmentFile(self._segments, segment)
            first, end = row - segment.first_row, slice_.row_end - segment.first_row
            parts += [(schema, part) for part in file.parts(self._wanted_names(schema), first, end)]
            row = segment.row_end
        return parts, row

    def _wanted_names(self, schema: Schema) -> list[str]:
        wanted = {variable.name.lower() for variable in self._schema.variables}
        return [variable.name for variable in schema.variables if variable.name.lower() in wanted]

    def _from_parts(self, parts: Sequence[_Part]) -> Iterator[ArrowRows]:
        for rows in one_ahead(lambda part: ArrowRows(part[1](), part[0], self._schema), parts):
            yield from rows.pieces(self._segment_batch_rows(rows))

    def _from_entries(self, view: CatalogView, slice_: RowSlice) -> Iterator[_Rows]:
        found: list[Entry] = []
        row = slice_.first_row
        for entry in view.entries.holding(slice_.upload_id, slice_.first_row, slice_.row_end, READ_BYTES_MAX):
            if not entry.first_row <= row < entry.first_row + entry.row_count:
                break
            found.append(entry)
            row = min(entry.first_row + entry.row_count, slice_.row_end)
        if not found:
            raise not_found("The rows of this read are gone: their upload was deleted.")
        self._leave_rest(slice_, row)
        decoders = {
            version: row_decoder(view.uploads.schema(slice_.upload_id, version))
            for version in {entry.schema_version for entry in found}
        }
        return _batches(self._pieces(found, decoders, RowSlice(slice_.upload_id, slice_.first_row, row)))

    def _leave_rest(self, slice_: RowSlice, row: int) -> None:
        if row < slice_.row_end:
            self._slices.appendleft(RowSlice(slice_.upload_id, row, slice_.row_end))

    def _pieces(
        self, entries: Iterable[Entry], decoders: Mapping[int, RowDecoder], slice_: RowSlice
    ) -> Iterator[_Piece]:
        """Yields the rows of a slice, in pieces of one schema each."""
        for entry in entries:
            decoder = decoders[entry.schema_version]
            row = entry.first_row
            for rows, byte_count in decoded_pieces(entry, decoder):
                wanted = rows[max(slice_.first_row - row, 0) : max(slice_.row_end - row, 0)]
                yield decoder.schema, wanted, self._batch_rows(len(rows), byte_count, decoder.schema)
                row += len(rows)

    def _batch_rows(self, row_count: int, byte_count: int, source: Schema | None = None) -> int:
        """Returns how many rows make a batch, for rows of this size."""
        width = max(1, len(self._schema.variables), len(source.variables) if source else 0)
        fitting = BATCH_BYTES_MAX * row_count // max(1, byte_count)
        return max(1, min(BATCH_ROWS_MAX, BATCH_CELLS_MAX // width, fitting))

    def _segment_batch_rows(self, rows: ArrowRows) -> int:
        if self._format is not ReadFormat.ARROW:
            return self._batch_rows(rows.row_count, rows.byte_count)
        fitting = ARROW_BATCH_BYTES_MAX * rows.row_count // max(1, rows.byte_count)
        return max(1, min(ARROW_BATCH_ROWS_MAX, fitting))

    def _encode(self, batch: _Batch) -> bytes:
        if isinstance(batch, ArrowRows):
            self._row += batch.row_count
            return self._encoder.arrow_batch(batch)
        source, rows = batch
        self._row += len(rows)
        return self._encoder.batch(columns_of(rows, source, self._schema), len(rows))

    def _ending(self) -> bytes:
        self._has_ended = True
        sentinel = self._encoder.sentinel() if self._with_sentinel else b""
        return sentinel + self._encoder.end()


def _batches(pieces: Iterable[_Piece]) -> Iterator[_Rows]:
    """Joins pieces and cuts them into batches of one schema each. None of them is empty."""
    held: list[Row] = []
    held_schema: Schema | None = None
    for schema, rows, batch_rows in pieces:
        if held_schema is not None and schema is not held_schema:
            if held:
                yield held_schema, held
            held = []
        held_schema = schema
        held += rows
        full = len(held) - len(held) % batch_rows
        for start in range(0, full, batch_rows):
            yield schema, held[start : start + batch_rows]
        held = held[full:]
    if held_schema is not None and held:
        yield held_schema, held


def _slices_after(slices: Sequence[RowSlice], offset: int) -> deque[RowSlice]:
    left: deque[RowSlice] = deque()
    for slice_ in slices:
        size = slice_.row_end - slice_.first_row
        skipped = min(offset, size)
        offset -= skipped
        if skipped < size:
            left.append(RowSlice(slice_.upload_id, slice_.first_row + skipped, slice_.row_end))
    return left
