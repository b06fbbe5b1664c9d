"""The audit log over every backend: an entry and its act are one transaction, and only age removes one."""

import time

import pytest

from rowkeep.model.audit import AuditAction, Origin
from rowkeep.services.access import token_hash
from rowkeep.services.accounts import create_token, create_user, revoke_token
from rowkeep.storage.base import Database
from rowkeep.storage.catalog.audit import LAST_ID
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.doors import edit_catalog, read_snapshot

MS_PER_DAY = 86_400_000


def actions(database: Database) -> list[str]:
    """What was done, oldest first."""
    entries = read_snapshot(database, lambda view: view.audit.all(LAST_ID, 100))
    return [entry.action.value for entry in entries][::-1]


def test_an_act_that_is_rolled_back_has_no_entry(database: Database) -> None:
    """Whatever goes wrong later in the transaction takes the entry with it."""

    def fail(editor: CatalogEditor) -> None:
        create_user(editor, "ada")
        assert editor.audit.all(LAST_ID, 1)[0].action is AuditAction.CREATE_USER
        raise LookupError("something after it")

    with pytest.raises(LookupError):
        edit_catalog(database, fail)
    assert actions(database) == []
    assert read_snapshot(database, lambda view: view.owners.find("ada")) is None


def test_who_did_it_is_looked_up_by_the_token(database: Database) -> None:
    """A token that is revoked in the same transaction still tells whose it was; an unknown one does not."""
    edit_catalog(database, lambda editor: create_user(editor, "ada"))
    token = edit_catalog(database, lambda editor: create_token(editor, "ada", (), None))
    origin = Origin(token_hash(token.encode()), "203.0.113.7", "r-1")
    edit_catalog(database, lambda editor: revoke_token(editor, 1), origin)
    stranger = Origin(token_hash(b"unknown"))
    edit_catalog(database, lambda editor: create_user(editor, "eve"), stranger)
    last, revoked, *_ = read_snapshot(database, lambda view: view.audit.all(LAST_ID, 100))
    assert (revoked.user_name, revoked.token_id, revoked.address) == ("ada", 1, "203.0.113.7")
    assert (last.user_name, last.token_id) == (None, None)


def test_entries_go_by_their_age(database: Database) -> None:
    """What is older than a moment goes, everything else stays, and numbers are not given twice."""
    edit_catalog(database, lambda editor: create_user(editor, "ada"))
    now = time.time_ns() // 1_000_000
    edit_catalog(database, lambda editor: editor.audit.prune(now - MS_PER_DAY))
    assert actions(database) == ["user.create"]
    edit_catalog(database, lambda editor: editor.audit.prune(now + MS_PER_DAY))
    assert actions(database) == []
    edit_catalog(database, lambda editor: create_user(editor, "eve"))
    (entry,) = read_snapshot(database, lambda view: view.audit.all(LAST_ID, 100))
    assert entry.id == 2
