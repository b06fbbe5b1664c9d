"""Rows as Arrow streams and CSV. Beside it only arrowbody.py, arrowstream.py and parquet.py know pyarrow.

Clients compare an Arrow stream's schema with the one they derive from the variables: plain `utf8`,
timestamps in microseconds without a zone, every field nullable, no compression, and no batch without
rows but the one that `eosSentinel` asks for at the end. Source: contract 4.7, 5, 8.6.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from rowkeep.formats.columns import Column, text_column, widened_column
from rowkeep.formats.one_column_csv import one_column_records
from rowkeep.model.geography import GeographySummary
from rowkeep.model.schema import Schema
from rowkeep.model.statistics import BoundingBox, Point
from rowkeep.model.types import VariableType
from rowkeep.model.types.records import RECORDS

ARROW_TYPES = {type_: pa.type_for_alias(record.arrow) for type_, record in RECORDS.items()}


def arrow_schema(schema: Schema) -> pa.Schema:
    """Returns the Arrow schema that clients expect of these variables."""
    return pa.schema([pa.field(variable.name, ARROW_TYPES[variable.type]) for variable in schema.variables])


# A continuation marker and a length of 0, as the format says.
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class ArrowRows:
    """Rows of a segment in Arrow columns, as a reader asked for them.

    `batch` holds those of the reader's variables that `source` has. The others are null.
    """

    def __init__(self, batch: pa.RecordBatch, source: Schema, target: Schema) -> None:
        self._batch = batch
        self._source = source
        self._target = target
        self.row_count: int = len(batch)

    def pieces(self, row_count: int) -> "Iterator[ArrowRows]":
        """Yields the rows in pieces of at most `row_count` rows."""
        for start in range(0, self.row_count, row_count):
            yield ArrowRows(self._batch.slice(start, row_count), self._source, self._target)

    @property
    def byte_count(self) -> int:
        """Returns how much memory the rows take."""
        return int(self._batch.nbytes)

    def arrays(self) -> list[pa.Array]:
        """Returns an Arrow column for each variable of the reader, in its type."""
        positions = self._source.position_by_key()
        return [
            self._array(variable.type, positions.get(variable.name.lower()))
            for variable in self._target.variables
        ]

    def _array(self, type_: VariableType, position: int | None) -> pa.Array:
        if position is None:
            return pa.nulls(self.row_count, ARROW_TYPES[type_])
        stored = self._source.variables[position]
        column = self._batch.column(stored.name)
        if stored.type is type_:
            return column
        widened = widened_column(column.to_pylist(), stored.type, type_)
        return pa.array(widened, type=ARROW_TYPES[type_])

    def columns(self) -> list[Column]:
        """Returns the columns as Python values."""
        return [array.to_pylist() for array in self.arrays()]


class ArrowEncoder:
    """Encodes columns as an Arrow IPC stream, part by part."""

    def __init__(self, schema: Schema) -> None:
        self._schema = arrow_schema(schema)

    def start(self) -> bytes:
        """Returns the schema message."""
        return _bytes(self._schema.serialize())

    def batch(self, columns: Sequence[Column], row_count: int) -> bytes:
        """Returns one record batch of `row_count` rows, at least one."""
        arrays = [
            pa.array(column, type=field.type) for column, field in zip(columns, self._schema, strict=True)
        ]
        return self._written(arrays, row_count)

    def arrow_batch(self, rows: ArrowRows) -> bytes:
        """Encodes rows that are in Arrow columns."""
        return self._written(rows.arrays(), rows.row_count)

    def _written(self, arrays: Sequence[pa.Array], row_count: int) -> bytes:
        return _bytes(self._record_batch(arrays, row_count).serialize())

    def _record_batch(self, arrays: Sequence[pa.Array], row_count: int) -> pa.RecordBatch:
        if not arrays:  # a table without variables still has rows
            return pa.RecordBatch.from_struct_array(pa.array([{}] * row_count, type=pa.struct([])))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def sentinel(self) -> bytes:
        """Returns the empty batch that marks a complete stream."""
        return self._written([pa.array([], type=field.type) for field in self._schema], 0)

    def end(self) -> bytes:
        """Returns the end of the stream."""
        return _END_OF_STREAM


def _bytes(message: pa.Buffer) -> bytes:
    taken: bytes = message.to_pybytes()
    return taken


# Arrow writes all six fraction digits, whatever they are.
_SHOWN_AS_TEXT = {type_ for type_, record in RECORDS.items() if record.has_fractions}


class CsvEncoder:
    """Encodes columns as CSV (RFC 4180) with a header: texts in quotes, nulls empty, an empty text is `""`.

    With one variable a null would be an empty line, which most readers pass over. It is `""` there. An empty
    text is `""` too, but ends in CRLF; only `rowkeep insert` tells the two apart (client/files/delimited.py).
    """

    _OPTIONS = pyarrow.csv.WriteOptions(include_header=False)

    def __init__(self, schema: Schema) -> None:
        self._variables = schema.variables

    def start(self) -> bytes:
        """Returns the header."""
        return ",".join(f'"{variable.name}"' for variable in self._variables).encode() + b"\n"

    def batch(self, columns: Sequence[Column], row_count: int) -> bytes:
        """Returns a line for each row."""
        if not columns:
            return b"\n" * row_count
        return self._written(
            [
                self._array(column, variable.type)
                for column, variable in zip(columns, self._variables, strict=True)
            ]
        )

    def arrow_batch(self, rows: ArrowRows) -> bytes:
        """Encodes rows that are in Arrow columns."""
        if not self._variables:
            return b"\n" * rows.row_count
        return self._written(
            [
                self._array(array.to_pylist(), variable.type) if variable.type in _SHOWN_AS_TEXT else array
                for array, variable in zip(rows.arrays(), self._variables, strict=True)
            ]
        )

    def _written(self, arrays: Sequence[pa.Array]) -> bytes:
        if len(arrays) == 1 and pa.types.is_string(arrays[0].type):
            return one_column_records(arrays[0].to_pylist(), self._variables[0].type)
        names = [variable.name for variable in self._variables]
        sink = io.BytesIO()
        pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(arrays, names=names), sink, self._OPTIONS)
        written = sink.getvalue()
        if len(arrays) == 1 and arrays[0].null_count:
            return b"".join(line if line != b"\n" else b'""\n' for line in written.splitlines(keepends=True))
        return written

    def _array(self, column: Column, type_: VariableType) -> pa.Array:
        if type_ in _SHOWN_AS_TEXT:
            return pa.array(text_column(column, type_), type=pa.string())
        return pa.array(column, type=ARROW_TYPES[type_])

    def sentinel(self) -> bytes:
        """Returns nothing: CSV has no mark for a complete stream."""
        return b""

    def end(self) -> bytes:
        """Returns nothing: CSV has no end mark."""
        return b""


class ColumnMeasures:
    """An Arrow stream of one column as batches of `value` and `measure` (see model/statistics.py).

    `reader` is an Arrow RecordBatchReader that can be read once. For geographies, `centroid` and
    `bounding_box` are known after that.
    """

    def __init__(self, parts: Iterator[bytes], type_: VariableType) -> None:
        self._type = type_
        self._geographies = GeographySummary()
        source = pa.ipc.open_stream(_PartsFile(parts))
        schema = pa.schema([("value", ARROW_TYPES[type_]), ("measure", _MEASURE_TYPES[type_])])
        self.reader = pa.RecordBatchReader.from_batches(schema, self._batches(source, schema))

    def _batches(self, source: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for batch in source:
            values = batch.column(0)
            yield pa.RecordBatch.from_arrays([values, self._measured(values)], schema=schema)

    def _measured(self, values: pa.Array) -> pa.Array:
        if self._type is VariableType.STRING:
            return pc.utf8_length(values).cast(pa.int64())
        if self._type is VariableType.GEOGRAPHY:
            return pa.array(self._geographies.add(values.to_pylist()), type=pa.int64())
        if self._type is VariableType.BOOLEAN:
            return pa.nulls(len(values), pa.int64())
        if self._type is VariableType.DATE:
            return values.cast(pa.timestamp("us")).cast(pa.int64())
        if self._type in (VariableType.DATE_TIME, VariableType.TIME):
            return values.cast(pa.int64())
        return values

    @property
    def centroid(self) -> Point | None:
        """Returns the mean of the centres of all geographies."""
        return self._geographies.centroid

    @property
    def bounding_box(self) -> BoundingBox | None:
        """Returns the box that holds all geographies."""
        return self._geographies.bounding_box


_MEASURE_TYPES = {
    type_: pa.float64() if type_ is VariableType.FLOAT else pa.int64() for type_ in VariableType
}


class _PartsFile(io.RawIOBase):
    """The parts of a stream as a file that Arrow can read."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


RowBatch: TypeAlias = pa.RecordBatch


def row_batch(columns: Sequence[pa.Array | Column], schema: Schema) -> RowBatch:
    """Returns columns, of Arrow or of Python values, as a batch in the types of a schema with variables."""
    fields = arrow_schema(schema)
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, type=field.type)
        for column, field in zip(columns, fields, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=fields)
