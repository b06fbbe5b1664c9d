"""Avro files. The only file that knows fastavro.

The schema of the file says the type of each field; its values become Arrow arrays of that type, and from
there they go the way of Parquet's. Lists, maps, records and unions of several types become JSON text.
"""

import datetime
import decimal
import io
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

import fastavro
import msgspec
import pyarrow as pa

from rowkeep.formats.files.avro_blocks import BLOCK_READERS
from rowkeep.formats.files.table import Column, FileTable, Source, check_column_count, unreadable
from rowkeep.formats.files.typed_table import TypedColumns
from rowkeep.model.files import Detected, shortened

_BATCH_CELLS_MAX = 65_536
_REASON_CHARACTERS_MAX = 200
_PRECISION_MAX = 76
_PRIMITIVES = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "fixed": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
}
_LOGICAL = {
    "date": pa.date32(),
    "time-millis": pa.time32("ms"),
    "time-micros": pa.time64("us"),
    "timestamp-millis": pa.timestamp("us", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "local-timestamp-millis": pa.timestamp("us"),
    "local-timestamp-micros": pa.timestamp("us"),
    "uuid": pa.string(),
}


# fastavro asks these for each block; those that are not here it does not read.
fastavro.read.BLOCK_READERS.clear()
fastavro.read.BLOCK_READERS.update(BLOCK_READERS)


def open_avro(source: Source) -> FileTable:
    """Returns an Avro file as a table. Raises invalid_request_error."""
    with source.path.open("rb") as file, _told(source):
        schema = _reader(file, source).writer_schema
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise unreadable(source, "its schema is no record, so it has no columns.")
    fields = schema["fields"]
    if not fields:
        raise unreadable(source, "it has no column.")
    check_column_count(len(fields), source.options.file_name)
    types = [_arrow_type(field["type"]) for field in fields]
    names = [field["name"] for field in fields]

    def read(positions: Sequence[int]) -> Iterator[pa.RecordBatch]:
        wanted = [(names[position], types[position]) for position in positions]
        with source.path.open("rb") as file, _told(source):
            for rows in _batches(_reader(file, source), len(fields)):
                arrays = [_array([row[name] for row in rows], type_) for name, type_ in wanted]
                yield pa.RecordBatch.from_arrays(arrays, names=[str(position) for position in positions])

    columns = [Column(field["name"], description=field.get("doc")) for field in fields]
    return TypedColumns(source, columns, types, read).table(Detected(source.type), [])


def _reader(file: io.BufferedReader, source: Source) -> Any:
    """Returns fastavro's reader of a file. It only ever asks for the next bytes."""
    return fastavro.reader(cast(IO[bytes], _Bounded(file, source)))


def _batches(reader: Any, field_count: int) -> Iterator[list[dict[str, Any]]]:
    rows_max = max(1, _BATCH_CELLS_MAX // field_count)
    rows: list[dict[str, Any]] = []
    for row in reader:
        rows.append(row)
        if len(rows) == rows_max:
            yield rows
            rows = []
    if rows:
        yield rows


class _Bounded:
    """A file that refuses to read more bytes than it has, because a length in it may be wrong."""

    def __init__(self, file: io.BufferedReader, source: Source) -> None:
        self._file = file
        self._left = source.path.stat().st_size

    def read(self, size: int) -> bytes:
        """Returns the next bytes. Raises EOFError when there are fewer."""
        if size < 0 or size > self._left:
            raise EOFError("a length in it goes beyond its end; it may be truncated")
        self._left -= size
        return self._file.read(size)


@contextmanager
def _told(source: Source) -> Iterator[None]:
    """Turns an error of fastavro into an error of the file."""
    try:
        yield
    except (
        ArithmeticError,
        AttributeError,
        EOFError,
        KeyError,
        MemoryError,
        IndexError,
        OSError,
        RecursionError,
        StopIteration,
        TypeError,
        ValueError,
        fastavro.schema.SchemaParseException,
        pa.ArrowException,
    ) as error:
        reason = shortened(str(error).partition("\n")[0] or type(error).__name__, _REASON_CHARACTERS_MAX)
        raise unreadable(source, f"{reason.rstrip('.')}.") from error


def _arrow_type(schema: Any) -> pa.DataType | None:
    """Returns the Arrow type of a field, or None for a field that becomes JSON text."""
    if isinstance(schema, list):
        others = [part for part in schema if part != "null"]
        return _arrow_type(others[0]) if len(others) == 1 else (pa.null() if not others else None)
    if isinstance(schema, str):
        return _PRIMITIVES.get(schema)
    logical, plain = schema.get("logicalType"), schema["type"]
    if logical == "decimal":
        return _decimal_type(schema)
    if logical in _LOGICAL:
        return _LOGICAL[logical]
    return _arrow_type(plain) if not isinstance(plain, str) or plain in _PRIMITIVES else None


def _decimal_type(schema: Any) -> pa.DataType:
    precision, scale = schema.get("precision", 0), schema.get("scale", 0)
    if not 0 < precision <= _PRECISION_MAX:
        return pa.string()
    return pa.decimal256(precision, scale)


def _array(values: list[Any], type_: pa.DataType | None) -> pa.Array:
    if type_ is None or pa.types.is_string(type_):
        return pa.array([_text(value) for value in values], type=pa.string())
    return pa.array(values, type=type_)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, uuid.UUID | decimal.Decimal | datetime.date | datetime.time):
        return str(value)
    return msgspec.json.encode(value).decode()
