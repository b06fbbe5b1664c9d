"""Lists come in pages: every list route, by the same rules. Source: contract 1.5, 7.17, 7.18."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from rowkeep.model.resources import MergeStrategy
from rowkeep.services.accounts import create_user
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.tables import NewTable
from rowkeep.storage.doors import edit_catalog
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase
from tests.api.access_table import API
from tests.api.caller import Caller, Reply
from tests.command_line import rowkeep
from tests.routes import OPERATIONS, query_names
from tests.server_process import ServerProcess

ITEMS = 7
ITEMS_MAX = 1000
SCHEMA = [{"name": f"v{number}", "type": "integer"} for number in range(ITEMS)]


class Listed(msgspec.Struct, frozen=True):
    """A list with ITEMS items: its path, what tells its items apart, and how one of them is deleted."""

    path: str
    identity: Callable[[dict[str, Any]], str]
    deletion: Callable[[dict[str, Any]], str] | None = None


def _uri(item: dict[str, Any]) -> str:
    return f"{API}{item['uri']}"


def _id(item: dict[str, Any]) -> str:
    return str(item["id"])


def _name(item: dict[str, Any]) -> str:
    return str(item["name"])


_TABLE = f"{API}/tables/{{table}}"
# Lists of the caller's own jobs, of what was inserted, and of what was done. Each is tested beside what makes
# it.
OWN_LISTS = {
    f"{API}/queries",
    f"{API}/queries/{{query}}/variables",
    f"{API}/exports",
    f"{_TABLE}/uploads/{{upload}}/requests",
    f"{API}/audit",
    f"{API}/datasets/{{dataset}}/audit",
}
# Versions stay in their editors' list when they are deleted, and variables go only with their uploads.
LISTS = {
    f"{API}/users/{{owner}}/datasets": Listed(f"{API}/users/pages/datasets", _name, _uri),
    f"{API}/organizations/{{owner}}/datasets": Listed(f"{API}/organizations/books/datasets", _name, _uri),
    f"{API}/organizations/{{owner}}/members": Listed(f"{API}/organizations/books/members", _uri, _uri),
    f"{API}/datasets/{{dataset}}/access": Listed(f"{API}/datasets/books.full/access", _uri, _uri),
    f"{API}/datasets/{{dataset}}/versions": Listed(f"{API}/datasets/books.full/versions", _uri),
    f"{API}/datasets/{{dataset}}/tables": Listed(f"{API}/datasets/books.full:next/tables", _name, _uri),
    f"{_TABLE}/uploads": Listed(f"{API}/tables/books.full:next.t0/uploads", _name, _uri),
    f"{_TABLE}/variables": Listed(f"{API}/tables/books.full:next.t0/variables", _name),
    f"{_TABLE}/uploads/{{upload}}/quarantine": Listed(
        f"{API}/tables/books.full:next.t0/uploads/u0/quarantine", _id
    ),
    f"{_TABLE}/uploads/{{upload}}/variables": Listed(
        f"{API}/tables/books.full:next.t0/uploads/u0/variables", _name
    ),
}
JUNK_TOKENS = ("x", "-1", "+1", "1.5", "1e3", "0x1", "1_0", " 1", "1 ", "²", "٣", "\0", "9" * 19, "9" * 5000)
JUNK_SIZES = ("x", "-1", "0", "1.5", "NaN", "undefined", "²", "9" * 19, "9" * 5000)


def _add_users(editor: CatalogEditor, names: list[str]) -> None:
    for name in names:
        create_user(editor, name)


class Pages:
    """Somebody with ITEMS of everything, on a server that others use too."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        for command in (("user", "create", "pages"), ("organization", "create", "books", "--admin", "pages")):
            rowkeep(*command, data_dir=server.data_dir)
        self._token = rowkeep("token", "create", "--user", "pages", data_dir=server.data_dir)
        self._caller = Caller(server.url)
        self._fill()

    def close(self) -> None:
        """Closes the connection."""
        self._caller.close()

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        """One request, whatever becomes of it."""
        return self._caller.ask(self._token, method, path, body)

    def _do(self, method: str, path: str, body: object = None) -> None:
        self._caller.done(self._token, method, API + path, body)

    def edit(self, function: Callable[[CatalogEditor], None]) -> None:
        """Changes the catalog beside the running server."""
        database = SqliteDatabase(DataDirectory(self.server.data_dir).database)
        edit_catalog(database, function)
        database.close()

    def _fill(self) -> None:
        guests = [f"guest_{number}" for number in range(ITEMS)]
        self.edit(lambda editor: _add_users(editor, guests))
        for number, guest in enumerate(guests):
            self._do("POST", "/users/pages/datasets", {"name": f"d{number}"})
            self._do("POST", "/organizations/books/datasets", {"name": f"d{number}" if number else "full"})
            self._do("PUT", f"/datasets/books.full/access/{guest}", {"accessLevel": "data"})
            if number:
                self._do("PUT", f"/organizations/books/members/{guest}", {})
        for number in range(ITEMS - 1):
            self._do("POST", "/datasets/books.full:next/tables", {"name": f"t{number}"})
            self._do("POST", "/datasets/books.full/versions/next/release", {})
            self._do("POST", "/datasets/books.full/versions")
        self._do("POST", "/datasets/books.full:next/tables", {"name": "last"})
        for number in range(ITEMS):
            body = {"name": f"u{number}", "type": "stream", "schema": SCHEMA}
            self._do("POST", "/tables/books.full:next.t0/uploads", body)
        rows = {"rows": [None] * ITEMS, "skipInvalidRows": True}
        self._do("POST", "/tables/books.full:next.t0/uploads/u0/rows", rows)

    def page(self, path: str, size: int, token: str | None = None) -> tuple[list[Any], str | None]:
        """The items of a page, and the token of the next."""
        query = f"?maxResults={size}" + ("" if token is None else f"&pageToken={token}")
        reply = self.ask("GET", path + query)
        assert reply.status == 200, reply
        body = reply.json()
        return body["results"], body["nextPageToken"]

    def pages(self, path: str, size: int, token: str | None = None) -> list[list[Any]]:
        """All pages from one on."""
        found: list[list[Any]] = []
        while token is not None or not found:
            items, token = self.page(path, size, token)
            found.append(items)
        return found


