"""One upload beside another's flood: how much of it a commit takes in, and where it is checked."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from urllib.parse import urlsplit

import psutil
import pytest

from rowkeep.services.insert.turns import REQUESTS_MAX
from tests.api.stream import ALL_TYPES, Stream
from tests.api.test_bad_input import request_head
from tests.serverprocess import ServerProcess

SENDERS = 4 * REQUESTS_MAX
WAVES = 10
ROWS = 200
BODY = b'{"rows":[' + b",".join([b'{"site":"flood","count":1}'] * ROWS) + b"]}"


class Flood:
    """Many connections that send at the same moment, wave after wave."""

    def __init__(self, server: ServerProcess, stream: Stream, stack: ExitStack) -> None:
        address = urlsplit(server.url)
        headers = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(BODY)
        self._request = request_head(server, stream, headers) + BODY
        self._connections = [
            stack.enter_context(socket.create_connection((address.hostname, address.port), 60))
            for _ in range(SENDERS)
        ]

    def wave(self) -> list[int]:
        """Sends a request over each connection; the numbers of the commits that took them in."""
        for connection in self._connections:
            connection.sendall(self._request)
        return [_commit_of(connection) for connection in self._connections]


def _commit_of(connection: socket.socket) -> int:
    answer = HTTPResponse(connection, method="POST")
    answer.begin()
    body = answer.read()
    assert answer.status == 201, body
    commit: int = json.loads(body)["commit"]
    return commit


def test_a_flood_waits_in_front(server: ServerProcess) -> None:
    """Alone a flood fills its commits; beside another upload each takes in no more than a turn of it."""
    stream = Stream(server.url, server.token, ALL_TYPES, server.user)
    polite = Stream(server.url, server.token, ALL_TYPES, server.user)
    with ExitStack() as stack:
        flood = Flood(server, stream, stack)
        alone = Counter(commit for _ in range(WAVES) for commit in flood.wave())
        beside: Counter[int] = Counter()
        for _ in range(WAVES):
            assert polite.insert({"rows": [{"site": "polite"}]}).status_code == 201
            beside.update(flood.wave())
    assert max(alone.values()) > REQUESTS_MAX
    assert max(beside.values()) <= REQUESTS_MAX
    assert stream.row_count() == 2 * WAVES * SENDERS * ROWS
    assert polite.row_count() == WAVES
    stream.close()
    polite.close()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The checking process of a server stands still meanwhile."""
    (checker,) = [
        child
        for child in psutil.Process(pid).children()
        if "rowkeep.workers.checking_worker" in child.cmdline()
    ]
    checker.suspend()
    try:
        yield
    finally:
        checker.resume()


def test_bodies_of_some_size_hold_up_nobody(own_server: ServerProcess) -> None:
    """Beside another upload they are checked in another process; while that stands still, only they wait."""
    stream = Stream(own_server.url, own_server.token, ALL_TYPES, own_server.user)
    polite = Stream(own_server.url, own_server.token, ALL_TYPES, own_server.user)
    body = {"rows": [{"site": "flood", "count": number} for number in range(1_000)]}
    with ThreadPoolExecutor(1) as other:
        with stopped(own_server.pid):
            alone = stream.insert(body)  # it is checked where it comes in
            assert alone.status_code == 201
            assert polite.insert({"rows": [{"site": "polite"}]}).status_code == 201
            waiting = other.submit(stream.insert, body)
            for _ in range(10):
                assert polite.insert({"rows": [{"site": "polite"}]}).status_code == 201
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
        beside = waiting.result(timeout=20)
    assert beside.status_code == 201
    assert beside.json()["sha256"] == alone.json()["sha256"]
    assert [row["count"] for row in stream.rows()] == [*range(1_000)] * 2
    stream.close()
    polite.close()


def test_a_bad_row_beside_another_upload_is_named(server: ServerProcess) -> None:
    """What the checking process refuses is looked at as every refused body is; lines and JSON alike."""
    stream = Stream(server.url, server.token, ALL_TYPES, server.user)
    polite = Stream(server.url, server.token, ALL_TYPES, server.user)
    rows = [{"site": "beside", "count": number} for number in range(1_000)]
    assert polite.insert({"rows": [{"site": "polite"}]}).status_code == 201
    refused = stream.insert({"rows": [*rows, {"site": "beside", "count": "many"}]})
    assert refused.status_code == 400
    assert [error["row"] for error in refused.json()["errors"]] == [1_000]
    lines = b"\n".join(json.dumps(row).encode() for row in rows)
    assert polite.insert({"rows": [{"site": "polite"}]}).status_code == 201
    assert stream.insert(lines, **{"Content-Type": "application/x-ndjson"}).status_code == 201
    assert stream.row_count() == 1_000
    stream.close()
    polite.close()
