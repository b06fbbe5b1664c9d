"""The journal: groups of batches in, entries out; nothing twice, nothing lost, nothing stale."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from rowkeep.model.errors import RowkeepError
from rowkeep.model.receipts import KeyReused, Outcome, StaleBatch
from rowkeep.model.resources import Batch, Receipt
from rowkeep.model.schema import Schema
from rowkeep.storage.base import Database
from rowkeep.storage.doors import edit_catalog, read_snapshot
from rowkeep.storage.journal.entries import CODEC_PLAIN, CODEC_ZSTD, EntryEncoder, decoded_lines, entry_lines
from rowkeep.storage.journal.journal import Journal
from tests.contract.backends import OpenDatabase
from tests.contract.journaling import (
    FLOATS,
    INTEGERS,
    Uploads,
    batch,
    check_counters,
    entries_of,
    make_uploads,
    plain,
    stored,
    upload_named,
    widening,
    widening_batch,
)


def commit(database: Database, *batches: Batch) -> list[Outcome]:
    return [plain(outcome) for outcome in Journal().commit_group(database, batches)]


def test_a_group_is_one_entry_per_upload(database: Database, uploads: Uploads) -> None:
    """Batches of several uploads go in together, in order, one entry for each upload."""
    outcomes = commit(
        database,
        batch(uploads, [1, 2]),
        batch(uploads, [10], into=uploads.second),
        batch(uploads, [3]),
        batch(uploads, [None, 11], into=uploads.second),
    )
    assert outcomes == [Receipt(2), Receipt(1), Receipt(1), Receipt(2)]
    assert stored(database, uploads.first) == [1, 2, 3]
    assert stored(database, uploads.second) == [10, None, 11]
    assert len(entries_of(database, uploads.first)) == len(entries_of(database, uploads.second)) == 1
    check_counters(database, uploads)


def test_entries_follow_each_other(database: Database, uploads: Uploads) -> None:
    """Groups continue where the one before ended, with a key or without."""
    for number in range(6):
        commit(database, batch(uploads, [number] * (number + 1), key=str(number) if number % 2 else None))
    assert [(entry.first_row, entry.row_count) for entry in entries_of(database, uploads.first)] == [
        (0, 1),
        (1, 2),
        (3, 3),
        (6, 4),
        (10, 5),
        (15, 6),
    ]
    check_counters(database, uploads)


def test_batches_without_rows_write_nothing(database: Database, uploads: Uploads) -> None:
    """A receipt of no rows, and no entry; its key counts all the same."""
    assert commit(database, batch(uploads, [])) == [Receipt(0)]
    assert commit(database, batch(uploads, []), batch(uploads, [1])) == [Receipt(0), Receipt(1)]
    assert commit(database, batch(uploads, [], key="a")) == [Receipt(0)]
    assert commit(database, batch(uploads, [], key="a")) == [Receipt(0, replayed=True)]
    assert commit(database, batch(uploads, [1], key="a")) == [KeyReused()]
    assert stored(database, uploads.first) == [1]
    check_counters(database, uploads)


@pytest.mark.parametrize("key", [None, "k"])
def test_a_stale_batch_writes_nothing_and_others_go_in(
    database: Database, uploads: Uploads, key: str | None
) -> None:
    """Only batches checked against the current catalog are written; a stale key stays free."""
    edit_catalog(database, lambda editor: editor.tokens.revoke(0))
    fresh = msgspec.structs.replace(uploads, catalog_version=uploads.catalog_version + 1)
    outcomes = commit(database, batch(uploads, [1], key=key), batch(fresh, [2]), batch(uploads, [3]))
    assert outcomes == [StaleBatch(), Receipt(1), StaleBatch()]
    assert commit(database, batch(uploads, [1])) == [StaleBatch()]
    assert commit(database, batch(fresh, [4], key=key)) == [Receipt(1)]
    assert stored(database, uploads.first) == [2, 4]
    check_counters(database, uploads)


def test_an_upload_that_is_gone_takes_nothing(database: Database, uploads: Uploads) -> None:
    """A batch for a deleted upload is stale: nothing joins the rows that sessions may still read."""
    commit(database, batch(uploads, [1], key="k"))
    edit_catalog(database, lambda editor: editor.uploads.delete(uploads.first))
    assert commit(database, batch(uploads, [2])) == [StaleBatch()]
    assert stored(database, uploads.first) == [1]


def test_a_key_twice_in_one_group(database: Database, uploads: Uploads) -> None:
    """The first batch goes in; its repeat gets the same receipt; another body is refused."""
    outcomes = commit(
        database,
        batch(uploads, [1], key="k"),
        batch(uploads, [1], key="k"),
        batch(uploads, [2], key="k"),
        batch(uploads, [3], key="other"),
    )
    assert outcomes == [Receipt(1), Receipt(1, replayed=True), KeyReused(), Receipt(1)]
    assert stored(database, uploads.first) == [1, 3]


def test_a_key_twice_in_two_groups(open_database: OpenDatabase, database: Database, uploads: Uploads) -> None:
    """A repeat in a later group, or after a restart, is answered and not inserted."""
    assert commit(database, batch(uploads, [1, 2], key="k")) == [Receipt(2)]
    assert commit(database, batch(uploads, [1, 2], key="k")) == [Receipt(2, replayed=True)]
    reopened = open_database()
    assert commit(reopened, batch(uploads, [1, 2], key="k"), batch(uploads, [9], key="k")) == [
        Receipt(2, replayed=True),
        KeyReused(),
    ]
    assert stored(reopened, uploads.first) == [1, 2]


def test_a_key_belongs_to_its_upload(database: Database, uploads: Uploads) -> None:
    """The same key in another upload is another key; case counts."""
    batches = [
        batch(uploads, [1], key="k"),
        batch(uploads, [2], key="k", into=uploads.second),
        batch(uploads, [3], key="K"),
    ]
    assert commit(database, *batches) == [Receipt(1)] * 3
    assert commit(database, *reversed(batches)) == [Receipt(1, replayed=True)] * 3


VISIBLE_KEYS = ["'", '"', "\\", "%", "_", "a" * 255, "A" * 255, "a" * 254, "[1]", "null", "1", "01", "1.0"]
VISIBLE_KEYS += ["~!@#$^&*()", "key", "Key", "KEY"]


@pytest.mark.parametrize("in_one_group", [False, True])
def test_any_visible_key_works(database: Database, uploads: Uploads, in_one_group: bool) -> None:
    """Keys are compared as they are: none is taken for another, each is found again."""
    batches = [batch(uploads, [number], key=key) for number, key in enumerate(VISIBLE_KEYS)]
    groups = [batches] if in_one_group else [[each] for each in batches]
    for replayed in (False, True):
        outcomes = [outcome for group in groups for outcome in commit(database, *group)]
        assert outcomes == [Receipt(1, replayed=replayed)] * len(VISIBLE_KEYS)
    assert stored(database, uploads.first) == list(range(len(VISIBLE_KEYS)))


def test_a_schema_change_is_one_commit(database: Database, uploads: Uploads) -> None:
    """Schema version, rows and catalog version move together; batches checked before are stale."""
    commit(database, batch(uploads, [1]))
    assert commit(database, widening_batch(uploads, [2.5])) == [Receipt(1, widening())]
    upload = upload_named(database, uploads.table_id, "first")
    assert upload.schema == widening_batch(uploads, []).schema
    assert read_snapshot(database, lambda view: view.catalog_version()) == uploads.catalog_version + 1
    assert commit(database, batch(uploads, [3])) == [StaleBatch()]
    assert stored(database, uploads.first) == [1, 2.5]
    assert [entry.schema_version for entry in entries_of(database, uploads.first)] == [1, 2]
    check_counters(database, uploads)


def test_a_replay_tells_the_change_again(database: Database, uploads: Uploads) -> None:
    """The receipt of a batch that changed the schema is kept whole."""
    assert commit(database, widening_batch(uploads, [2.5], key="k")) == [Receipt(1, widening())]
    fresh = msgspec.structs.replace(uploads, catalog_version=uploads.catalog_version + 1)
    repeat = batch(fresh, [2.5], key="k", schema=FLOATS)
    assert commit(database, repeat) == [Receipt(1, widening(), replayed=True)]
    assert stored(database, uploads.first) == [2.5]


def test_a_change_that_is_stale_changes_nothing(database: Database, uploads: Uploads) -> None:
    """Of two batches that grow the same schema the second is checked again."""
    commit(database, widening_batch(uploads, [1.5]))
    assert commit(database, widening_batch(uploads, [2.5])) == [StaleBatch()]
    assert read_snapshot(database, lambda view: view.uploads.schema(uploads.first, 2)).version == 2
    assert stored(database, uploads.first) == [1.5]


def large_batch(
    uploads: Uploads, *frames: list[Any], key: str | None = None, schema: Schema = INTEGERS
) -> Batch:
    """A large batch: its rows in frames that are already encoded."""
    bodies = [batch(uploads, values, padding=5000, schema=schema).body for values in frames]
    encoded = [EntryEncoder().frame(body, len(values)) for body, values in zip(bodies, frames, strict=True)]
    everything = [value for values in frames for value in values]
    whole = batch(uploads, everything, key=key, schema=schema)
    return msgspec.structs.replace(whole, body=b"", frames=tuple(encoded))


def test_a_large_batch_is_an_entry_a_frame(database: Database, uploads: Uploads) -> None:
    """Its rows follow what was there, in order, under one receipt."""
    commit(database, batch(uploads, [0]))
    assert commit(database, large_batch(uploads, [1, 2], [3], [4, 5, 6], key="k")) == [Receipt(6)]
    assert commit(database, large_batch(uploads, [1, 2], [3], [4, 5, 6], key="k")) == [
        Receipt(6, replayed=True)
    ]
    assert stored(database, uploads.first) == [0, 1, 2, 3, 4, 5, 6]
    assert [entry.codec for entry in entries_of(database, uploads.first)] == [CODEC_PLAIN] + [CODEC_ZSTD] * 3
    check_counters(database, uploads)


def test_a_large_batch_may_change_the_schema(database: Database, uploads: Uploads) -> None:
    """Frames, schema version and catalog version are one commit."""
    change = widening_batch(uploads, [1.5])
    large = large_batch(uploads, [1.5], [2.5], schema=change.schema)
    both = msgspec.structs.replace(large, change=change.change)
    assert commit(database, both) == [Receipt(2, widening())]
    assert stored(database, uploads.first) == [1.5, 2.5]
    assert [entry.schema_version for entry in entries_of(database, uploads.first)] == [2, 2]


def test_a_large_batch_that_is_stale_leaves_nothing(database: Database, uploads: Uploads) -> None:
    """None of its frames goes in."""
    edit_catalog(database, lambda editor: editor.tokens.revoke(0))
    assert commit(database, large_batch(uploads, [1], [2])) == [StaleBatch()]
    assert entries_of(database, uploads.first) == []
    check_counters(database, uploads)


def test_payloads_are_compressed_when_it_pays(database: Database, uploads: Uploads) -> None:
    """Small groups are kept plain, larger ones zstd; both count their bytes before encoding."""
    commit(database, batch(uploads, [1]))
    commit(database, *[batch(uploads, list(range(100))) for _ in range(20)])
    plain, compressed = entries_of(database, uploads.first)
    assert (plain.codec, compressed.codec) == (CODEC_PLAIN, CODEC_ZSTD)
    assert len(compressed.payload) < len(entry_lines(compressed)) / 5
    check_counters(database, uploads)


def test_an_entry_of_an_unknown_codec_is_not_guessed_at() -> None:
    """A codec that this version does not know is an error that names it."""
    with pytest.raises(ValueError, match="no codec 9"):
        decoded_lines(9, b"")


FLIPS = ["row_count", "byte_count", "schema_version", "codec", "upload_id"]


@pytest.mark.parametrize("name", FLIPS)
def test_an_entry_with_other_facts_is_not_read(database: Database, uploads: Uploads, name: str) -> None:
    """What is said of a payload is as much under the checksum as the payload."""
    commit(database, batch(uploads, [1, 2, 3]))
    [entry] = entries_of(database, uploads.first)
    changed = msgspec.structs.replace(entry, **{name: getattr(entry, name) ^ 1})
    with pytest.raises(RowkeepError, match="damaged"):
        entry_lines(changed)


def test_every_flipped_bit_of_a_payload_is_seen(database: Database, uploads: Uploads) -> None:
    """All bits of a plain and of a compressed payload, one after the other."""
    commit(database, batch(uploads, [1, 2, 3]))
    commit(database, *[batch(uploads, list(range(100))) for _ in range(20)])
    for entry in entries_of(database, uploads.first):
        for position in range(len(entry.payload) * 8):
            payload = bytearray(entry.payload)
            payload[position // 8] ^= 1 << position % 8
            with pytest.raises(RowkeepError, match="damaged"):
                entry_lines(msgspec.structs.replace(entry, payload=bytes(payload)))


def test_a_restart_keeps_everything(open_database: OpenDatabase) -> None:
    """Rows, counters, schemas and receipts are there when the database is opened again."""
    from_before = open_database()
    uploads = make_and_fill(from_before)
    from_before.close()
    reopened = open_database()
    assert stored(reopened, uploads.first) == [1, 2.5]
    check_counters(reopened, uploads)
    fresh = msgspec.structs.replace(uploads, catalog_version=uploads.catalog_version + 1)
    assert commit(reopened, batch(fresh, [1], key="k")) == [Receipt(1, replayed=True)]
    assert isinstance(upload_named(reopened, uploads.table_id, "first").schema, Schema)


def make_and_fill(database: Database) -> Uploads:
    uploads = make_uploads(database)
    commit(database, batch(uploads, [1], key="k"))
    commit(database, widening_batch(uploads, [2.5]))
    return uploads


STEPS = some.lists(
    some.lists(
        some.tuples(
            some.booleans(),
            some.lists(some.integers(0, 9), max_size=3),
            some.sampled_from([None, None, "a", "b"]),
        ),
        min_size=1,
        max_size=5,
    ),
    max_size=6,
)


@given(STEPS)
@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
def test_any_groups_leave_what_their_receipts_say(
    open_database: OpenDatabase, steps: list[list[tuple[bool, list[int], str | None]]]
) -> None:
    """The rows that were answered as inserted, and only those, are there, in order, counted."""
    database = open_database()
    uploads = fresh_uploads(database)
    journal = Journal()
    expected: dict[int, list[int]] = {uploads.first: [], uploads.second: []}
    for step in steps:
        group = [
            batch(uploads, values, into=uploads.second if second else uploads.first, key=key)
            for second, values, key in step
        ]
        for (second, values, _), outcome in zip(step, journal.commit_group(database, group), strict=True):
            if isinstance(outcome, Receipt) and not outcome.replayed:
                expected[uploads.second if second else uploads.first] += values
    assert {upload_id: stored(database, upload_id) for upload_id in expected} == expected
    database.close()


def fresh_uploads(database: Database) -> Uploads:
    """Two new uploads beside those of earlier examples."""
    edit_catalog(
        database,
        lambda editor: (
            None
            if (dataset := editor.datasets.find("jane", "data", None, None)) is None
            else editor.datasets.delete(dataset.id)
        ),
    )
    return make_uploads(database)
