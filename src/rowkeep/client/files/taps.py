"""The sources of bytes: a file as it is, a file that grows, a pipe.

A tap is read by offset. A read that comes short of what was asked means that there is no more for now; then
`is_over` says whether there ever will be.
"""

import os
import select
import threading
import time
from pathlib import Path
from typing import Protocol

POLL_SECONDS = 0.05
PIPE_READ_BYTES = 1024 * 1024


class InputChanged(Exception):
    """The input or its stored state is not what it was. The text says what to do."""


class Tap(Protocol):
    """A source of bytes, read by offset."""

    @property
    def is_over(self) -> bool:
        """Returns whether everything has been read, after a read that returned fewer bytes than asked for."""

    def read(self, offset: int, size: int) -> bytes:
        """Returns up to `size` bytes; fewer when there are no more for now."""


class RegularFile:
    """A file that does not grow."""

    is_over = True

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, offset: int, size: int) -> bytes:
        """Returns up to `size` bytes; fewer at the end of the file."""
        return read_exactly(self._descriptor, offset, size)


class GrowingFile:
    """A file that others append to, until another file takes its name.

    A read waits for `size` bytes. It returns fewer when the bytes that are there have waited for
    `linger_seconds`.
    """

    def __init__(
        self, path: Path, descriptor: int, linger_seconds: float, is_stopping: threading.Event
    ) -> None:
        self._path = path
        self._descriptor = descriptor
        self._linger_seconds = linger_seconds
        self._is_stopping = is_stopping
        self.is_over = False

    def read(self, offset: int, size: int) -> bytes:
        """Returns up to `size` bytes; fewer after a wait.

        Raises InputChanged when the file has become shorter.
        """
        due_at: float | None = None
        while not self._is_stopping.is_set():
            left = self._left(offset)
            is_replaced = self._is_replaced()
            now = time.monotonic()
            if due_at is None and (left or is_replaced):
                due_at = now + self._linger_seconds
            if left >= size:
                break
            if due_at is not None and now >= due_at:
                self.is_over = is_replaced
                break
            self._is_stopping.wait(POLL_SECONDS)
        return read_exactly(self._descriptor, offset, size)

    def _left(self, offset: int) -> int:
        left = os.fstat(self._descriptor).st_size - offset
        if left < 0:
            raise InputChanged(
                f"{self._path} has become shorter than what was read of it. Rows may have been cut off "
                "unread; to insert what it holds now, run again with --restart."
            )
        return left

    def _is_replaced(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:  # between the old one and the new one
            return False


class Pipe:
    """A stream that can be read once, in order.

    With `linger_seconds`, a read comes short when what there is has waited that long; without, only at the
    end, so that the same bytes are always cut into the same reads.
    """

    def __init__(self, descriptor: int, linger_seconds: float | None, is_stopping: threading.Event) -> None:
        self._descriptor = descriptor
        self._linger_seconds = linger_seconds
        self._is_stopping = is_stopping
        self._kept = bytearray()
        self._kept_from = 0
        self.is_over = False

    def read(self, offset: int, size: int) -> bytes:
        """Returns up to `size` bytes. Bytes before `offset` can no longer be read."""
        del self._kept[: offset - self._kept_from]
        self._kept_from = offset
        due_at: float | None = None
        while len(self._kept) < size and not self.is_over and not self._is_stopping.is_set():
            if self._kept and self._linger_seconds is not None:
                due_at = due_at or time.monotonic() + self._linger_seconds
                if time.monotonic() >= due_at:
                    break
            if select.select([self._descriptor], [], [], POLL_SECONDS)[0]:
                received = os.read(self._descriptor, PIPE_READ_BYTES)
                self.is_over = not received
                self._kept += received
        return bytes(self._kept[:size])


def read_exactly(descriptor: int, offset: int, size: int) -> bytes:
    """Returns the bytes at an offset; fewer than `size` only at the end of the file."""
    data = os.pread(descriptor, size, offset)
    while 0 < len(data) < size:
        more = os.pread(descriptor, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
