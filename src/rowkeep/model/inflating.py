"""Inflates compressed bodies, as their `Content-Encoding` says.

Theory
------
What a body inflates to is known only by inflating it, and a few KiB can hold gigabytes. So it is never
inflated in one call: `inflated_pieces` hands on pieces of bounded size, and whoever takes them stops when it
has too many. What is held at a time:

* gzip and deflate: zlib is asked for `PIECE_BYTES_MAX` at most;
* zstd: its binding cannot be asked that, so it is fed little at a time. Four bytes can make a block of
  128 KiB and nothing denser exists, so `ZSTD_FED_BYTES` make 4 MiB at most (at two to three times the time
  of large pieces, which is still less than zlib's; measured). The window that a frame may ask for is bounded
  as RFC 9659 has it.

A body is complete or refused: data that breaks off (a truncated body of lines could look whole), data that
its checksum does not fit, and anything after the end. Several gzip members or zstd frames one after the other
are one body, as their formats say.

Rejected: deflate without its zlib header, which some clients send: what it is can only be guessed.
"""

import zlib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Protocol

import zstandard

from rowkeep.model.errors import ErrorCode, RowkeepError, invalid_request

PIECE_BYTES_MAX = 64 * 1024
ZLIB_FED_BYTES = 16 * 1024
ZSTD_FED_BYTES = 128
ZSTD_WINDOW_BYTES_MAX = 8 * 1024 * 1024

_GZIP_BITS = 16 + zlib.MAX_WBITS


class ContentCoding(StrEnum):
    """The ways in which a body may be compressed, as in `Content-Encoding`."""

    GZIP = "gzip"
    ZSTD = "zstd"
    DEFLATE = "deflate"


class EncodingRefused(RowkeepError):
    """The error for a body in an unknown coding. The answer lists the known ones."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            f"{problem} Send it with `Content-Encoding: {', '.join(ContentCoding)}` (one of them), or plain.",
        )


class InflatedTooMuch(Exception):
    """The body inflates to more than the caller takes."""


def inflated(body: bytes, coding: ContentCoding, *, bytes_max: int, steps_max: int | None = None) -> bytes:
    """Returns a whole inflated body. Raises InflatedTooMuch, or invalid_request_error for a broken one.

    `steps_max` bounds the work too, since a body may be made of many pieces that hold nothing.
    """
    pieces: list[bytes] = []
    left = bytes_max
    for step, piece in enumerate(inflated_pieces([body], coding)):
        left -= len(piece)
        if left < 0 or (steps_max is not None and step >= steps_max):
            raise InflatedTooMuch
        pieces.append(piece)
    return b"".join(pieces)


def inflated_pieces(chunks: Iterable[bytes], coding: ContentCoding) -> Iterator[bytes]:
    """Yields the pieces of a body that comes in chunks. Raises invalid_request_error for a broken one."""
    stream: _Stream = _ZstdStream() if coding is ContentCoding.ZSTD else _ZlibStream(coding)
    part_count = 0  # members or frames that are complete
    try:
        for fed in _fed(chunks, stream.fed_bytes):
            rest = fed
            while rest:
                yield from stream.pieces(rest)
                rest = stream.rest()
                part_count += stream.is_at_end
    except (zlib.error, zstandard.ZstdError) as error:
        raise _unreadable(coding, part_count, str(error)) from error
    if not stream.is_at_end:
        raise _unreadable(coding, part_count, "it ends before its data does")


def inflated_too_large(bytes_max: int) -> RowkeepError:
    """Returns 413: the body inflates to more than is allowed."""
    return RowkeepError(
        ErrorCode.PAYLOAD_TOO_LARGE,
        f"The body inflates to more than {bytes_max} bytes. Nothing was done; send fewer rows in a request.",
    )


def _unreadable(coding: ContentCoding, part_count: int, reason: str) -> RowkeepError:
    if part_count:
        reason = f"something follows its end that is not {coding} ({reason})"
    return invalid_request(f"The body is not whole {coding}: {reason}. Nothing was done.")


def _fed(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


class _Stream(Protocol):
    """Inflates one member or frame after the other."""

    @property
    def fed_bytes(self) -> int:
        """Returns how much data to give at a time."""

    @property
    def is_at_end(self) -> bool:
        """Returns whether a member or frame is complete and no other has begun."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yields what more data inflates to, up to the end of its member or frame."""

    def rest(self) -> bytes:
        """Returns the data that came after that end."""


class _ZlibStream:
    fed_bytes = ZLIB_FED_BYTES

    def __init__(self, coding: ContentCoding) -> None:
        self._bits = _GZIP_BITS if coding is ContentCoding.GZIP else zlib.MAX_WBITS
        self._may_repeat = coding is ContentCoding.GZIP
        self._part = zlib.decompressobj(self._bits)

    @property
    def is_at_end(self) -> bool:
        return self._part.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._part.eof:
            if not self._may_repeat:
                raise zlib.error("something follows its end")
            self._part = zlib.decompressobj(self._bits)
        while True:
            piece = self._part.decompress(data, PIECE_BYTES_MAX)
            yield piece
            data = self._part.unconsumed_tail
            # All was taken in, but a full piece may have left something inside.
            if self._part.eof or (not data and len(piece) < PIECE_BYTES_MAX):
                return

    def rest(self) -> bytes:
        return self._part.unused_data


class _ZstdStream:
    fed_bytes = ZSTD_FED_BYTES

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
        self._part = self._decompressor.decompressobj()

    @property
    def is_at_end(self) -> bool:
        return self._part.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._part.eof:
            self._part = self._decompressor.decompressobj()
        yield self._part.decompress(data)

    def rest(self) -> bytes:
        return self._part.unused_data if self._part.eof else b""
