"""The commands of a person who looks after data: what they change, and what they show of it."""

import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.command_line import Done, rowkeep, run
from tests.server_process import ServerProcess

Ask = Callable[..., Done]
_numbers = itertools.count(1)


@pytest.fixture
def ask(server: ServerProcess) -> Ask:
    """Runs a command as the server's user; it must go well."""

    def asked(*arguments: str) -> Done:
        done = run(*arguments, ROWKEEP_URL=server.url, ROWKEEP_TOKEN=server.token)
        assert done.returncode == 0, done.stderr
        return done

    return asked


@pytest.fixture
def table(ask: Ask) -> str:
    """A new table with the stream `live` of the variables site and count."""
    reference = f"demo.edited_{next(_numbers)}.readings"
    done = ask("create", reference, "live", "--variable", "site=string", "--variable", "count=integer")
    assert [line.split()[:3] for line in done.stdout.splitlines()] == [
        ["created", "the", "dataset"],
        ["created", "the", "table"],
        ["created", "the", "stream"],
    ]
    return reference


def insert(server: ServerProcess, table: str, key: str, *rows: object, query: str = "") -> None:
    """Inserts rows under a key."""
    headers = {"Authorization": f"Bearer {server.token}", "Idempotency-Key": key}
    url = f"{server.url}/tables/{table}/uploads/live/rows{query}"
    assert httpx.post(url, json={"rows": rows}, headers=headers).status_code == 201


def values(ask: Ask, *arguments: str) -> list[dict[str, object]]:
    """What a command prints as JSON."""
    found: list[dict[str, object]] = json.loads(ask(*arguments, "--format", "json").stdout)
    return found


def test_a_table_is_described(server: ServerProcess, ask: Ask, table: str, tmp_path: Path) -> None:
    """A description, labels and a codebook; what is not named stays."""
    codebook = tmp_path / "codebook.csv"
    codebook.write_text("variable,label,description\nsite,Where,Name of the place\ncount,,How many\n")
    ask("describe", table, "--description", "Counts of birds", "--codebook", str(codebook))
    ask("describe", table, "--label", "count=Birds")
    shown = json.loads(ask("show", table, "--format", "json").stdout)
    assert shown["description"] == "Counts of birds"
    assert {one["variable"]: one["label"] for one in shown["variables"]} == {
        "site": "Where",
        "count": "Birds",
    }
    headers = {"Authorization": f"Bearer {server.token}"}
    count = httpx.get(f"{server.url}/tables/{table}/variables/count", headers=headers).json()
    assert count["description"] == "How many"


def test_undo(server: ServerProcess, ask: Ask, table: str) -> None:
    """The list names the latest requests by their keys; undoing one removes its rows and no other."""
    for number in range(3):
        insert(server, table, f"k/{number}", {"count": number}, {"count": number})
    listed = values(ask, "undo", table, "live", "-n", "2")
    assert len(listed) == 2
    assert {request["state"] for request in listed} == {"stored"}
    assert "2 rows" in ask("undo", table, "live", "k/1").stdout
    assert {row["count"] for row in values(ask, "head", table)} == {0, 2}
    states = {request["key"]: request["state"] for request in values(ask, "undo", table, "live")}
    assert states == {"k/0": "stored", "k/1": "undone", "k/2": "stored"}


def test_quarantine(server: ServerProcess, ask: Ask, table: str) -> None:
    """Rows that did not fit are listed with their reason, tried again, thrown away."""
    insert(server, table, "k", {"count": 1}, {"count": "many"}, query="?skipInvalidRows=true")
    (row,) = values(ask, "quarantine", "list", table, "live")
    assert (row["variable"], row["content"]) == ("count", '{"count":"many"}')
    assert ask("quarantine", "replay", table, "live").stdout == "0 rows inserted, 1 remain\n"
    assert (
        ask("quarantine", "replay", table, "live", "--update-schema").stdout == "1 row inserted, 0 remain\n"
    )
    insert(server, table, "k2", {"count": {}}, query="?skipInvalidRows=true")
    ask("quarantine", "empty", table, "live", "--yes")
    assert values(ask, "quarantine", "list", table, "live") == []


def test_share(server: ServerProcess, ask: Ask, table: str) -> None:
    """A grant over the API, its list, and taking it back."""
    dataset = table.rpartition(".")[0]
    friend = f"friend_{next(_numbers)}"
    rowkeep("user", "create", friend, data_dir=server.data_dir)
    ask("share", "grant", dataset, friend, "data")
    assert values(ask, "share", "list", dataset) == [{"grantee": friend, "kind": "user", "level": "data"}]
    ask("share", "revoke", dataset, friend)
    assert values(ask, "share", "list", dataset) == []


def test_follow(server: ServerProcess, ask: Ask, table: str) -> None:
    """Rows that were there on request, then those to come, each as a line of JSON."""
    insert(server, table, "k1", {"count": 1})
    done: list[Done] = []
    following = threading.Thread(target=lambda: done.append(ask("follow", table, "--tail", "all", "-n", "2")))
    following.start()
    deadline = time.monotonic() + 20
    number = itertools.count(2)
    while following.is_alive() and time.monotonic() < deadline:
        insert(server, table, f"k{next(number)}", {"count": 2})
        following.join(0.1)
    assert [json.loads(line)["count"] for line in done[0].stdout.splitlines()] == [1, 2]


def test_follow_goes_on_after_a_restart(own_server: ServerProcess) -> None:
    """A server that stops and starts again costs no row and doubles none."""
    environment = {"ROWKEEP_URL": own_server.url, "ROWKEEP_TOKEN": own_server.token}
    assert (
        run("create", "demo.kept.readings", "live", "--variable", "count=integer", **environment).returncode
        == 0
    )
    insert(own_server, "demo.kept.readings", "k1", {"count": 1})
    done: list[Done] = []
    arguments = ("follow", "demo.kept.readings", "--tail", "all", "-n", "3")
    following = threading.Thread(target=lambda: done.append(run(*arguments, **environment)))
    following.start()
    time.sleep(0.5)
    port = int(own_server.url.rpartition(":")[2].partition("/")[0])
    own_server.stop()
    own_server.start(port)
    insert(own_server, "demo.kept.readings", "k2", {"count": 2}, {"count": 3})
    following.join(30)
    assert [json.loads(line)["count"] for line in done[0].stdout.splitlines()] == [1, 2, 3]


def test_status(server: ServerProcess, ask: Ask) -> None:
    """Whose token it is, and whether rows are taken; that a server is away has a status of its own."""
    shown = json.loads(ask("status", "--format", "json").stdout)
    assert (shown["you_are"], shown["takes_rows"]) == ("demo", True)
    away = run("status", ROWKEEP_URL="http://127.0.0.1:9/api/v1", ROWKEEP_TOKEN=server.token)
    assert away.returncode == 6
    assert len(away.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "demo"),
        ("create", "demo.a.b", "--variable", "site=string"),
        ("create", "demo.a.b", "s", "--variable", "site=text"),
        ("describe", "demo.a.b"),
        ("describe", "demo.a", "--label", "site=Where"),
        ("share", "list", "demo"),
        ("undo", "demo.a", "live"),
    ],
    ids=" ".join,
)
def test_wrong_use(server: ServerProcess, arguments: tuple[str, ...]) -> None:
    """One line that says what to write, and status 2."""
    done = run(*arguments, ROWKEEP_URL=server.url, ROWKEEP_TOKEN=server.token)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
