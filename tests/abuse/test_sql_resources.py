"""Queries that try to take more time, memory or room than a query may: each ends, and the server goes on."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.abuse.attacks import read_attacks
from tests.api.stream import Stream
from tests.server_process import ServerProcess

MEBIBYTE = 1024 * 1024
MEMORY_BYTES_MAX = 384 * MEBIBYTE
SECONDS_MAX = 3.0
# How much a worker may take between two looks at it, beyond what it may hold.
OVERSHOOT_BYTES_MAX = 1536 * MEBIBYTE
# From the request to the answer, with all that others do on the machine meanwhile.
ANSWER_MS_MAX = 60_000
ATTACKS = read_attacks("resources.txt")
# A share that every run takes: one of each kind.
SHARE = ("cross join", "repeat 4GB", "levenshtein", "string_agg", "regex big repeat", "list range 1e12")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stream]:
    """A server on which a query may have little."""
    server = ServerProcess(
        tmp_path_factory.mktemp("narrow") / "data",
        query_memory_bytes_max=str(MEMORY_BYTES_MAX),
        query_seconds_max=str(SECONDS_MAX),
        query_scratch_bytes_max=str(256 * MEBIBYTE),
        query_result_bytes_max=str(64 * MEBIBYTE),
    )
    server.start()
    stream = Stream(server.url, server.token, [{"name": "a", "type": "integer"}], server.user)
    stream.insert({"rows": [{"a": 1}]})
    yield stream
    stream.close()
    assert server.stop() == 0
    assert "internal error" not in server.log()
    server.close()


def _held() -> int:
    """The most that a process below this one holds."""
    held = [0]
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            held.append(process.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
    return max(held)


def _ends(stream: Stream, text: str) -> dict[str, object]:
    """What becomes of a query; on the way no process holds more than a worker may."""
    query = stream.client.post("/queries", json={"query": text, "dialect": "duckdb", "timeoutMs": 0}).json()
    end = time.monotonic() + ANSWER_MS_MAX / 1000
    while query["status"] in ("queued", "running"):
        assert time.monotonic() < end, "it did not end"
        assert _held() < MEMORY_BYTES_MAX + OVERSHOOT_BYTES_MAX
        time.sleep(0.02)
        query = stream.client.get(query["uri"]).json()
    shown: dict[str, object] = query
    return shown


def _check(stream: Stream, text: str) -> None:
    query = _ends(stream, text)
    assert query["status"] in ("completed", "failed"), query
    if query["status"] == "failed":
        assert query["errorMessage"]
    assert not list(_jobs_folder(stream).iterdir())
    answer = stream.client.post("/queries", json={"query": "SELECT 1 AS one"}).json()
    assert (answer["status"], answer["outputNumRows"]) == ("completed", 1)
    assert stream.insert({"rows": [{"a": 2}]}).status_code == 201


def _jobs_folder(stream: Stream) -> Path:
    """Where workers have their folders: what a query wrote is gone with it."""
    for process in psutil.Process(os.getpid()).children(recursive=True):
        command = process.cmdline()
        if "--data-dir" in command:
            return Path(command[command.index("--data-dir") + 1]) / "jobs"
    raise AssertionError("the server is gone")


@pytest.mark.parametrize(("what", "text"), [attack for attack in ATTACKS if attack[0] in SHARE], ids=SHARE)
def test_it_ends(narrow: Stream, what: str, text: str) -> None:
    """One of each kind: time, memory, a result, a pattern, a list."""
    _check(narrow, text)


@pytest.mark.long
@pytest.mark.parametrize(
    ("what", "text"), [attack for attack in ATTACKS if attack[0] not in SHARE], ids=lambda v: v[:30]
)
def test_the_others_end(narrow: Stream, what: str, text: str) -> None:
    """All others of the list. Run by: scripts/test --long tests/abuse/test_sql_resources.py."""
    _check(narrow, text)


def test_a_result_is_bounded(narrow: Stream) -> None:
    """A result that grows too large is an error that says so."""
    message = _ends(narrow, "SELECT range AS a, range * 2 AS b FROM range(1000000000)")["errorMessage"]
    assert "MiB" in str(message) or "longer than" in str(message)


def test_inserts_and_reads_go_on_beside_queries(narrow: Stream) -> None:
    """While queries take all that they may, rows go in and come out."""
    long = "SELECT count(*) FROM range(100000000) a, range(1000) b WHERE a.range * b.range = 7"
    running = [
        narrow.client.post("/queries", json={"query": long, "dialect": "duckdb", "timeoutMs": 0}).json()
        for _ in range(4)
    ]
    for _ in range(20):
        assert narrow.insert({"rows": [{"a": 3}]}).status_code == 201
        assert narrow.client.get(f"{narrow.table_uri}/rows").status_code == 200
    for query in running:
        response: httpx.Response = narrow.client.post(f"{query['uri']}/cancel")
        assert response.json()["status"] in ("cancelled", "failed")
