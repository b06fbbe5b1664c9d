"""Paths, queries and headers as long as a stranger likes: bounded, and none is remembered for good."""

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest

from tests.server_process import ServerProcess

MEBIBYTE = 1024 * 1024
PATH_BYTES = 15_000
HEADER_BYTES = 60_000
QUERY_BYTES = 45_000
# What was sent in each of these kinds is several times as much.
GROWTH_BYTES_MAX = 48 * MEBIBYTE


@pytest.fixture
def connection(own_server: ServerProcess) -> Iterator[http.client.HTTPConnection]:
    """A connection to a server of the test's own."""
    opened = http.client.HTTPConnection(urlsplit(own_server.url).netloc, timeout=60)
    yield opened
    opened.close()


def status(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """The status of an answer, its body and the error that stands in its headers."""
    connection.request(method, path, headers=headers or {})
    response = connection.getresponse()
    body = response.read().decode()
    return response.status, body, response.headers.get("X-REDIVIS-ERROR-PAYLOAD", "")


def test_what_is_too_long_is_refused(connection: http.client.HTTPConnection) -> None:
    """414 and 431 in the shape of every error, on inserts and on other routes; what is just short goes on."""
    insert = "/api/v1/tables/a.b.c/uploads/{}/rows"
    other = "/api/v1/tables/{}"
    for method, path in (("POST", insert), ("GET", other), ("DELETE", other)):
        found, body, _ = status(connection, method, path.format("x" * 20_000))
        assert (found, '"uri_too_long"' in body) == (414, True)
        found, body, _ = status(connection, method, path.format("x"), {"X-Long": "x" * 70_000})
        assert (found, '"headers_too_large"' in body) == (431, True)
        found, body, _ = status(connection, method, f"{path.format('x')}?a={'x' * 49_500}")
        assert (found, '"uri_too_long"' in body) == (414, True)
        found, _, _ = status(connection, method, path.format("x" * 10_000), {"X-Long": "x" * 60_000})
        assert found in (400, 401, 404)
    found, body, payload = status(connection, "HEAD", other.format("x" * 20_000))
    assert (found, body, "uri_too_long" in payload) == (414, "", True)
    found, _, _ = status(connection, "GET", f"{other.format('x')}?selectedVariables={'x' * 45_000}")
    assert found in (400, 401, 404)


@pytest.mark.alone
@pytest.mark.parametrize("kind", ["path", "authorization", "query"])
def test_nothing_long_is_remembered(
    own_server: ServerProcess, connection: http.client.HTTPConnection, kind: str
) -> None:
    """Requests that all differ leave no memory behind."""

    def send(number: int) -> None:
        headers = {"Authorization": f"Bearer {number}{'x' * HEADER_BYTES}"} if kind == "authorization" else {}
        upload = f"{number}{'x' * PATH_BYTES}" if kind == "path" else "u"
        query = f"?a{number}={'x' * QUERY_BYTES}" if kind == "query" else ""
        path = f"/api/v1/tables/a.b.c/uploads/{upload}/rows{query}"
        assert status(connection, "POST", path, headers)[0] in (401, 404)

    process = psutil.Process(own_server.pid)
    for number in range(200):
        send(number)
    before = process.memory_info().rss
    for number in range(200, 200 + (6_000 if kind == "path" else 2_000)):
        send(number)
    assert process.memory_info().rss - before < GROWTH_BYTES_MAX
