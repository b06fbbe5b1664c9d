"""One upload beside another's flood: what of the flood one commit takes in, and that every row is there."""

import json
import socket
from collections import Counter
from contextlib import ExitStack
from http.client import HTTPResponse
from urllib.parse import urlsplit

from rowkeep.services.turns import REQUESTS_MAX
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
