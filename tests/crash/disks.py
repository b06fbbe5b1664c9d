"""Disks that lose power and disks that fail, under the real SQLite.

`RecordingDisk` passes everything on to the real files and keeps a list of what was written and when it was
made durable; `RecordingFiles` adds to the same list what becomes of segments. `state_after` builds what could
be found after a loss of power at any point of that list: what was synced is there, and of what was not, any
part may be, also half of a write. This is the method of ALICE and CrashMonkey: order is only what fsync makes
of it. `FailingDisk` refuses from a moment on.

A file of the data directory and its name are two things. Its content is made durable by its own fsync, its
names by that of their folder; until then each creation, rename and removal may be found done or not, by
itself. A file that gets a name in another folder has it once that folder is synced. Names are paths within
the data directory.
"""

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import apsw
import msgspec

from rowkeep.storage.local_files import Disk

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


class Created(msgspec.Struct, frozen=True):
    """A new file, known from here on by its number, has got a name."""

    file: str
    name: str


class Renamed(msgspec.Struct, frozen=True):
    """A file has got another name."""

    file: str
    name: str
    new_name: str


class Removed(msgspec.Struct, frozen=True):
    """A name is gone."""

    name: str


class FolderSync(msgspec.Struct, frozen=True):
    """The names in a folder were made durable."""

    folder: str


class Acknowledgement(msgspec.Struct, frozen=True):
    """Somebody was told that something is kept."""

    number: int


Naming = Created | Renamed | Removed
Event = Write | Truncate | Sync | Delete | Naming | FolderSync | Acknowledgement


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


class RecordingFiles(Disk):
    """Files that are written for real and remembered in a list of events."""

    def __init__(self, events: list[Event], root: Path) -> None:
        self._events = events
        self._root = root
        self._open: dict[int, tuple[str, int]] = {}
        self._names: dict[str, str] = {}

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        file = f"file {next(_numbers)}"
        self._open[descriptor] = file, 0
        name = self._name(path)
        self._names[name] = file
        self._events.append(Created(file, name))
        return descriptor

    def reopen(self, path: Path, byte_count: int) -> int:
        name = self._name(path)
        descriptor = super().reopen(path, byte_count)
        if name not in self._names:
            self._names[name] = f"file {next(_numbers)}"
            self._events.append(Created(self._names[name], name))
        self._open[descriptor] = self._names[name], byte_count
        self._events.append(Truncate(self._names[name], byte_count))
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> None:
        super().write(descriptor, data)
        file, offset = self._open[descriptor]
        self._open[descriptor] = file, offset + len(data)
        self._events.append(Write(file, offset, bytes(data)))

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self._events.append(Sync(self._open[descriptor][0]))

    def rename(self, path: Path, new_path: Path) -> None:
        super().rename(path, new_path)
        name, new_name = self._name(path), self._name(new_path)
        file = self._names[new_name] = self._names.pop(name)
        self._events.append(Renamed(file, name, new_name))

    def sync_directory(self, folder: Path) -> None:
        super().sync_directory(folder)
        self._events.append(FolderSync(self._name(folder)))

    def remove(self, path: Path) -> None:
        super().remove(path)
        name = self._name(path)
        if self._names.pop(name, None) is not None:
            self._events.append(Removed(name))

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root))


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
    """One state of the files that a loss of power after these events can leave, by their paths."""
    contents = _contents_after(events, chance)
    files = {name: content for name, content in contents.items() if not name.startswith("file ")}
    for name, file in _names_after(events, chance).items():
        files[name] = contents.get(file, b"")
    return files


def _names_after(events: list[Event], chance: random.Random) -> dict[str, str]:
    """Which file each name is for."""
    durable: dict[str, str] = {}
    pending: list[Naming] = []
    for event in events:
        if isinstance(event, Created | Renamed | Removed):
            pending.append(event)
        elif isinstance(event, FolderSync):
            for change in pending:
                if _folder_of(change) == event.folder:
                    _apply_name(durable, change)
            pending = [change for change in pending if _folder_of(change) != event.folder]
    kept = chance.choice((0.0, 0.5, 0.9, 1.0))
    for change in pending:
        if chance.random() < kept:
            _apply_name(durable, change)
    return durable


def _folder_of(change: Naming) -> str:
    """The folder whose fsync makes a change durable."""
    return str(Path(change.new_name if isinstance(change, Renamed) else change.name).parent)


def _apply_name(names: dict[str, str], change: Naming) -> None:
    if isinstance(change, Renamed):
        names.pop(change.name, None)
        names[change.new_name] = change.file
    elif isinstance(change, Created):
        names[change.name] = change.file
    else:
        names.pop(change.name, None)


def _contents_after(events: list[Event], chance: random.Random) -> dict[str, bytes]:
    """What is in every file that ever was written to and is not known to be deleted."""
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
