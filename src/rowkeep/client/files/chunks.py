"""Cuts an input into chunks of whole records.

Theory ------ A chunk is sent under a key made of its place and its bytes, so whoever cuts the same input
again must cut it in the same places. Where a chunk ends is therefore decided by the bytes alone: from its
first byte, the last end of a record within `bytes_max`; when one record is larger than that, its own end,
looked for in twice as many bytes, and so on. Such a chunk is *certain*. One that was cut because there was no
more to read (the end of the file, a pause of whoever writes it) is not: by the next time the file may have
grown. Where that is, the checkpoint remembers (`planned`), before the chunk is sent.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from rowkeep.client.batches import Batch
from rowkeep.client.files.taps import InputChanged, Tap

RECORD_BYTES_MAX = 64 * 1024 * 1024


class Piece:
    """Whole records at the beginning of some bytes, as a form has cut them.

    With `is_full` it ends because the next record would be too many bytes. With `is_certain` no later byte
    could change where it was cut.
    """

    def __init__(self, data: bytes, *, is_full: bool, is_certain: bool) -> None:
        self.data = data
        self.is_full = is_full
        self.is_certain = is_certain

    def batch(self, key: str, lines_before: int) -> tuple[Batch, int]:
        """Returns the piece as a batch, its rows numbered by their lines from 1, and its number of lines."""
        raise NotImplementedError


class Form(Protocol):
    """The format of the records in the input: NDJSON or CSV."""

    def start(self, tap: Tap) -> tuple[int, int]:
        """Returns where the first record begins, and how many lines are before it."""

    def cut(self, data: bytes, base: int, bytes_max: int, *, is_last: bool) -> Piece | None:
        """Returns the records of `data` that end within `bytes_max`, or the first one.

        None while it has no end.

        `data` stands at `base` in the input and begins with a record. `is_last` says that nothing follows.
        """


class Chunk(msgspec.Struct, frozen=True):
    """Whole records from `start` on. `is_certain` as above."""

    start: int
    piece: Piece
    is_certain: bool

    @property
    def size(self) -> int:
        """Returns how many bytes the chunk has."""
        return len(self.piece.data)

    @property
    def end(self) -> int:
        """Returns the offset behind its last byte."""
        return self.start + self.size

    def key(self, source: str) -> str:
        """Returns the Idempotency-Key of its batch."""
        return key_of(source, self.start, self.piece.data)


def key_of(source: str, start: int, data: bytes) -> str:
    """Returns the Idempotency-Key of a chunk's batch, made of its source, its place and its bytes."""
    digest = hashlib.sha256(data).hexdigest()[:32]
    return f"{source}-{start:x}-{len(data):x}-{digest}"


class Cutter:
    """Cuts one input into chunks, to its end or until it is told to stop."""

    def __init__(self, tap: Tap, form: Form, bytes_max: int, is_stopping: threading.Event) -> None:
        self._tap = tap
        self._form = form
        self._bytes_max = bytes_max
        self._is_stopping = is_stopping

    def chunks(self, offset: int, planned: Mapping[int, int]) -> Iterator[Chunk]:
        """Yields the chunks from an offset on.

        A chunk whose start is in `planned` ends where `planned` says.
        """
        while not self._is_stopping.is_set():
            if offset in planned:
                chunk: Chunk | None = self._planned(offset, planned[offset])
            else:
                chunk = self._next(offset)
            if chunk is None:
                return
            yield chunk
            offset = chunk.end

    def _planned(self, start: int, end: int) -> Chunk:
        data = self._tap.read(start, end - start)
        piece = self._form.cut(data, start, len(data), is_last=True)
        if piece is None or len(piece.data) < end - start:
            raise InputChanged(f"what stands from byte {start} to {end} is not what was sent of it.")
        return Chunk(start, piece, is_certain=False)

    def _next(self, offset: int) -> Chunk | None:
        window = self._bytes_max
        while not self._is_stopping.is_set():
            data = self._tap.read(offset, window)
            if self._is_stopping.is_set():
                return None  # what was read may end within a record
            is_filled = len(data) == window
            is_last = not is_filled and self._tap.is_over
            piece = self._form.cut(data, offset, self._bytes_max, is_last=is_last)
            if piece is not None:
                is_certain = piece.is_certain and (is_filled or piece.is_full)
                return Chunk(offset, piece, is_certain)
            if is_last:
                return None
            if is_filled:
                window = _wider(window, offset)
        return None


def _wider(window: int, offset: int) -> int:
    if window >= RECORD_BYTES_MAX:
        raise InputChanged(f"no row ends within {RECORD_BYTES_MAX} bytes from byte {offset} on.")
    return min(2 * window, RECORD_BYTES_MAX)
