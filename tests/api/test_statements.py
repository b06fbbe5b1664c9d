"""How many SQL statements a request takes: as many for a page of a hundred as for a page of two.

The requests go through the whole application, over a real database that notes its statements. The one
table says for each GET route how many there are; a new GET route needs its row.
"""

import asyncio
from pathlib import Path

import pytest

from rowkeep.services.accounts import create_user
from rowkeep.storage.doors import edit_catalog
from tests.api.access_table import API
from tests.api.counting import CountingServer, counting_server
from tests.routes import OPERATIONS

# A dataset that has both a released and a next version has two versions.
FEW, MANY = 2, 100

# For each GET route: the path that is asked for, and how many statements that takes.
STATEMENTS: dict[str, tuple[str, int]] = {
    f"{API}/users/me": (f"{API}/users/me", 1),
    f"{API}/users/{{owner}}": (f"{API}/users/ada", 2),
    f"{API}/users/{{owner}}/datasets": (f"{API}/users/ada/datasets", 5),
    f"{API}/organizations/{{owner}}": (f"{API}/organizations/lab", 2),
    f"{API}/organizations/{{owner}}/datasets": (f"{API}/organizations/lab/datasets", 5),
    f"{API}/organizations/{{owner}}/members": (f"{API}/organizations/lab/members", 4),
    f"{API}/organizations/{{owner}}/members/{{user}}": (f"{API}/organizations/lab/members/ada", 5),
    f"{API}/datasets/{{dataset}}": (f"{API}/datasets/lab.d", 6),
    f"{API}/audit": (f"{API}/audit", 2),
    f"{API}/datasets/{{dataset}}/audit": (f"{API}/datasets/lab.d/audit", 5),
    f"{API}/datasets/{{dataset}}/access": (f"{API}/datasets/lab.d/access", 4),
    f"{API}/datasets/{{dataset}}/access/{{grantee}}": (f"{API}/datasets/lab.d/access/user_0", 5),
    f"{API}/datasets/{{dataset}}/versions": (f"{API}/datasets/lab.d/versions", 4),
    f"{API}/datasets/{{dataset}}/versions/{{version}}": (f"{API}/datasets/lab.d/versions/current", 6),
    f"{API}/datasets/{{dataset}}/tables": (f"{API}/datasets/lab.d/tables", 5),
    f"{API}/tables/{{table}}": (f"{API}/tables/lab.d.t_0", 5),
    f"{API}/tables/{{table}}/variables": (f"{API}/tables/lab.d.t_0/variables", 6),
    f"{API}/tables/{{table}}/variables/{{variable}}": (f"{API}/tables/lab.d.t_0/variables/v_0", 6),
    f"{API}/tables/{{table}}/uploads": (f"{API}/tables/lab.d:next.t_0/uploads", 7),
    f"{API}/tables/{{table}}/uploads/{{upload}}": (f"{API}/tables/lab.d:next.t_0/uploads/u_0", 7),
    f"{API}/tables/{{table}}/uploads/{{upload}}/quarantine": (
        f"{API}/tables/lab.d:next.t_0/uploads/u_0/quarantine",
        7,
    ),
    f"{API}/tables/{{table}}/uploads/{{upload}}/variables": (
        f"{API}/tables/lab.d:next.t_0/uploads/u_0/variables",
        5,
    ),
    f"{API}/tables/{{table}}/uploads/{{upload}}/variables/{{variable}}": (
        f"{API}/tables/lab.d:next.t_0/uploads/u_0/variables/v_0",
        5,
    ),
    f"{API}/tables/{{table}}/uploads/{{upload}}/requests/{{key}}": (
        f"{API}/tables/lab.d:next.t_0/uploads/u_0/requests/k",
        6,
    ),
    f"{API}/tables/{{table}}/uploads/{{upload}}/requests": (
        f"{API}/tables/lab.d:next.t_0/uploads/u_0/requests",
        7,
    ),
    f"{API}/openAPI.json": (f"{API}/openAPI.json", 0),
    f"{API}/openAPI.yaml": (f"{API}/openAPI.yaml", 0),
    "/healthz": ("/healthz", 0),
    "/readyz": ("/readyz", 0),
    "/metrics": ("/metrics", 0),
}
# Their statements grow with the uploads that hold the rows asked for: they read rows or files, not resources.
_UPLOAD = f"{API}/tables/{{table}}/uploads/{{upload}}"
READS_ROWS = {
    f"{API}/tables/{{table}}/rows",
    f"{API}/tables/{{table}}/variables/{{variable}}/statistics",
    f"{_UPLOAD}/rows",
    f"{_UPLOAD}/variables/{{variable}}/statistics",
    f"{_UPLOAD}/verify",
    f"{API}/readStreams/{{stream}}",
    f"{API}/queries/{{query}}/rows",
    f"{API}/queries/{{query}}/variables/{{variable}}/statistics",
    f"{API}/exports/{{export}}/download",
    f"{API}/downloads/{{link}}/{{name}}",
    f"{API}/downloads/rows/{{rowLink}}/{{name}}",
    f"{API}/tables/{{table}}/rawFiles",
    f"{API}/rawFiles/{{file}}",
    f"{API}/queries/{{query}}/rawFiles",
}
# What a job says of itself: one look for the job, or one page of them.
OF_JOBS = {
    f"{API}/queries",
    f"{API}/queries/{{query}}",
    f"{API}/queries/{{query}}/variables",
    f"{API}/queries/{{query}}/variables/{{variable}}",
    f"{API}/exports",
    f"{API}/exports/{{export}}",
}


def test_every_get_route_has_a_row() -> None:
    """The table has each GET route but those that read rows or show jobs, and no other."""
    routes = {path for method, path in OPERATIONS if method == "GET"}
    assert routes == set(STATEMENTS) | READS_ROWS | OF_JOBS


