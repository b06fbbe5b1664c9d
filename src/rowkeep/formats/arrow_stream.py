"""Arrow streams that clients send: read, and not trusted.

A stream must have its end mark, else one that was cut off between two batches would look whole. Every
column is found sound before anything is made of it (arrow_columns.py). Compressed buffers are refused,
because what they inflate to is known only when it is in memory; a body as a whole may be compressed. What a
dictionary repeats is counted before it is written out (`text_bytes`). What pyarrow says of a stream that it
cannot read becomes the caller's error (`translated`).

pandas adds its index as a column when it is no plain count of rows (`__index_level_0__`). One of integers,
which is what is left of such a count, is no part of the rows.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from rowkeep.formats.arrow_columns import check_type, sound_column
from rowkeep.model.errors import RowkeepError, invalid_request

_FILE_START = b"ARROW1"
_STREAM_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
# How messages of the format's fourth version say that their buffers are compressed.
_OLD_COMPRESSION = b"ARROW:experimental_compression"

_row_label = re.compile(r"__index_level_\d+__").fullmatch


@contextmanager
def translated() -> Iterator[None]:
    """Makes errors of reading a stream invalid_request_error."""
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
    """The batches of a stream, valid, with names and types that can be had as JSON."""
    if bytes(body[: len(_FILE_START)]) == _FILE_START:
        raise _unreadable("The body is an Arrow file, not a stream.")
    # Not of the view: Python 3.11 crashes when it collects a view that is in a cycle and in use.
    source = pa.py_buffer(body.obj)
    for message in pa.ipc.MessageReader.open_stream(source):
        if _is_compressed(message):
            raise invalid_request(
                "The buffers of the Arrow stream are compressed. Send them as they are; the body as a whole "
                "may be compressed, with a Content-Encoding."
            )
    if not bytes(body[-len(_STREAM_END) :]).endswith(_STREAM_END):
        raise _unreadable("The Arrow stream is cut off: it lacks the mark of its end.")
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


def _is_row_label(field: pa.Field) -> bool:
    return _row_label(field.name) is not None and pa.types.is_integer(field.type)


def _check_columns(schema: pa.Schema) -> None:
    seen: set[str] = set()
    for field in schema:
        if field.name.lower() in seen:
            raise invalid_request(f'The Arrow stream has two columns "{field.name}"; case does not count.')
        seen.add(field.name.lower())
        check_type(field)


def _is_compressed(message: pa.ipc.Message) -> bool:
    """Whether a message holds compressed buffers, which pyarrow does not tell without inflating them."""
    if message.type not in ("record batch", "dictionary"):
        return False
    metadata = message.metadata.to_pybytes()
    if _OLD_COMPRESSION in metadata:
        return True
    try:
        header = _Table.root(metadata).table(2)
        batch = header if message.type == "record batch" else header.table(1)
        return batch.field(3) is not None
    except struct.error as error:
        raise _unreadable("The body cannot be read as an Arrow stream: a message is cut off.") from error


class _Table:
    """A table of a FlatBuffer, which is how Arrow writes its messages' heads."""

    def __init__(self, buffer: bytes, position: int) -> None:
        self._buffer = buffer
        self._position = position

    @classmethod
    def root(cls, buffer: bytes) -> "_Table":
        """The outermost table."""
        return cls(buffer, struct.unpack_from("<I", buffer, 0)[0])

    def field(self, number: int) -> int | None:
        """Where a field lies; None when it has its default."""
        fields = self._position - struct.unpack_from("<i", self._buffer, self._position)[0]
        place = 4 + 2 * number
        if place >= struct.unpack_from("<H", self._buffer, fields)[0]:
            return None
        offset: int = struct.unpack_from("<H", self._buffer, fields + place)[0]
        return self._position + offset if offset else None

    def table(self, number: int) -> "_Table":
        """The table that a field points at."""
        at = self.field(number)
        if at is None:
            raise struct.error("a table is missing")
        return _Table(self._buffer, at + struct.unpack_from("<I", self._buffer, at)[0])
