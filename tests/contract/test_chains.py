"""The chain of an upload: over groups, large batches, seals, compactions, and from before there were any."""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.model.chain import packed_counts, unpacked_counts
from rowkeep.model.receipts import ChainState
from rowkeep.model.resources import Batch, Receipt
from rowkeep.storage.base import Database
from rowkeep.storage.doors import edit_catalog, read_snapshot
from rowkeep.storage.journal.journal import Journal
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.sealer import SegmentSealer
from rowkeep.storage.sqlite import SqliteDatabase
from rowkeep.storage.statements import load_migrations
from rowkeep.storage.verification import verify
from tests.contract.journaling import Uploads, batch, check_counters, make_uploads, stored
from tests.contract.test_journal import large_batch

START = bytes(32)


def chained(chain: bytes, values: list[Any]) -> bytes:
    """The chain after a batch of these values."""
    rows = [{} if value is None else {"v": value} for value in values]
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    return hashlib.sha256(chain + hashlib.sha256(text.encode()).digest()).digest()


def receipts(journal: Journal, database: Database, *batches: Batch) -> list[Receipt]:
    """The receipts of a group, all of which must go in."""
    outcomes = journal.commit_group(database, batches)
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    return [outcome for outcome in outcomes if isinstance(outcome, Receipt)]


def state(database: Database, upload_id: int) -> ChainState:
    """How far an upload has come."""
    found = read_snapshot(database, lambda view: view.uploads.chain_state(upload_id))
    assert found is not None
    return found


@given(some.lists(some.integers(1, 2**40)))
def test_counts_come_back(counts: list[int]) -> None:
    """Whatever the batches' sizes, packed and unpacked they are the same."""
    assert list(unpacked_counts(packed_counts(counts))) == counts


def test_counts_take_little_room() -> None:
    """A million batches of one size take some KB; what is none is said to be none."""
    assert len(packed_counts([100] * 1_000_000)) < 10_000
    with pytest.raises(ValueError, match="cannot be read"):
        list(unpacked_counts(zlib.compress(b"\x01")[:-1]))


def test_every_batch_of_a_group_moves_its_chain(database: Database, uploads: Uploads) -> None:
    """One commit for all, a step of the chain for each, the same with keys and without."""
    journal, chain = Journal(), START
    for commit, keys in enumerate([(None, None), ("a", None), (None, None)], 1):
        group = [batch(uploads, [commit, None], key=keys[0]), batch(uploads, [9], key=keys[1])]
        found = receipts(journal, database, *group, batch(uploads, [5], into=uploads.second))
        first = chained(chain, [commit, None])
        chain = chained(first, [9])
        assert [receipt.chain for receipt in found[:2]] == [first, chain]
        assert [receipt.first_row for receipt in found] == [3 * commit - 3, 3 * commit - 1, commit - 1]
        assert {receipt.commit for receipt in found} == {commit}
    assert state(database, uploads.first) == ChainState(9, 0, 3, chain)
    assert state(database, uploads.second).row_count == 3


def test_a_large_batch_is_one_step(database: Database, uploads: Uploads) -> None:
    """However many entries it has, and the small one after it follows."""
    journal = Journal()
    receipts(journal, database, batch(uploads, [0]))
    [large] = receipts(journal, database, large_batch(uploads, [1, 2], [3], [4]))
    [after] = receipts(journal, database, batch(uploads, [5]))
    chain = chained(chained(START, [0]), [1, 2, 3, 4])
    assert (large.chain, large.commit, large.first_row, large.last_row) == (chain, 2, 1, 4)
    assert (after.chain, after.commit, after.first_row) == (chained(chain, [5]), 3, 5)


