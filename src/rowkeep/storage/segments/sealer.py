"""Writing segments: entries into a new file, several segments into a larger one.

Everything here reads through short snapshots and writes one file, which nobody sees before the answering
process has named it in a transaction (sweep.py tells the steps). It may be killed at any moment.

Bounds: what is held is one row group and one piece of an entry. A seal takes `SEAL_BYTES_MAX` of rows at
most, as they were before encoding, and what is left of a large batch, so that it ends soon; more entries make
the next segment, and so do rows of very many variables (model/wide_rows.py).
A segment ends where a batch does, so that the chain of its upload has a value there.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from rowkeep.formats.columns import columns_of
from rowkeep.model.chain import packed_counts, unpacked_counts
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.errors import damaged
from rowkeep.model.recovery import SegmentFacts
from rowkeep.model.resources import Entry, Segment
from rowkeep.model.schema import Schema
from rowkeep.model.wide_rows import CHUNKS_MAX, chunk_count
from rowkeep.storage.base import Database, SegmentStore
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.entries import EntryOutline
from rowkeep.storage.journal.rows import decoded_bodies
from rowkeep.storage.segments.checked_file import CheckedSink
from rowkeep.storage.segments.naming import new_name
from rowkeep.storage.segments.parquet import SegmentFile, SegmentWriter

SEAL_BYTES_MAX = 64 * 1024 * 1024
READ_BYTES_MAX = 4 * 1024 * 1024
OUTLINES_PER_PAGE = 10_000


class SegmentPlan(msgspec.Struct, frozen=True):
    """The rows that go into a segment, and their schema.

    `is_continued` says that their last batch goes on.
    """

    upload_id: int
    first_row: int
    row_count: int
    byte_count: int
    schema: Schema
    is_continued: bool = False

    @property
    def row_end(self) -> int:
        """Returns the number of the row after the last."""
        return self.first_row + self.row_count


class SealedBatches(msgspec.Struct, frozen=True):
    """The row count of a segment, the packed row counts of its batches, and the chain after the last."""

    row_count: int
    batches: bytes
    chain: bytes | None


class SegmentSealer:
    """Writes segments. Used by one thread at a time."""

    def __init__(self, database: Database, store: SegmentStore) -> None:
        self._database = database
        self._store = store

    def seal(self, upload_id: int, first_row: int) -> Segment | None:
        """Writes the entries from a row on into a durable, unnamed file.

        Returns None when they cannot be sealed: when there are none, or they have no variables.
        """
        plan = self._plan(upload_id, first_row)
        if plan is None or not plan.schema.variables:
            return None
        return self._write(plan, partial(self._fill_from_entries, plan))

    def compact(self, upload_id: int, first_row: int, row_end: int) -> Segment:
        """Writes the rows of several segments into one durable, unnamed file."""
        segments = self._segments(upload_id, first_row, row_end)
        plan = SegmentPlan(
            upload_id,
            first_row,
            row_end - first_row,
            sum(segment.byte_count for segment in segments),
            self._schema(upload_id, segments[-1].schema_version),
        )
        return self._write(plan, partial(self._fill_from_segments, segments))

    def _plan(self, upload_id: int, first_row: int) -> SegmentPlan | None:
        """Returns the entries from a row on that fit into one segment, or None."""
        plan: SegmentPlan | None = None
        for outline, schema in self._entry_outlines(upload_id, first_row):
            if plan is None:
                plan = SegmentPlan(upload_id, first_row, 0, 0, schema)
            chunks = chunk_count(plan.row_count + outline.row_count, len(schema.variables))
            is_large = plan.byte_count >= SEAL_BYTES_MAX or chunks > CHUNKS_MAX
            is_full = plan.row_count > 0 and is_large and not plan.is_continued
            if is_full or not schema.extends(plan.schema):
                break
            if outline.first_row != plan.row_end:
                raise damaged(f"The rows of upload {upload_id} from {plan.row_end} on are missing.")
            row_count = plan.row_count + outline.row_count
            byte_count = plan.byte_count + outline.byte_count
            is_continued = outline.is_continued
            plan = SegmentPlan(upload_id, first_row, row_count, byte_count, schema, is_continued)
        return plan

    def _entry_outlines(self, upload_id: int, first_row: int) -> Iterator[tuple[EntryOutline, Schema]]:
        """Yields the entries from a row on without their payloads, each with the schema of its rows."""
        while True:
            with self._database.reading() as connection:
                view = CatalogView(connection)
                page = view.entries.outlines(upload_id, first_row, OUTLINES_PER_PAGE)
                versions = {outline.schema_version for outline in page}
                schemas = {version: view.uploads.schema(upload_id, version) for version in versions}
            yield from ((outline, schemas[outline.schema_version]) for outline in page)
            if len(page) < OUTLINES_PER_PAGE:
                return
            first_row = page[-1].first_row + 1

    def _write(self, plan: SegmentPlan, fill: Callable[[SegmentWriter], SealedBatches]) -> Segment:
        """Makes a durable file of the rows that `fill` adds."""
        name = new_name(plan.upload_id, plan.first_row)
        file = self._store.put(name)
        try:
            with CheckedSink(file) as sink:
                writer = SegmentWriter(sink, plan.schema, plan.upload_id, plan.first_row)
                found = fill(writer)
                writer.finish(self._facts(plan, found))
                checksums = sink.finish()
            if found.row_count != plan.row_count:
                raise damaged(
                    f"Upload {plan.upload_id} holds {found.row_count} rows from {plan.first_row} on, "
                    f"not {plan.row_count}."
                )
            file.keep()
        except BaseException:
            file.discard()
            raise
        return Segment(
            upload_id=plan.upload_id,
            first_row=plan.first_row,
            row_count=plan.row_count,
            byte_count=plan.byte_count,
            schema_version=plan.schema.version,
            file_name=name,
            file_bytes=sink.byte_count,
            checksums=checksums,
            batches=found.batches,
            chain=found.chain,
        )

    def _facts(self, plan: SegmentPlan, found: SealedBatches) -> SegmentFacts:
        """Returns the facts that the file holds about its rows."""
        with self._database.reading() as connection:
            place = CatalogView(connection).uploads.place(plan.upload_id)
        return SegmentFacts(
            upload_id=plan.upload_id,
            first_row=plan.first_row,
            row_count=plan.row_count,
            byte_count=plan.byte_count,
            schema_version=plan.schema.version,
            variables=plan.schema.variables,
            batches=found.batches,
            chain=found.chain,
            place=place,
        )

    def _fill_from_entries(self, plan: SegmentPlan, writer: SegmentWriter) -> SealedBatches:
        row = plan.first_row
        batches = _BatchCounts()
        while row < plan.row_end:
            entries, schemas = self._entries(plan, row)
            for entry in entries:
                if entry.first_row != row:  # it was forgotten meanwhile; the one before it is found instead
                    return batches.sealed(row - plan.first_row)
                _add_entry(writer, entry, schemas[entry.schema_version], plan.schema, batches)
                row += entry.row_count
            if not entries:
                break
        return batches.sealed(row - plan.first_row)

    def _entries(self, plan: SegmentPlan, row: int) -> tuple[list[Entry], dict[int, Schema]]:
        with self._database.reading() as connection:
            view = CatalogView(connection)
            entries = view.entries.holding(plan.upload_id, row, plan.row_end, READ_BYTES_MAX)
            versions = {entry.schema_version for entry in entries}
            return entries, {version: view.uploads.schema(plan.upload_id, version) for version in versions}

    def _segments(self, upload_id: int, first_row: int, row_end: int) -> list[Segment]:
        segments: list[Segment] = []
        row = first_row
        with self._database.reading() as connection:
            view = CatalogView(connection)
            while row < row_end:
                segment = view.segments.at(upload_id, row)
                if segment is None or segment.first_row != row or segment.row_end > row_end:
                    raise LookupError(f"upload {upload_id} has no segment from {row} on")
                segments.append(segment)
                row = segment.row_end
        return segments

    def _fill_from_segments(self, segments: Sequence[Segment], writer: SegmentWriter) -> SealedBatches:
        row_count = 0
        counts: list[int] = []
        for segment in segments:
            counts += self._batches(segment)
            file = SegmentFile(self._store, segment)
            for batch in file.groups(file.names, 0, segment.row_count):
                writer.add_batch(batch)
                row_count += len(batch)
        return SealedBatches(row_count, packed_counts(counts), segments[-1].chain)

    def _batches(self, segment: Segment) -> Iterator[int]:
        with self._database.reading() as connection:
            packed = CatalogView(connection).segments.batches(segment)
        return unpacked_counts(packed or b"")

    def _schema(self, upload_id: int, version: int) -> Schema:
        with self._database.reading() as connection:
            return CatalogView(connection).uploads.schema(upload_id, version)


class _BatchCounts:
    """Counts the rows of each batch, over entries that follow each other."""

    def __init__(self) -> None:
        self._counts: list[int] = []
        self._chain: bytes | None = None
        self._is_continued = False

    def add(self, counts: Sequence[int]) -> None:
        """Counts the rows of some bodies of an entry."""
        if self._is_continued:
            self._counts[-1] += counts[0]
            counts = counts[1:]
        self._counts += counts
        self._is_continued = False

    def end_entry(self, entry: Entry) -> None:
        """Marks the end of an entry."""
        self._is_continued = entry.is_continued
        self._chain = entry.chain

    def sealed(self, row_count: int) -> SealedBatches:
        """Returns the batches of a segment with this many rows."""
        return SealedBatches(row_count, packed_counts(self._counts), self._chain)


def _add_entry(
    writer: SegmentWriter, entry: Entry, source: Schema, target: Schema, batches: _BatchCounts
) -> None:
    for bodies, byte_count in decoded_bodies(entry, row_decoder(source)):
        if entry.chain is not None:
            batches.add([len(body) for body in bodies])
        rows = [row for body in bodies for row in body]
        for start in range(0, len(rows), writer.group_rows_max):
            part = rows[start : start + writer.group_rows_max]
            writer.add(columns_of(part, source, target), byte_count * len(part) // len(rows))
    batches.end_entry(entry)
