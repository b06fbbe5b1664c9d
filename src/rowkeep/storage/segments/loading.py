"""Writes the rows of a file into new segments, without passing through the journal.

What a segment of sealed rows has, one of loaded rows has too: the checksums of its blocks, the size of its
rows as canonical text, a batch that ends with it, and the chain of its upload after that batch. So whatever
reads, verifies, follows or compacts segments need not know where rows came from. All rows of one segment are
one batch: a load has no requests that could be told apart.

The files lie in a folder of their own until all of them are whole. They are durable by then and have the
names that they will have; moving them to the other segments and naming them is the server's part (sweep.py).

Bounds: what is held is a row group, two parts of it as text, and the counters. Text and digests are made in a
second thread while this one reads and writes Parquet: both let go of the interpreter's lock for most of their
time.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from rowkeep.formats.arrow_body import canonical_batch_text
from rowkeep.model.chain import CHAIN_START, next_chain, packed_counts
from rowkeep.model.decoding.strict import EXACT_INTEGER_MAX, StrictRefusal
from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.recovery import SegmentFacts, UploadPlace
from rowkeep.model.resources import Segment
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.model.types.records import EXPECTED
from rowkeep.storage.base import SegmentStore
from rowkeep.storage.segments.checked_file import CheckedSink
from rowkeep.storage.segments.naming import new_name
from rowkeep.storage.segments.parquet import SegmentWriter

SEGMENT_BYTES_MAX = 256 * 1024 * 1024
PART_BYTES_MAX = 16 * 1024 * 1024


class LoadedRows(msgspec.Struct, frozen=True):
    """The segments that a load has written, and the counters and chain of their upload."""

    schema: Schema
    row_count: int
    byte_count: int
    chain: bytes
    segments: tuple[Segment, ...]


class SegmentLoader:
    """Writes the rows of one upload from the first on. It must be closed, whatever happens."""

    def __init__(
        self,
        store: SegmentStore,
        upload_id: int,
        schema: Schema,
        *,
        place: UploadPlace | None = None,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
    ) -> None:
        self._store = store
        self._place = place
        self._upload_id = upload_id
        # With no bound on its integers: which of them a double cannot hold is found on the way.
        self._schema = _with_exactness(schema, {index for index, _ in enumerate(schema.variables)})
        self._segment_bytes_max = segment_bytes_max
        self._texts = ThreadPoolExecutor(1, thread_name_prefix="rowkeep-load-text")
        self._segments: list[Segment] = []
        self._open: _OpenSegment | None = None
        self._pending: _Pending | None = None
        self._inexact: set[int] = set()
        self.row_count = self.byte_count = 0
        self._chain = CHAIN_START

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds rows, in the schema's types. Raises invalid_request_error for what no variable can hold."""
        if not self._schema.variables:
            raise invalid_request("The file has no columns.")
        for part in _parts(batch, self._rows_max()):
            self._add(part)

    def _rows_max(self) -> int:
        return self._current().writer.group_rows_max

    def _current(self) -> "_OpenSegment":
        if self._open is None:
            self._open = _OpenSegment(self._store, self._schema, self._upload_id, self.row_count)
        return self._open

    def _add(self, part: pa.RecordBatch) -> None:
        segment = self._current()
        size = self._texts.submit(segment.digest_text, part)
        segment.writer.add_batch(part)
        self._note_exactness(part)
        self._settle()
        self._pending = _Pending(segment, part, self.row_count, size)
        self.row_count += len(part)
        if segment.byte_count >= self._segment_bytes_max:
            self._end_segment()

    def _settle(self) -> None:
        """Counts the part before this one, after waiting for its text."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            pending.segment.count(len(pending.part), pending.size.result())
        except StrictRefusal:
            raise _misfit(pending.part, self._schema, pending.first_row) from None

    def _note_exactness(self, part: pa.RecordBatch) -> None:
        for index, variable in enumerate(self._schema.variables):
            if variable.type is VariableType.INTEGER and index not in self._inexact:
                found = pc.min_max(part.column(variable.name)).as_py()
                largest = max(abs(found["min"] or 0), abs(found["max"] or 0))
                if largest > EXACT_INTEGER_MAX:
                    self._inexact.add(index)

    @property
    def text_bytes(self) -> int:
        """Returns how much canonical text has been made."""
        return self.byte_count + (0 if self._open is None else self._open.byte_count)

    def _end_segment(self) -> None:
        self._settle()
        segment, self._open = self._open, None
        if segment is None:
            return
        self._chain = next_chain(self._chain, segment.digest)
        self._segments.append(segment.finish(self._chain, self._place))
        self.byte_count += segment.byte_count

    def finish(self) -> LoadedRows:
        """Returns the result of the load. All of it is durable."""
        self._settle()
        if self._open is not None and self._open.row_count:
            self._end_segment()
        return LoadedRows(
            _with_exactness(self._schema, self._inexact),
            self.row_count,
            self.byte_count,
            self._chain,
            tuple(self._segments),
        )

    def close(self) -> None:
        """Ends the thread, and discards unfinished files."""
        self._texts.shutdown(cancel_futures=True)
        if self._open is not None:
            self._open.discard()


class _Pending(msgspec.Struct, frozen=True, eq=False):
    """Rows that are in the writer while their text is still being made."""

    segment: "_OpenSegment"
    part: pa.RecordBatch
    first_row: int
    size: "Future[int]"


class _OpenSegment:
    """A segment that is being written."""

    def __init__(self, store: SegmentStore, schema: Schema, upload_id: int, first_row: int) -> None:
        self._first = (upload_id, first_row)
        self._schema = schema
        self._name = new_name(upload_id, first_row)
        self._file = store.put(self._name)
        self._sink = CheckedSink(self._file)
        self.writer = SegmentWriter(self._sink, schema, upload_id, first_row)
        self._digest = hashlib.sha256()
        self.row_count = self.byte_count = 0

    @property
    def digest(self) -> bytes:
        """Returns the digest of its rows."""
        return self._digest.digest()

    def digest_text(self, part: pa.RecordBatch) -> int:
        """Adds the canonical text of rows to the digest, part after part. Returns its size.

        Raises StrictRefusal for rows that do not fit.
        """
        text = canonical_batch_text(part, self._schema)
        self._digest.update(text)
        return len(text)

    def count(self, row_count: int, byte_count: int) -> None:
        """Counts rows that the writer and the digest have taken."""
        self.row_count += row_count
        self.byte_count += byte_count

    def finish(self, chain: bytes, place: UploadPlace | None) -> Segment:
        """Ends the file and makes it durable under its name."""
        upload_id, first_row = self._first
        batches = packed_counts([self.row_count])
        self.writer.finish(
            SegmentFacts(
                upload_id=upload_id,
                first_row=first_row,
                row_count=self.row_count,
                byte_count=self.byte_count,
                schema_version=self._schema.version,
                variables=self._schema.variables,
                batches=batches,
                chain=chain,
                place=place,
            )
        )
        checksums = self._sink.finish()
        self._file.keep()
        return Segment(
            upload_id=upload_id,
            first_row=first_row,
            row_count=self.row_count,
            byte_count=self.byte_count,
            schema_version=self._schema.version,
            file_name=self._name,
            file_bytes=self._sink.byte_count,
            checksums=checksums,
            batches=batches,
            chain=chain,
        )

    def discard(self) -> None:
        """Removes the files that were written."""
        self._sink.close()
        self._file.discard()


def _parts(batch: pa.RecordBatch, rows_max: int) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a batch in parts of at most `rows_max` rows and about `PART_BYTES_MAX` bytes."""
    for start in range(0, len(batch), rows_max):
        yield from _halves(batch.slice(start, rows_max))


