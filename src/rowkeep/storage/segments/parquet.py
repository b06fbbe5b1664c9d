"""Segments as Parquet files: written once by the sealer, read from any row on.

A file holds rows of one upload in one version of its schema, one Parquet column a variable, in row groups
that a reader can hold in memory. Its footer says which rows they are, so that a catalog that was changed
on disk cannot pass one segment off as another. It also has what a new catalog would have to know of the rows
(`model/recovery.py`); nothing but `rowkeep recover` reads that. What is in the blocks of the
file is checked by checked_file.py.

Row groups are bounded in rows, in cells (a table with 1,000 variables has short ones) and in bytes before
encoding: reading one takes some MiB, whatever the rows look like.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from rowkeep.formats.arrow import arrow_schema
from rowkeep.formats.columns import Column
from rowkeep.model.errors import damaged
from rowkeep.model.recovery import SegmentFacts
from rowkeep.model.resources import Segment
from rowkeep.model.schema import Schema
from rowkeep.storage.base import SegmentStore
from rowkeep.storage.segments.ahead import one_ahead
from rowkeep.storage.segments.checked_file import CheckedFile, CheckedSink

GROUP_ROWS_MAX = 65_536
GROUP_CELLS_MAX = 1_048_576
GROUP_BYTES_MAX = 8 * 1024 * 1024
ROWS_FACTS = b"rowkeep"
RECOVERY_FACTS = b"rowkeep.segment"

# Reads the rows of a row group that are wanted.
GroupPart = Callable[[], pa.RecordBatch]


class SegmentWriter:
    """Writes the rows of a segment, row group by row group. The schema needs at least one variable."""

    def __init__(self, sink: CheckedSink, schema: Schema, upload_id: int, first_row: int) -> None:
        facts = _facts(upload_id, first_row, schema.version)
        self.group_rows_max = max(1, min(GROUP_ROWS_MAX, GROUP_CELLS_MAX // len(schema.variables)))
        self._schema = arrow_schema(schema).with_metadata({ROWS_FACTS: facts})
        self._writer = pq.ParquetWriter(
            sink, self._schema, version="2.6", compression="zstd", compression_level=1, write_statistics=True
        )
        self._batches: list[pa.RecordBatch] = []
        self._group_rows = self._group_bytes = 0

    def add(self, columns: Sequence[Column], byte_count: int) -> None:
        """Adds at most `group_rows_max` rows, a column for each variable; `byte_count` before encoding."""
        arrays = [
            pa.array(column, type=field.type) for column, field in zip(columns, self._schema, strict=True)
        ]
        self._add(pa.RecordBatch.from_arrays(arrays, schema=self._schema), byte_count)

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Adds rows of another segment. Variables that it lacks are null."""
        names = batch.schema.names
        arrays = [
            batch.column(field.name) if field.name in names else pa.nulls(len(batch), field.type)
            for field in self._schema
        ]
        self._add(pa.RecordBatch.from_arrays(arrays, schema=self._schema), batch.nbytes)

    def _add(self, batch: pa.RecordBatch, byte_count: int) -> None:
        if self._group_rows + len(batch) > self.group_rows_max or self._group_bytes >= GROUP_BYTES_MAX:
            self._end_group()
        self._batches.append(batch)
        self._group_rows += len(batch)
        self._group_bytes += byte_count

    def _end_group(self) -> None:
        table = pa.Table.from_batches(self._batches, self._schema)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._batches.clear()
        self._group_rows = self._group_bytes = 0

    def finish(self, facts: SegmentFacts | None = None) -> None:
        """Writes the footer, with the facts about the rows."""
        if self._batches:
            self._end_group()
        if facts is not None:
            self._writer.add_key_value_metadata({RECOVERY_FACTS: msgspec.json.encode(facts)})
        self._writer.close()


class SegmentFile:
    """An open segment. Raises internal_error when it is not what the catalog says."""

    def __init__(self, store: SegmentStore, segment: Segment) -> None:
        self._file = CheckedFile(store, segment.file_name, segment.file_bytes, segment.checksums)
        try:
            self._parquet = pq.ParquetFile(pa.PythonFile(self._file, "r"), pre_buffer=True)
        except (pa.ArrowException, OSError) as error:
            raise damaged(f"The segment {segment.file_name} cannot be read: {error}.") from error
        metadata = self._parquet.metadata
        facts = _facts(segment.upload_id, segment.first_row, segment.schema_version)
        if (metadata.metadata or {}).get(ROWS_FACTS) != facts or metadata.num_rows != segment.row_count:
            raise damaged(f"The segment {segment.file_name} holds other rows than the catalog says.")

    @property
    def names(self) -> list[str]:
        """Returns the names of the segment's variables."""
        return list(self._parquet.schema_arrow.names)

    def check_blocks(self) -> None:
        """Reads every block of the file."""
        for _ in self._file.checked_blocks():
            pass

    def groups(self, names: Sequence[str], first_row: int, row_end: int) -> Iterator[pa.RecordBatch]:
        """Yields variables of the rows from `first_row` to `row_end`, a batch for each row group.

        Row numbers count from 0 within the segment. Names that the segment does not have are left out.

        Rows count from 0 within the segment; of `names`, those that the segment has.
        """
        return one_ahead(lambda part: part(), self.parts(names, first_row, row_end))

    def parts(self, names: Sequence[str], first_row: int, row_end: int) -> list[GroupPart]:
        """Returns functions that each read one row group of `groups` when they are called."""
        present = [name for name in names if name in self.names]
        parts: list[GroupPart] = []
        start = 0
        for index in range(self._parquet.num_row_groups):
            size = self._parquet.metadata.row_group(index).num_rows
            first, end = max(first_row - start, 0), min(row_end - start, size)
            if first < end:
                parts.append(partial(self._part, index, present, first, end - first))
            start += size
        return parts

    def _part(self, index: int, names: Sequence[str], first: int, count: int) -> pa.RecordBatch:
        table = self._parquet.read_row_group(index, columns=names, use_threads=True).combine_chunks()
        [batch] = table.to_batches()  # with its rows, also when no column is wanted
        return batch.slice(first, count)


def _facts(upload_id: int, first_row: int, schema_version: int) -> bytes:
    facts: dict[str, Any] = {"upload": upload_id, "first_row": first_row, "schema": schema_version}
    return json.dumps(facts).encode()
