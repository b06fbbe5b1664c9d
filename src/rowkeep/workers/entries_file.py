"""The file that carries entries of the journal to a worker."""

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from rowkeep.model.resources import Entry

LENGTH_BYTES = 8


def write_entry(file: BinaryIO, entry: Entry) -> None:
    """Writes an entry for a worker to read."""
    data = msgspec.msgpack.encode(entry)
    file.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)


def read_entries(file: BinaryIO, count: int) -> Iterator[Entry]:
    """Yields the next entries of a file."""
    for _ in range(count):
        length = int.from_bytes(file.read(LENGTH_BYTES), "big")
        yield msgspec.msgpack.decode(file.read(length), type=Entry)
