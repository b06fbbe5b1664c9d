"""What a caller may not see is answered word for word as what does not exist, and about as fast.

Each test takes pairs of paths: one to something that is there and hidden from the caller, one to something
that is not there. The answers must be the same once the name of the one is put for that of the other.
"""

import re
import statistics
import time
from urllib.parse import unquote

import pytest

from tests.api.access_table import ACTIONS, API, CALLERS, DATA_ACTIONS, EXISTENCE, EXPECTED, NEEDS, may_edit
from tests.api.access_world import KINDS, ROLES, UPLOAD, Target, World, target_of
from tests.api.caller import Reply

ROUTES = [*DATA_ACTIONS, *(("HEAD", path) for method, path in DATA_ACTIONS if method == "GET")]
TIMED_REQUESTS = 200
TIMES_FACTOR_MAX = 3.0
# What a refusal names besides: by the name that was asked for, among what the caller sees. See
# test_only_what_is_seen_is_named.
_named_besides = re.compile(r" Did you mean [^?]*\?| You can see [^\"]*?\.(?= Create| There|\")").sub
_durations = re.compile(r"dur=[\d.]+")


def same(hidden: Reply, absent: Reply, names: dict[str, str]) -> bool:
    """Whether two answers are the same after the names of what is hidden were replaced."""
    return seen(hidden, names) == seen(absent, {})


