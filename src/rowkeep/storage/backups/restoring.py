"""`rowkeep restore`: a data directory made of a backup.

The backup is copied and read back first. A damaged one makes nothing, and data is never written over.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from rowkeep.storage.backups.making import FileCopy, named_contents, named_segments
from rowkeep.storage.backups.record import BackupRecord, read_record
from rowkeep.storage.backups.unfinished import finish, is_unfinished, unfinished
from rowkeep.storage.base import Database, StorageError
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.opening import open_database, open_segments
from rowkeep.storage.verification import VerificationReport, verify


class Restored(msgspec.Struct, frozen=True):
    """The result of a restore: what was read back, and the record of the backup."""

    report: VerificationReport
    record: BackupRecord | None

    @property
    def problems(self) -> tuple[str, ...]:
        """Returns what is wrong with the backup. If anything is, nothing was restored."""
        return self.report.problems


def restore(source: Path, directory_path: Path, edit: Callable[[Database], None] | None = None) -> Restored:
    """Makes a data directory of a backup, unless the backup is damaged.

    `edit` changes the copy before it is there under its name. Raises StorageError when there is data
    already, or no backup.
    """
    if directory_path.exists() and any(directory_path.iterdir()):
        raise StorageError(f"{directory_path} is not empty; restore into a folder that does not exist yet.")
    if is_unfinished(source):
        raise StorageError(f"{source} is a backup that was interrupted, and not whole. Take an earlier one.")
    if not DataDirectory.database_of(source).exists():
        raise StorageError(f"{source} holds no backup.")
    record = read_record(source)
    with unfinished(directory_path) as copy:
        _copy_files(source, copy)
        report = _read_back(copy, edit)
        if report.problems:
            shutil.rmtree(copy.path)
            return Restored(report, record)
        if directory_path.exists():
            directory_path.rmdir()
        finish(copy.path, directory_path)
    return Restored(report, record)


def _copy_files(source: Path, copy: DataDirectory) -> None:
    copy.reserve_database()
    shutil.copyfile(DataDirectory.database_of(source), copy.database)
    backup = open_segments(DataDirectory(source))
    present = backup.names()
    FileCopy(backup, copy.segments).take([name for name in named_segments(copy) if name in present])
    contents = LocalSegments(DataDirectory.raw_files_of(source), Disk())
    kept = contents.names()
    FileCopy(contents, copy.raw_files).take([name for name in named_contents(copy) if name in kept])


def _read_back(copy: DataDirectory, edit: Callable[[Database], None] | None) -> VerificationReport:
    """Reads a copy back. If it is whole, applies `edit` to it."""
    database = open_database(copy)
    try:
        report = verify(database, copy)
        if edit is not None and not report.problems:
            edit(database)
        return report
    finally:
        database.close()
