"""The access matrix: every caller, on every target, over every route (the tables are in access_table.py).

One server process holds everybody and everything. A changing route is used, where that is possible, with a
body that is refused with 400 and only after access was checked: 400 then means allowed, and nothing has
changed. Where there is no such body (most DELETEs, a release) an allowed request really does it, and its
target is built again before the next caller comes. A route without a row in the table fails.
"""

from collections.abc import Iterator

import pytest

from tests.api.access_table import (
    ACTIONS,
    API,
    CALLERS,
    DATA_ACTIONS,
    EXISTENCE,
    EXPECTED,
    EXPECTED_AT_GATES,
    GATE_ACTIONS,
    NEEDS,
    TARGETS,
    Action,
    may_edit,
)
from tests.api.access_world import KINDS, ROLES, World, target_of
from tests.api.caller import Reply
from tests.routes import OPERATIONS

SCOPE_OF_NEED = {
    "overview": "data.overview",
    "metadata": "data.metadata",
    "data": "data.data",
    "edit": "data.edit",
    "govern": "data.edit",
    "user": "data.edit",
    "kept": "data.edit",
    "lab": "data.edit",
    "read": "organization.read",
    "write": "organization.write",
    "own": "data.edit",
}
UNRELEASED = {"unreleased": 0, "next": 1}


def letter(reply: Reply, allowed: int) -> str:
    """The answer as the tables spell it; an answer that they know no letter for is spelled out."""
    if reply.status == allowed:
        return "+"
    error = reply.json().get("error")
    letters = {
        (401, "invalid_token"): "U",
        (404, "not_found_error"): "N",
        (403, "insufficient_scope"): "S",
        (403, "forbidden"): "F",
    }
    return letters.get((reply.status, str(error)), f"{reply.status} {reply.body!r}")


def scope_asked(reply: Reply) -> str | None:
    """The scope that a refusal names."""
    scope: str | None = reply.json().get("scope") if reply.status == 403 else None
    return scope


