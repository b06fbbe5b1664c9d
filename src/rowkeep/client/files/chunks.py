"""Cuts an input into chunks of whole records.

Theory
------
A chunk is sent under a key made of its place and its bytes, so whoever cuts the same input again must cut
it in the same places. Where a chunk ends is therefore decided by the bytes alone: from its first byte, the
last end of a record within `bytes_max`; when one record is larger than that, twice as many bytes, and so on.
Such a chunk is *certain*. One that was cut because there was no more to read (the end of the file, a pause of
whoever writes it) is not: by the next time the file may have grown. Where that is, the checkpoint
remembers (`planned`), before the chunk is sent.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from rowkeep.client.batches import Batch
from rowkeep.client.files.taps import InputChanged, Tap

RECORD_BYTES_MAX = 64 * 1024 * 1024


class Chunk(msgspec.Struct, frozen=True):
    """Whole records from `start` on. `is_certain` as above."""

    start: int
    data: bytes
    is_certain: bool

    @property
    def end(self) -> int:
        """The offset behind its last byte."""
        return self.start + len(self.data)

    def key(self, source: str) -> str:
        """The Idempotency-Key of its batch: whose it is, where it stands, what it says."""
        digest = hashlib.sha256(self.data).hexdigest()[:32]
        return f"{source}-{self.start:x}-{len(self.data):x}-{digest}"


class Form(Protocol):
    """How records stand in the input: NDJSON or CSV."""

    def start(self, tap: Tap) -> tuple[int, int]:
        """Where the first record begins, and how many lines are before it."""

    def last_end(self, data: bytes) -> int:
        """Where the last whole record in `data` ends, which begins with a record; 0 without one."""

    def batch(self, key: str, chunk: Chunk, lines_before: int) -> tuple[Batch, int]:
        """The batch of a chunk, its rows numbered by their lines from 1, and how many lines it has."""


class Cutter:
    """Cuts one input, from one end to the other or until it is told to stop."""

    def __init__(self, tap: Tap, form: Form, bytes_max: int, is_stopping: threading.Event) -> None:
        self._tap = tap
        self._form = form
        self._bytes_max = bytes_max
        self._is_stopping = is_stopping

    def chunks(self, offset: int, planned: Mapping[int, int]) -> Iterator[Chunk]:
        """The chunks from an offset on; those that `planned` names by start and end are cut just there."""
        while not self._is_stopping.is_set():
            if offset in planned:
                chunk = self._planned(offset, planned[offset])
            else:
                found = self._next(offset)
                if found is None:
                    return
                chunk = found
            yield chunk
            offset = chunk.end

    def _planned(self, start: int, end: int) -> Chunk:
        return Chunk(start, self._tap.read(start, end - start), is_certain=False)

    def _next(self, offset: int) -> Chunk | None:
        window = self._bytes_max
        while not self._is_stopping.is_set():
            data = self._tap.read(offset, window)
            if self._is_stopping.is_set():
                return None  # what was read may end within a record
            is_filled = len(data) == window
            is_last = not is_filled and self._tap.is_over
            end = len(data) if is_last else self._form.last_end(data)
            if end:
                return Chunk(offset, data if end == len(data) else data[:end], is_certain=is_filled)
            if is_last:
                return None
            if is_filled:
                window = _wider(window, offset)
        return None


def _wider(window: int, offset: int) -> int:
    if window >= RECORD_BYTES_MAX:
        raise InputChanged(f"no row ends within {RECORD_BYTES_MAX} bytes from byte {offset} on.")
    return min(2 * window, RECORD_BYTES_MAX)