def seen(reply: Reply, names: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """All that a caller can tell from an answer, but for the request's id and the times."""
    text = _named_besides("", reply.body.decode())
    headers = {name: value for name, value in reply.headers.items() if name not in ("x-request-id", "date")}
    if "server-timing" in headers:  # which phases there were still counts
        headers["server-timing"] = _durations.sub("", headers["server-timing"])
    headers = {name: _named_besides("", unquote(value)) for name, value in headers.items()}
    if names:
        headers.pop("content-length", None)
    for name, other in names.items():
        text = text.replace(name, other)
        headers = {header: value.replace(name, other) for header, value in headers.items()}
    return reply.status, text, headers | {"content-length": str(len(text.encode()))}


def body_of(route: tuple[str, str]) -> object:
    """What the access matrix sends over a route."""
    return None if route[0] == "HEAD" else ACTIONS[route].body


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["unreleased", "none", "next", "deleted"])
def test_hidden_dataset_looks_absent(world: World, kind: str, target: str) -> None:
    """Over every route, to everybody who may not see a dataset or a version, it looks like none."""
    blind = [caller for caller, letters in EXPECTED[target].items() if letters[0] in "NU"]
    assert len(blind) >= 5
    hidden = target_of(kind, target)
    absent = absent_twin(hidden, target)
    names = {f"at_{target}": "at_absent"}
    for route in ROUTES:
        for caller in blind:
            token = world.token(kind, caller)
            first, second = (
                world.caller.ask(token, route[0], each.path(route[1]), body_of(route))
                for each in (hidden, absent)
            )
            assert first.status in (401, 404), (route, caller)
            assert same(first, second, names), (route, caller, first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_seen_is_named(world: World, kind: str) -> None:
    """To each caller, a refusal names no dataset but those that are listed to them."""
    owner = ROLES[kind]["owner"]
    for caller in CALLERS:
        token = world.token(kind, caller)
        listed = world.caller.ask(token, "GET", f"{API}/{kind}s/{owner}/datasets?maxResults=100")
        seen_names = set(re.findall(r"at_[a-z]+", listed.body.decode())) if listed.status == 200 else set()
        for typed in ("at_absent", "at_nene", "at_unreleasd", "at_daleted", "at_nexd"):
            reply = world.caller.ask(token, "GET", f"{API}/datasets/{owner}.{typed}")
            named = set(re.findall(r"at_[a-z]+", reply.body.decode())) - {typed}
            assert named <= seen_names, (caller, typed, reply)


def absent_twin(hidden: Target, target: str) -> Target:
    """The same reference to a dataset that is not there."""
    return Target(
        dataset=hidden.dataset.replace(f"at_{target}", "at_absent"),
        table=hidden.table.replace(f"at_{target}", "at_absent"),
        version=hidden.version,
    )


def pairs(kind: str) -> list[tuple[str, Target, Target, dict[str, str], tuple[str, ...]]]:
    """Parts of datasets that can be seen: caller, what is hidden, what is absent, names, kinds of paths."""
    data, overview = target_of(kind, "data"), target_of(kind, "overview")
    owner = ROLES[kind]["owner"]
    found: list[tuple[str, Target, Target, dict[str, str], tuple[str, ...]]] = []
    for caller in ("anonymous", "stranger", "granted data", "owner, data.data"):
        found += [
            (caller, data, _with(data, upload="no_stream"), {UPLOAD: "no_stream"}, ("{upload}",)),
            (caller, data, _with(data, grantee="nobody"), {}, ("{grantee}",)),
        ]
    for caller in ("anonymous", "stranger", "granted data"):
        found += [
            (caller, _with(data, version="next"), _with(data, version="v9.9"), {"next": "v9.9"}, VERSION),
            (
                caller,
                _with(data, dataset=f"{owner}.at_deleted", version="v1.0"),
                _with(data, dataset=f"{owner}.at_deleted", version="v9.9"),
                {"v1.0": "v9.9"},
                VERSION,
            ),
        ]
    for caller in ("anonymous", "stranger", "granted overview"):
        absent = _with(overview, variable="none")
        found.append((caller, overview, absent, {}, ("{variable}",)))
    return found


VERSION = ("/versions/{version}",)


def _with(target: Target, **changes: str) -> Target:
    """A target with something else in its paths."""
    return Target(**{name: changes.get(name, getattr(target, name)) for name in target.__struct_fields__})


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_part_of_a_seen_dataset_looks_absent(world: World, kind: str) -> None:
    """Uploads, grants, variables and versions that a caller may not see tell nothing of their existence."""
    for caller, hidden, absent, names, parts in pairs(kind):
        token = world.token(kind, caller)
        for method, pattern in ROUTES:
            if any(part in pattern for part in parts):
                body = body_of((method, pattern))
                first, second = (
                    world.caller.ask(token, method, each.path(pattern), body) for each in (hidden, absent)
                )
                assert first.status in (401, 403, 404), (method, pattern, caller)
                assert same(first, second, names), (method, pattern, caller, first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_upload_names_the_others_to_editors_alone(world: World, kind: str) -> None:
    """The answer says which uploads there are to who may see them, over every route and to nobody else."""
    unknown = _with(target_of(kind, "data"), upload="no_stream")
    routes = [route for route in ROUTES if "{upload}" in route[1]]
    path = unknown.path(EXISTENCE[1])
    assert UPLOAD in str(world.caller.ask(world.token(kind, "owner"), "GET", path))
    blind = [caller for caller, letters in EXPECTED["data"].items() if letters[EDIT] != "+"]
    assert len(blind) >= 10
    for method, pattern in routes:
        for caller in blind:
            token, body = world.token(kind, caller), body_of((method, pattern))
            reply = world.caller.ask(token, method, unknown.path(pattern), body)
            assert reply.status in (401, 403, 404), (method, pattern, caller)
            assert UPLOAD not in str(reply), (method, pattern, caller, reply)


def test_absent_table_of_a_dataset_that_is_not_seen_enough(world: World) -> None:
    """Who lacks the level for a route is refused for it, whether the table is there or not.

    Who asks by HEAD whether an upload is there, and may not edit, hears that it is not, in either case.
    """
    here = target_of("user", "overview")
    absent = _with(here, table=here.table.replace(".t", ".x"))
    for method, pattern in ROUTES:
        if "{table}" not in pattern or (method, pattern) in OVERVIEW:
            continue
        for caller in ("anonymous", "stranger", "granted overview, public", "owner, public"):
            token, body = world.token("user", caller), body_of((method, pattern))
            first, second = (
                world.caller.ask(token, method, each.path(pattern), body) for each in (here, absent)
            )
            is_told_none = (method, pattern) == UPLOAD_HEAD and caller != "anonymous"
            is_told_none = is_told_none and not may_edit("overview", caller)
            expected = (404,) if is_told_none else (401, 403)
            assert first.status in expected, (method, pattern, caller)
            names = {" table t ": " table x "} if is_told_none else {}
            assert same(first, second, names), (method, pattern, caller, first, second)


EDIT = NEEDS.index("edit")
UPLOAD_HEAD = ("HEAD", EXISTENCE[1])
OVERVIEW = {
    (method, path)
    for (get, path), action in ACTIONS.items()
    for method in (get, "HEAD")
    if action.need == "overview"
}


def test_samples_are_absent(world: World) -> None:
    """There are no sample tables: a reference to one leads nowhere, and never to the whole table."""
    here = target_of("user", "data")
    samples = (_with(here, table=f"{here.table}:sample"), _with(here, table=f"{here.dataset}:sample.t"))
    for method, pattern in ROUTES:
        for sample in samples if "{table}" in pattern else ():
            body = body_of((method, pattern))
            reply = world.caller.ask(world.token("user", "owner"), method, sample.path(pattern), body)
            assert reply.status == 404, (method, pattern, reply)


def test_read_stream_of_somebody_else(world: World) -> None:
    """Another's read stream looks like none, to whoever it is not."""
    opened = target_of("user", "unreleased").path(f"{API}/tables/{{table}}/readSessions")
    streams = world.caller.done(world.token("user", "owner"), "POST", opened, {})["streams"]
    identifier = streams[0]["id"]
    for caller in ("anonymous", "stranger", "stranger, public", "granted data", "revoked", "expired"):
        for method in ("GET", "HEAD"):
            token = world.token("user", caller)
            first, second = (
                world.caller.ask(token, method, f"{API}/readStreams/{name}")
                for name in (identifier, "0" * 32 + "-000")
            )
            assert first.status in (401, 404)
            assert same(first, second, {}), (caller, first, second)


@pytest.mark.parametrize("caller", ["anonymous", "stranger"])
@pytest.mark.parametrize(
    "pattern", ["datasets/{dataset}", "tables/{table}", "tables/{table}/uploads/{upload}"]
)
def test_hidden_takes_no_longer_than_absent(world: World, caller: str, pattern: str) -> None:
    """The time of an answer does not give away what is hidden: both medians are alike, coarsely."""
    hidden = target_of("user", "unreleased")
    paths = [each.path(f"{API}/{pattern}") for each in (hidden, absent_twin(hidden, "unreleased"))]
    token = world.token("user", caller)
    seconds: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(TIMED_REQUESTS):
        for path in paths:
            started = time.perf_counter()
            world.caller.ask(token, "GET", path)
            seconds[path].append(time.perf_counter() - started)
    medians = [statistics.median(times) for times in seconds.values()]
    assert max(medians) < TIMES_FACTOR_MAX * min(medians)
