"""`rowkeep backup` and `rowkeep restore`: copies of a data directory that are whole.

A backup is one snapshot: everything that was acknowledged before it began, nothing in part, whatever a
server writes meanwhile. It is made under another name and renamed when it is durable, so a backup that
exists is complete. A restore reads the backup back first and never writes over data.
"""

import shutil
from pathlib import Path

from rowkeep.storage.base import StorageError
from rowkeep.storage.files import DataDirectory, sync_directory, sync_file
from rowkeep.storage.sqlite import SqliteDatabase
from rowkeep.storage.verification import VerificationReport, verify


def back_up(directory: DataDirectory, destination: Path) -> None:
    """Copies a data directory, of a running server too. Raises StorageError."""
    if destination.exists():
        raise StorageError(f"{destination} exists already; name a folder that does not.")
    if not directory.database.exists():
        raise StorageError(f"{directory.path} holds no data.")
    unfinished = destination.with_name(f"{destination.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    copy = DataDirectory(unfinished)
    database = SqliteDatabase(directory.database)
    try:
        database.copy(copy.database)
    finally:
        database.close()
    _finish(unfinished, destination)


def restore(source: Path, directory_path: Path) -> VerificationReport:
    """Makes a data directory of a backup, unless the backup is damaged.

    Raises StorageError when there is data already, or no backup.
    """
    if directory_path.exists() and any(directory_path.iterdir()):
        raise StorageError(f"{directory_path} is not empty; restore into a folder that does not exist yet.")
    if not (source / "rowkeep.db").exists():
        raise StorageError(f"{source} holds no backup.")
    unfinished = directory_path.with_name(f"{directory_path.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    copy = DataDirectory(unfinished)
    shutil.copyfile(source / "rowkeep.db", copy.database)
    database = SqliteDatabase(copy.database)
    try:
        report = verify(database)
    finally:
        database.close()
    if report.problems:
        shutil.rmtree(unfinished)
        return report
    if directory_path.exists():
        directory_path.rmdir()
    _finish(unfinished, directory_path)
    return report


def _finish(unfinished: Path, destination: Path) -> None:
    """Makes a folder durable and gives it its name."""
    for file in unfinished.iterdir():
        if file.is_file():
            sync_file(file)
    sync_directory(unfinished)
    unfinished.rename(destination)
    sync_directory(destination.parent)
