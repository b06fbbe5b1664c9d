"""Reads Arrow streams that clients send, without trusting them.

A stream must have its end mark, else one that was cut off between two batches would look whole. Every
column is found sound before it is cast (arrow_columns.py).

What a stream declares is held against what is there before anything is made of it:

* compressed buffers are refused: what they inflate to is known only when it is in memory. A body as a whole
  may be compressed;
* rows are counted in the heads of the messages. Nulls and rows without columns take no byte, so a stream of
  200 bytes can declare any number of them (`_check_row_count`);
* types that hold others are refused by the schema, before a batch of them is read;
* what a dictionary repeats is counted before it is written out (`text_bytes`).

What pyarrow says of a stream that it cannot read becomes the caller's error (`translated`).

pandas adds its index as a column when it is no plain count of rows (`__index_level_0__`). One of integers,
which is what is left of such a count, is no part of the rows.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pyarrow as pa

from rowkeep.formats.arrow_columns import check_type, sound_column
from rowkeep.model.errors import RowkeepError, invalid_request

# Of the types that are read, a boolean takes the fewest bytes: an eighth.
ROWS_PER_BYTE_MAX = 8

_FILE_START = b"ARROW1"
_STREAM_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
# How messages of the format's fourth version say that their buffers are compressed.
_OLD_COMPRESSION = b"ARROW:experimental_compression"

_row_label = re.compile(r"__index_level_\d+__").fullmatch


@contextmanager
def translated() -> Iterator[None]:
    """Turns errors of reading a stream into invalid_request_error."""
    try:
        yield
    except (pa.ArrowException, OSError, OverflowError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")[:200]
        raise _unreadable(f"The body cannot be read as an Arrow stream: {reason}.") from error


def _unreadable(problem: str) -> RowkeepError:
    return invalid_request(
        f"{problem} Send record batches in Arrow's IPC streaming format, as pyarrow.ipc.new_stream writes "
        "them."
    )


def arrow_batches(body: memoryview) -> Iterator[pa.RecordBatch]:
    """Yields the batches of a stream, checked, with names and types that JSON can have."""
    if bytes(body[: len(_FILE_START)]) == _FILE_START:
        raise _unreadable("The body is an Arrow file, not a stream.")
    # Not of the view: Python 3.11 crashes when it collects a view that is in a cycle and in use.
    source = pa.py_buffer(body.obj)
    _check_messages(source)
    reader = pa.ipc.open_stream(source)
    _check_columns(reader.schema)
    wanted = [index for index, field in enumerate(reader.schema) if not _is_row_label(field)]
    for batch in reader:
        batch.validate()
        columns = [sound_column(batch.column(index)) for index in wanted]
        if columns:
            yield pa.RecordBatch.from_arrays(columns, names=[reader.schema[index].name for index in wanted])
        else:  # rows of nulls are rows
            yield batch.select([])


def _check_messages(source: pa.Buffer) -> None:
    """Raises invalid_request_error when a stream declares more than it has, or more than it may have."""
    row_count = 0
    file = pa.BufferReader(source)
    end = 0
    for message in pa.ipc.MessageReader.open_stream(file):
        end = file.tell()
        head = _batch_head(message)
        if head is None:
            continue
        if head.is_compressed:
            raise invalid_request(
                "The buffers of the Arrow stream are compressed. Send them as they are; the body as a whole "
                "may be compressed, with a Content-Encoding."
            )
        row_count += head.row_count
        _check_row_count(row_count, source.size)
    _check_end(source.slice(end).to_pybytes())


def _check_end(rest: bytes) -> None:
    """Raises invalid_request_error unless the end mark, and nothing else, follows the messages.

    pyarrow stops reading at the mark and also where the bytes end. Values may look like the mark, so the last
    bytes of a body do not tell whether it is whole.
    """
    if not rest.startswith(_STREAM_END):
        raise _unreadable("The Arrow stream is cut off: it lacks the mark of its end.")
    if len(rest) > len(_STREAM_END):
        raise _unreadable(
            f"{len(rest) - len(_STREAM_END)} bytes follow the end of the Arrow stream. A body is one stream: "
            "send each in a request of its own."
        )


def _is_row_label(field: pa.Field) -> bool:
    return _row_label(field.name) is not None and pa.types.is_integer(field.type)


def _check_columns(schema: pa.Schema) -> None:
    seen: set[str] = set()
    for field in schema:
        if field.name.lower() in seen:
            raise invalid_request(f'The Arrow stream has two columns "{field.name}"; case does not count.')
        seen.add(field.name.lower())
        check_type(field)


def _check_row_count(row_count: int, byte_count: int) -> None:
    """Raises invalid_request_error for more rows or dictionary values than so many bytes can hold."""
    if row_count > byte_count * ROWS_PER_BYTE_MAX:
        raise invalid_request(
            f"The Arrow stream declares {row_count} rows and has {byte_count} bytes. A row takes a bit at "
            "least. Leave out rows without values, or send fewer of them at a time."
        )


class _BatchHead(msgspec.Struct, frozen=True):
    """What the head of a message says about its batch, or about its dictionary's values."""

    row_count: int
    is_compressed: bool


def _batch_head(message: pa.ipc.Message) -> _BatchHead | None:
    """Returns the head of a message, or None for a schema.

    pyarrow does not show the head without making the batch.
    """
    if message.type not in ("record batch", "dictionary"):
        return None
    metadata = message.metadata.to_pybytes()
    try:
        header = _Table.root(metadata).table(2)
        batch = header if message.type == "record batch" else header.table(1)
        is_compressed = batch.field(3) is not None or _OLD_COMPRESSION in metadata
        return _BatchHead(max(0, batch.integer(0)), is_compressed)
    except struct.error as error:
        raise _unreadable("The body cannot be read as an Arrow stream: a message is cut off.") from error


class _Table:
    """A table of a FlatBuffer. Arrow writes the heads of its messages as FlatBuffers."""

    def __init__(self, buffer: bytes, position: int) -> None:
        self._buffer = buffer
        self._position = position

    @classmethod
    def root(cls, buffer: bytes) -> "_Table":
        """Returns the outermost table."""
        return cls(buffer, struct.unpack_from("<I", buffer, 0)[0])

    def field(self, number: int) -> int | None:
        """Returns the position of a field, or None when it has its default."""
        fields = self._position - struct.unpack_from("<i", self._buffer, self._position)[0]
        place = 4 + 2 * number
        if place >= struct.unpack_from("<H", self._buffer, fields)[0]:
            return None
        offset: int = struct.unpack_from("<H", self._buffer, fields + place)[0]
        return self._position + offset if offset else None

    def integer(self, number: int) -> int:
        """Returns an integer of 64 bits. Its default is 0."""
        at = self.field(number)
        return 0 if at is None else int(struct.unpack_from("<q", self._buffer, at)[0])

    def table(self, number: int) -> "_Table":
        """Returns the table that a field points at."""
        at = self.field(number)
        if at is None:
            raise struct.error("a table is missing")
        return _Table(self._buffer, at + struct.unpack_from("<I", self._buffer, at)[0])
