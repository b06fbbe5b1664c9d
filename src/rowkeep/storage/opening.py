"""Which database a data directory has. The one place besides sqlite.py that names one."""

from rowkeep.storage.base import FileDatabase
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase


def open_database(directory: DataDirectory) -> FileDatabase:
    """Opens the database of a data directory, and makes it when there is none."""
    return SqliteDatabase(directory.database)
