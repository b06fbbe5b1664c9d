"""Blocks of an Avro file, inflated: within bounds, checked, and without another library for each codec.

A block says how it is compressed and how long it is. Neither is believed: what a block inflates to is bounded
before it is held, and a checksum that is there is checked.
"""

import io
import zlib
from collections.abc import Callable
from typing import Any, Protocol

import pyarrow as pa

BLOCK_BYTES_MAX = 128 * 1024 * 1024
_CHECKSUM_BYTES = 4
_RAW_DEFLATE = -15


class Readable(Protocol):
    """A file from which the next bytes can be read."""

    def read(self, size: int) -> bytes:
        """Returns the next bytes."""


def _content(file: Readable) -> bytes:
    return file.read(_long(file))


def _long(file: Readable) -> int:
    """Returns a number as Avro writes it: seven bits a byte, the sign last."""
    number = shift = 0
    while True:
        byte = file.read(1)[0]
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return (number >> 1) ^ -(number & 1)
        shift += 7
        if shift > 63:
            raise ValueError("a length in it has too many digits")


def _too_large() -> ValueError:
    return ValueError(f"a block in it inflates to more than {BLOCK_BYTES_MAX // 1024**2} MiB")


def _plain(content: bytes) -> bytes:
    return content


def _deflate(content: bytes) -> bytes:
    inflating = zlib.decompressobj(_RAW_DEFLATE)
    inflated = inflating.decompress(content, BLOCK_BYTES_MAX)
    if inflating.unconsumed_tail:
        raise _too_large()
    if not inflating.eof:
        raise ValueError("a block in it is not whole")
    return inflated


def _snappy(content: bytes) -> bytes:
    body, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    size = _snappy_size(body)
    if size > BLOCK_BYTES_MAX:
        raise _too_large()
    inflated: bytes = pa.decompress(body, decompressed_size=size, codec="snappy", asbytes=True)
    if zlib.crc32(inflated).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
        raise ValueError("the checksum of a block in it is wrong")
    return inflated


def _snappy_size(body: bytes) -> int:
    size = shift = 0
    for byte in body[:5]:
        size |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return size
        shift += 7
    raise ValueError("a block in it is no snappy")


def _zstandard(content: bytes) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
        inflated: bytes = stream.read(BLOCK_BYTES_MAX + 1)
    if len(inflated) > BLOCK_BYTES_MAX:
        raise _too_large()
    return inflated


def _reader(inflate: Callable[[bytes], bytes]) -> Callable[[Any], io.BytesIO]:
    return lambda file: io.BytesIO(inflate(_content(file)))


# By the names that the format has for them.
BLOCK_READERS: dict[str, Callable[[Any], io.BytesIO]] = {
    "null": _reader(_plain),
    "deflate": _reader(_deflate),
    "snappy": _reader(_snappy),
    "zstandard": _reader(_zstandard),
}
