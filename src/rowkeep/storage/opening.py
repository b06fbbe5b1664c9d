"""Opens the database of a data directory and the store of its segments."""

import os
from contextlib import suppress
from pathlib import Path

from rowkeep.storage.base import FileDatabase, SegmentStore, StorageFailedError
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.marker import check_directory, mark
from rowkeep.storage.sqlite import SqliteDatabase

# What the names of a database's files end with.
DATABASE_ENDINGS = ("", "-wal", "-shm", "-journal")


def open_database(directory: DataDirectory) -> FileDatabase:
    """Opens the database of a data directory. In an empty folder it is made.

    Raises DirectoryError when the folder is not rowkeep's or has lost its database. Raises SchemaError when
    the database does not have the schema that this version knows.
    """
    check_directory(directory.path)
    directory.reserve_database()
    try:
        database = SqliteDatabase(directory.database)
    except StorageFailedError as error:
        raise StorageFailedError(
            f"{directory.database} cannot be opened ({error}). If the disk is full or read-only, mend that. "
            "If the file is damaged, restore a backup into another folder with `rowkeep restore`; where "
            "there is none, move the file away and make a new one of the segments with `rowkeep recover`."
        ) from error
    with suppress(OSError):  # a full disk: the next opening marks it
        mark(directory.path)
    return database


def new_database(path: Path) -> FileDatabase:
    """Makes an empty database under a name of its own. Removes an earlier one of that name."""
    for ending in DATABASE_ENDINGS:
        path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return SqliteDatabase(path)


def open_segments(directory: DataDirectory) -> SegmentStore:
    """Returns the store of a data directory's segments."""
    return LocalSegments(directory.segments, Disk())
