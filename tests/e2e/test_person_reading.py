"""The commands of a person who looks at data: signing in, lists, rows and queries, over the API."""

import csv
import io
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.publishing import Publication
from tests.command_line import Done, run
from tests.server_process import ServerProcess

Ask = Callable[..., Done]
ROWS = [{"site": "a", "t": 1.5}, {"site": "\x1b[2J", "t": 22.0}, {"site": None, "t": None}]


@pytest.fixture(scope="module")
def publication(server: ServerProcess) -> Iterator[Publication]:
    """A released dataset whose table `readings` has three rows."""
    made = Publication(server)
    made.add_table("readings")
    made.add_upload("readings", "live", ROWS)
    made.release()
    yield made
    made.close()


@pytest.fixture
def ask(server: ServerProcess) -> Ask:
    """Runs a command as the server's user."""

    def asked(*arguments: str) -> Done:
        return run(*arguments, ROWKEEP_URL=server.url, ROWKEEP_TOKEN=server.token)

    return asked


def text(done: Done) -> str:
    """What a command printed that went well."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_login_stores_the_token_for_this_person_alone(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that the server takes is stored, 0600, and used from then on; one that it refuses is not."""
    path = tmp_path / "settings" / "credentials.json"
    environment = {"ROWKEEP_CREDENTIALS": str(path)}
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong"))
    assert run("login", server.url, "--token-stdin", **environment).returncode == 5
    assert not path.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{server.token}\n"))
    root = server.url.removesuffix("/api/v1")
    assert "You are demo" in text(run("login", root, "--token-stdin", **environment))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "DATASET" in text(run("ls", **environment))
    text(run("logout", server.url, **environment))
    done = run("ls", "--url", server.url, **environment)
    assert done.returncode == 2
    assert "rowkeep login" in done.stderr


def test_lists(publication: Publication, ask: Ask) -> None:
    """Datasets of a person, tables of a dataset, uploads of a table."""
    assert publication.reference in text(ask("ls"))
    tables = json.loads(text(ask("ls", publication.reference, "--format", "json")))
    assert [(table["table"], table["rows"]) for table in tables] == [("readings", 3)]
    released = f"{publication.reference}:v1.0.readings"
    uploads = list(csv.DictReader(io.StringIO(text(ask("ls", released, "--format", "csv")))))
    assert [(upload["upload"], upload["rows"]) for upload in uploads] == [("live", "3")]


def test_show(publication: Publication, ask: Ask) -> None:
    """A dataset with versions and tables, a table with variables and uploads."""
    shown = text(ask("show", publication.reference))
    assert "v1.0" in shown
    assert "readings" in shown
    table = json.loads(text(ask("show", f"{publication.reference}.readings", "--format", "json")))
    assert [(one["variable"], one["type"]) for one in table["variables"]] == [
        ("site", "string"),
        ("t", "float"),
    ]


def test_rows(publication: Publication, ask: Ask) -> None:
    """A table is safe for a terminal; JSON and CSV hold what is stored."""
    table = f"{publication.reference}.readings"
    shown = text(ask("head", table))
    assert "\x1b" not in shown
    assert shown.splitlines()[0].split() == ["SITE", "T"]
    assert json.loads(text(ask("head", table, "--format", "json"))) == ROWS
    as_csv = text(ask("head", table, "--format", "csv", "--where", "t > 2"))
    assert [row["t"] for row in csv.DictReader(io.StringIO(as_csv))] == ["22"]


def test_queries(publication: Publication, ask: Ask) -> None:
    """A result is printed as rows are; a query that cannot run says where it is wrong."""
    sql = f"SELECT count(*) AS n FROM `{publication.reference}.readings`"
    assert json.loads(text(ask("query", sql, "--format", "json"))) == [{"n": 3}]
    done = ask("query", "SELECT nothing FROM")
    assert (done.returncode, done.stdout) == (5, "")
    assert "Line 1" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("ls", "a.b.c.d"), 2, "no reference"),
        (("ls", "nobody"), 5, "no user and no organization nobody"),
        (("head", "demo.nothing.here"), 5, "demo.nothing"),
        (("head", "demo.nothing"), 2, "OWNER.DATASET.TABLE"),
        (("ls", "--url", "nowhere"), 2, "looks like http://"),
        (("query", "SELECT 1", "--url", "http://127.0.0.1:9/api/v1"), 6, "connection refused"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_error_is_one_line(ask: Ask, arguments: tuple[str, ...], status: int, words: str) -> None:
    """On stderr, with an exit status that tells its kind; nothing is printed as if it were a result."""
    done = ask(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    (line,) = done.stderr.splitlines()
    assert words in line
