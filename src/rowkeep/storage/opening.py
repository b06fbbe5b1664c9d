"""Which database a data directory has, and where the files of its segments are."""

from rowkeep.storage.base import FileDatabase, SegmentStore
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.sqlite import SqliteDatabase


def open_database(directory: DataDirectory) -> FileDatabase:
    """Opens the database of a data directory, and makes it when there is none."""
    return SqliteDatabase(directory.database)


def open_segments(directory: DataDirectory) -> SegmentStore:
    """Returns the store of a data directory's segments."""
    return LocalSegments(directory.segments, Disk())
