"""Readers and senders that leave in the middle: what was held for them is given back, and others go on."""

import socket
import struct
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest

from tests.api.stream import Stream
from tests.api.test_bad_input import request_head
from tests.server_process import ServerProcess, wait_until

ROWS = 20_000
LEAVERS = 12


@pytest.fixture(scope="module")
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server in which one may read at a time."""
    started = ServerProcess(tmp_path_factory.mktemp("narrow") / "data", readers_max="1")
    started.start()
    yield started
    assert started.stop() == 0
    assert "internal error" not in started.log()
    started.close()


@pytest.fixture(scope="module")
def stream(narrow_server: ServerProcess) -> Iterator[Stream]:
    """A stream with more rows than a socket takes at once."""
    schema = [{"name": "n", "type": "integer"}, {"name": "text", "type": "string"}]
    made = Stream(narrow_server.url, narrow_server.token, schema, narrow_server.user)
    made.insert({"rows": [{"n": number, "text": "x" * 200} for number in range(ROWS)]})
    yield made
    made.close()


def connected(server: ServerProcess) -> socket.socket:
    """A connection whose end is a reset, as when a process is killed."""
    address = urlsplit(server.url)
    connection = socket.create_connection((address.hostname, address.port), 60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return connection


def open_files(server: ServerProcess) -> int:
    """How many descriptors the server has."""
    return psutil.Process(server.pid).num_fds()


@pytest.mark.parametrize("way", ["arrow", "csv", "jsonl", "session"])
def test_readers_that_leave(narrow_server: ServerProcess, stream: Stream, way: str) -> None:
    """After the first bytes; the one place to read is free for the next, and no file stays open."""
    path = f"{stream.table_uri}/rows?format={way}"
    if way == "session":
        session = stream.client.post(f"{stream.table_uri}/readSessions", json={}).json()
        path = f"/readStreams/{session['streams'][0]['id']}"
    whole = stream.client.get(path).content
    before = open_files(narrow_server)
    request = (
        f"GET {urlsplit(narrow_server.url).path}{path} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {narrow_server.token}\r\n\r\n"
    ).encode()
    for _ in range(LEAVERS):
        with connected(narrow_server) as connection:
            connection.sendall(request)
            assert connection.recv(1_000).startswith(b"HTTP/1.1 200")
    wait_until(lambda: open_files(narrow_server) <= before)
    assert stream.client.get(path).content == whole


@pytest.mark.parametrize("body_bytes", [100, 3_000_000], ids=["small", "spooled"])
def test_senders_that_leave(narrow_server: ServerProcess, stream: Stream, body_bytes: int) -> None:
    """In the middle of a body: nothing of it is inserted, no file stays, and others insert meanwhile."""
    count = stream.row_count()
    before = open_files(narrow_server)
    headers = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % body_bytes
    head = request_head(narrow_server, stream, headers)
    for _ in range(LEAVERS):
        with connected(narrow_server) as connection:
            connection.sendall(head + (b'{"rows":[{"n":1},' + b" " * body_bytes)[: body_bytes // 2])
    assert stream.insert({"rows": [{"n": 2}]}).status_code == 201
    wait_until(lambda: open_files(narrow_server) <= before)
    assert list((narrow_server.data_dir / "spool").iterdir()) == []
    assert stream.row_count() == count + 1
