"""A copy of the data directory at every point of an operation: what a kill there leaves behind.

A killed process leaves its files as they are at that moment, with whatever it has written, synced or not. So
nothing has to be killed: the operation runs once, and the files are copied at each point on its way.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rowkeep.storage.local_files import Disk
from rowkeep.storage.sqlite import SqliteConnection, SqliteDatabase


class Points:
    """The copies made so far, by the name of their point; none is made until `watching`."""

    def __init__(self, folder: Path, copies: Path) -> None:
        self._folder = folder
        self._copies = copies
        self._is_watching = False
        self.found: list[tuple[str, Path]] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Makes copies for the time of an operation."""
        self._is_watching = True
        yield
        self._is_watching = False

    def reach(self, name: str) -> None:
        """Copies everything as it is now."""
        if not self._is_watching:
            return
        copy = self._copies / str(len(self.found))
        # The -shm file is an index of the WAL that SQLite makes anew where it is missing.
        shutil.copytree(self._folder, copy, ignore=shutil.ignore_patterns("*-shm", "lock"))
        self.found.append((name, copy))

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Copies before and after a step."""
        self.reach(f"before {name}")
        yield
        self.reach(f"after {name}")


class CopyingDisk(Disk):
    """Files that are copied before, within and after all that is done to them."""

    def __init__(self, points: Points) -> None:
        self._points = points

    def create(self, path: Path) -> int:
        with self._points.around("creating"):
            return super().create(path)

    def reopen(self, path: Path, byte_count: int) -> int:
        with self._points.around("creating"):
            return super().reopen(path, byte_count)

    def write(self, descriptor: int, data: memoryview) -> None:
        with self._points.around("a write"):
            super().write(descriptor, data[: len(data) // 2])
            self._points.reach("within a write")
            super().write(descriptor, data[len(data) // 2 :])

    def sync(self, descriptor: int) -> None:
        with self._points.around("the fsync"):
            super().sync(descriptor)

    def rename(self, path: Path, new_path: Path) -> None:
        with self._points.around("the rename"):
            super().rename(path, new_path)

    def sync_directory(self, folder: Path) -> None:
        with self._points.around("the folder's fsync"):
            super().sync_directory(folder)

    def remove(self, path: Path) -> None:
        with self._points.around("a removal"):
            super().remove(path)


class CopyingDatabase(SqliteDatabase):
    """A database that is copied before, within and after every transaction."""

    def __init__(self, path: Path, points: Points) -> None:
        self._points = points
        super().__init__(path)

    @contextmanager
    def writing(self) -> Iterator[SqliteConnection]:
        with self._points.around("a transaction"), super().writing() as connection:
            yield connection
            self._points.reach("within a transaction")
