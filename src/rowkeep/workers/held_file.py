"""A new file that stays in memory while it is small, so that it can be sent instead of being written."""

from collections.abc import Callable

from rowkeep.storage.base import NewFile

HELD_BYTES_MAX = 256 * 1024


class HeldFile:
    """Holds what is written to it in memory, and begins a file when that becomes too much."""

    def __init__(self, begin: Callable[[], NewFile]) -> None:
        self._begin = begin
        self._held = bytearray()
        self._file: NewFile | None = None

    def write(self, data: memoryview) -> None:
        """Adds all of it."""
        if self._file is None and len(self._held) + len(data) <= HELD_BYTES_MAX:
            self._held += data
            return
        if self._file is None:
            self._file = self._begin()
            self._file.write(memoryview(self._held))
            self._held = bytearray()
        self._file.write(data)

    def keep(self) -> None:
        """Makes the file durable, if one was begun."""
        if self._file is not None:
            self._file.keep()

    def discard(self) -> None:
        """Removes what was written."""
        self._held = bytearray()
        if self._file is not None:
            self._file.discard()

    @property
    def content(self) -> bytes | None:
        """Returns everything that was written if it is held in memory. None when it is in a file."""
        return bytes(self._held) if self._file is None else None
