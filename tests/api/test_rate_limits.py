"""Rate limits on inserting: refused before the body, with headers that are true, and never half done."""

import concurrent.futures
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests import plain_http
from tests.api.stream import Stream
from tests.api.test_bad_input import request_head
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

SCHEMA = [{"name": "site", "type": "string"}]
ROW = {"rows": [{"site": "Bern"}]}
_member = re.compile(r'"([a-z-]+)"((?:;[a-z]+=(?:\d+|"[a-z-]+"))+)').fullmatch


@contextmanager
def limited(tmp_path_factory: pytest.TempPathFactory, **settings: str) -> Iterator[ServerProcess]:
    """A running server with limits."""
    started = ServerProcess(tmp_path_factory.mktemp("limited") / "data", **settings)
    started.start()
    try:
        yield started
    finally:
        started.close()


@pytest.fixture(scope="module")
def slow_tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A token may send three requests at once and one in two seconds."""
    with limited(tmp_path_factory, token_requests_per_second_max="0.5", rate_burst_seconds="6") as started:
        yield started


@pytest.fixture(scope="module")
def slow_uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """An upload takes 1,000 bytes at once, and next to none after that; a token may do far more."""
    with limited(
        tmp_path_factory,
        token_requests_per_second_max="1000",
        upload_bytes_per_second_max="1",
        rate_burst_seconds="1000",
    ) as started:
        yield started


def fresh(server: ServerProcess) -> Stream:
    """A stream of a token of its own, with full buckets."""
    token = rowkeep("token", "create", "--user", server.user, data_dir=server.data_dir)
    return Stream(server.url, token, SCHEMA, server.user)


def members(value: str) -> dict[str, dict[str, str]]:
    """A structured list of strings with parameters, as the IETF draft writes it."""
    found = {}
    for text in value.split(", "):
        match = _member(text)
        assert match is not None, text
        found[match[1]] = dict(part.split("=") for part in match[2][1:].split(";"))
    return found


def test_headers_tell_what_is_left(slow_tokens: ServerProcess) -> None:
    """Every answer to an insert names the limit, what is left of it, and when it is back."""
    stream = fresh(slow_tokens)
    for left in (2, 1, 0):
        answer = stream.insert(ROW)
        assert answer.status_code == 201
        assert members(answer.headers["ratelimit-policy"]) == {"token-requests": {"q": "3", "w": "6"}}
        state = members(answer.headers["ratelimit"])["token-requests"]
        assert answer.headers["x-ratelimit-limit"] == "3"
        assert answer.headers["x-ratelimit-remaining"] == state["r"]
        assert answer.headers["x-ratelimit-reset"] == state["t"]
        assert int(state["r"]) >= left  # more, if this machine was slow
        assert 1 <= int(state["t"]) <= 6
    stream.close()


def test_waiting_as_long_as_told_lets_one_in(slow_tokens: ServerProcess) -> None:
    """Over the limit it is 429 with Retry-After; nothing was inserted; after that wait it goes in."""
    stream = fresh(slow_tokens)
    answers = [stream.insert(ROW)]
    while answers[-1].status_code == 201:
        answers.append(stream.insert(ROW))
    refused = answers[-1]
    assert refused.status_code == 429
    assert refused.json()["error"] == "rate_limit_exceeded"
    assert "Nothing of this request was inserted" in refused.json()["error_description"]
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 2
    assert members(refused.headers["ratelimit"]) == {"token-requests": {"r": "0", "t": str(wait)}}
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert refused.headers["x-ratelimit-reset"] == str(wait)
    time.sleep(wait)
    assert stream.insert(ROW).status_code == 201
    assert stream.row_count() == len(answers)
    stream.close()


def test_limits_are_of_one_token_and_of_inserts(slow_tokens: ServerProcess) -> None:
    """Another token goes on into the same upload; reads with the limited one do too, and bear no limits."""
    stream = fresh(slow_tokens)
    while stream.insert(ROW).status_code == 201:
        pass
    other = fresh(slow_tokens)
    assert other.client.post(f"{stream.upload_uri}/rows", json=ROW).status_code == 201
    for _ in range(20):
        read = stream.client.get(f"{stream.table_uri}/rows")
        assert read.status_code == 200
        assert "ratelimit" not in read.headers
    stream.close()
    other.close()


def test_bytes_are_of_one_upload(slow_uploads: ServerProcess) -> None:
    """A body may overdraw what its upload has; the next is refused, other uploads are not."""
    stream, other = fresh(slow_uploads), fresh(slow_uploads)
    first = stream.insert({"rows": [{"site": "x" * 2_000}]})
    assert first.status_code == 201
    assert members(first.headers["ratelimit-policy"]) == {
        "token-requests": {"q": "1000000", "w": "1000"},
        "upload-bytes": {"q": "1000", "qu": '"content-bytes"', "w": "1000"},
    }
    assert members(first.headers["ratelimit"])["upload-bytes"]["r"] == "0"
    assert first.headers["x-ratelimit-limit"] == "1000000"
    refused = stream.insert(ROW)
    assert refused.status_code == 429
    assert 900 < int(refused.headers["retry-after"]) <= 1_100
    assert "upload-bytes" in refused.json()["error_description"]
    assert other.insert(ROW).status_code == 201
    assert stream.row_count() == 1
    stream.close()
    other.close()


def test_a_body_without_a_length_is_paid_for(slow_uploads: ServerProcess) -> None:
    """A chunked body counts too, when it has been read."""
    stream = fresh(slow_uploads)

    def chunks() -> Iterator[bytes]:
        yield b'{"rows":[{"site":"'
        yield b"x" * 2_000 + b'"}]}'

    path = f"{stream.upload_uri}/rows"
    json = {"Content-Type": "application/json"}
    assert stream.client.post(path, content=chunks(), headers=json).status_code == 201
    assert stream.insert(ROW).status_code == 429
    stream.close()


def test_a_length_that_no_body_may_have_draws_nothing(slow_uploads: ServerProcess) -> None:
    """A request that is refused for its length leaves its upload's bytes alone."""
    stream = fresh(slow_uploads)
    head = _head(stream, slow_uploads, 10**12)
    with socket.create_connection(_address(slow_uploads)) as connection:
        connection.sendall(head)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")
    assert stream.insert(ROW).status_code == 201
    stream.close()


