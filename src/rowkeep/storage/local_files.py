"""Files of the data directory: where they are, what is done to them, and the spool for large bodies.

* rowkeep.db and -…        the catalog and the journal (storage/opening.py)
* segments/                rows that left the journal (storage/segments/sweep.py)
* spool/                   bodies in flight and what statistics spill; worth nothing later, removed at start
* jobs/                    what workers are making, a folder each; worth nothing later, removed at start
* temp_uploads/            files that were sent and wait to be loaded (storage/catalog/temp_uploads.py)
* raw_files/               the content of the files of file index tables (storage/raw_contents.py)
* exports/                 files for download, each named by an export (storage/export_files.py)
* backup-…/                second names of segments while a backup reads them (storage/backups/making.py)
* rowkeep.json             the marker: this folder is rowkeep's (storage/marker.py)
* lock                     held by the one server of this directory

Only what rowkeep named itself is ever removed. Whatever else lies in these folders stays where it is.
"""

import asyncio
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from rowkeep.model.errors import RowkeepError, unavailable
from rowkeep.model.health import DiskFigures

_log = structlog.get_logger("rowkeep.files")

SPOOL_RETRY_SECONDS = 30
BODY_PREFIX = "body-"
SPILL_PREFIX = "statistics-"
HELD_PREFIX = "backup-"

# tempfile adds eight characters. Until version 0.1 bodies and spills had its own prefix, `tmp`.
_chance = "[a-z0-9_]{8}"
_is_spooled = re.compile(rf"(?:tmp|{BODY_PREFIX}){_chance}\.body|(?:tmp|{SPILL_PREFIX}){_chance}").fullmatch
_is_held_folder = re.compile(rf"{HELD_PREFIX}{_chance}").fullmatch
_is_job_folder = re.compile(rf"(?:parse|query|load|export)-{_chance}").fullmatch


