"""What bounds following: places, a reader that takes nothing, a server that stops."""

import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from rowkeep.trials.processes import memory_mib
from tests.api.stream import Stream
from tests.api.test_sealing import metric
from tests.follower import Follower
from tests.server_process import ServerProcess, wait_until

ROWS = 40_000
PADDING = "x" * 1_000
BEGUN = b"HTTP/1.1 200"
_events = re.compile(rb"id: (\S+)\ndata: (\{\"count\".*?\})\n\n").findall


@pytest.fixture
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with one place, that drops a reader after half a second."""
    started = ServerProcess(
        tmp_path_factory.mktemp("narrow") / "data", followers_max="1", follow_stall_seconds_max="0.5"
    )
    started.start()
    yield started
    started.close()


@pytest.fixture
def stream(narrow_server: ServerProcess) -> Iterator[Stream]:
    """A stream of wide rows on that server."""
    made = Stream(narrow_server.url, narrow_server.token, None, narrow_server.user)
    yield made
    made.close()


def is_free(server: ServerProcess, stream: Stream) -> bool:
    """Whether there is a place."""
    with Follower(server.url, server.token, stream.table_uri) as follower:
        return follower.response.status_code == 200


def test_places(narrow_server: ServerProcess, stream: Stream) -> None:
    """One more gets 503 and when to come again; a reader that leaves makes room."""
    with Follower(narrow_server.url, narrow_server.token, stream.table_uri) as first:
        first.opened()
        with Follower(narrow_server.url, narrow_server.token, stream.table_uri) as second:
            assert second.response.status_code == 503
            assert int(second.response.headers["retry-after"]) >= 1
            assert second.response.json()["error"] == "unavailable"
    wait_until(lambda: is_free(narrow_server, stream))


def test_a_reader_that_takes_nothing(narrow_server: ServerProcess, stream: Stream) -> None:
    """It costs the server little memory, loses its place, and resumes from what it has: each row once."""
    for start in range(0, ROWS, 5_000):
        rows = [{"count": count, "padding": PADDING} for count in range(start, start + 5_000)]
        assert stream.insert({"rows": rows}).status_code == 201
    before = memory_mib(narrow_server.pid)
    parts = urlsplit(narrow_server.url)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.settimeout(30)
        path = f"{parts.path}{stream.table_uri}/rows?follow=true&format=sse&tail=all"
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {narrow_server.token}\r\n\r\n"
        connection.sendall(head.encode())
        # It has the place before anybody asks whether there is one; whoever asks takes it for a moment.
        received = connection.recv(len(BEGUN), socket.MSG_WAITALL)
        assert received == BEGUN
        wait_until(lambda: is_free(narrow_server, stream))
        assert (
            memory_mib(narrow_server.pid) - before < 60
        )  # the rows are 40 MB, and half as much again as events
        while chunk := connection.recv(2**20):
            received += chunk
    assert b"\r\n0\r\n\r\n" not in received  # it cannot be taken for whole
    assert metric(narrow_server, "rowkeep_followers_dropped_total") == 1
    # Chunks are cut where they are; what is in pieces because of that is put together again.
    body = re.sub(rb"\r\n[0-9a-f]+\r\n", b"", received)
    came = [(position.decode(), json.loads(row)["count"]) for position, row in _events(body)]
    assert 0 < len(came) < ROWS
    assert [count for _, count in came] == list(range(len(came)))
    left = ROWS - len(came)
    query = {"last_event_id": came[-1][0], "maxResults": str(left), "selectedVariables": "count"}
    with Follower(narrow_server.url, narrow_server.token, stream.table_uri, **query) as follower:
        follower.opened()
        assert [row["count"] for row in follower.rows(left)] == list(range(len(came), ROWS))


def test_a_server_that_stops(narrow_server: ServerProcess, stream: Stream) -> None:
    """Followers are told where to resume, the server ends in order, and the next one goes on there."""
    stream.insert({"rows": [{"count": 1}]})
    with Follower(narrow_server.url, narrow_server.token, stream.table_uri) as follower:
        follower.opened()
        assert narrow_server.stop() == 0
        ending = follower.ending()
        assert ending.data["reason"] == "stopping"
    narrow_server.start(urlsplit(narrow_server.url).port or 0)
    stream.insert({"rows": [{"count": 2}]})
    query = {"from": ending.position}
    with Follower(narrow_server.url, narrow_server.token, stream.table_uri, **query) as follower:
        follower.opened()
        assert follower.rows(1) == [{"count": 2}]
