"""How a body is framed: what rowkeep answers, and what the HTTP server answers before it."""

import socket
from urllib.parse import urlsplit

import httpx
import pytest

from tests.api.stream import Stream
from tests.server_process import ServerProcess

BODY = b'{"rows":[{"count":1}]}'
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = f"Content-Length: {len(BODY)}"


def answers(server: ServerProcess, stream: Stream, headers: list[str], body: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer to an insert, after which the connection is closed."""
    address = urlsplit(server.url)
    lines = [
        f"POST {address.path}{stream.upload_uri}/rows HTTP/1.1",
        "Host: here",
        f"Authorization: Bearer {server.token}",
        "Content-Type: application/json",
        "Connection: close",
        *headers,
    ]
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head, _, text = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), text


@pytest.mark.parametrize(
    "headers",
    [
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: gzip", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked, chunked"],
        ["Transfer-Encoding: identity, chunked"],
    ],
)
def test_a_coding_below_the_chunks(server: ServerProcess, stream: Stream, headers: list[str]) -> None:
    """It would be taken for rows: refused, in the shape of errors."""
    status, text = answers(server, stream, headers, CHUNKED)
    problem = httpx.Response(status, content=text).json()
    assert (status, problem["error"]) == (400, "invalid_request_error")
    assert "only `chunked` is read" in problem["error_description"]
    assert stream.row_count() == 0


@pytest.mark.parametrize(
    "headers",
    [
        ["Transfer-Encoding: chunked"],
        ["transfer-encoding: CHUNKED "],
        ["Transfer-Encoding: chunked", "Content-Length: 3"],
    ],
)
def test_chunks(server: ServerProcess, stream: Stream, headers: list[str]) -> None:
    """They are read, in any case; beside them a length does not count, and the connection is closed."""
    assert answers(server, stream, headers, CHUNKED)[0] == 201
    assert stream.row_count() == 1


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: -5"],
        ["Content-Length: 1_0"],
        ["Content-Length: +22"],
        ["Content-Length: "],
        ["Content-Length: 99999999999999999999999"],
        [LENGTH, "Content-Length: 5"],
        [f"Content-Length: {len(BODY)}, {len(BODY)}"],
        ["Transfer-Encoding: identity", LENGTH],
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: chunked, gzip"],
        [LENGTH, "no colon"],
        [LENGTH, "X-A: a\x01b"],
    ],
)
def test_what_the_http_server_refuses(server: ServerProcess, stream: Stream, headers: list[str]) -> None:
    """It cannot tell where such a request ends: 400 without a body, nothing inserted (docs/errors.md)."""
    assert answers(server, stream, headers, BODY) == (400, b"")
    assert stream.row_count() == 0


def test_a_hundred_headers(server: ServerProcess, stream: Stream) -> None:
    """More are refused by the HTTP server too."""
    known = 5  # those that every request of this file has
    filled = [LENGTH, *(f"X-{number}: 1" for number in range(99 - known))]
    assert answers(server, stream, filled, BODY)[0] == 201
    assert answers(server, stream, [*filled, "X-More: 1", "X-Even-More: 1"], BODY) == (431, b"")
