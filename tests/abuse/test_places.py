"""Readers that take nothing, and callers who take all they can get: others go on, and memory comes back."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.api.publishing import Publication
from tests.server_process import ServerProcess, wait_until

READS_MAX = 6
SHARE_MAX = 3
STALL_SECONDS_MAX = 2.0


@pytest.fixture(scope="module")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publication]:
    """A public table of 24 MB on a server with few places."""
    server = ServerProcess(
        tmp_path_factory.mktemp("places") / "data",
        reads_max=str(READS_MAX),
        reads_per_caller_max=str(SHARE_MAX),
        read_stall_seconds_max=str(STALL_SECONDS_MAX),
        followers_max="4",
        followers_per_caller_max="2",
    )
    server.start()
    made = Publication(server, public_access_level="data")
    made.publish("answers", "first", [{"text": "x" * 1_000_000}] * 24)
    yield made
    made.close()
    assert server.stop() == 0
    server.close()


def stalled(publication: Publication, path: str, token: str = "") -> socket.socket:
    """A connection that has asked for rows and takes none after the first bytes."""
    address = urlsplit(str(publication.client.base_url))
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(30)
    connection.connect((address.hostname or "", address.port or 0))
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    connection.sendall(
        f"GET {address.path.rstrip('/')}{path} HTTP/1.1\r\nHost: x\r\n{authorization}\r\n".encode()
    )
    assert connection.recv(100).startswith(b"HTTP/1.1 200")
    return connection


@pytest.mark.parametrize("format_name", ["jsonl", "csv", "arrow"])
def test_readers_that_take_nothing(publication: Publication, format_name: str) -> None:
    """They fill the share of their caller alone, are cut off, and their places come back."""
    path = f"{publication.table('answers', 'v1.0')}/rows?format={format_name}"
    with ExitStack() as stack:
        for _ in range(SHARE_MAX):
            stack.enter_context(stalled(publication, path))
        refused = publication.ask("GET", path, None, "")
        assert (refused.status_code, refused.json()["error"]) == (429, "rate_limit_exceeded")
        assert int(refused.headers["Retry-After"]) > 0
        assert publication.ask("GET", path).status_code == 200
        wait_until(lambda: publication.ask("GET", path, None, "").status_code == 200)


def test_a_slow_reader_is_none_that_stalls(publication: Publication) -> None:
    """Whoever takes a little now and then gets all of it."""
    path = f"{publication.table('answers', 'v1.0')}/rows?maxResults=4"
    received = 0
    with publication.client.stream("GET", path) as response:
        for piece in response.iter_bytes(500_000):
            received += len(piece)
            time.sleep(0.3)
    assert received > 4_000_000


def test_followers_share_places(publication: Publication) -> None:
    """Anonymous followers take no more than their share; one with a token still follows."""
    path = f"{publication.table('answers', 'v1.0')}/rows?follow=true"
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(stalled(publication, path))
        assert publication.ask("GET", path, None, "").status_code == 429
        stack.enter_context(stalled(publication, path, publication.token))
