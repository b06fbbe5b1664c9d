"""The catalog: owners, tokens, datasets, tables, uploads, read streams; and snapshots of all of it."""

import time
from collections.abc import Callable

import pytest

from rowkeep.model.access import AccessLevel, Scope
from rowkeep.model.read_sessions import ReadSession, SessionUse
from rowkeep.model.resources import (
    Dataset,
    MemberRole,
    OwnerKind,
    ReadFormat,
    ReadGround,
    ReadStream,
    Receipt,
    RowSlice,
    Upload,
)
from rowkeep.model.schema import Schema, ValueLabel, Variable
from rowkeep.model.types import VariableType
from rowkeep.storage.base import Database, DuplicateError, StorageBusyError
from rowkeep.storage.catalog import state
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.datasets import NewDataset
from rowkeep.storage.doors import edit_catalog, read_snapshot
from rowkeep.storage.journal.journal import Journal
from tests.contract.backends import OpenDatabase
from tests.contract.journaling import (
    INTEGERS,
    Uploads,
    batch,
    entries_of,
    make_dataset,
    make_table,
    make_upload,
    next_version_id,
)

HOUR_MS = 3_600_000
HASH = b"\x00\xff" * 16


def version_of(database: Database) -> int:
    return read_snapshot(database, lambda view: view.catalog_version())


def test_owners_are_found_ignoring_case(database: Database) -> None:
    """A name is taken once, by a user or an organization, whatever its case."""
    added = edit_catalog(database, lambda editor: editor.owners.add(OwnerKind.USER, "Jane"))
    assert read_snapshot(database, lambda view: view.owners.find("jANE")) == added
    assert added.name == "Jane"
    assert read_snapshot(database, lambda view: view.owners.find("joe")) is None
    with pytest.raises(DuplicateError):
        edit_catalog(database, lambda editor: editor.owners.add(OwnerKind.ORGANIZATION, "JANE"))


def test_administrators(database: Database) -> None:
    """A user administers the organizations he was put in charge of, and no other."""

    def add(editor: CatalogEditor) -> tuple[int, int, int]:
        user = editor.owners.add(OwnerKind.USER, "jane").id
        here, there = (editor.owners.add(OwnerKind.ORGANIZATION, name).id for name in ("here", "there"))
        editor.members.set(here, user, MemberRole.ADMINISTRATOR)
        return user, here, there

    user, here, there = edit_catalog(database, add)
    member = read_snapshot(database, lambda view: view.members.find(here, user))
    assert member is not None
    assert member.role is MemberRole.ADMINISTRATOR
    assert read_snapshot(database, lambda view: view.members.find(there, user)) is None


def test_tokens_by_their_hash(database: Database) -> None:
    """A token says who holds it until it is revoked; revoking makes what was checked before stale."""

    def add(editor: CatalogEditor) -> int:
        user = editor.owners.add(OwnerKind.USER, "jane")
        return editor.tokens.add(user.id, HASH, "data.edit workflow.read", 123).id

    token_id = edit_catalog(database, add)
    principal = read_snapshot(database, lambda view: view.tokens.principal(HASH))
    assert principal is not None
    assert (principal.user_name, principal.expires_at_ms) == ("jane", 123)
    assert principal.scopes == {Scope.DATA_EDIT, Scope.WORKFLOW_READ}
    assert read_snapshot(database, lambda view: view.tokens.principal(HASH[::-1])) is None
    version = version_of(database)
    assert edit_catalog(database, lambda editor: editor.tokens.revoke(token_id))
    assert version_of(database) > version
    assert not edit_catalog(database, lambda editor: editor.tokens.revoke(token_id))
    assert read_snapshot(database, lambda view: view.tokens.principal(HASH)) is None
    (token,) = read_snapshot(database, lambda view: view.tokens.all())
    assert token.revoked_at is not None


def test_a_reference_id_is_given_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are about a million, so one that is drawn twice is drawn again: of datasets and of tables."""
    drawn = iter(["aaaa-1", "aaaa-2", "bbbb-3", "aaaa-4", "aaaa-5", "cccc-6"])
    monkeypatch.setattr(state, "new_identifier", lambda: next(drawn))

    def add(editor: CatalogEditor) -> list[str]:
        datasets = [make_dataset(editor, name) for name in ("one", "two")]
        version_id = next_version_id(datasets[0])
        tables = [make_table(editor, version_id, name) for name in ("one", "two")]
        return [made.identifier for made in (*datasets, *tables)]

    assert edit_catalog(database, add) == ["aaaa-1", "bbbb-3", "aaaa-4", "cccc-6"]
    assert next(drawn, None) is None


def test_datasets_by_name_and_reference_id(database: Database) -> None:
    """A dataset is found by its owner and its name's key, or by its reference id whatever the name."""
    dataset = edit_catalog(database, lambda editor: make_dataset(editor, "data", "Jane"))
    reference_id = dataset.identifier[:4]

    def found(owner_name: str, name: str, reference_id: str | None = None) -> Dataset | None:
        return read_snapshot(
            database, lambda view: view.datasets.find(owner_name, name, reference_id, dataset.owner_id)
        )

    assert found("JANE", "data") == dataset
    assert found("jane", "renamed", reference_id) == dataset
    assert found("jane", "data", "0000") is None
    assert found("joe", "data") is None
    assert (dataset.owner_kind, dataset.user_level) == (OwnerKind.USER, AccessLevel.EDIT)


