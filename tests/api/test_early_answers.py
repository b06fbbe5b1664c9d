"""An answer that does not wait for the body arrives, whatever the client still sends (RFC 9112, 9.6)."""

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import requests

from tests import plain_http
from tests.api.stream import Stream
from tests.server_process import ServerProcess

MEGABYTE = 1_000_000
SIZES = [100_000, 4 * MEGABYTE, 20 * MEGABYTE]
Sender = Callable[[str, str, dict[str, str], bytes], int]


def by_http_client(method: str, url: str, headers: dict[str, str], body: bytes) -> int:
    """Writes everything, then reads."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)) as connection:
        connection.request(method, parts.path, body, headers)
        return connection.getresponse().status


def by_httpx(method: str, url: str, headers: dict[str, str], body: bytes) -> int:
    return plain_http.request(method, url, headers=headers, content=body, timeout=60).status_code


def by_requests(method: str, url: str, headers: dict[str, str], body: bytes) -> int:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, headers=headers, data=body, timeout=60).status_code


def by_chunks(method: str, url: str, headers: dict[str, str], body: bytes) -> int:
    """Sends a body of no known length."""
    pieces = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    sent = plain_http.request(method, url, headers=headers, content=pieces, timeout=60)
    return sent.status_code


def by_node(method: str, url: str, headers: dict[str, str], body: bytes) -> int:
    """The fetch of Node.js."""
    script = (
        "const [method, url, headers, size] = JSON.parse(process.argv[1]);"
        "fetch(url, {method, headers, body: Buffer.alloc(size, 32)}).then(r => console.log(r.status));"
    )
    asked = json.dumps([method, url, headers, len(body)])
    done = subprocess.run(["node", "-e", script, asked], capture_output=True, text=True, check=True)
    return int(done.stdout)


SENDERS = [by_http_client, by_httpx, by_requests, by_chunks, by_node]


@pytest.fixture(scope="module")
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A stream that takes rows."""
    made = Stream(server.url, server.token, None, server.user)
    yield made
    made.close()


def base(stream: Stream) -> str:
    """The address of the API."""
    return str(stream.client.base_url).rstrip("/")


def rows_url(stream: Stream) -> str:
    """Where rows go."""
    return f"{base(stream)}{stream.upload_uri}/rows"


def early_answers(stream: Stream, token: str) -> dict[str, tuple[int, str, str, dict[str, str]]]:
    """By name: the status of an answer that is known before the body, and the request that gets it."""
    good = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    rows = rows_url(stream)
    dataset = f"{base(stream)}{stream.dataset_uri}"
    return {
        "wrong token": (401, "POST", rows, {**good, "authorization": "Bearer wrong"}),
        "no such upload": (404, "POST", rows.replace("/rows", "s/rows"), good),
        "no such path": (404, "POST", f"{base(stream)}/nothing", good),
        "wrong method": (405, "PUT", rows, good),
        "wrong media type": (415, "POST", rows, {**good, "content-type": "text/html"}),
        "wrong token elsewhere": (401, "PATCH", dataset, {**good, "authorization": "Bearer wrong"}),
        "a body that is not wanted": (200, "GET", f"{base(stream)}/users/me", good),
    }


@pytest.mark.parametrize("send", SENDERS)
@pytest.mark.parametrize("size", SIZES)
def test_the_answer_arrives(server: ServerProcess, stream: Stream, send: Sender, size: int) -> None:
    """Every client sees the status, however much it had to send."""
    body = b" " * size
    seen = {}
    for name, (status, method, url, headers) in early_answers(stream, server.token).items():
        if method == "GET" and send is by_node:
            continue  # fetch sends no body with GET
        seen[name] = (send(method, url, headers, body), status)
    assert {name: pair for name, pair in seen.items() if pair[0] != pair[1]} == {}


def test_the_largest_body_gets_its_answer(server: ServerProcess, stream: Stream) -> None:
    """A sender of 100 MiB that reads nothing before it has written all hears that its token is wrong."""
    status, method, url, headers = early_answers(stream, server.token)["wrong token"]
    assert by_http_client(method, url, headers, b" " * 100 * 1024 * 1024) == status


def test_too_large_a_body_is_told(server: ServerProcess, stream: Stream) -> None:
    """One that announces more than may be sent gets 413 while it sends."""
    with closing(connection_to(server.url)) as connection:
        connection.sendall(head("POST", stream, server.token, f"content-length: {200 * MEGABYTE}"))
        assert connection.recv(12) == b"HTTP/1.1 413"


def connection_to(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def head(method: str, stream: Stream, token: str, *more: str) -> bytes:
    path = urlsplit(rows_url(stream)).path
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"authorization: Bearer {token}"]
    return "\r\n".join([*lines, "content-type: application/json", *more, "", ""]).encode()


