"""The group that is one statement: a journal that goes on takes it, and leaves it for what it cannot know."""

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from rowkeep.model.receipts import KeyReused, Outcome, StaleBatch
from rowkeep.model.resources import Batch, Receipt
from rowkeep.storage.base import Database
from rowkeep.storage.doors import edit_catalog
from rowkeep.storage.journal.journal import Journal
from rowkeep.storage.sqlite import SqliteDatabase
from tests.api.counting import CountingDatabase
from tests.contract.journaling import Uploads, batch, check_counters, make_uploads, plain, stored


class CountedJournal:
    """A journal that goes on, and the statements that a group of its takes."""

    def __init__(self, database: Database) -> None:
        self._database = CountingDatabase(database)
        self._journal = Journal()

    def commit(self, *batches: Batch) -> tuple[list[Outcome], list[str]]:
        """What became of a group, and the names of its statements."""
        self._database.names.clear()
        outcomes = self._journal.commit_group(self._database, batches)
        return [plain(outcome) for outcome in outcomes], list(self._database.names)


@pytest.fixture
def journal(database: Database, uploads: Uploads) -> CountedJournal:
    """A journal that knows where both uploads end: after one row."""
    counted = CountedJournal(database)
    counted.commit(batch(uploads, [0]), batch(uploads, [0], into=uploads.second))
    return counted


@pytest.mark.parametrize("key", [None, "k"])
def test_a_common_group_is_one_statement(
    database: Database, uploads: Uploads, journal: CountedJournal, key: str | None
) -> None:
    """With new keys or with none, into one upload or more."""
    group = [batch(uploads, [1], key=key), batch(uploads, [1], into=uploads.second, key=key)]
    assert journal.commit(*group) == ([Receipt(1), Receipt(1)], ["add_group"])
    assert stored(database, uploads.first) == stored(database, uploads.second) == [0, 1]
    check_counters(database, uploads)


def test_a_known_key_takes_the_long_way(
    database: Database, uploads: Uploads, journal: CountedJournal
) -> None:
    """The repeat is answered and not inserted, another body is refused, and the rest of the group goes in."""
    journal.commit(batch(uploads, [1], key="k"))
    outcomes, statements = journal.commit(
        batch(uploads, [1], key="k"), batch(uploads, [9], key="k"), batch(uploads, [2], key="new")
    )
    assert outcomes == [Receipt(1, replayed=True), KeyReused(), Receipt(1)]
    assert statements[0] == "add_group"
    assert len(statements) > 2
    assert journal.commit(batch(uploads, [2], key="new"))[0] == [Receipt(1, replayed=True)]
    assert journal.commit(batch(uploads, [3], key="newer")) == ([Receipt(1)], ["add_group"])
    assert stored(database, uploads.first) == [0, 1, 2, 3]
    check_counters(database, uploads)


def test_a_new_key_twice_in_one_group(database: Database, uploads: Uploads, journal: CountedJournal) -> None:
    """The second is a repeat of the first."""
    twice = [batch(uploads, [1], key="k"), batch(uploads, [1], key="k")]
    assert journal.commit(*twice)[0] == [Receipt(1), Receipt(1, replayed=True)]
    assert stored(database, uploads.first) == [0, 1]
    check_counters(database, uploads)


@pytest.mark.parametrize("key", [None, "k"])
def test_a_stale_group_writes_nothing(
    database: Database, uploads: Uploads, journal: CountedJournal, key: str | None
) -> None:
    """Once the catalog has moved, what was checked before it did not go in; its key stays free."""
    edit_catalog(database, lambda editor: editor.tokens.revoke(0))
    stale = [batch(uploads, [1], key=key), batch(uploads, [2])]
    assert journal.commit(*stale)[0] == [StaleBatch(), StaleBatch()]
    fresh = msgspec.structs.replace(uploads, catalog_version=uploads.catalog_version + 1)
    assert journal.commit(batch(fresh, [3], key=key)) == ([Receipt(1)], ["add_group"])
    assert stored(database, uploads.first) == [0, 3]


def test_a_memory_of_rows_that_are_not_there(tmp_path: Path, database: Database, uploads: Uploads) -> None:
    """A journal that remembers more rows than there are leaves no gap before those that it adds."""
    journal = Journal()
    journal.commit_group(database, [batch(uploads, [1, 2])])
    with closing(SqliteDatabase(tmp_path / "other.sqlite")) as other:
        assert make_uploads(other) == uploads
        [receipt] = journal.commit_group(other, [batch(uploads, [3])])
        assert isinstance(receipt, Receipt)
        assert (receipt.first_row, receipt.commit) == (0, 1)
        assert stored(other, uploads.first) == [3]
        check_counters(other, uploads)
