"""A data directory of any earlier schema version is upgraded when it is opened, and nothing of it is lost."""

import hashlib
from pathlib import Path
from typing import Any

import apsw
import pytest

from rowkeep.model.chain import CHAIN_START, digest_of, next_chain
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.receipts import KnownRequest
from rowkeep.model.resources import Receipt
from rowkeep.storage.doors import read_snapshot
from rowkeep.storage.journal.entries import EntryEncoder, frame_checksum
from rowkeep.storage.journal.journal import Journal
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.opening import open_database
from rowkeep.storage.statements import load_migrations
from rowkeep.storage.verification import verify
from tests.contract.journaling import INTEGERS, Uploads, batch, plain, stored, upload_named
from tests.house.test_migrations import structure_of

MIGRATIONS = load_migrations("sqlite")
EARLIER = [migration.number for migration in MIGRATIONS[:-1]]
VALUES = [1, 2]
BODY = b'{"rows": [{"v": 1}, {"v": 2}]}'
FRAME = EntryEncoder().frame(BODY, len(VALUES))
SHA256 = digest_of(row_decoder(INTEGERS).read(BODY))
CHAIN = next_chain(CHAIN_START, SHA256)

# A row of each table, with every column that any version had; those that a version lacks are left out.
ROWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("owners", {"id": 1, "kind": "user", "name": "jane", "name_key": "jane", "created_at": 0}),
    ("owners", {"id": 2, "kind": "organization", "name": "lab", "name_key": "lab", "created_at": 0}),
    ("memberships", {"organization_id": 2, "user_id": 1, "role": "administrator"}),
    ("tokens", {"id": 1, "user_id": 1, "hash": b"h", "scopes": "data.edit", "created_at": 0}),
    (
        "datasets",
        {
            "id": 1,
            "owner_id": 1,
            "identifier": "aaaa-1",
            "reference_id": "aaaa",
            "name": "data",
            "name_key": "data",
            "public_access_level": 0,
            "created_at": 0,
            "updated_at": 0,
        },
    ),
    ("grants", {"dataset_id": 1, "grantee_id": 2, "access_level": 3}),
    ("versions", {"id": 1, "dataset_id": 1, "position": 0, "created_at": 0, "updated_at": 0}),
    (
        "tables",
        {
            "id": 1,
            "version_id": 1,
            "identifier": "bbbb-1",
            "reference_id": "bbbb",
            "name": "rows",
            "name_key": "rows",
            "upload_merge_strategy": "append",
            "is_file_index": 0,
            "created_at": 0,
            "updated_at": 0,
        },
    ),
    ("variable_metadata", {"table_id": 1, "name_key": "v", "label": "a number", "value_labels": "[]"}),
    (
        "uploads",
        {
            "id": 1,
            "table_id": 1,
            "name": "first",
            "name_key": "first",
            "type": "stream",
            "updates_by_default": 0,
            "schema_version": 1,
            "created_at": 0,
        },
    ),
    ("schemas", {"upload_id": 1, "version": 1, "variables": '[{"name": "v", "type": "integer"}]'}),
    ("streams", {"upload_id": 1, "row_count": 0, "byte_count": 0}),
    (
        "entries",
        {
            "upload_id": 1,
            "first_row": 0,
            "row_count": len(VALUES),
            "byte_count": FRAME.byte_count,
            "schema_version": 1,
            "codec": FRAME.codec,
            "checksum": frame_checksum(1, 1, FRAME),
            "payload": FRAME.payload,
            "committed_at": 0,
            "is_continued": 0,
            "chain": CHAIN,
        },
    ),
    (
        "receipts",
        {
            "upload_id": 1,
            "origin_id": 1,
            "key": "k",
            "digest": hashlib.sha256(BODY).digest(),
            "row_count": len(VALUES),
            "created_at": 0,
            "upkeep_pass": 0,
        },
    ),
    (
        "read_streams",
        {
            "identifier": "s",
            "user_id": 1,
            "scope": "data.data",
            "expires_at": 2**40,
            "format": "arrow",
            "schema": "{}",
            "slices": "[]",
        },
    ),
    (
        "rejections",
        {
            "id": 1,
            "upload_id": 1,
            "key": "refused",
            "rejected_at": 0,
            "message": "no",
            "row_errors": "[]",
            "row_error_count": 1,
        },
    ),
    ("quarantines", {"upload_id": 1}),
)
# Columns that a migration named anew.
RENAMED = {("receipts", "upload_id"): "origin_id"}
# What a migration gives another meaning or another name; that they arrive is seen through the catalog below.
MOVED = {("streams", "row_count"), ("streams", "byte_count"), ("receipts", "upload_id")}


