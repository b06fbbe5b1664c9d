"""Pages of other origins may call the API from a browser, if the operator says so. Source: contract 7.31."""

from collections.abc import Iterator

import pytest

from tests import plain_http
from tests.server_process import ServerProcess

PAGE = "https://lab.example.org"
STRANGER = "https://elsewhere.example.org"


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose operator lets two origins in."""
    folder = tmp_path_factory.mktemp("cors") / "data"
    started = ServerProcess(folder, cors_origins=f"{PAGE}, https://other.example.org/")
    started.start()
    yield started
    started.close()


def preflight(server: ServerProcess, origin: str, path: str) -> dict[str, str]:
    """What a browser is told before it lets a page insert rows."""
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    answer = plain_http.request("OPTIONS", f"{server.url}{path}", headers=headers)
    allowed = {name: value for name, value in answer.headers.items() if name.startswith("access-control")}
    return {"status": str(answer.status_code), **allowed}


@pytest.mark.parametrize("path", ["/tables/a.b.c/uploads/u/rows", "/datasets/a.b", "/nothing"])
def test_a_browser_that_asks_is_told(shared_server: ServerProcess, path: str) -> None:
    """The preflight of a page that may call names methods and headers; it needs no token."""
    told = preflight(shared_server, PAGE, path)
    assert told["status"] == "200"
    assert told["access-control-allow-origin"] == PAGE
    assert "POST" in told["access-control-allow-methods"]
    assert {"authorization", "content-type", "idempotency-key", "x-redivis-client"} <= set(
        told["access-control-allow-headers"].split(", ")
    )


def test_a_strange_page_is_told_nothing(shared_server: ServerProcess) -> None:
    """A page of another origin gets no permission, neither in a preflight nor with an answer."""
    assert preflight(shared_server, STRANGER, "/datasets/a.b") == {"status": "405"}
    answer = plain_http.request("GET", f"{shared_server.url}/users/me", headers={"origin": STRANGER})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/users/me", "/nothing", "/tables/a.b.c/uploads/u/rows"])
def test_a_page_may_read_errors_too(shared_server: ServerProcess, path: str) -> None:
    """Every answer, also a refusal, can be read by the page, with the headers that clients look at."""
    answer = plain_http.request("POST", f"{shared_server.url}{path}", headers={"origin": PAGE}, content=b"{}")
    assert answer.status_code >= 400
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "origin"
    assert "x-redivis-warning" in answer.headers["access-control-expose-headers"]


def test_off_by_default(server: ServerProcess) -> None:
    """A server that nobody told anything lets no page of another origin in."""
    assert preflight(server, PAGE, "/datasets/a.b") == {"status": "405"}
