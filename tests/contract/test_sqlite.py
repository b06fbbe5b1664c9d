"""The settings that promise 1 rests on, read back from open connections."""

from pathlib import Path

import apsw
import pytest

from rowkeep.storage.sqlite import SqliteDatabase

SETTINGS = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: COMMIT fsyncs the WAL
    "foreign_keys": 1,
    "wal_autocheckpoint": 1_000,
    "cache_size": -16 * 1024,
}


@pytest.mark.parametrize(("name", "value"), SETTINGS.items())
def test_every_connection_has_the_settings(tmp_path: Path, name: str, value: object) -> None:
    """Writer and readers run with the settings of sqlite.py, not with SQLite's own."""
    database = SqliteDatabase(tmp_path / "rowkeep.db")
    with database.writing() as writer, database.reading() as reader:
        assert [writer.raw.pragma(name), reader.raw.pragma(name)] == [value, value]
    database.close()


def test_statements_are_compiled_once(tmp_path: Path) -> None:
    """No connection compiles a statement again for each set of parameters."""
    database = SqliteDatabase(tmp_path / "rowkeep.db")
    with database.writing() as writer, database.reading() as reader:
        asked = [
            connection.raw.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1) for connection in (writer, reader)
        ]
    assert asked == [1, 1]
    database.close()


def test_a_transaction_that_sqlite_has_ended(tmp_path: Path) -> None:
    """Some failures roll back by themselves: they are told as what they are, and the next may write."""
    database = SqliteDatabase(tmp_path / "rowkeep.db")
    add = (
        "INSERT OR ROLLBACK INTO owners (id, kind, name, name_key, created_at)"
        " VALUES (7, 'user', 'ada', 'ada', 0)"
    )

    def add_twice() -> None:
        with database.writing() as connection:
            for _ in range(2):
                connection.raw.execute(add)

    with pytest.raises(apsw.ConstraintError, match="UNIQUE"):
        add_twice()
    with database.writing() as connection:
        connection.raw.execute(add)
    database.close()