def columns_of(raw: apsw.Connection, table: str) -> set[str]:
    """The columns of a table; none where there is no such table."""
    return {row[1] for row in raw.execute(f"PRAGMA table_info({table})")}


def known_facts(raw: apsw.Connection, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Those facts of a row that a version has columns for, under the names that it gives them."""
    columns = columns_of(raw, table)
    named = {
        newer if (newer := RENAMED.get((table, name))) in columns else name: value
        for name, value in row.items()
    }
    return {name: value for name, value in named.items() if name in columns}


def old_database(path: Path, number: int) -> None:
    """Makes a database as it was at an earlier schema version, with a row in each table."""
    raw = apsw.Connection(str(path))
    raw.execute("PRAGMA journal_mode = WAL").fetchall()
    for migration in MIGRATIONS[:number]:
        raw.execute(migration.pre + migration.post)
    raw.execute(f"PRAGMA user_version = {number}")
    for table, row in ROWS:
        known = known_facts(raw, table, row)
        if known:
            marks = ", ".join("?" * len(known))
            raw.execute(f"INSERT INTO {table} ({', '.join(known)}) VALUES ({marks})", tuple(known.values()))
    raw.close()


def upgraded(folder: Path, number: int) -> DataDirectory:
    """A data directory of an earlier schema version that has been opened once."""
    directory = DataDirectory(folder)
    directory.sweep()
    old_database(directory.database, number)
    open_database(directory).close()
    return directory


@pytest.mark.parametrize("number", EARLIER)
def test_every_earlier_version_becomes_the_newest(tmp_path: Path, number: int) -> None:
    """Its structure is that of a new database, and each row that was there is still there."""
    directory = upgraded(tmp_path / "old", number)
    fresh = DataDirectory(tmp_path / "new")
    open_database(fresh).close()
    raw, new = apsw.Connection(str(directory.database)), apsw.Connection(str(fresh.database))
    assert structure_of(raw) == structure_of(new)
    assert raw.pragma("user_version") == new.pragma("user_version") == len(MIGRATIONS)
    assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    old = apsw.Connection(":memory:")
    for migration in MIGRATIONS[:number]:
        old.execute(migration.pre + migration.post)
    for table, row in ROWS:
        both = columns_of(old, table) & columns_of(raw, table) & set(row)
        names = sorted(name for name in both if (table, name) not in MOVED)
        if names:
            found = raw.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
            assert tuple(row[name] for name in names) in found
    for connection in (raw, new, old):
        connection.close()


@pytest.mark.parametrize("number", EARLIER)
def test_rows_of_every_earlier_version_go_on(tmp_path: Path, number: int) -> None:
    """They are read, their keys are known, others are added behind them, and verify finds all of it whole."""
    directory = upgraded(tmp_path, number)
    database = open_database(directory)
    version = read_snapshot(database, lambda view: view.catalog_version())
    uploads = Uploads(table_id=1, first=1, second=0, catalog_version=version)
    assert stored(database, 1) == VALUES
    known = read_snapshot(database, lambda view: view.receipts.find(1, "k"))
    assert isinstance(known, KnownRequest)
    assert (known.request_digest, known.receipt.row_count) == (hashlib.sha256(BODY).digest(), len(VALUES))
    outcomes = Journal().commit_group(
        database, [batch(uploads, VALUES, key="k"), batch(uploads, [3], key="new")]
    )
    assert [plain(outcome) for outcome in outcomes] == [Receipt(2, replayed=True), Receipt(1)]
    assert stored(database, 1) == [*VALUES, 3]
    assert upload_named(database, 1, "first").row_count == len(VALUES) + 1
    report = verify(database, directory)
    assert (report.problems, report.row_count) == ((), len(VALUES) + 1)
    database.close()
