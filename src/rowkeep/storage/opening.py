"""Which database a data directory has, and where the files of its segments are."""

from contextlib import suppress

from rowkeep.storage.base import FileDatabase, SegmentStore
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.marker import check_directory, mark
from rowkeep.storage.sqlite import SqliteDatabase


def open_database(directory: DataDirectory) -> FileDatabase:
    """Opens the database of a data directory, and makes it in a folder that is empty.

    Raises DirectoryError when the folder is not rowkeep's or has lost its database, and SchemaError when the
    database is not as this version knows it.
    """
    check_directory(directory.path)
    directory.reserve_database()
    database = SqliteDatabase(directory.database)
    with suppress(OSError):  # a full disk: the next opening marks it
        mark(directory.path)
    return database


def open_segments(directory: DataDirectory) -> SegmentStore:
    """Returns the store of a data directory's segments."""
    return LocalSegments(directory.segments, Disk())
