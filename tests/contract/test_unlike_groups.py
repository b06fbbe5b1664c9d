"""Groups of unlike members: each batch of a commit has the outcome that it would have by itself, in its turn.

Stale batches, repeats, reused keys, offsets that are and are not expected, skipped rows and batches without
rows stand beside plain ones, for two uploads. A plain model says what becomes of each; the database must
agree, whether the journal remembers where the uploads end or has just been opened.
"""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as some

from rowkeep.model.chain import CHAIN_START, next_chain
from rowkeep.model.inserts import OffsetMove
from rowkeep.model.quarantine import QuarantineBounds, RefusedRow, RefusedRows
from rowkeep.model.receipts import KeyReused, OffsetMoved, Outcome, StaleBatch
from rowkeep.model.resources import Batch, Receipt
from rowkeep.storage.doors import read_snapshot
from rowkeep.storage.journal.journal import Journal
from rowkeep.storage.sqlite import SqliteDatabase
from tests.contract.journaling import Uploads, batch, make_uploads, stored, upload_named

ROOMY = QuarantineBounds(rows_max=1_000, bytes_max=1_000_000)


class Member(msgspec.Struct, frozen=True):
    """A batch as it is drawn: what it holds and in which ways it is unlike others."""

    is_second: bool
    values: tuple[int, ...]
    key: str | None
    is_stale: bool
    token: str | None
    expects: str | None  # "latest", or a token by its name; None expects nothing
    skipped_count: int


MEMBERS = some.builds(
    Member,
    is_second=some.booleans(),
    values=some.lists(some.integers(0, 9), max_size=3).map(tuple),
    key=some.sampled_from([None, None, "a", "b"]),
    is_stale=some.sampled_from([False, False, False, True]),
    token=some.sampled_from([None, None, "x", "y"]),
    expects=some.sampled_from([None, None, "latest", "x", "nothing"]),
    skipped_count=some.sampled_from([0, 0, 0, 2]),
)


class ModelUpload:
    """An upload as a list of rows, with where its producer stands and which requests it has seen."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.commits = 0
        self.chain = CHAIN_START
        self.token: str | None = None
        self.requests: dict[str, tuple[bytes, Receipt]] = {}
        self.quarantined = 0

    def outcome(self, asked: Batch, member: Member) -> Outcome:
        """What becomes of a batch that comes now."""
        if member.is_stale:
            return StaleBatch()
        if asked.key is not None and asked.key in self.requests:
            assert asked.request_digest is not None
            digest, receipt = self.requests[asked.key]
            return (
                msgspec.structs.replace(receipt, replayed=True)
                if digest == asked.request_digest
                else KeyReused()
            )
        if asked.offset is not None and asked.offset.expects and asked.offset.expected != self.token:
            return OffsetMoved(self.token)
        if asked.offset is not None and asked.offset.token is not None:
            self.token = asked.offset.token
        return self._written(asked, member)

    def _written(self, asked: Batch, member: Member) -> Receipt:
        numbers: dict[str, Any] = {"commit": None, "first_row": None}
        if member.values:
            numbers = {"commit": self.commits + 1, "first_row": len(self.rows)}
            self.chain = next_chain(self.chain, asked.rows_sha256)
        self.rows += member.values
        self.quarantined += member.skipped_count
        receipt = Receipt(len(member.values), rows_sha256=asked.rows_sha256, chain=self.chain, **numbers)
        if asked.key is not None:
            assert asked.request_digest is not None
            self.requests[asked.key] = (asked.request_digest, receipt)
        return receipt


def batch_of(member: Member, uploads: Uploads, model: ModelUpload) -> Batch:
    """The batch as a request of its upload makes it."""
    upload_id = uploads.second if member.is_second else uploads.first
    made = batch(uploads, list(member.values), into=upload_id, key=member.key)
    expected = {"latest": model.token, "nothing": None}.get(member.expects or "", member.expects)
    offset = OffsetMove(member.token, member.expects is not None, expected)
    refused = tuple(RefusedRow(index, b"{}", b"[]") for index in range(member.skipped_count))
    return msgspec.structs.replace(
        made,
        catalog_version=made.catalog_version - member.is_stale,
        offset=offset if member.token or member.expects else None,
        refused=RefusedRows(len(refused), (), refused, ROOMY) if refused else None,
    )


def unskipped(outcome: Outcome) -> Outcome:
    """An outcome without what it says of skipped rows."""
    return msgspec.structs.replace(outcome, skipped=None) if isinstance(outcome, Receipt) else outcome


@settings(max_examples=60, deadline=None)
@given(some.lists(some.lists(MEMBERS, min_size=1, max_size=6), max_size=5), some.booleans())
def test_each_member_has_its_own_outcome(groups: list[list[Member]], remembers: bool) -> None:
    """Outcomes, rows, numbers, chains, offset tokens and quarantines are those of the model."""
    with TemporaryDirectory() as folder:
        database = SqliteDatabase(Path(folder) / "rowkeep.db")
        uploads = make_uploads(database)
        models = {uploads.first: ModelUpload(), uploads.second: ModelUpload()}
        journal = Journal()
        for group in groups:
            commit(database, journal if remembers else Journal(), uploads, models, group)
            check(database, uploads, models)
        database.close()


def commit(
    database: SqliteDatabase,
    journal: Journal,
    uploads: Uploads,
    models: dict[int, ModelUpload],
    group: list[Member],
) -> None:
    """Commits a group and holds each outcome against that of the model."""
    batches: list[Batch] = []
    expected: list[Outcome] = []
    for member in group:
        model = models[uploads.second if member.is_second else uploads.first]
        batches.append(batch_of(member, uploads, model))
        expected.append(model.outcome(batches[-1], member))
    found = journal.commit_group(database, batches)
    assert [unskipped(outcome) for outcome in found] == expected
    for member, outcome in zip(group, found, strict=True):
        if isinstance(outcome, Receipt) and not outcome.replayed:
            skipped = outcome.skipped.row_count if outcome.skipped is not None else 0
            assert skipped == member.skipped_count
    for upload_id, model in models.items():
        model.commits += any(
            isinstance(outcome, Receipt) and outcome.row_count and not outcome.replayed
            for asked, outcome in zip(batches, found, strict=True)
            if asked.upload_id == upload_id
        )


def check(database: SqliteDatabase, uploads: Uploads, models: dict[int, ModelUpload]) -> None:
    """The database shows what the models hold."""
    for name, (upload_id, model) in zip(("first", "second"), models.items(), strict=True):
        assert stored(database, upload_id) == model.rows
        upload = upload_named(database, uploads.table_id, name)
        assert (upload.row_count, upload.latest_offset_token) == (len(model.rows), model.token)
        rows = read_snapshot(database, lambda view, at=upload_id: view.quarantine.rows(at, 0, 1_000))
        assert len(rows) == model.quarantined


def test_the_digest_of_a_key_is_of_its_body() -> None:
    """What the model takes for granted: other values have another digest."""
    uploads = Uploads(1, 1, 2, 1)
    first, second = (batch(uploads, [number], key="a") for number in (1, 2))
    assert first.request_digest != second.request_digest == hashlib.sha256(b'{"rows": [{"v": 2}]}').digest()