def test_names_are_unique_by_their_key(database: Database, uploads: Uploads) -> None:
    """Names of datasets, tables and uploads that differ only in what does not count are refused."""

    def add_dataset(editor: CatalogEditor) -> None:
        owner = editor.owners.find("jane")
        assert owner is not None
        editor.datasets.add(NewDataset(owner, "DATA!", AccessLevel.NONE, None), owner.id)

    def add_table(editor: CatalogEditor) -> None:
        dataset = editor.datasets.find("jane", "data", None, None)
        assert dataset is not None
        make_table(editor, next_version_id(dataset), "_Rows")

    edits: list[Callable[[CatalogEditor], object]] = [
        add_dataset,
        add_table,
        lambda editor: make_upload(editor, uploads.table_id, "First"),
    ]
    for edit in edits:
        with pytest.raises(DuplicateError):
            edit_catalog(database, edit)


def test_uploads_match_with_dots_as_underscores(database: Database, uploads: Uploads) -> None:
    """`my up_load` finds `my up.load`."""
    made = edit_catalog(database, lambda editor: make_upload(editor, uploads.table_id, "my up.load"))
    assert read_snapshot(database, lambda view: view.uploads.find(uploads.table_id, "My up_load")) == made


def test_lists_go_on_after_an_id(database: Database, uploads: Uploads) -> None:
    """Pages of a list are in the order of creation and miss nothing."""
    edit_catalog(
        database,
        lambda editor: [make_upload(editor, uploads.table_id, f"u{number}") for number in range(5)],
    )
    names: list[str] = []
    after = 0

    def next_page(view: CatalogView) -> list[Upload]:
        return view.uploads.page(uploads.table_id, after, 3)

    while page := read_snapshot(database, next_page):
        assert len(page) <= 3
        names += [upload.name for upload in page]
        after = page[-1].id
    assert names == ["first", "second", "u0", "u1", "u2", "u3", "u4"]


def test_schemas_come_back_whole(database: Database, uploads: Uploads) -> None:
    """Every version keeps names, types, metadata and marks."""
    schema = Schema(
        1,
        (
            Variable("Ü", VariableType.STRING, "label", "what it is", (ValueLabel("1", "one"),)),
            Variable("n", VariableType.INTEGER, inexact=True),
        ),
    )
    made = edit_catalog(database, lambda editor: make_upload(editor, uploads.table_id, "rich", schema))
    assert made.schema == schema
    assert read_snapshot(database, lambda view: view.uploads.schema(made.id, 1)) == schema
    with pytest.raises(LookupError):
        read_snapshot(database, lambda view: view.uploads.schema(made.id, 2))


def test_what_is_deleted_is_gone_with_all_it_held(database: Database, uploads: Uploads) -> None:
    """Deleting a dataset deletes tables, uploads and rows, and makes what was checked before stale."""
    Journal().commit_group(database, [batch(uploads, [1], key="k")])

    def delete(editor: CatalogEditor) -> None:
        dataset = editor.datasets.find("jane", "data", None, None)
        assert dataset is not None
        editor.datasets.delete(dataset.id)

    edit_catalog(database, delete)
    assert read_snapshot(database, lambda view: view.datasets.find("jane", "data", None, None)) is None
    assert read_snapshot(database, lambda view: view.uploads.find(uploads.table_id, "first")) is None
    forgettable = read_snapshot(database, lambda view: view.uploads.forgettable(0, 10))
    assert forgettable == [uploads.first, uploads.second]
    assert edit_catalog(database, lambda editor: editor.entries.drop(uploads.first, 2**40, 2**40)) == 1
    edit_catalog(database, lambda editor: editor.uploads.forget(uploads.first))
    assert entries_of(database, uploads.first) == []
    assert read_snapshot(database, lambda view: view.uploads.forgettable(0, 10)) == [uploads.second]
    assert version_of(database) > uploads.catalog_version


def test_ids_are_never_used_again(database: Database, uploads: Uploads) -> None:
    """A new upload under an old name is another one: nothing that knew the old id can reach it."""
    edit_catalog(database, lambda editor: editor.uploads.delete(uploads.second))
    made = edit_catalog(database, lambda editor: make_upload(editor, uploads.table_id, "second"))
    assert made.id > uploads.second


