"""Connections on which nothing happens, and bodies that come drop by drop: neither keeps anybody out."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.api.publishing import Publication
from tests.server_process import ServerProcess, wait_until

CONNECTIONS_MAX = 40
BYTES_PER_SECOND_MIN = 2_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that takes few connections and gives bodies little time."""
    made = ServerProcess(
        tmp_path_factory.mktemp("connections") / "data",
        connections_max=str(CONNECTIONS_MAX),
        body_stall_seconds_max="1",
        body_bytes_per_second_min=str(BYTES_PER_SECOND_MIN),
    )
    made.start()
    yield made
    assert made.stop() == 0
    made.close()


def connected(server: ServerProcess) -> socket.socket:
    """A connection that says nothing yet."""
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=30)


def is_open(connection: socket.socket) -> bool:
    """Whether the server has not ended it."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_idle_connections_end_before_busy_ones(server: ServerProcess) -> None:
    """A crowd that says nothing is thinned out from its oldest; one who works is answered all the while."""
    publication = Publication(server)
    process = psutil.Process(server.pid)
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(server)) for _ in range(3 * CONNECTIONS_MAX)]
        wait_until(lambda: publication.done("GET", "/users/me") and process.num_fds() < 3 * CONNECTIONS_MAX)
        wait_until(
            lambda: publication.done("GET", "/users/me") and sum(map(is_open, crowd)) < CONNECTIONS_MAX
        )
        assert is_open(crowd[-1])
        assert not is_open(crowd[0])
    publication.close()


@pytest.mark.parametrize("path", ["/users/demo/datasets", "/users/me"])
def test_half_a_head_is_not_waited_for_long(server: ServerProcess, path: str) -> None:
    """More requests whose heads do not end than there may be connections: everybody else is answered."""
    with ExitStack() as stack:
        for _ in range(2 * CONNECTIONS_MAX):
            connection = stack.enter_context(connected(server))
            connection.sendall(f"GET /api/v1{path} HTTP/1.1\r\nX-Slow: ".encode())
        response = httpx.get(f"{server.url}/users/me", headers={"Authorization": f"Bearer {server.token}"})
        assert response.status_code == 200


@pytest.mark.parametrize("kind", ["rows", "json", "file"])
def test_a_body_that_drips_is_ended(server: ServerProcess, kind: str) -> None:
    """A byte now and then is within every wait, and far too slow as a whole: 408, and nothing was done."""
    publication = Publication(server)
    publication.add_table("answers")
    upload = publication.add_upload("answers", "first", [{"n": 1}])
    paths = {"rows": f"{upload['uri']}/rows", "json": f"{publication.dataset()}/versions/next/release"}
    if kind == "file":
        [made] = publication.done(
            "POST",
            f"{publication.table('answers')}/tempUploads",
            {"tempUploads": [{"size": 1_000, "name": "f.csv"}]},
        )["results"]
        address, method = urlsplit(made["url"]).path, "PUT"
    else:
        address, method = urlsplit(f"{server.url}{paths[kind]}").path, "POST"
    with connected(server) as connection:
        connection.sendall(
            f"{method} {address} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n".encode()
        )
        connection.settimeout(0.2)
        answer = b""
        began = time.monotonic()
        while not answer:
            connection.sendall(b" ")
            try:
                answer = connection.recv(1_000)
            except TimeoutError:
                assert time.monotonic() - began < 60
    assert answer.startswith(b"HTTP/1.1 408"), answer
    assert [row["n"] for row in publication.rows("answers", "next")] == [1]
    publication.close()


def test_a_body_in_time_may_take_long(server: ServerProcess) -> None:
    """What counts is how fast all of it comes: twice the wait, and fast enough."""
    publication = Publication(server)
    publication.add_table("answers")
    upload = publication.add_upload("answers", "first", [{"n": 1}])

    def pieces() -> Iterator[bytes]:
        yield b'{"rows": [{"n": 2}]'
        for _ in range(10):
            yield b" " * BYTES_PER_SECOND_MIN
            time.sleep(0.2)
        yield b"}"

    response = publication.client.post(
        f"{upload['uri']}/rows", content=pieces(), headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 201, response.text
    publication.close()
