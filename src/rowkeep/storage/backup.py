"""`rowkeep backup` and `rowkeep restore`: copies of a data directory that are whole.

A backup is one snapshot: everything that was acknowledged before it began, nothing in part, whatever a
server writes meanwhile. It is the database as of one moment and the segments that it names. A server may
compact a segment away while it is copied, and remove its file after a grace; so all of them get a second
name (a hard link) at once, and are copied from there.

It is made under another name and renamed when it is durable, so a backup that exists is complete. A restore
reads the backup back first and never writes over data.
"""

import os
import shutil
import tempfile
from pathlib import Path

from rowkeep.storage.base import StorageError
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.local_files import DataDirectory, sync_directory, sync_file
from rowkeep.storage.opening import open_database
from rowkeep.storage.verification import VerificationReport, verify


def back_up(directory: DataDirectory, destination: Path) -> None:
    """Copies a data directory, of a running server too. Raises StorageError."""
    if destination.exists():
        raise StorageError(f"{destination} exists already; name a folder that does not.")
    if not directory.database.exists():
        raise StorageError(f"{directory.path} holds no data.")
    unfinished = _unfinished(destination)
    copy = DataDirectory(unfinished)
    database = open_database(directory)
    try:
        copy.reserve_database()
        database.copy(copy.database)
    finally:
        database.close()
    with tempfile.TemporaryDirectory(dir=directory.path, prefix="backup-") as held:
        for name in _named_segments(copy):
            os.link(directory.segments / name, Path(held) / name)
        shutil.copytree(held, copy.segments)
    _finish(unfinished, destination)


def restore(source: Path, directory_path: Path) -> VerificationReport:
    """Makes a data directory of a backup, unless the backup is damaged.

    Raises StorageError when there is data already, or no backup.
    """
    if directory_path.exists() and any(directory_path.iterdir()):
        raise StorageError(f"{directory_path} is not empty; restore into a folder that does not exist yet.")
    backup = DataDirectory(source)
    if not backup.database.exists():
        raise StorageError(f"{source} holds no backup.")
    unfinished = _unfinished(directory_path)
    copy = DataDirectory(unfinished)
    copy.reserve_database()
    shutil.copyfile(backup.database, copy.database)
    if backup.segments.exists():
        shutil.copytree(backup.segments, copy.segments)
    database = open_database(copy)
    try:
        report = verify(database, copy)
    finally:
        database.close()
    if report.problems:
        shutil.rmtree(unfinished)
        return report
    if directory_path.exists():
        directory_path.rmdir()
    _finish(unfinished, directory_path)
    return report


def _unfinished(destination: Path) -> Path:
    """The folder under another name that is to become this one; emptied of what an earlier try left."""
    folder = destination.with_name(f"{destination.name}.unfinished")
    if folder.exists():
        shutil.rmtree(folder)
    return folder


def _named_segments(directory: DataDirectory) -> list[str]:
    database = open_database(directory)
    try:
        with database.reading() as connection:
            return sorted(CatalogView(connection).segments.file_names())
    finally:
        database.close()


def _finish(unfinished: Path, destination: Path) -> None:
    """Makes a folder durable and gives it its name."""
    for path in sorted(unfinished.rglob("*")):
        if path.is_dir():
            sync_directory(path)
        else:
            sync_file(path)
    sync_directory(unfinished)
    unfinished.rename(destination)
    sync_directory(destination.parent)