def test_an_edit_is_all_or_nothing(database: Database, uploads: Uploads) -> None:
    """What raises leaves nothing behind, the catalog version included."""

    def edit(editor: CatalogEditor) -> None:
        editor.uploads.delete(uploads.first)
        make_upload(editor, uploads.table_id, "third")
        raise LookupError("changed my mind")

    with pytest.raises(LookupError, match="changed my mind"):
        edit_catalog(database, edit)
    names = read_snapshot(
        database, lambda view: [one.name for one in view.uploads.page(uploads.table_id, 0, 9)]
    )
    assert names == ["first", "second"]
    assert version_of(database) == uploads.catalog_version


def test_a_snapshot_does_not_move(database: Database, uploads: Uploads) -> None:
    """What is committed while a snapshot is read is not in it; the next one has it."""

    def count(view: CatalogView) -> int | None:
        upload = view.uploads.find(uploads.table_id, "first")
        return None if upload is None else upload.row_count

    def read(view: CatalogView) -> tuple[int | None, int | None]:
        before = count(view)
        [receipt] = Journal().commit_group(database, [batch(uploads, [1, 2])])
        assert isinstance(receipt, Receipt)
        return before, count(view)

    assert read_snapshot(database, read) == (0, 0)
    assert read_snapshot(database, count) == 2


def test_a_range_of_rows_finds_its_entries(database: Database, uploads: Uploads) -> None:
    """Entries are those that hold the rows asked for, bounded in bytes, at least one."""
    for number in range(4):
        Journal().commit_group(database, [batch(uploads, [number] * 3)])

    def first_rows(first: int, end: int, bytes_max: int = 2**30) -> list[int]:
        found = read_snapshot(
            database, lambda view: view.entries.holding(uploads.first, first, end, bytes_max)
        )
        return [entry.first_row for entry in found]

    assert first_rows(0, 12) == [0, 3, 6, 9]
    assert first_rows(4, 7) == [3, 6]
    assert first_rows(3, 6) == [3]
    assert first_rows(5, 6) == [3]
    assert first_rows(0, 12, 1) == [0]
    assert read_snapshot(database, lambda view: view.entries.holding(uploads.second, 0, 9, 9)) == []


def session(identifier: str, expires_at: int) -> ReadSession:
    slices = (RowSlice(1, 0, 5), RowSlice(2, 3, 4))
    grounds = (ReadGround(1, 2, 3, AccessLevel.DATA),)
    scope = Scope.DATA_DATA
    whole = ReadStream(identifier, 7, scope, expires_at, ReadFormat.ARROW, INTEGERS, slices, grounds)
    return ReadSession(whole, 3, 7)


def test_read_sessions_live_until_they_expire(database: Database) -> None:
    """A session comes back as it was put in, counts for its opener, and is pruned after its time."""
    now = time.time_ns() // 1_000_000
    alive, expired = session("alive", now + HOUR_MS), session("expired", now - 1)
    for each in (alive, expired):
        edit_catalog(database, lambda editor, each=each: editor.sessions.add(each))
    assert read_snapshot(database, lambda view: view.sessions.find("alive", now)) == alive
    assert read_snapshot(database, lambda view: view.sessions.find("expired", now)) is None
    assert read_snapshot(database, lambda view: view.sessions.find("other", now)) is None
    assert read_snapshot(database, lambda view: view.sessions.use(7, now)).session_count == 1
    assert read_snapshot(database, lambda view: view.sessions.use(7, now)).byte_count > 0
    assert read_snapshot(database, lambda view: view.sessions.use(0, now)) == SessionUse(0, 0)
    edit_catalog(database, lambda editor: editor.sessions.prune())
    assert read_snapshot(database, lambda view: view.sessions.find("expired", 0)) is None
    assert read_snapshot(database, lambda view: view.sessions.find("alive", now)) == alive


def test_a_session_is_cut_into_streams() -> None:
    """All rows are in the streams, each once and in order, and a stream is found by its own name alone."""
    kept = session("s", 0)
    streams = kept.streams()
    assert [stream.identifier for stream in streams] == ["s-000", "s-001", "s-002"]
    assert [stream.slices for stream in streams] == [
        (RowSlice(1, 0, 2),),
        (RowSlice(1, 2, 4),),
        (RowSlice(1, 4, 5), RowSlice(2, 3, 4)),
    ]
    assert [kept.stream(stream.identifier) for stream in streams] == list(streams)
    for name in ("s-003", "s-1", "s-0001", "s--01", "s-", "s", "t-000", "s-²"):
        assert kept.stream(name) is None


def test_a_writer_that_waits_too_long_is_told(
    open_database: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer is waited for, and then the database is `busy`, not `failed`: nothing was written."""
    monkeypatch.setattr("rowkeep.storage.sqlite._BUSY_MS_MAX", 50)
    database, other = open_database(), open_database()
    with other.writing(), pytest.raises(StorageBusyError):
        edit_catalog(database, lambda editor: editor.owners.add(OwnerKind.USER, "jane"))
    assert edit_catalog(database, lambda editor: editor.owners.add(OwnerKind.USER, "jane")).name == "jane"
