"""What the access tests act on: a server with every caller, and every target under either kind of owner."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rowkeep.model.resources import MemberRole
from rowkeep.services.access import token_hash
from rowkeep.services.accounts import create_organization, create_token, create_user, find_user, revoke_token
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.doors import edit_catalog
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase
from tests.api.access_table import API, CALLERS, TARGETS
from tests.api.caller import Caller
from tests.server_process import ServerProcess

GRANTS = {
    "sees_overview": "overview",
    "sees_metadata": "metadata",
    "sees_sample": "sample",
    "sees_data": "data",
    "edits": "edit",
    "readers": "data",
}
# Who stands for OWNER and OTHER, by the kind of the datasets' owner; lab and club are organizations.
ROLES = {
    "user": {"owner": "ada", "OWNER": "ada", "OTHER": "head"},
    "organization": {"owner": "lab", "OWNER": "head", "OTHER": "club_head"},
}
KINDS = tuple(ROLES)
UPLOAD = "sealed_stream"  # of every target: a name that no answer holds by chance
_USERS = (
    "stranger",
    "sees_overview",
    "sees_metadata",
    "sees_sample",
    "sees_data",
    "edits",
    "reader",
    "keeper",
    "member",
)


class Target(msgspec.Struct, frozen=True):
    """A dataset at a version, by what stands for it in a path."""

    dataset: str
    table: str
    version: str
    upload: str = UPLOAD
    variable: str = "site"
    grantee: str = "sees_data"
    owner: str = "lab"
    user: str = "head"
    stream: str = "0" * 32
    key: str = "k"
    export: str = "0000-none"
    query: str = "0000-none"
    file: str = "0000-none"

    def path(self, pattern: str) -> str:
        """The path of a route for this target."""
        return pattern.format(**msgspec.structs.asdict(self))


def target_of(kind: str, name: str) -> Target:
    """The target that a column of the table means."""
    dataset, tag = {
        "next": (f"{ROLES[kind]['owner']}.at_next", "next"),
        "deleted": (f"{ROLES[kind]['owner']}.at_deleted", "v1_0"),
        "unreleased": (f"{ROLES[kind]['owner']}.at_unreleased", None),
        # Without a version, a write would be for the next one.
    }.get(name, (f"{ROLES[kind]['owner']}.at_{name}", "current"))
    version = {"unreleased": "next", "next": "next"}.get(name, "v1.0")
    reference = dataset if tag is None else f"{dataset}:{tag}"
    return Target(dataset=reference, table=f"{reference}.t", version=version)


class World:
    """A running server with all targets, and a token for each caller."""

    def __init__(self, server: ServerProcess, tokens: dict[tuple[str, str], str | None]) -> None:
        self.caller = Caller(server.url)
        self.server = server
        self._tokens = tokens
        for kind in KINDS:
            for name in TARGETS:
                self.build(kind, name)

    def token(self, kind: str, caller: str) -> str | None:
        """The token of a caller where datasets belong to this kind of owner."""
        return self._tokens[kind, caller]

    def done(self, kind: str, method: str, path: str, body: object = None) -> dict[str, object]:
        """What the owner does, which must work."""
        return self.caller.done(self.token(kind, "owner"), method, API + path, body)

    def renew(self, kind: str, name: str) -> None:
        """Builds a target again, whatever is left of it."""
        dataset = target_of(kind, name).dataset.partition(":")[0]
        self.caller.ask(self.token(kind, "owner"), "DELETE", f"{API}/datasets/{dataset}")
        self.build(kind, name)

    def build(self, kind: str, name: str) -> None:
        """Builds a target that is not there."""
        if name == "absent":
            return
        level = name if name in ("none", "overview", "metadata", "sample") else "data"
        owner = ROLES[kind]["owner"]
        created = {"name": f"at {name}", "publicAccessLevel": level}
        self.done(kind, "POST", f"/{kind}s/{owner}/datasets", created)
        dataset = f"/datasets/{owner}.at_{name}"
        for grantee, granted in GRANTS.items():
            self.done(kind, "PUT", f"{dataset}/access/{grantee}", {"accessLevel": granted})
        self.done(kind, "POST", f"{dataset}/tables", {"name": "t"})
        # A stream that is created again in the next version still knows the keys of the released one.
        self._add_rows(kind, f"/tables/{owner}.at_{name}.t", key="k1" if name in ("next", "deleted") else "k")
        if name == "unreleased":
            return
        self.done(kind, "POST", f"{dataset}/versions/next/release", {})
        self.done(kind, "POST", f"{dataset}/versions")
        if name == "next":
            self._add_rows(kind, f"/tables/{owner}.at_{name}:next.t")
        if name == "deleted":
            # A key belongs to the stream in all its versions: under the first one nothing would be added.
            self._add_rows(kind, f"/tables/{owner}.at_{name}:next.t", "k2")
            self.done(kind, "POST", f"{dataset}/versions/next/release", {})
            self.done(kind, "DELETE", f"{dataset}/versions/v1.0")

    def _add_rows(self, kind: str, table: str, key: str = "k") -> None:
        schema = [{"name": "site", "type": "string"}]
        self.done(kind, "POST", f"{table}/uploads", {"name": UPLOAD, "type": "stream", "schema": schema})
        rows = {"rows": [{"site": "a"}]}
        keyed = {"Idempotency-Key": key}
        path = f"{API}{table}/uploads/{UPLOAD}/rows"
        assert self.caller.ask(self.token(kind, "owner"), "POST", path, rows, **keyed).status == 201


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """Builds the world; it lasts as long as the context."""
    server = ServerProcess(folder / "data")
    database = SqliteDatabase(DataDirectory(server.data_dir).database)
    tokens = edit_catalog(database, _people)
    database.close()
    server.start()
    world = World(server, tokens)
    try:
        yield world
        assert "internal error" not in server.log()
    finally:
        world.caller.close()
        server.close()


def _people(editor: CatalogEditor) -> dict[tuple[str, str], str | None]:
    for user in (*_USERS, "ada", "head", "club_head"):
        create_user(editor, user)
    club = create_organization(editor, "club", "club_head")
    readers = create_organization(editor, "readers", "keeper")
    lab = editor.owners.find("lab")
    assert lab is not None
    editor.members.set(readers.id, find_user(editor, "reader").id, MemberRole.MEMBER)
    editor.members.set(lab.id, find_user(editor, "head").id, MemberRole.ADMINISTRATOR)
    editor.members.set(lab.id, find_user(editor, "member").id, MemberRole.MEMBER)
    editor.members.set(club.id, find_user(editor, "member").id, MemberRole.MEMBER)
    editor.members.delete(lab.id, find_user(editor, ServerProcess.user).id)
    return {(kind, caller): _token(editor, kind, caller) for kind in KINDS for caller in CALLERS}


def _token(editor: CatalogEditor, kind: str, caller: str) -> str | None:
    user, scopes = CALLERS[caller]
    if user is None:
        return None
    name = ROLES[kind].get(user, user)
    if caller == "expired":
        expired = f"token-of-{name}-that-has-expired-long-ago"
        editor.tokens.add(find_user(editor, name).id, token_hash(expired.encode()), "data.edit", 1)
        return expired
    token = create_token(editor, name, scopes or (), None)
    if caller == "revoked":
        revoke_token(editor, editor.tokens.all()[-1].id)
    return token