def test_the_connection_stays_good(server: ServerProcess, stream: Stream) -> None:
    """Behind a body that nobody wanted comes the next request, and is answered."""
    with closing(connection_to(server.url)) as connection:
        refused = head("POST", stream, "wrong", "content-length: 300000") + b" " * 300_000
        connection.sendall(refused + b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        received = b""
        while b"HTTP/1.1 200" not in received:
            part = connection.recv(65_536)
            assert part, received
            received += part
    assert received.startswith(b"HTTP/1.1 401")


def test_a_sender_that_stops_is_answered(server: ServerProcess, stream: Stream) -> None:
    """Who waits for the answer before it sends the body gets it, to the last byte."""
    with closing(connection_to(server.url)) as connection:
        connection.sendall(head("POST", stream, "wrong", "content-length: 300000"))
        received = b""
        while not received.endswith(b"}"):
            part = connection.recv(65_536)
            assert part, received
            received += part
    assert received.startswith(b"HTTP/1.1 401")


def test_a_client_that_asks_first_need_not_send(server: ServerProcess, stream: Stream) -> None:
    """With `Expect: 100-continue` the refusal comes before the body, and nobody waits for one."""
    with closing(connection_to(server.url)) as connection:
        asked = head("POST", stream, "wrong", "content-length: 300000", "expect: 100-continue")
        connection.sendall(asked)
        assert connection.recv(12) == b"HTTP/1.1 401"


BROKEN_CHUNKS = [b"5\r\nhello\r\nZZ\r\nxx\r\n0\r\n\r\n", b"-1\r\nx\r\n", b"5\r\nhelloX\r\n0\r\n\r\n"]


@pytest.mark.parametrize("path", ["rows", "datasets"])
@pytest.mark.parametrize(
    "chunks", [b"5\r\nhello\r\nZZ\r\nxx\r\n0\r\n\r\n", b"-1\r\nx\r\n", b"5\nhello\r\n0\r\n\r\n"]
)
def test_malformed_chunks(server: ServerProcess, stream: Stream, path: str, chunks: bytes) -> None:
    """A body in broken chunks gets 400 as every error looks."""
    asked = head("POST", stream, server.token, "transfer-encoding: chunked")
    if path == "datasets":
        target = urlsplit(f"{base(stream)}/users/{server.user}/datasets").path
        asked = asked.replace(asked.split(b" ")[1], target.encode(), 1)
    with closing(connection_to(server.url)) as connection:
        connection.sendall(asked + chunks)
        received = b""
        while part := connection.recv(65_536):
            received += part
    assert received.startswith(b"HTTP/1.1 400"), received
    assert json.loads(received.partition(b"\r\n\r\n")[2])["error"] == "invalid_request_error"


def test_methods_are_named(server: ServerProcess, stream: Stream) -> None:
    """405 says every method of the path, in words and in `Allow`."""
    headers = {"authorization": f"Bearer {server.token}"}
    refused = plain_http.request("PUT", rows_url(stream), headers=headers)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")
    assert "GET, HEAD, POST" in refused.json()["error_description"]


def test_rows_sent_to_a_table_are_shown_the_way(server: ServerProcess, stream: Stream) -> None:
    """Who posts rows to a table hears that an upload takes them."""
    refused = plain_http.request("POST", f"{base(stream)}/tables/a.b.c/rows", content=b"{}")
    assert refused.status_code == 405
    assert "/uploads/UPLOAD/rows" in refused.json()["error_description"]


@pytest.mark.parametrize(
    "path", ["workflows/ada.w", "users/ada/workflows", "notebooks/x", "projects/a.b/tables"]
)
def test_what_is_not_served_is_named(server: ServerProcess, path: str) -> None:
    """What the official clients can ask for and rowkeep does not serve is called by its name."""
    refused = plain_http.request("GET", f"{server.url}/{path}")
    assert refused.status_code == 404
    assert "rowkeep does not serve" in refused.json()["error_description"]


NGINX = """
user root; daemon off; error_log stderr; pid {folder}/nginx.pid; worker_processes 1;
events {{ }}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder}; client_max_body_size 0;
    server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {origin}; }} }}
}}
"""


@pytest.fixture(scope="module")
def nginx(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of nginx with nothing but `proxy_pass` before the server."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    folder = tmp_path_factory.mktemp("nginx")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    parts = urlsplit(server.url)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, origin=f"http://{parts.netloc}"))
    process = subprocess.Popen([program, "-c", str(config), "-p", str(folder), "-e", "stderr"])
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert process.poll() is None
            time.sleep(0.02)
    yield f"http://127.0.0.1:{port}{parts.path}"
    process.terminate()
    process.wait()


@pytest.mark.parametrize("size", SIZES)
def test_the_answer_arrives_through_nginx(
    nginx: str, server: ServerProcess, stream: Stream, size: int
) -> None:
    """nginx passes the answer on, and does not make a 502 of it."""
    for status, method, url, headers in early_answers(stream, server.token).values():
        through = url.replace(server.url, nginx)
        assert by_http_client(method, through, headers, b" " * size) == status