@pytest.fixture(scope="module")
def pages(server: ServerProcess) -> Iterator[Pages]:
    """ITEMS of everything."""
    made = Pages(server)
    yield made
    made.close()


each_list = pytest.mark.parametrize("listed", LISTS.values(), ids=LISTS)


def test_every_list_is_here() -> None:
    """LISTS has each route that takes a page token, and no other."""
    paged = {path for (_, path), asked in OPERATIONS.items() if "pageToken" in query_names(asked)}
    assert paged == set(LISTS) | OWN_LISTS


@each_list
def test_pages_add_up(pages: Pages, listed: Listed) -> None:
    """In pages of any size each item comes once, in one order; every page but the last is full."""
    whole = pages.pages(listed.path, ITEMS_MAX)
    assert [len(page) for page in whole] == [ITEMS]
    assert len({listed.identity(item) for item in whole[0]}) == ITEMS
    for size in range(1, ITEMS + 2):
        found = pages.pages(listed.path, size)
        assert [item for page in found for item in page] == whole[0]
        assert [len(page) for page in found] == [size] * (ITEMS // size) + [ITEMS % size] * bool(ITEMS % size)


@each_list
def test_no_size_means_a_hundred(pages: Pages, listed: Listed) -> None:
    """Without maxResults the first page comes, with its token always named, null after the last."""
    body = pages.ask("GET", listed.path).json()
    assert (len(body["results"]), body["nextPageToken"]) == (ITEMS, None)
    assert body["kind"].endswith("List")
    assert pages.ask("GET", f"{listed.path}?pageToken=").json() == body
    for query in ("maxResults=", "maxResults=1&maxResults=2", "pageToken=1&pageToken=2"):
        answer = pages.ask("GET", f"{listed.path}?{query}")
        assert answer.status == 400
        assert query.partition("=")[0] in answer.json()["error_description"]


@each_list
def test_tokens_fit_a_url(pages: Pages, listed: Listed) -> None:
    """A page token has only characters that need no encoding: the JavaScript client encodes none."""
    _, token = pages.page(listed.path, 1)
    assert token is not None
    assert quote(token, safe="") == token


@each_list
def test_head_of_a_page(pages: Pages, listed: Listed) -> None:
    """HEAD answers for a page as for a whole list."""
    _, token = pages.page(listed.path, 2)
    for query in ("", "?maxResults=1", f"?maxResults=2&pageToken={token}"):
        reply = pages.ask("HEAD", listed.path + query)
        assert (reply.status, reply.body) == (200, b"")
    assert pages.ask("HEAD", f"{listed.path}?pageToken=x").status == 400


@each_list
def test_larger_pages_than_there_are(pages: Pages, listed: Listed) -> None:
    """A maxResults over the cap is not an error."""
    for size in (1001, 10_001, 10**17):
        items, token = pages.page(listed.path, size)
        assert (len(items), token) == (ITEMS, None)


@each_list
def test_junk_is_refused(pages: Pages, listed: Listed) -> None:
    """A page token that the server did not give out, or a size that is none, is 400 and named."""
    for name, values in (("pageToken", JUNK_TOKENS), ("maxResults", JUNK_SIZES)):
        for value in values:
            reply = pages.ask("GET", f"{listed.path}?{name}={quote(value)}")
            assert (reply.status, reply.json()["error"]) == (400, "invalid_request_error"), (value, reply)


@each_list
def test_page_after_the_last(pages: Pages, listed: Listed) -> None:
    """A token from when there was more leads to an empty last page."""
    assert pages.page(listed.path, 2, "9" * 18) == ([], None)


@pytest.mark.parametrize(
    "listed",
    [listed for listed in LISTS.values() if listed.deletion],
    ids=[path for path, listed in LISTS.items() if listed.deletion],
)
def test_deletion_between_pages(pages: Pages, listed: Listed) -> None:
    """When the item that a page ended with is deleted, the next page goes on where that one was."""
    assert listed.deletion is not None
    whole = [listed.identity(item) for item in pages.pages(listed.path, ITEMS_MAX)[0]]
    first, token = pages.page(listed.path, 3)
    later = pages.page(listed.path, 2, token)[0][0]
    for item in (first[-1], later):
        reply = pages.ask("DELETE", listed.deletion(item))
        assert reply.status == 200, reply
    rest = pages.pages(listed.path, 3, token)
    assert [listed.identity(item) for page in rest for item in page] == whole[4:]


def test_pages_are_capped(pages: Pages) -> None:
    """However much is asked for, a page has at most 1,000 items, and a token for those left."""
    pages.ask("POST", f"{API}/users/pages/datasets", {"name": "large"})

    def add(editor: CatalogEditor) -> None:
        dataset = editor.datasets.find("pages", "large", None, None)
        assert dataset is not None
        assert dataset.next_version_id is not None
        for number in range(ITEMS_MAX + 1):
            name = f"t{number}"
            table = NewTable(dataset.next_version_id, name, None, MergeStrategy.APPEND, is_file_index=False)
            editor.tables.add(table)

    pages.edit(add)
    found = pages.pages(f"{API}/datasets/pages.large/tables", 5000)
    assert [len(page) for page in found] == [ITEMS_MAX, 1]