@pytest.mark.parametrize("count", [FEW, MANY])
def test_statements_do_not_grow_with_what_is_there(count: int, tmp_path: Path) -> None:
    """Each GET takes the table's number of statements, with two of everything and with a hundred."""
    found = asyncio.run(_found(count, tmp_path))
    expected = {path: (count if path in LISTED else None, number) for path, number in STATEMENTS.values()}
    assert {path: (items, len(names)) for path, (items, names) in found.items()} == expected, found


# Lists, which must really have had that many items when their statements were counted.
LISTED = {
    f"{API}/users/ada/datasets",
    f"{API}/organizations/lab/datasets",
    f"{API}/organizations/lab/members",
    f"{API}/datasets/lab.d/access",
    f"{API}/datasets/lab.d/versions",
    f"{API}/datasets/lab.d/tables",
    f"{API}/tables/lab.d.t_0/variables",
    f"{API}/tables/lab.d:next.t_0/uploads",
    f"{API}/tables/lab.d:next.t_0/uploads/u_0/variables",
}

# Changes, and what else may look at many things: method, path, body, statements.
CHANGES: tuple[tuple[str, str, object, int], ...] = (
    ("GET", f"{API}/datasets/lab.d/versions/next", None, 14),
    ("PATCH", f"{API}/datasets/lab.d", {"description": "new"}, 9),
    ("PATCH", f"{API}/tables/lab.d:next.t_0/variables", {"variables": [{"name": "v_0", "label": "a"}]}, 9),
    ("PATCH", f"{API}/datasets/lab.d:next/variables", {"variables": [{"name": "v_0", "label": "b"}]}, 9),
    ("POST", f"{API}/tables/lab.d:next.t_0/readSessions", {}, 10),
    ("POST", f"{API}/tables/lab.d:next.t_0/uploads/u_0/rows", {"rows": [{"v_0": 1}]}, 9),
    ("POST", f"{API}/tables/lab.d:next.t_0/uploads/u_0/rows", {"rows": [{"v_0": 1}]}, 1),
    ("DELETE", f"{API}/tables/lab.d:next.t_1", None, 7),
    ("POST", f"{API}/datasets/lab.d/versions/next/release", {}, 22),
    ("POST", f"{API}/datasets/lab.d/versions", None, 27),
    ("DELETE", f"{API}/datasets/lab.d/versions/next", None, 10),
    ("DELETE", f"{API}/datasets/lab.d", None, 6),
)


@pytest.mark.parametrize("count", [FEW, MANY])
def test_changes_do_not_grow_with_what_is_there(count: int, tmp_path: Path) -> None:
    """A change takes the same number of statements, with two of everything and with a hundred."""

    async def change() -> list[list[str]]:
        async with counting_server(tmp_path) as server:
            await _fill(server, count)
            return [await server.statements(method, path, body) for method, path, body, _ in CHANGES]

    found = asyncio.run(change())
    assert [len(names) for names in found] == [number for *_, number in CHANGES], found


async def _found(count: int, folder: Path) -> dict[str, tuple[int | None, list[str]]]:
    async with counting_server(folder) as server:
        await _fill(server, count)
        return {path: await _asked(server, path) for path, _ in STATEMENTS.values()}


async def _asked(server: CountingServer, path: str) -> tuple[int | None, list[str]]:
    """How many items a list has, and the statements that the request took."""
    items = len((await server.done("GET", path)).json()["results"]) if path in LISTED else None
    return items, await server.statements("GET", path)


async def _fill(server: CountingServer, count: int) -> None:
    """As many datasets, grants, members, tables, variables and versions, and uploads of one table."""
    for number in range(count):
        name = f"user_{number}"
        edit_catalog(server.database, lambda editor, name=name: create_user(editor, name))
        await server.done("POST", f"{API}/users/ada/datasets", {"name": f"e {number}"})
        await server.done(
            "POST", f"{API}/organizations/lab/datasets", {"name": f"d {number}" if number else "d"}
        )
        await server.done("PUT", f"{API}/datasets/lab.d/access/{name}", {"accessLevel": "data"})
        await server.done("POST", f"{API}/datasets/lab.d/tables", {"name": f"t {number}"})
        await _add_upload(server, f"lab.d.t_{number}", "first", 1 if number else count)
    for number in range(1, count):
        await server.done("PUT", f"{API}/organizations/lab/members/user_{number}", {})
    await server.done("POST", f"{API}/datasets/lab.d/versions/next/release", {})
    for number in range(count - FEW):
        await server.done("POST", f"{API}/datasets/lab.d/versions")
        await _add_upload(server, "lab.d:next.t_0", f"v {number}", 1)
        # A change to release that needs no rows: those would be sealed meanwhile.
        renamed = {"name": "t 1" if number % 2 else "T 1"}
        await server.done("PATCH", f"{API}/tables/lab.d:next.t_1", renamed)
        await server.done("POST", f"{API}/datasets/lab.d/versions/next/release", {})
    await server.done("POST", f"{API}/datasets/lab.d/versions")
    for number in range(count):
        await _add_upload(server, "lab.d:next.t_0", f"u_{number}", 1 if number else count)
    path = f"{API}/tables/lab.d:next.t_0/uploads/u_0/rows"
    await server.done("POST", path, {"rows": []}, **{"Idempotency-Key": "k"})


async def _add_upload(server: CountingServer, table: str, name: str, variable_count: int) -> None:
    schema = [{"name": f"v_{number}", "type": "integer"} for number in range(variable_count)]
    path = f"{API}/tables/{table}/uploads"
    await server.done("POST", path, {"name": name, "type": "stream", "schema": schema})
