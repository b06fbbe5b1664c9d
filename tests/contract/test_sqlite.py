"""The settings that promise 1 rests on, read back from open connections."""

from pathlib import Path

import pytest

from rowkeep.storage.sqlite import SqliteDatabase

SETTINGS = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: COMMIT fsyncs the WAL
    "foreign_keys": 1,
    "wal_autocheckpoint": 4_000,
    "cache_size": -16 * 1024,
}


@pytest.mark.parametrize(("name", "value"), SETTINGS.items())
def test_every_connection_has_the_settings(tmp_path: Path, name: str, value: object) -> None:
    """Writer and readers run with the settings of sqlite.py, not with SQLite's own."""
    database = SqliteDatabase(tmp_path / "rowkeep.db")
    with database.writing() as writer, database.reading() as reader:
        assert [writer.raw.pragma(name), reader.raw.pragma(name)] == [value, value]
    database.close()
