"""What ends while it is remembered: a token, a grant, a session, between two requests that are alike.

The server remembers what it found out for an earlier request: who calls, where to, under which schema. The
clock of this process is set forward, so that time passes and nothing else happens.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from rowkeep.services.accounts import create_token, create_user
from rowkeep.storage.doors import edit_catalog
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase
from tests.api.access_table import API
from tests.api.counting import CountingServer, counting_server
from tests.wall_clock import WallClock, wall_clock

HOUR = 3_600
TABLE = f"{API}/tables/ada.d.t"
INSERT = f"{TABLE}/uploads/s/rows"
ROW = {"rows": [{"site": "a"}]}
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def clock() -> Iterator[WallClock]:
    """The clock of this process."""
    with wall_clock() as made:
        yield made


def run(folder: Path, test: Callable[[CountingServer], Awaitable[None]]) -> None:
    """Runs a test on a server with a stream in a table."""

    async def opened() -> None:
        async with counting_server(folder) as server:
            await server.done("POST", f"{API}/users/ada/datasets", {"name": "d", "publicAccessLevel": "none"})
            await server.done("POST", f"{API}/datasets/ada.d/tables", {"name": "t"})
            await server.done("POST", f"{TABLE}/uploads", {"name": "s", "type": "stream"})
            await server.done("POST", INSERT, {**ROW, "updateSchema": True})
            await test(server)

    asyncio.run(opened())


def new_token(folder: Path, user: str, expires_in: str | None = None) -> dict[str, str]:
    """The header with a new token of a user, who is created when there is none."""
    database = SqliteDatabase(DataDirectory(folder / "data").database)
    if user != "ada":
        edit_catalog(database, lambda editor: create_user(editor, user))
    token = edit_catalog(database, lambda editor: create_token(editor, user, (), expires_in))
    database.close()
    return {"Authorization": f"Bearer {token}"}


def code_of(answer: httpx.Response) -> tuple[int, str | None]:
    """The status, and the code of an error."""
    return answer.status_code, None if answer.is_success else answer.json()["error"]


@pytest.mark.parametrize("kind", ["json", "lines", "read", "head", "session"])
def test_a_token_that_expires(tmp_path: Path, clock: WallClock, kind: str) -> None:
    """To the millisecond, for a request that is like the one before, which was let through."""

    async def test(server: CountingServer) -> None:
        token = new_token(tmp_path, "ada", "1h")
        asks = {
            "json": lambda: server.asked("POST", INSERT, ROW, **token),
            "lines": lambda: server.asked("POST", INSERT, b'{"site":"a"}', **token, **LINES),
            "read": lambda: server.asked("GET", f"{TABLE}/rows", **token),
            "head": lambda: server.asked("HEAD", TABLE, **token),
            "session": lambda: server.asked("POST", f"{TABLE}/readSessions", {}, **token),
        }
        for _ in range(2):
            assert (await asks[kind]()).is_success
        clock.pass_seconds(HOUR - 60)
        assert (await asks[kind]()).is_success
        clock.pass_seconds(60)
        for _ in range(2):
            answer = await asks[kind]()
            assert answer.status_code == 401
            assert kind == "head" or "expired" in answer.json()["error_description"]

    run(tmp_path, test)


def test_another_token_does_not_expire_with_it(tmp_path: Path, clock: WallClock) -> None:
    """What is remembered is remembered for each token by itself."""

    async def test(server: CountingServer) -> None:
        short, lasting = new_token(tmp_path, "ada", "1h"), new_token(tmp_path, "ada")
        for token in (short, lasting):
            assert (await server.asked("POST", INSERT, ROW, **token)).status_code == 201
        clock.pass_seconds(2 * HOUR)
        assert code_of(await server.asked("POST", INSERT, ROW, **short)) == (401, "invalid_token")
        assert (await server.asked("POST", INSERT, ROW, **lasting)).status_code == 201

    run(tmp_path, test)


def test_a_grant_that_ends(tmp_path: Path) -> None:
    """Between two inserts that are alike, whatever is left: another level, or none."""

    async def test(server: CountingServer) -> None:
        friend = new_token(tmp_path, "friend")
        grant = f"{API}/datasets/ada.d/access/friend"
        may, may_not = (201, None), (404, "not_found_error")
        for level, expected in (("edit", may), ("data", may_not), ("edit", may)):
            await server.done("PUT", grant, {"accessLevel": level})
            for _ in range(2):
                assert code_of(await server.asked("POST", INSERT, ROW, **friend)) == expected
        await server.done("DELETE", grant)
        assert code_of(await server.asked("POST", INSERT, ROW, **friend)) == may_not

    run(tmp_path, test)


def test_a_session_that_ends(tmp_path: Path, clock: WallClock) -> None:
    """Its streams are read until its time, and then are there no more; another session is."""

    async def test(server: CountingServer) -> None:
        first = (await server.done("POST", f"{TABLE}/readSessions", {})).json()
        stream = f"{API}/readStreams/{first['streams'][0]['id']}"
        body = (await server.done("GET", stream)).content
        clock.pass_seconds(3 * HOUR)
        later = (await server.done("POST", f"{TABLE}/readSessions", {})).json()
        clock.pass_seconds(3 * HOUR - 60)
        assert (await server.done("GET", stream)).content == body
        clock.pass_seconds(61)
        assert code_of(await server.asked("GET", stream)) == (404, "not_found_error")
        other = f"{API}/readStreams/{later['streams'][0]['id']}"
        assert (await server.done("GET", other)).content == body

    run(tmp_path, test)


def test_what_is_deleted_between_two_requests(tmp_path: Path) -> None:
    """An upload, its table, its dataset: the next insert finds nothing, and one made anew is another one."""

    async def test(server: CountingServer) -> None:
        for deleted, again in (
            (f"{TABLE}/uploads/s", []),
            (TABLE, [(f"{API}/datasets/ada.d/tables", {"name": "t"})]),
        ):
            assert (await server.asked("POST", INSERT, ROW)).status_code == 201
            await server.done("DELETE", deleted)
            assert code_of(await server.asked("POST", INSERT, ROW)) == (404, "not_found_error")
            for path, body in again:
                await server.done("POST", path, body)
            await server.done("POST", f"{TABLE}/uploads", {"name": "s", "type": "stream"})
            answer = await server.done("POST", INSERT, {**ROW, "updateSchema": True})
            assert answer.json()["firstRow"] == 0

    run(tmp_path, test)
