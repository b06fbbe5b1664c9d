"""Segments as files of one folder. A file has another suffix until it is durable under its name."""

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rowkeep.storage.local_files import HELD_PREFIX, Disk, holding_segments, set_aside
from rowkeep.storage.segments.naming import LOST_AND_FOUND, UNFINISHED, is_segment_file

_time = re.compile(r"\.\d+$", re.ASCII)


def _is_set_aside(name: str) -> bool:
    return is_segment_file(_time.sub("", name))


class LocalSegments:
    """The folder of a data directory's segments. Its one server holds the directory's lock."""

    is_shared = False

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk

    def put(self, name: str) -> "NewLocalFile":
        """Begins a new file."""
        return NewLocalFile(self._disk, self._folder, name)

    def take(self, file: Path) -> None:
        """Moves a durable local file here, durably and under its own name."""
        self._disk.rename(file, self._folder / file.name)
        self._disk.sync_directory(self._folder)

    def get(self, name: str) -> "LocalFile":
        """Opens a file. Raises OSError when it is missing."""
        return LocalFile(self._folder / name)

    def names(self) -> set[str]:
        """Returns the names of all files, unfinished ones too."""
        return {file.name for file in self._folder.glob("*")}

    @contextmanager
    def held(self, names: Iterable[str]) -> Iterator["LocalSegments"]:
        """Keeps files readable for a while, by a second name in a folder beside this one."""
        with (
            holding_segments(self._folder.parent),
            tempfile.TemporaryDirectory(dir=self._folder.parent, prefix=HELD_PREFIX) as held,
        ):
            for name in names:
                os.link(self._folder / name, Path(held) / name)
            yield LocalSegments(Path(held), self._disk)

    def link(self, other: "LocalSegments", name: str) -> bool:
        """Gives a file of another folder a second name here. Returns False where the file system cannot."""
        try:
            os.link(other._folder / name, self._folder / name)
        except OSError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Removes a file. A missing file is no error."""
        self._disk.remove(self._folder / name)

    def set_aside(self, name: str, folder: str) -> str:
        """Moves a file durably to a folder of the data directory, and sets its time of change."""
        return set_aside(self._disk, self._folder / name, self._folder.parent, folder)

    def forget_set_aside(self, before: float) -> int:
        """Removes segment files that were set aside before a time. Returns the number of files."""
        lost = self._folder.with_name(LOST_AND_FOUND)
        files = [file for file in lost.glob("*") if _is_set_aside(file.name)]
        old = [file for file in files if file.stat().st_mtime < before]
        for file in old:
            self._disk.remove(file)
        return len(old)


class NewLocalFile:
    """A file that is being written."""

    def __init__(self, disk: Disk, folder: Path, name: str) -> None:
        self._disk = disk
        self._folder = folder
        self._path = folder / name
        self._unfinished = folder / f"{name}{UNFINISHED}"
        self._descriptor = disk.create(self._unfinished)

    def write(self, data: memoryview) -> None:
        """Adds all of it to the file."""
        self._disk.write(self._descriptor, data)

    def keep(self) -> None:
        """Makes the file durable under its name. Nothing more can be written to it."""
        self._disk.sync(self._descriptor)
        self._close()
        self._disk.rename(self._unfinished, self._path)
        self._disk.sync_directory(self._folder)

    def discard(self) -> None:
        """Removes what was written, unless it was kept."""
        self._close()
        self._disk.remove(self._unfinished)

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class LocalFile:
    """An open file."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self.byte_count = os.fstat(self._descriptor).st_size

    def read(self, offset: int, byte_count: int) -> bytes:
        """Returns a part of the file; less than was asked for where the file ends. Raises OSError."""
        return os.pread(self._descriptor, byte_count, offset)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)