def _halves(part: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if len(part) > 1 and part.nbytes > PART_BYTES_MAX:
        middle = len(part) // 2
        yield from _halves(part.slice(0, middle))
        yield from _halves(part.slice(middle))
    else:
        yield part


def _with_exactness(schema: Schema, inexact: set[int]) -> Schema:
    """Returns the schema with exactly the variables at these places marked as inexact integers."""
    variables = [
        msgspec.structs.replace(variable, inexact=index in inexact and variable.type is VariableType.INTEGER)
        for index, variable in enumerate(schema.variables)
    ]
    return Schema(schema.version, tuple(variables))


def _misfit(part: pa.RecordBatch, schema: Schema, first_row: int) -> RowkeepError:
    """Returns the error for the first value that its variable cannot hold."""
    for variable in schema.variables:
        single = Schema(schema.version, (variable,))
        column = part.select([variable.name])
        if _fits(column, single):
            continue
        row = next(row for row in range(len(part)) if not _fits(column.slice(row, 1), single))
        # As text by Arrow: Python has no dates beyond the year 9999.
        value = column.column(0).slice(row, 1).cast(pa.string())[0].as_py()
        return invalid_request(_misfit_message(variable, first_row + row + 1, value))
    return invalid_request("The file holds values that no variable can hold.")


def _fits(column: pa.RecordBatch, schema: Schema) -> bool:
    try:
        canonical_batch_text(column, schema)
    except StrictRefusal:
        return False
    return True


def _misfit_message(variable: Variable, row: int, value: object) -> str:
    shown = str(value)[:100]
    return f"Row {row}, column {variable.name!r}: expected {EXPECTED[variable.type]}, but got {shown!r}."