def test_a_journal_that_remembers_wrongly_asks(database: Database, uploads: Uploads) -> None:
    """Two journals by turns: what one remembers is never true, and no row is lost or out of place."""
    journals = (Journal(), Journal())
    values: list[int] = []
    chain = START
    for number in range(6):
        group = [batch(uploads, [number]), batch(uploads, [number], into=uploads.second)]
        found = receipts(journals[number % 2], database, *group[: 1 + number % 3 // 2])
        values.append(number)
        chain = chained(chain, [number])
        assert (found[0].first_row, found[0].chain) == (number, chain)
    assert stored(database, uploads.first) == values
    assert stored(database, uploads.second) == [2, 5]
    check_counters(database, uploads)


def test_a_group_goes_in_whole_or_not_at_all(database: Database, uploads: Uploads) -> None:
    """Where an upload ends elsewhere than its entry begins, the other upload's entry waits too."""
    journal, other = Journal(), Journal()
    both = [batch(uploads, [1]), batch(uploads, [1], into=uploads.second)]
    receipts(journal, database, *both)
    receipts(other, database, batch(uploads, [2]))
    found = receipts(journal, database, *both)
    assert [receipt.first_row for receipt in found] == [2, 1]
    assert (stored(database, uploads.first), stored(database, uploads.second)) == ([1, 2, 1], [1, 1])


def test_a_segment_ends_with_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large batch is not torn apart by the size of segments, and compaction keeps every batch."""
    monkeypatch.setattr("rowkeep.storage.segments.sealer.SEAL_BYTES_MAX", 1)
    directory = DataDirectory(tmp_path)
    directory.sweep()
    database = SqliteDatabase(directory.database)
    uploads = make_uploads(database)
    journal, chain = Journal(), START
    for group in ([batch(uploads, [0])], [large_batch(uploads, [1, 2], [3], [4])], [batch(uploads, [5])]):
        [receipt] = receipts(journal, database, *group)
        chain = receipt.chain or b""
    sealer = SegmentSealer(database, LocalSegments(directory.segments, Disk()))
    row, ends, counts = 0, [], []
    while row < 6:
        segment = sealer.seal(uploads.first, row)
        assert segment is not None
        edit_catalog(database, lambda editor, segment=segment: editor.segments.name_sealed(segment))
        row = segment.row_end
        ends.append(row)
        counts += unpacked_counts(segment.batches)
    assert (ends, counts) == ([1, 5, 6], [1, 4, 1])
    whole = sealer.compact(uploads.first, 0, 6)
    assert edit_catalog(database, lambda editor: editor.segments.name_compacted(whole))
    assert (list(unpacked_counts(whole.batches)), whole.chain) == ([1, 4, 1], chain)
    assert [text for text in verify(database, directory).problems if "named by nothing" not in text] == []
    database.close()


def test_a_directory_from_before_there_were_chains(tmp_path: Path) -> None:
    """Its rows stay, the chain begins after them, verify says how many are older; keys are known."""
    directory = DataDirectory(tmp_path)
    directory.sweep()
    old_database(directory.database)
    database = SqliteDatabase(directory.database)
    [upload] = read_snapshot(database, lambda view: view.uploads.page(1, 0, 9))
    version = read_snapshot(database, lambda view: view.catalog_version())
    uploads = Uploads(1, upload.id, 0, version)
    journal = Journal()
    known = read_snapshot(database, lambda view: view.receipts.find(upload.id, "old"))
    assert known is not None
    assert (known.receipt.row_count, known.receipt.first_row, known.committed_at) == (2, None, None)
    [receipt] = receipts(journal, database, batch(uploads, [3]))
    assert (receipt.commit, receipt.first_row, receipt.chain) == (1, 2, chained(START, [3]))
    assert state(database, upload.id) == ChainState(3, 2, 1, chained(START, [3]))
    for _ in range(2):
        report = verify(database, directory)
        assert (report.problems, report.row_count, report.unchained_row_count) == ((), 3, 2)
        assert "2 rows are older than the chains" in report.text
        segment = SegmentSealer(database, LocalSegments(directory.segments, Disk())).seal(upload.id, 0)
        if segment is not None:
            assert list(unpacked_counts(segment.batches)) == [1]
            edit_catalog(database, lambda editor, segment=segment: editor.segments.name_sealed(segment))
    database.close()


def old_database(path: Path) -> None:
    """A database as the version before made it: an upload with two rows, which came under a key."""
    raw = apsw.Connection(str(path))
    for migration in load_migrations("sqlite")[:2]:
        raw.execute(migration.pre + migration.post)
        raw.execute(f"PRAGMA user_version = {migration.number}")
    raw.close()
    body = b'{"rows":[{"v":1},{"v":2}]}'
    facts = (1, 2, len(body), 1, 0)
    checksum = zlib.crc32(body, zlib.crc32(b"%d,%d,%d,%d,%d" % facts))
    variables = '[{"name": "v", "type": "integer"}]'
    raw = apsw.Connection(str(path))
    for statement, values in (
        ("INSERT INTO owners VALUES (1, 'user', 'jane', 'jane', 0)", ()),
        (
            "INSERT INTO datasets (id, owner_id, identifier, reference_id, name, name_key,"
            " public_access_level, created_at, updated_at) VALUES (1, 1, 'i', 'r', 'data', 'data', 0, 0, 0)",
            (),
        ),
        (
            "INSERT INTO versions (id, dataset_id, position, created_at, updated_at) VALUES (1, 1, 0, 0, 0)",
            (),
        ),
        ("INSERT INTO tables VALUES (1, 1, NULL, 'i', 'r', 'rows', 'rows', NULL, 'append', 0, 0, 0)", ()),
        ("INSERT INTO uploads VALUES (1, 1, 'first', 'first', 'stream', 0, 1, 0)", ()),
        ("INSERT INTO schemas VALUES (1, 1, ?)", (variables,)),
        ("INSERT INTO streams (upload_id, row_count, byte_count) VALUES (1, 0, 0)", ()),
        ("INSERT INTO entries VALUES (1, 0, 2, ?, 1, 0, ?, 0, ?)", (len(body), checksum, body)),
        ("INSERT INTO receipts VALUES (1, 'old', x'00', 2, NULL, 0)", ()),
    ):
        raw.execute(statement, values)
    raw.close()
