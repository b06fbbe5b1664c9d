"""Hostile queries: none reads more than rows that its caller may read, and none changes anything."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.abuse.attacks import HIDDEN_NAMES, PATHS, large_queries, read_attacks
from tests.api.querying import QueryClient
from tests.api.stream import Stream
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

SCHEMA = [{"name": "count", "type": "integer"}, {"name": "text", "type": "string"}]
# How long a text may keep a worker busy before its query ends, whatever becomes of it.
PARSE_SECONDS_MAX = 30.0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that seals at once."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "passwd.txt").write_text("root:x:0:0\n", encoding="utf-8")
    server = ServerProcess(folder / "data", seal_bytes_min="1", seal_minutes_max="0.001")
    server.start()
    yield server
    assert server.stop() == 0
    assert "internal error" not in server.log()
    server.close()


@pytest.fixture(scope="module")
def mine(guarded: ServerProcess) -> Iterator[Stream]:
    """A table that the attacker may read, in a segment."""
    stream = Stream(guarded.url, guarded.token, SCHEMA, guarded.user)
    stream.insert({"rows": [{"count": 1, "text": "mine"}]})
    _wait_for_segment(guarded)
    yield stream
    stream.close()


@pytest.fixture(scope="module")
def others(guarded: ServerProcess) -> Iterator[Stream]:
    """A table that the attacker may not even see."""
    rowkeep("user", "create", "victim", data_dir=guarded.data_dir)
    token = rowkeep("token", "create", "--user", "victim", data_dir=guarded.data_dir)
    stream = Stream(guarded.url, token, SCHEMA, "victim")
    stream.insert({"rows": [{"count": 1, "text": "secret"}]})
    yield stream
    stream.close()


def _wait_for_segment(server: ServerProcess) -> Path:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = sorted((server.data_dir / "segments").glob("*.parquet"))
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("nothing was sealed")


def _digests(server: ServerProcess) -> dict[str, str]:
    """What the files are that no query may change: segments, and those beside the data."""
    files = [*(server.data_dir / "segments").glob("*"), server.data_dir.parent / "passwd.txt"]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def _reference(stream: Stream) -> str:
    reference: str = stream.client.get(stream.table_uri).json()["qualifiedReference"]
    return reference


@pytest.mark.parametrize("dialect", ["bigquery", "duckdb"])
@pytest.mark.parametrize("index", range(10))
def test_statements_that_reach_for_more_are_refused(
    guarded: ServerProcess, mine: Stream, dialect: str, index: int
) -> None:
    """No statement of the list is run, in either dialect; no file is made, changed or shown."""
    queries = QueryClient(mine.client)
    segment = _wait_for_segment(guarded)
    before = _digests(guarded)
    for what, text in read_attacks("statements.txt")[index::10]:
        statement = (
            text.replace("{segment}", str(segment))
            .replace("{segments}", str(segment.parent))
            .replace("{other}", str(guarded.data_dir.parent / "passwd.txt"))
            .replace("{scratch}", str(guarded.data_dir.parent))
        )
        message = queries.refusal(statement, dialect=dialect)
        assert "root:" not in message, what
        assert str(guarded.data_dir) in statement or str(guarded.data_dir) not in message, what
    assert {name: _digests(guarded)[name] for name in before} == before
    assert not [
        file for file in guarded.data_dir.parent.iterdir() if file.name.startswith(("out", "exp", "x."))
    ]


@pytest.mark.parametrize("text", HIDDEN_NAMES)
def test_no_place_hides_a_name(mine: Stream, others: Stream, text: str) -> None:
    """Wherever a query names a table that its caller may not see, it is refused as if there were none."""
    statement = text.replace("{other}", _reference(others)).replace("{table}", _reference(mine))
    message = QueryClient(mine.client).refusal(statement)
    assert "secret" not in message
    assert "permission" not in message.lower()


@pytest.mark.parametrize("dialect", ["bigquery", "duckdb"])
def test_names_that_look_like_paths_are_names(mine: Stream, dialect: str) -> None:
    """A name in FROM is a reference or nothing: never a file, an address or a view of ours."""
    queries = QueryClient(mine.client)
    quote = "`" if dialect == "bigquery" else '"'
    for name in PATHS:
        message = queries.refusal(f"SELECT * FROM {quote}{name}{quote}", dialect=dialect)
        assert "root:" not in message, name


@pytest.mark.parametrize(
    ("what", "text"), large_queries(), ids=lambda value: value if len(value) < 40 else ""
)
def test_large_texts_end(mine: Stream, what: str, text: str) -> None:
    """A text as large as it may be is answered in time, with rows or a refusal, and the server goes on."""
    queries = QueryClient(mine.client)
    response = mine.client.post("/queries", json={"query": text, "timeoutMs": int(PARSE_SECONDS_MAX * 1000)})
    if response.status_code == 200:
        assert response.json()["status"] in ("completed", "failed"), what
    else:
        assert response.status_code == 400, what
    assert queries.rows("SELECT 1") == [[1]]


def test_the_walls_are_said_to_stand(guarded: ServerProcess, mine: Stream) -> None:
    """What a worker can do it says itself: functions that would tell of the process are not there."""
    queries = QueryClient(mine.client)
    for text in ("SELECT @@session.x", "SELECT SESSION_USER()", "SELECT EXTERNAL_QUERY('a', 'b')"):
        queries.refusal(text)
    assert "Traceback" not in guarded.log()