def test_every_route_has_a_row(world: World) -> None:
    """The table has each route that the server has, and no other: a new route needs its row."""
    paths = world.caller.done(None, "GET", f"{API}/openAPI.json")["paths"]
    served = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert served == set(ACTIONS)
    assert set(OPERATIONS) == set(ACTIONS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("route", DATA_ACTIONS, ids=" ".join)
def test_route_on_data(world: World, kind: str, route: tuple[str, str]) -> None:
    """Each caller gets on each target exactly the answer of the table; a scope that lacks is named."""
    action = DATA_ACTIONS[route]
    expected = {
        (target, caller): EXPECTED[target][caller][NEEDS.index(action.need)]
        for target in TARGETS
        for caller in CALLERS
    }
    found = {(target, caller): ask(world, kind, route, target, caller) for target, caller in expected}
    assert {key: value for key, value in found.items() if value != expected[key]} == {}


def ask(world: World, kind: str, route: tuple[str, str], target: str, caller: str) -> str:
    """What a caller is answered, as a letter, after what must hold of any answer was checked."""
    method, pattern = route
    action = ACTIONS[route]
    path = target_of(kind, target).path(pattern)
    token = world.token(kind, caller)
    allowed = action.allowed[UNRELEASED.get(target, 2)]
    reply = world.caller.ask(token, method, path, action.body)
    answer = letter(reply, allowed)
    if answer == "S":
        need = "edit" if target in UNRELEASED else action.need
        assert scope_asked(reply) == SCOPE_OF_NEED[need]
    if method == "GET":
        check_head(world, token, path, head_status(route, target, caller, reply.status))
    if action.renews and answer == "+" and allowed == 200:
        world.renew(kind, target)
    return answer


def head_status(route: tuple[str, str], target: str, caller: str, status: int) -> int:
    """The status of HEAD where GET has this one: an upload is not there for who may not edit."""
    is_hidden = route == EXISTENCE and status == 403 and not may_edit(target, caller)
    return 404 if is_hidden else status


def check_head(world: World, token: str | None, path: str, status: int) -> None:
    """HEAD answers with this status, without a body and with an error's in a header."""
    head = world.caller.ask(token, "HEAD", path)
    assert (head.status, head.body) == (status, b"")
    assert ("x-redivis-error-payload" in head.headers) == (status >= 400)


@pytest.mark.parametrize("route", GATE_ACTIONS, ids=" ".join)
def test_route_beside_data(world: World, route: tuple[str, str]) -> None:
    """The routes of users, organizations, read streams and operations answer as the table says."""
    action = GATE_ACTIONS[route]
    stream = own_stream(world) if action.need == "own" else ""
    found = {caller: ask_at_gate(world, route, action, caller, stream) for caller in CALLERS}
    assert found == EXPECTED_AT_GATES[action.need]


def ask_at_gate(world: World, route: tuple[str, str], action: Action, caller: str, stream: str) -> str:
    """The same for a route that is not on a dataset."""
    owner = ROLES["user"]["owner"] if "/users/" in route[1] else "lab"
    names = ("export", "query", "tempUpload", "file", "variable", "link", "rowLink", "name")
    absent = dict.fromkeys(names, "0000-none")
    path = route[1].format(owner=owner, user="head", stream=stream, **absent)
    token = world.token("user", caller)
    reply = world.caller.ask(token, route[0], path, action.body)
    answer = letter(reply, action.allowed[0])
    if answer == "S":
        assert scope_asked(reply) == SCOPE_OF_NEED[action.need]
    if route[0] == "GET":
        check_head(world, token, path, reply.status)
    return answer


def own_stream(world: World) -> str:
    """A read stream of the owner over unreleased rows."""
    return stream_of(world, "owner", "unreleased")


def stream_of(world: World, caller: str, target: str) -> str:
    """A read stream that a caller opens on a table."""
    path = target_of("user", target).path(f"{API}/tables/{{table}}/readSessions")
    streams = world.caller.done(world.token("user", caller), "POST", path, {})["streams"]
    identifier: str = streams[0]["id"]
    return identifier


@pytest.mark.parametrize("maker", ["anonymous", "owner", "granted data"])
def test_stream_over_public_data(world: World, maker: str) -> None:
    """A read stream over public data is anybody's who knows its id, whoever made it."""
    path = f"{API}/readStreams/{stream_of(world, maker, 'data')}"
    found = {
        caller: letter(world.caller.ask(world.token("user", caller), "GET", path), 200) for caller in CALLERS
    }
    assert found == EXPECTED_AT_GATES["public"]


@pytest.mark.parametrize("maker", ["granted data", "owner, data.data"])
def test_stream_over_granted_data(world: World, maker: str) -> None:
    """A read stream over data that is not public is its maker's, with a token good enough to read it."""
    path = f"{API}/readStreams/{stream_of(world, maker, 'none')}"
    user = CALLERS[maker][0]
    found = {
        caller: letter(world.caller.ask(world.token("user", caller), "GET", path), 200) for caller in CALLERS
    }
    strangers = {caller for caller, (name, _) in CALLERS.items() if name not in (user, None)}
    assert {found[caller] for caller in strangers - {"revoked", "expired"}} == {"N"}
    assert found["anonymous"] == found["revoked"] == found["expired"] == "U"
    mine = {caller: found[caller] for caller in CALLERS if caller not in strangers and CALLERS[caller][0]}
    mine = {caller: answer for caller, answer in mine.items() if caller not in ("revoked", "expired")}
    assert mine == {caller: EXPECTED["none"][caller][NEEDS.index("data")] for caller in mine}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("caller", [name for name in CALLERS if name not in ("revoked", "expired")])
def test_lists_hold_what_can_be_opened(world: World, kind: str, caller: str) -> None:
    """An owner's list of datasets has those that the caller could get one by one, and no other."""
    token, owner = world.token(kind, caller), ROLES[kind]["owner"]
    path = f"{API}/{kind}s/{owner}/datasets?maxResults=1000"
    listed = {item["name"] for item in world.caller.done(token, "GET", path)["results"]}
    opened = {
        f"at {target}"
        for target in TARGETS
        if world.caller.ask(token, "GET", f"{API}/datasets/{owner}.at_{target}").status == 200
    }
    assert listed == opened


@pytest.fixture(scope="module", autouse=True)
def nothing_else_changed(world: World) -> Iterator[None]:
    """What was refused with 400 has changed nothing: the members and the datasets are those from before."""
    before = inventory(world)
    yield
    assert inventory(world) == before


def inventory(world: World) -> list[object]:
    """Who is in lab, and every owner's datasets with their names and public access levels."""
    found: list[object] = []
    for kind in KINDS:
        token, owner = world.token(kind, "owner"), ROLES[kind]["owner"]
        datasets = world.caller.done(token, "GET", f"{API}/{kind}s/{owner}/datasets")["results"]
        found.append(
            sorted((item["name"], item["publicAccessLevel"], item["tableCount"]) for item in datasets)
        )
    token = world.token("organization", "owner")
    members = world.caller.done(token, "GET", f"{API}/organizations/lab/members")["results"]
    found.append([(item["user"]["name"], item["role"]) for item in members])
    return found
