"""The quarantine in storage against a plain list: whatever comes, goes and is pushed out, in any order."""

import sqlite3
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rowkeep.model.errors import RowkeepError
from rowkeep.model.quarantine import QuarantineBounds, RefusedRow, RefusedRows
from rowkeep.model.receipts import StaleBatch
from rowkeep.model.resources import Batch, Receipt
from rowkeep.storage.base import Database
from rowkeep.storage.doors import edit_catalog, read_snapshot
from rowkeep.storage.journal.entries import EntryEncoder
from rowkeep.storage.journal.journal import Journal
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase
from rowkeep.storage.verification import verify
from tests.contract.journaling import Uploads, batch, make_uploads, plain, stored

BOUNDS = QuarantineBounds(rows_max=5, bytes_max=60)
SIZES = some.lists(some.integers(1, 70), max_size=8)
# Sizes of rows that are skipped; which of those held are replayed, by a bit each; emptied; a known key.
STEPS = some.lists(
    some.tuples(some.just("skip"), SIZES)
    | some.tuples(some.just("replay"), some.integers(0, 31))
    | some.tuples(some.sampled_from(["empty", "repeat"]), some.none()),
    max_size=12,
)


def skipping(uploads: Uploads, sizes: list[int], key: str | None = None) -> Batch:
    """A batch of one good row, beside it rows of these sizes that were skipped."""
    rows = tuple(RefusedRow(index, b"x" * size, b"[]") for index, size in enumerate(sizes))
    refused = RefusedRows(len(rows), (), rows, BOUNDS) if rows else None
    return msgspec.structs.replace(batch(uploads, [1], key=key), refused=refused)


def held(database: Database, uploads: Uploads) -> list[tuple[int, int]]:
    """Id and size of each row in the quarantine."""
    rows = read_snapshot(database, lambda view: view.quarantine.rows(uploads.first, 0, 1_000))
    return [(row.id, len(row.content)) for row in rows]


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_it_is_a_list_whose_oldest_go_first(steps: list[tuple[str, object]]) -> None:
    """Rows, counters, what was dropped and the rows of the upload are those of the model after every step."""
    with tempfile.TemporaryDirectory() as folder:
        database = SqliteDatabase(Path(folder) / "rowkeep.db")
        uploads = make_uploads(database)
        model: list[int] = []
        dropped = row_count = number = 0
        for name, given_ in steps:
            if name == "skip":
                number += 1
                asked = skipping(uploads, given_, f"k{number}")  # type: ignore[arg-type]  # sizes
                (outcome,) = Journal().commit_group(database, [asked])
                row_count += 1
                model += given_  # type: ignore[arg-type]  # sizes
                before = dropped
                while given_ and (len(model) > 5 or sum(size + 2 for size in model) > 60):
                    model.pop(0)
                    dropped += 1
                assert isinstance(outcome, Receipt)
                assert (outcome.skipped.dropped_count if outcome.skipped else 0) == dropped - before
            elif name == "replay":
                chosen = [place for place in range(len(model)) if int(str(given_)) >> place & 1]
                ids = tuple(held(database, uploads)[place][0] for place in chosen)
                again = msgspec.structs.replace(batch(uploads, [2] * len(ids)), replayed=ids)
                again = msgspec.structs.replace(
                    again, body=b"", frames=(EntryEncoder().frame(again.body, len(ids)),)
                )
                if ids:
                    assert [plain(item) for item in Journal().commit_group(database, [again])] == [
                        Receipt(len(ids))
                    ]
                    assert Journal().commit_group(database, [again]) == [StaleBatch()]
                    row_count += len(ids)
                model = [size for place, size in enumerate(model) if place not in chosen]
            elif name == "empty":
                edit_catalog(database, lambda editor: editor.quarantine.empty(uploads.first))
                model, dropped = [], 0
            elif number:
                repeat = skipping(uploads, [9], f"k{number}")
                (outcome,) = Journal().commit_group(database, [repeat])
                assert isinstance(outcome, Receipt)
                assert outcome.replayed
            found = read_snapshot(database, lambda view: view.quarantine.find(uploads.first))
            assert [size for _, size in held(database, uploads)] == model
            assert (found.row_count, found.byte_count) == (len(model), sum(size + 2 for size in model))
            assert found.dropped_count == dropped
            assert len(stored(database, uploads.first)) == row_count
        database.close()


def test_a_damaged_row_is_not_served(tmp_path: Path) -> None:
    """What a disk has changed is an error, and verify names it; so is a row that is gone."""
    directory = DataDirectory(tmp_path)
    database = SqliteDatabase(directory.database)
    uploads = make_uploads(database)
    Journal().commit_group(database, [skipping(uploads, [5, 6])])
    assert verify(database, directory).problems == ()
    for statement, complaint in (
        ("UPDATE quarantines SET row_count = 3", "should hold 3 rows, and holds 2"),
        ("UPDATE quarantined_rows SET content = x'20' WHERE id = 2", "its quarantine cannot be read"),
    ):
        database.close()
        with sqlite3.connect(directory.database) as raw:
            raw.execute(statement)
        raw.close()
        database = SqliteDatabase(directory.database)
        (problem,) = verify(database, directory).problems
        assert complaint in problem
    with pytest.raises(RowkeepError):
        held(database, uploads)
    database.close()
