"""The client's connection against a network that garbles: an answer counts only for its own request."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import pytest

from rowkeep.client.connection import Address, Connection, NoAnswer

Reply = Callable[[str], bytes]
END = b"<the connection ends>"


def answered(request_id: str, body: bytes = b"{}", status: str = "200 OK", more: str = "") -> bytes:
    """An answer that bears an id."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\n{more}\r\n"
    return head.encode() + body


class Network:
    """Accepts connections, and answers the requests of each by what it was told; remembers the requests."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.replies: list[Reply] = []
        self.requests: list[str] = []
        self.connection_count = 0
        self.sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connection_count += 1
            self.sockets.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as received:
            while head := _head(received):
                length = next(
                    (int(line[16:]) for line in head.splitlines() if line.startswith("Content-Length: ")), 0
                )
                self.requests.append(head + received.read(length).decode())
                reply = self.replies.pop(0)
                request_id = next(line[14:] for line in head.splitlines() if line.startswith("X-Request-Id:"))
                content = reply(request_id)
                connection.sendall(content.removesuffix(END))
                if content.endswith(END):
                    return

    def close(self) -> None:
        """Accepts no more."""
        self._listening.close()
        for connection in self.sockets:
            connection.close()


def _head(received: BinaryIO) -> str:
    """The lines of a request up to the blank one; empty when the connection is over."""
    lines = []
    while (line := received.readline()).strip():
        lines.append(line.decode())
    return "".join(lines)


@contextmanager
def connected(timeout_seconds: float = 30) -> Iterator[tuple[Network, Connection]]:
    """A network and a connection into it."""
    network = Network()
    address = Address(is_secure=False, host="127.0.0.1", port=network.port, prefix="/api/v1")
    connection = Connection(address, "a-token", timeout_seconds)
    yield network, connection
    connection.close()
    network.close()


def test_requests_share_a_connection() -> None:
    """Each bears the token, a body, its own headers and an id of its own, and goes below the prefix."""
    with connected() as (network, connection):
        network.replies = [answered] * 3
        for number in range(3):
            answer = connection.ask("POST", "/rows", b"body", {"Idempotency-Key": f"k{number}"})
            assert (answer.status, answer.body) == (200, b"{}")
        assert network.connection_count == 1
        for number, request in enumerate(network.requests):
            assert request.startswith("POST /api/v1/rows HTTP/1.1\r\n")
            assert request.endswith("body")
            assert "Authorization: Bearer a-token\r\n" in request
            assert "Content-Type: application/json\r\n" in request
            assert f"Idempotency-Key: k{number}\r\n" in request
        ids = {request.partition("X-Request-Id: ")[2].partition("\r\n")[0] for request in network.requests}
        assert len(ids) == 3


def test_an_answer_to_another_request_is_none() -> None:
    """On a connection that was used before; the next request opens another."""
    with connected() as (network, connection):
        network.replies = [answered, lambda _: answered("another"), answered]
        connection.ask("GET", "/a")
        with pytest.raises(NoAnswer, match="belongs to another request"):
            connection.ask("GET", "/b")
        assert connection.ask("GET", "/c").status == 200
        assert network.connection_count == 2


def test_the_first_answer_on_a_connection_is_its_own() -> None:
    """Also behind a proxy that changes ids: then every request has a connection of its own."""
    with connected() as (network, connection):
        network.replies = [lambda _: answered("of a proxy")] * 3
        assert [connection.ask("GET", "/a").status for _ in range(3)] == [200] * 3
        assert network.connection_count == 3


def test_what_came_unasked_is_not_read() -> None:
    """An answer that comes between two requests spoils its connection; the next request opens another."""
    with connected() as (network, connection):
        network.replies = [answered, lambda request_id: answered(request_id, b"second")]
        assert connection.ask("GET", "/a").status == 200
        network.sockets[0].sendall(answered("late", b"unasked"))
        assert connection.ask("GET", "/b").body == b"second"
        assert network.connection_count == 2


@pytest.mark.parametrize(
    "reply",
    [
        lambda request_id: answered(request_id, b"half an answer")[:-4] + END,
        lambda request_id: answered(request_id)[:11] + END,
        lambda _: b"no HTTP\r\n\r\n" + END,
        lambda _: END,
    ],
    ids=["body", "head", "garbled", "nothing"],
)
def test_half_an_answer_is_none(reply: Reply) -> None:
    """Cut off, garbled or not there; what comes next has a connection of its own."""
    with connected() as (network, connection):
        network.replies = [reply, answered]
        with pytest.raises(NoAnswer):
            connection.ask("GET", "/a")
        assert connection.ask("GET", "/b").status == 200
        assert network.connection_count == 2


def test_an_answer_that_does_not_come_is_given_up() -> None:
    """After the time that was given for it."""
    with connected(timeout_seconds=0.2) as (network, connection):
        network.replies = [lambda _: b"", answered]
        with pytest.raises(NoAnswer, match=r"no answer within 0\.2 seconds"):
            connection.ask("GET", "/a")
        assert connection.ask("GET", "/b").status == 200


def test_a_server_that_ends_the_connection() -> None:
    """By saying so or without a word between two requests: no request is lost for it."""
    with connected() as (network, connection):
        network.replies = [
            lambda request_id: answered(request_id, more="Connection: close\r\n"),
            answered,
            answered,
        ]
        assert connection.ask("GET", "/a").status == 200
        assert connection.ask("GET", "/b").status == 200
        network.sockets[1].shutdown(socket.SHUT_RDWR)
        assert connection.ask("GET", "/c").status == 200
        assert network.connection_count == 3
