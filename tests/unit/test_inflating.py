"""Compressed bodies: whole or refused, in bounded memory."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as some

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.inflating import (
    PIECE_BYTES_MAX,
    ContentCoding,
    InflatedTooMuch,
    inflated,
    inflated_pieces,
)

LARGE = 2**40
MEBIBYTE = 1024 * 1024
SKIPPABLE_FRAME = b"\x50\x2a\x4d\x18\x03\0\0\0abc"


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def zstd_streamed(data: bytes) -> bytes:
    """As a client does that does not know the size beforehand."""
    compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return compressor.compress(data) + compressor.flush()


Compress = Callable[[bytes], bytes]
COMPRESSORS: list[tuple[ContentCoding, Compress]] = [
    (ContentCoding.GZIP, gzip.compress),
    (ContentCoding.DEFLATE, zlib.compress),
    (ContentCoding.ZSTD, zstd),
    (ContentCoding.ZSTD, zstd_streamed),
]
each_compressor = pytest.mark.parametrize(("coding", "compress"), COMPRESSORS)
REPEATING = [entry for entry in COMPRESSORS if entry[0] is not ContentCoding.DEFLATE]


def refusal(body: bytes, coding: ContentCoding) -> str:
    """Why a body is not whole."""
    with pytest.raises(RowkeepError) as error:
        inflated(body, coding, bytes_max=LARGE)
    assert error.value.code is ErrorCode.INVALID_REQUEST
    assert error.value.message.startswith(f"The body is not whole {coding}: ")
    return error.value.message


@settings(deadline=None)  # the machine may be busy
@given(
    some.sampled_from(COMPRESSORS),
    some.lists(some.binary(max_size=100) | some.binary(max_size=3).map(lambda part: part * 50_000)),
    some.integers(1, 5000),
)
def test_whatever_was_compressed_comes_back(
    compressor: tuple[ContentCoding, Compress], parts: list[bytes], chunk_bytes: int
) -> None:
    """The body is the same however it is cut into chunks."""
    coding, compress = compressor
    data = b"".join(parts)
    body = compress(data)
    chunks = [body[start : start + chunk_bytes] for start in range(0, len(body), chunk_bytes)]
    assert b"".join(inflated_pieces(chunks, coding)) == data
    assert inflated(body, coding, bytes_max=len(data)) == data


@each_compressor
@pytest.mark.parametrize(
    "size", [0, 1, PIECE_BYTES_MAX - 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 3 * MEBIBYTE]
)
def test_sizes_at_the_edges(coding: ContentCoding, compress: Compress, size: int) -> None:
    """Sizes around that of a piece; exactly as much as may be is taken, one byte more is not."""
    body = compress(b"a" * size)
    assert inflated(body, coding, bytes_max=size) == b"a" * size
    if size:
        with pytest.raises(InflatedTooMuch):
            inflated(body, coding, bytes_max=size - 1)


@each_compressor
def test_every_truncation_is_refused(coding: ContentCoding, compress: Compress) -> None:
    """A body that breaks off anywhere is refused, also where only its end is missing and no data."""
    body = compress(b"some rows" * 20)
    for length in range(len(body)):
        assert "ends before its data does" in refusal(body[:length], coding)


@each_compressor
@pytest.mark.parametrize("garbage", [b"\0", b"x", b"\0" * 512, b'{"rows":[]}' * 100])
def test_garbage_at_the_end_is_refused(coding: ContentCoding, compress: Compress, garbage: bytes) -> None:
    """Whatever follows the end is named for what it is, padding too."""
    assert "something follows its end" in refusal(compress(b"some rows") + garbage, coding)


@each_compressor
def test_damage_is_refused(coding: ContentCoding, compress: Compress) -> None:
    """What is of another format; what a checksum shows to be changed."""
    refusal(b'{"rows":[]}', coding)
    if compress is not zstd:  # its plain form has no checksum
        body = bytearray(compress(b"some rows" * 20))
        body[-1] ^= 1
        refusal(bytes(body), coding)


@pytest.mark.parametrize(("coding", "compress"), REPEATING)
def test_parts_one_after_the_other_are_one_body(coding: ContentCoding, compress: Compress) -> None:
    """Gzip members and zstd frames, empty ones too, and a truncated last one is not overlooked."""
    body = b"".join(compress(part) for part in (b"", b"some ", b"", b"rows", b""))
    assert inflated(body, coding, bytes_max=9) == b"some rows"
    refusal(body[:-1], coding)


def test_deflate_is_one_zlib_stream() -> None:
    """Two are not a body; nor is one without the zlib header."""
    body = zlib.compress(b"some rows")
    assert "something follows its end" in refusal(body + body, ContentCoding.DEFLATE)
    refusal(body[2:-4], ContentCoding.DEFLATE)


def test_zstd_frames_that_hold_no_data() -> None:
    """Skippable frames are skipped."""
    body = SKIPPABLE_FRAME + zstd(b"some rows") + SKIPPABLE_FRAME
    assert inflated(body, ContentCoding.ZSTD, bytes_max=9) == b"some rows"


def test_zstd_windows_are_bounded() -> None:
    """A frame that asks for a window of 128 MiB is refused; the largest that RFC 9659 allows is taken."""

    def with_window(log: int) -> bytes:
        parameters = zstandard.ZstdCompressionParameters(window_log=log)
        compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        return compressor.compress(b"some rows") + compressor.flush()

    assert inflated(with_window(23), ContentCoding.ZSTD, bytes_max=9) == b"some rows"
    assert "too much memory" in refusal(with_window(27), ContentCoding.ZSTD)


@each_compressor
def test_a_bomb_is_refused_in_little_memory(coding: ContentCoding, compress: Compress) -> None:
    """A body of 1000:1 and more is given up at the bound; nothing near what it holds is ever in memory."""
    bomb = compress(b" " * (200 * MEBIBYTE))
    assert len(bomb) < MEBIBYTE / 4
    tracemalloc.start()
    try:
        with pytest.raises(InflatedTooMuch):
            inflated(bomb, coding, bytes_max=MEBIBYTE)
        assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE
        tracemalloc.reset_peak()
        assert sum(map(len, inflated_pieces([bomb], coding))) == 200 * MEBIBYTE
        assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("coding", "compress"), REPEATING)
def test_work_without_data_is_bounded(coding: ContentCoding, compress: Compress) -> None:
    """A body of parts that hold nothing is given up after so many steps."""
    body = compress(b"") * 5000
    assert inflated(body, coding, bytes_max=0) == b""
    with pytest.raises(InflatedTooMuch):
        inflated(body, coding, bytes_max=MEBIBYTE, steps_max=4096)
