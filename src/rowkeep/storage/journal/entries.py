"""The format of an entry: request bodies, one a line, encoded and with a checksum.

Each line of an entry is a batch. So whoever reads an entry knows where batches end, which the chain of an
upload rests on (model/chain.py). A large batch comes in frames and becomes one entry a frame; all but
the last of these are marked as continued.

Payloads are zstd level 1: it costs less than writing the bytes would. Every entry names its codec, so that
another can be added. Every entry has a checksum that is looked at whenever the entry is read: what a disk has
changed is not served.
"""

import zlib

import zstandard

from rowkeep.model.errors import damaged
from rowkeep.model.resources import Entry, Frame

CODEC_PLAIN = 0
CODEC_ZSTD = 1
# Compressing less than a page saves no write and costs a hand-over of the interpreter lock.
COMPRESSED_BYTES_MIN = 4096


class EntryEncoder:
    """Encodes request bodies. Used by one thread at a time."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1)

    def frame(self, lines: bytes, row_count: int) -> Frame:
        """Returns request bodies, one a line, encoded as the payload of an entry."""
        if len(lines) < COMPRESSED_BYTES_MIN:
            return Frame(row_count, len(lines), CODEC_PLAIN, lines)
        return Frame(row_count, len(lines), CODEC_ZSTD, self._compressor.compress(lines))


def frame_checksum(upload_id: int, schema_version: int, frame: Frame) -> int:
    """Returns the checksum of the entry that a frame becomes."""
    return _checksum(
        upload_id, frame.row_count, frame.byte_count, schema_version, frame.codec, payload=frame.payload
    )


def _checksum(*facts: int, payload: bytes) -> int:
    """Returns the CRC-32 of a payload and of the facts of its entry.

    The first row is not among them: it follows from the entry before.
    """
    return zlib.crc32(payload, zlib.crc32(b"%d,%d,%d,%d,%d" % facts))


def entry_lines(entry: Entry) -> bytes:
    """Returns the request bodies of an entry, one a line.

    Raises internal_error for an entry that was damaged.
    """
    checksum = _checksum(
        entry.upload_id,
        entry.row_count,
        entry.byte_count,
        entry.schema_version,
        entry.codec,
        payload=entry.payload,
    )
    if checksum != entry.checksum:
        raise damaged(f"The rows of upload {entry.upload_id} from {entry.first_row} on are damaged on disk.")
    return decoded_lines(entry.codec, entry.payload)


def decoded_lines(codec: int, payload: bytes) -> bytes:
    """Returns the request bodies of a payload, one a line."""
    if codec == CODEC_PLAIN:
        return payload
    if codec == CODEC_ZSTD:
        return zstandard.decompress(payload)
    raise ValueError(f"the journal has no codec {codec}")
