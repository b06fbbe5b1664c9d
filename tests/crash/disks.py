"""Disks that lose power and disks that fail, under the real SQLite.

`RecordingDisk` passes everything on to the real files and keeps a list of what was written and when it was
made durable. `state_after` builds what could be found after a loss of power at any point of that list: what
was synced is there, and of what was not, any part may be, also half of a write. This is the method of ALICE
and CrashMonkey: order is only what fsync makes of it. `FailingDisk` refuses from a moment on.
"""

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import apsw
import msgspec

SECTOR_BYTES = 512

_numbers = itertools.count(1)


class Write(msgspec.Struct, frozen=True):
    """Bytes were handed to the file system."""

    file: str
    offset: int
    data: bytes


class Truncate(msgspec.Struct, frozen=True):
    """A file was cut off."""

    file: str
    size: int


class Sync(msgspec.Struct, frozen=True):
    """A file was made durable."""

    file: str


class Delete(msgspec.Struct, frozen=True):
    """A file was removed; until its directory is synced it may come back."""

    file: str
    is_durable: bool


class Acknowledgement(msgspec.Struct, frozen=True):
    """Somebody was told that something is kept."""

    number: int


Event = Write | Truncate | Sync | Delete | Acknowledgement


class RecordingDisk(apsw.VFS):
    """A layer over the real file system that remembers; `name` is what SQLite knows it by."""

    def __init__(self) -> None:
        self.name = f"recording-{next(_numbers)}"
        self.events: list[Event] = []
        super().__init__(self.name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # SQLite's
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return _RecordedFile(name, flags, Path(path or "").name, self.events)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802  # SQLite's
        super().xDelete(filename, syncdir)
        self.events.append(Delete(Path(filename).name, is_durable=bool(syncdir)))


class _RecordedFile(apsw.VFSFile):
    def __init__(
        self, name: str | apsw.URIFilename | None, flags: list[int], file: str, events: list[Event]
    ) -> None:
        super().__init__("", name, flags)
        self._file = file
        self._events = events

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # SQLite's
        super().xWrite(data, offset)
        self._events.append(Write(self._file, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  # SQLite's
        super().xTruncate(newsize)
        self._events.append(Truncate(self._file, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's
        super().xSync(flags)
        self._events.append(Sync(self._file))


class FailingDisk(apsw.VFS):
    """A layer that does what the real one does until `failure` says which call to refuse, and how."""

    def __init__(self) -> None:
        self.name = f"failing-{next(_numbers)}"
        self.failure: Callable[[str], Exception | None] = lambda _: None
        super().__init__(self.name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # SQLite's
        return _FailingFile(name, flags, self)


class _FailingFile(apsw.VFSFile):
    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], disk: FailingDisk) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def _refuse(self, call: str) -> None:
        error = self._disk.failure(call)
        if error is not None:
            raise error

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # SQLite's
        self._refuse("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's
        self._refuse("sync")
        super().xSync(flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802  # SQLite's
        self._refuse("read")
        return super().xRead(amount, offset)


def state_after(events: list[Event], chance: random.Random) -> dict[str, bytes]:
    """One state of the files that a loss of power after these events can leave."""
    durable: dict[str, bytearray] = {}
    pending: dict[str, list[Write | Truncate]] = {}
    removed: dict[str, bytearray] = {}
    for event in events:
        if isinstance(event, Write | Truncate):
            pending.setdefault(event.file, []).append(event)
        elif isinstance(event, Sync):
            removed.pop(event.file, None)  # SQLite syncs the directory of a file that it has made
            for change in pending.pop(event.file, []):
                _apply(durable.setdefault(event.file, bytearray()), change)
        elif isinstance(event, Delete):
            if not event.is_durable and event.file in durable:
                removed[event.file] = durable[event.file]
            durable.pop(event.file, None)
            pending.pop(event.file, None)
    durable.update({file: content for file, content in removed.items() if chance.random() < 0.5})
    kept = chance.choice((0.0, 0.5, 0.9, 1.0))
    for file, changes in pending.items():
        for change in changes:
            if chance.random() < kept:
                _apply(durable.setdefault(file, bytearray()), _torn(change, chance))
    return {file: bytes(content) for file, content in durable.items()}


def _torn(change: Write | Truncate, chance: random.Random) -> Write | Truncate:
    """The change, or the part of it that reached the disk: some sectors from its beginning or its end."""
    if isinstance(change, Truncate) or len(change.data) <= SECTOR_BYTES or chance.random() < 0.7:
        return change
    cut = chance.randrange(SECTOR_BYTES, len(change.data), SECTOR_BYTES)
    if chance.random() < 0.5:
        return Write(change.file, change.offset, change.data[:cut])
    return Write(change.file, change.offset + cut, change.data[cut:])


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        return
    end = change.offset + len(change.data)
    content.extend(bytes(max(0, end - len(content))))
    content[change.offset : end] = change.data
