"""Migrations are numbered without gaps and together make the schema that a new database has."""

import re
from pathlib import Path

import apsw

from rowkeep.model.resources import Receipt
from rowkeep.storage.journal.journal import Journal
from rowkeep.storage.sqlite import SqliteDatabase
from rowkeep.storage.statements import load_migrations
from tests.contract.journaling import batch, make_uploads, plain
from tests.house.sources import PACKAGE
from tests.kept_directories import kept_numbers

WHOLE_MAX = 7  # the last migration from before there were pairs
_half = re.compile(r"\d{4}_\w+\.(pre|post)\.sql").fullmatch
_takes_away = re.compile(r"\b(DROP (TABLE|COLUMN)|RENAME)\b", re.IGNORECASE).search


def structure_of(connection: apsw.Connection) -> dict[str, str]:
    """The statement that made each table, index and trigger."""
    rows = connection.execute(
        "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
    )
    return {str(name): str(sql) for name, sql in rows}


def test_migrations_are_numbered_without_gaps() -> None:
    """Migration n is the n-th file, so that the number in the database says which have run."""
    numbers = [migration.number for migration in load_migrations("sqlite")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_migrations_are_pairs() -> None:
    """What a server of the version before needs is taken away by a `post` script alone (statements.py)."""
    folder = PACKAGE / "storage" / "sql" / "sqlite" / "migrations"
    files = sorted(file for file in folder.glob("*.sql") if int(file.name[:4]) > WHOLE_MAX)
    assert [file.name for file in files if not _half(file.name)] == []
    parts = {(file.name[:4], file.name.split(".")[1]) for file in files}
    assert len(parts) == len(files)
    assert not [
        file.name
        for file in files
        if file.name.endswith(".pre.sql") and _takes_away(file.read_text(encoding="utf-8"))
    ]


def test_a_new_database_is_the_sum_of_the_migrations(tmp_path: Path) -> None:
    """Opening a new file runs every migration, in order, and records the last."""
    SqliteDatabase(tmp_path / "rowkeep.db").close()
    opened = apsw.Connection(str(tmp_path / "rowkeep.db"))
    by_hand = apsw.Connection(":memory:")
    migrations = load_migrations("sqlite")
    for migration in migrations:
        by_hand.execute(migration.pre + migration.post)
    assert structure_of(opened) == structure_of(by_hand)
    assert opened.pragma("user_version") == len(migrations)
    opened.close()


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    """A database that is up to date and full is left as it is: structure, rows, number and settings."""
    path = tmp_path / "rowkeep.db"
    database = SqliteDatabase(path)
    uploads = make_uploads(database)
    outcomes = Journal().commit_group(database, [batch(uploads, [1, 2], key="k"), batch(uploads, [3])])
    assert [plain(outcome) for outcome in outcomes] == [Receipt(2), Receipt(1)]
    database.close()
    before = content_of(path)
    assert before["entries"]
    SqliteDatabase(path).close()
    assert content_of(path) == before


def content_of(path: Path) -> dict[str, object]:
    """Every row of every table, the structure, and the number of the last migration."""
    opened = apsw.Connection(str(path))
    structure = structure_of(opened)
    tables = [name.removeprefix("table ") for name in structure if name.startswith("table ")]
    content: dict[str, object] = {
        table: opened.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables
    }
    content |= {"structure": structure, "number": opened.pragma("user_version")}
    opened.close()
    return content


def test_a_directory_of_each_earlier_schema_is_kept() -> None:
    """Upgrades are tested on what earlier versions made; see tests/contract/test_kept_directories.py.

    Where one is missing: `scripts/keep-directory COMMIT` with the last commit before the newest migration.
    """
    newest = len(load_migrations("sqlite"))
    missing = set(range(1, newest)) - set(kept_numbers())
    assert not missing, "run scripts/keep-directory COMMIT with the last commit of that schema"
