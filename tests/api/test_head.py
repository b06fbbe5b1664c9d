"""HEAD on whatever answers GET: its status, no body, an error's payload in a header. Source: contract 1.4."""

import json
from collections.abc import Iterator
from urllib.parse import quote, unquote

import httpx
import pytest

from tests import plain_http
from tests.api.places import Places
from tests.api.publishing import Publication
from tests.command_line import rowkeep
from tests.routes import OPERATIONS, has_errors, query_names
from tests.server_process import ServerProcess

GETS = [path for method, path in OPERATIONS if method == "GET"]
NAMED = [path for path in GETS if "{" in path]
PAGED = [path for (method, path), operation in OPERATIONS.items() if "maxResults" in query_names(operation)]
ABSENT = {
    "owner": "nobody",
    "dataset": "demo.nothing",
    "table": "demo.nothing.at_all",
    "upload": "none",
    "variable": "none",
    "version": "v9.9",
    "stream": "0-0",
    "key": "never",
    "grantee": "nobody",
    "user": "nobody",
    "query": "0000-none",
    "export": "0000-none",
    "link": "none",
    "file": "0000-none",
    "rowLink": "none",
}
# They take no token, and their names are for people alone.
LINKED = ("/api/v1/downloads/{link}/{name}", "/api/v1/downloads/rows/{rowLink}/{name}")


@pytest.fixture(scope="module")
def head_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server with a second user."""
    started = ServerProcess(tmp_path_factory.mktemp("head") / "data")
    rowkeep("user", "create", "grace", data_dir=started.data_dir)
    started.start()
    yield started
    started.close()


@pytest.fixture(scope="module")
def places(head_server: ServerProcess) -> Iterator[Places]:
    """What the paths name."""
    made = Places(head_server)
    yield made
    made.forget()


def both(
    server: ServerProcess, path: str, parameters: dict[str, str], token: str | None, query: str = ""
) -> tuple[httpx.Response, httpx.Response]:
    """What GET and HEAD answer."""
    url = path.format(**{name: quote(value, safe="") for name, value in parameters.items()})
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    origin = server.url.removesuffix("/api/v1")
    with plain_http.client(base_url=origin, headers=headers) as client:
        return client.get(url + query), client.head(url + query)


def check_refusal(get: httpx.Response, head: httpx.Response) -> None:
    """The same refusal, with and without a body."""
    assert (head.status_code, head.content) == (get.status_code, b"")
    payload = head.headers["x-redivis-error-payload"]
    assert payload.isascii()
    assert json.loads(unquote(payload)) == get.json()
    assert get.json()["status"] == head.status_code
    assert "x-redivis-error-payload" not in get.headers


@pytest.mark.parametrize("path", GETS)
def test_what_is_there(head_server: ServerProcess, places: Places, path: str) -> None:
    """GET and HEAD have the same status and type; HEAD has no body and no payload."""
    get, head = both(head_server, path, places.of(path), head_server.token)
    assert (get.status_code, head.status_code) == (200, 200), get.text
    assert get.content
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]
    assert "x-redivis-error-payload" not in head.headers


@pytest.mark.parametrize("path", NAMED)
def test_what_is_not_there(head_server: ServerProcess, places: Places, path: str) -> None:
    """404 by both, whichever part of the path names nothing."""
    real = places.of(path)
    for name in real.keys() & ABSENT.keys():
        get, head = both(head_server, path, {**real, name: ABSENT[name]}, head_server.token)
        assert head.status_code == 404
        check_refusal(get, head)


@pytest.mark.parametrize("path", [path for path in GETS if has_errors(OPERATIONS["GET", path])])
def test_a_bad_token(head_server: ServerProcess, places: Places, path: str) -> None:
    """401 by both, since clients sign in anew when a HEAD says so; health and links need no token."""
    get, head = both(head_server, path, places.of(path), "unknown")
    if path in ("/readyz", "/metrics", *LINKED):
        assert (get.status_code, head.status_code) == (200, 200)
        return
    assert head.status_code == 401
    check_refusal(get, head)


@pytest.mark.parametrize("path", PAGED)
def test_a_bad_parameter(head_server: ServerProcess, places: Places, path: str) -> None:
    """400 by both."""
    get, head = both(head_server, path, places.of(path), head_server.token, "?maxResults=ten")
    assert head.status_code == 400
    check_refusal(get, head)


def test_an_error_in_another_script(head_server: ServerProcess) -> None:
    """The payload is percent-encoded UTF-8, whatever name it quotes."""
    get, head = both(head_server, "/api/v1/users/{owner}", {"owner": "日本 & ünï"}, head_server.token)
    assert "日本 & ünï" in get.json()["error_description"]
    check_refusal(get, head)


@pytest.mark.parametrize(
    ("path", "status"), [("/api/v1/nothing", 404), ("/api/v1/tables/a.b.c/readSessions", 405)]
)
def test_no_such_route(head_server: ServerProcess, path: str, status: int) -> None:
    """A path that nothing answers, and one that does not answer GET, are refused alike by both."""
    origin = head_server.url.removesuffix("/api/v1")
    get, head = (plain_http.request(method, origin + path) for method in ("GET", "HEAD"))
    assert (get.status_code, head.status_code, head.content) == (status, status, b"")
    payload = json.loads(unquote(head.headers["x-redivis-error-payload"]))
    assert payload["error"] == get.json()["error"]


def test_an_upload_exists_to_its_editors_alone(head_server: ServerProcess) -> None:
    """HEAD on an upload is 404 to whoever may not edit, existing or not, so that clients' exists() answers.

    Who is not signed in is told to; a token of an editor that lacks the scope says which one.
    """
    publication = Publication(head_server, "data")
    publication.publish("answers", "live", [{"a": 1}])
    publication.done("PUT", f"{publication.dataset()}/access/grace", {"accessLevel": "data"})
    token_of = ("token", "create", "--user")
    reader = rowkeep(*token_of, "grace", data_dir=head_server.data_dir)
    unscoped = rowkeep(*token_of, head_server.user, "--scope", "data.data", data_dir=head_server.data_dir)
    upload, other = (f"{publication.table('answers', 'v1.0')}/uploads/{name}" for name in ("live", "none"))
    for token, found, missing in ((None, 200, 404), (reader, 404, 404), (unscoped, 403, 403), ("", 401, 401)):
        assert publication.ask("HEAD", upload, token=token).status_code == found
        assert publication.ask("HEAD", other, token=token).status_code == missing
    payloads = [
        unquote(publication.ask("HEAD", path, token=reader).headers["X-REDIVIS-ERROR-PAYLOAD"])
        for path in (upload, other)
    ]
    assert payloads[0].replace("live", "none") == payloads[1]
    publication.close()
