"""What bounds the server, seen from outside: a full queue, a client that does not wait for its answer."""

import concurrent.futures
import resource
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests import plain_http
from tests.api.pings import held_up_share, pinged
from tests.api.stream import ALL_TYPES, Stream
from tests.api.test_bad_input import request_head
from tests.server_process import ServerProcess, wait_until


@pytest.fixture(scope="module")
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose queue holds one small request, and whose senders wait 50 ms at most."""
    started = ServerProcess(
        tmp_path_factory.mktemp("narrow") / "data", queue_bytes_max="300", queue_wait_seconds_max="0.05"
    )
    started.start()
    yield started
    started.close()


def test_full_queue(narrow_server: ServerProcess) -> None:
    """Over the bound some wait and some get 503 with Retry-After; none of the refused is ever written."""
    stream = Stream(narrow_server.url, narrow_server.token, ALL_TYPES, narrow_server.user)
    stream.client.timeout = httpx.Timeout(60)

    def send(number: int) -> list[int]:
        statuses: list[int] = []
        with plain_http.client(base_url=stream.client.base_url, headers=stream.client.headers) as client:
            for step in range(10):
                response = client.post(
                    f"{stream.upload_uri}/rows",
                    json={"rows": [{"site": "x" * 100, "count": number * 100 + step}]},
                )
                statuses.append(response.status_code)
                if response.status_code == 503:
                    assert response.json()["error"] == "unavailable"
                    assert int(response.headers["retry-after"]) >= 1
        return statuses

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        statuses = [status for result in pool.map(send, range(32)) for status in result]
    assert set(statuses) <= {201, 503}
    assert statuses.count(201) > 0
    assert stream.row_count() == statuses.count(201)
    stream.close()


def test_client_that_does_not_wait(server: ServerProcess) -> None:
    """Rows that were accepted are written although their sender has left."""
    stream = Stream(server.url, server.token, ALL_TYPES, server.user)
    address = urlsplit(server.url)
    body = b'{"rows":[{"site":"left"}]}'
    headers = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(request_head(server, stream, headers) + body)
            time.sleep(0.002)
    wait_until(lambda: stream.row_count() == 20)
    stream.close()


@pytest.mark.alone
def test_slow_bodies_do_not_hold_up_others(server: ServerProcess) -> None:
    """The longest bodies that are decoded in place leave the server quick for everyone else."""
    stream = Stream(server.url, server.token, ALL_TYPES, server.user)
    polygons = b'{"position":"POLYGON((0 0,1 0,1 1,0 0))"}'
    slow = [
        b'{"rows":[' + b",".join([b"1"] * 15_000) + b"]}",
        b'{"rows":[' + b",".join([polygons] * 20_000) + b"]}",
        b'{"rows":[' + b",".join([b'{"day":"2020-1-1"}'] * 20_000) + b"]}",
        b'{"rows":[' + b",".join([b'{"nowhere":1}'] * 2_000) + b"]}",
    ]
    with pinged(server) as pauses:
        for body in slow:
            assert stream.insert(body).status_code in (201, 400)
    assert held_up_share(pauses) < 0.5
    assert stream.row_count() == 40_000
    stream.close()


def is_no_room(refused: httpx.Response) -> None:
    """Whether an insert was refused for want of room for its body."""
    assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
    assert "no room for a body of this size" in refused.json()["error_description"]
    assert int(refused.headers["retry-after"]) > 0


def test_a_disk_that_takes_no_body(own_server: ServerProcess) -> None:
    """A body that is put aside to be decoded and does not fit there is 503: the journal has not failed."""
    stream = Stream(own_server.url, own_server.token, ALL_TYPES, own_server.user)
    assert stream.insert({"rows": [{"count": 0}]}).status_code == 201
    lenient = b'{"rows":[' + b",".join([b'{"COUNT":1.0}'] * 5_000) + b"]}"
    large = b'{"rows":[' + b",".join([b'{"count":1}'] * 150_000) + b"]}"
    spool = own_server.data_dir / "spool"
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(own_server.pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    for body in (lenient, large):
        is_no_room(stream.insert(body))
    resource.prlimit(own_server.pid, resource.RLIMIT_FSIZE, unlimited)
    assert list(spool.iterdir()) == []
    spool.rmdir()  # where there is no room for another file
    for body in (lenient, large):
        is_no_room(stream.insert(body))
    spool.mkdir()
    for body in (lenient, large):
        assert stream.insert(body).status_code == 201
    assert stream.row_count() == 155_001
    stream.close()