class DataDirectory:
    """The files of one server. Makes the folder when it is missing."""

    FOLDER_NAMES = ("segments", "spool", "jobs", "temp_uploads", "raw_files", "exports")

    def __init__(self, path: Path) -> None:
        self.path = path
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in missing:
            sync_directory(folder.parent)  # else its rows could be durable, and it itself not

    @property
    def database(self) -> Path:
        """Returns the path of the database file."""
        return self.database_of(self.path)

    @staticmethod
    def database_of(path: Path) -> Path:
        """Returns the path of a data directory's database file, which may be missing."""
        return path / "rowkeep.db"

    @property
    def segments(self) -> Path:
        """Returns the folder of the segments."""
        return self.segments_of(self.path)

    @staticmethod
    def segments_of(path: Path) -> Path:
        """Returns the folder of a data directory's segments, which may be missing."""
        return path / "segments"

    @property
    def spool(self) -> Path:
        """Returns the folder for files that no request outlives."""
        return self.path / "spool"

    @property
    def jobs(self) -> Path:
        """Returns the folder for files that workers are making."""
        return self.path / "jobs"

    @property
    def temp_uploads(self) -> Path:
        """Returns the folder of the files that wait to be loaded."""
        return self.path / "temp_uploads"

    @property
    def raw_files(self) -> Path:
        """Returns the folder of the contents of raw files."""
        return self.raw_files_of(self.path)

    @staticmethod
    def raw_files_of(path: Path) -> Path:
        """Returns the folder of a data directory's raw contents, which may be missing."""
        return path / "raw_files"

    @property
    def exports(self) -> Path:
        """Returns the folder of the files of exports."""
        return self.path / "exports"

    def reserve_database(self) -> None:
        """Makes the database's file when it is missing.

        Files that the database puts beside it get the same mode, 0600.
        """
        os.close(os.open(self.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def lock(self) -> int:
        """Makes this process the directory's only server until it ends. Raises BlockingIOError."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise
        return descriptor

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps servers away while the context is open. Raises BlockingIOError while one runs."""
        descriptor = self.lock()
        try:
            yield
        finally:
            os.close(descriptor)

    def sweep(self) -> None:
        """Removes what a dead server left half done, and makes the folders that a server needs."""
        for name in self.FOLDER_NAMES:
            (self.path / name).mkdir(mode=0o700, exist_ok=True)
        sync_directory(self.path)
        for folder, is_ours in ((self.spool, _is_spooled), (self.jobs, _is_job_folder)):
            for file in folder.iterdir():
                if is_ours(file.name):
                    _remove(file)
                    log_removed(file, "a server before left it half done")
        _forget_dead_holds(self.path)


def remove_and_log(disk: "Disk", file: Path, reason: str) -> None:
    """Removes a file that people may look for, and logs that. A missing file is no error."""
    if file.exists():
        disk.remove(file)
        log_removed(file, reason)


def log_removed(file: Path, reason: str) -> None:
    """Logs that a file of the data directory was removed."""
    _log.info("file removed", file=f"{file.parent.name}/{file.name}", reason=reason)


@contextmanager
def hold_alone(folder: Path) -> Iterator[None]:
    """Keeps out every other process that calls this. Raises BlockingIOError when another was faster."""
    with _lockable(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextmanager
def holding_segments(directory: Path) -> Iterator[None]:
    """Keeps the segments alive that this process holds, and removes what dead processes held."""
    _forget_dead_holds(directory)
    with _lockable(directory) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


def _forget_dead_holds(directory: Path) -> None:
    """Removes what killed processes held. Does nothing while a living process holds anything."""
    try:
        with hold_alone(directory):
            for folder in directory.iterdir():
                if _is_held_folder(folder.name):
                    _remove(folder)
                    log_removed(folder, "a backup that was interrupted held it")
    except BlockingIOError:
        return


@contextmanager
def _lockable(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def log_moved(file: Path, place: str, reason: str) -> None:
    """Logs that a file of the data directory was moved."""
    _log.info("file moved", file=f"{file.parent.name}/{file.name}", to=place, reason=reason)


def set_aside(disk: "Disk", file: Path, root: Path, folder: str) -> str:
    """Moves a file durably to a folder of a data directory, and sets its time of change.

    If a file of that name is there already, both are kept: the new one gets the time in its name. Returns the
    new path, relative to the data directory.
    """
    target = root / folder
    made = [target, *(parent for parent in target.parents if parent == root or root in parent.parents)]
    for missing in reversed(made):
        missing.mkdir(mode=0o700, exist_ok=True)
    place = target / file.name
    if place.exists():
        place = target / f"{file.name}.{time.time_ns()}"
    os.utime(file)
    disk.rename(file, place)
    for changed in (file.parent, *made):
        disk.sync_directory(changed)
    return str(place.relative_to(root))


def _remove(file: Path) -> None:
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    else:
        file.unlink()


class Disk:
    """The operations on files that must last. Tests replace it to make a disk fail or lose its power."""

    def create(self, path: Path) -> int:
        """Opens a new file for writing. Returns its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def reopen(self, path: Path, byte_count: int) -> int:
        """Opens a file behind its first `byte_count` bytes; the rest is cut off. Returns its descriptor."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(descriptor, byte_count)
        os.lseek(descriptor, byte_count, os.SEEK_SET)
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> None:
        """Writes all of the data."""
        rest = data
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def sync(self, descriptor: int) -> None:
        """Makes the written bytes of a file durable."""
        os.fsync(descriptor)

    def rename(self, path: Path, new_path: Path) -> None:
        """Gives a file its name."""
        path.rename(new_path)

    def link(self, path: Path, new_path: Path) -> None:
        """Gives a file a second name.

        An existing file of that name is no error: it has the same content.
        """
        with suppress(FileExistsError):
            os.link(path, new_path)

    def sync_directory(self, folder: Path) -> None:
        """Makes the names in a folder durable."""
        sync_directory(folder)

    def remove(self, path: Path) -> None:
        """Removes a file. A missing file is no error."""
        path.unlink(missing_ok=True)


def sync_file(file: Path) -> None:
    """Makes what was written to a file durable."""
    _sync(file, os.O_RDONLY)


def sync_directory(folder: Path) -> None:
    """Makes the names in a folder durable."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def free_bytes(folder: Path) -> int:
    """Returns how many bytes are free on the disk of a folder."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def disk_figures(directory: DataDirectory) -> DiskFigures:
    """Returns how full the disk of a data directory is, and the size of its database."""
    found = os.statvfs(directory.path)
    files = directory.path.glob(f"{directory.database.name}*")
    sizes = [file.stat().st_size for file in files if file.exists()]
    return DiskFigures(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, sum(sizes))


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def no_room(error: OSError) -> RowkeepError:
    """Returns the 503 error for content that the disk does not take."""
    return unavailable(
        "The server has no room for a body of this size. Nothing was inserted; send it again later.",
        retry_after_seconds=SPOOL_RETRY_SECONDS,
        detail=str(error),
    )


class FileSpool:
    """One body in a file of the spool. Never fsynced: it is worth nothing after a crash.

    Raises `unavailable` when the disk does not take the file or the body.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._descriptor, name = tempfile.mkstemp(dir=folder, prefix=BODY_PREFIX, suffix=".body")
        except OSError as error:
            raise no_room(error) from error
        self.path = Path(name)
        self._byte_count = 0

    @property
    def byte_count(self) -> int:
        """Returns how many bytes have been written."""
        return self._byte_count

    async def write(self, chunk: bytes) -> None:
        """Adds to the body. Raises `unavailable` when the disk does not take it."""
        try:
            await asyncio.to_thread(self._write_all, chunk)
        except OSError as error:
            raise no_room(error) from error
        self._byte_count += len(chunk)

    def _write_all(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    async def close(self) -> None:
        """Removes the file."""
        os.close(self._descriptor)
        self.path.unlink(missing_ok=True)