def test_the_answer_comes_before_the_body(slow_uploads: ServerProcess) -> None:
    """Who announces a large body over the limit is told before a byte of it was sent."""
    stream = fresh(slow_uploads)
    assert stream.insert({"rows": [{"site": "x" * 2_000}]}).status_code == 201
    with socket.create_connection(_address(slow_uploads)) as connection:
        connection.settimeout(20)
        connection.sendall(_head(stream, slow_uploads, 50_000_000))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 429 ")
    stream.close()


def test_a_client_that_still_sends_gets_the_answer(slow_uploads: ServerProcess) -> None:
    """A body of up to 1 MiB is taken in, so that its sender sees 429 and not a broken connection."""
    stream = fresh(slow_uploads)
    assert stream.insert({"rows": [{"site": "x" * 2_000}]}).status_code == 201
    body = b'{"rows":[{"site":"' + b"x" * 900_000 + b'"}]}'
    for _ in range(10):
        with socket.create_connection(_address(slow_uploads)) as connection:
            connection.settimeout(20)
            connection.sendall(_head(stream, slow_uploads, len(body)) + body)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 429 ")
    assert stream.row_count() == 1
    stream.close()


def test_strangers_cannot_use_up_an_upload(slow_uploads: ServerProcess) -> None:
    """Requests that may not insert draw from nobody."""
    stream = fresh(slow_uploads)
    with plain_http.client(base_url=slow_uploads.url) as stranger:
        for _ in range(5):
            answer = stranger.post(
                f"{stream.upload_uri}/rows",
                json={"rows": [{"site": "x" * 2_000}]},
                headers={"Authorization": "Bearer nobody's"},
            )
            assert answer.status_code == 401
            assert "ratelimit" not in answer.headers
    assert stream.insert(ROW).status_code == 201
    stream.close()


def test_a_crowd_over_the_limit(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Sixteen senders that obey nothing: the rows are those of the 201s, within the limit."""
    with limited(tmp_path_factory, token_requests_per_second_max="100", rate_burst_seconds="0.5") as server:
        stream = fresh(server)
        started = time.monotonic()

        def send(_: int) -> list[int]:
            with plain_http.client(base_url=server.url, headers=stream.client.headers, timeout=60) as client:
                return [client.post(f"{stream.upload_uri}/rows", json=ROW).status_code for _ in range(40)]

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            statuses = [status for result in pool.map(send, range(16)) for status in result]
        seconds = time.monotonic() - started
        assert set(statuses) <= {201, 429}
        assert stream.row_count() == statuses.count(201)
        assert 50 <= statuses.count(201) <= 51 + 100 * seconds
        stream.close()


def test_without_limits_nothing_is_said(server: ServerProcess) -> None:
    """By default there are no limits, and no headers of any."""
    stream = Stream(server.url, server.token, SCHEMA, server.user)
    answer = stream.insert(ROW)
    assert answer.status_code == 201
    assert not [name for name in answer.headers if "ratelimit" in name]
    stream.close()


def _address(server: ServerProcess) -> tuple[str, int]:
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def _head(stream: Stream, server: ServerProcess, length: int) -> bytes:
    token = stream.client.headers["authorization"].encode()
    head = request_head(server, stream, b"Content-Type: application/json\r\nContent-Length: %d\r\n" % length)
    return head.replace(b"Bearer " + server.token.encode(), token)
