"""The databases that keep the storage contract; each test of the contract runs on every one of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rowkeep.storage.base import Database
from rowkeep.storage.sqlite import SqliteDatabase

OpenDatabase = Callable[[], Database]


@contextmanager
def sqlite(folder: Path) -> Iterator[OpenDatabase]:
    """Opens one SQLite file, as often as asked; every opening is a new handle on the same data."""
    opened: list[SqliteDatabase] = []

    def open_database() -> SqliteDatabase:
        opened.append(SqliteDatabase(folder / "rowkeep.db"))
        return opened[-1]

    yield open_database
    for database in opened:
        database.close()


BACKENDS = {"sqlite": sqlite}
