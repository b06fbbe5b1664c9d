"""401, 403 and 404 exactly as contract section 2 says; what may not be seen looks absent."""

from collections.abc import Iterator

import httpx
import pytest

from tests import plain_http
from tests.api.stream import ALL_TYPES, Stream
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

ROW = {"rows": [{"site": "a"}]}


@pytest.fixture(scope="module")
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A stream of the demo user."""
    made = Stream(server.url, server.token, ALL_TYPES, server.user)
    yield made
    made.close()


@pytest.fixture(scope="module")
def stranger(server: ServerProcess) -> str:
    """A token of a user who has nothing to do with the stream."""
    rowkeep("user", "create", "stranger", data_dir=server.data_dir)
    return rowkeep("token", "create", "--user", "stranger", data_dir=server.data_dir)


@pytest.fixture(scope="module")
def reader(server: ServerProcess) -> str:
    """A token of the owner that is good for reading only."""
    return rowkeep("token", "create", "--user", server.user, "--scope", "data.data", data_dir=server.data_dir)


def requests(stream: Stream) -> list[tuple[str, str, dict[str, object] | None]]:
    """One request of every kind on the stream and what it is in."""
    return [
        ("GET", stream.dataset_uri, None),
        ("GET", f"{stream.dataset_uri}/tables", None),
        ("POST", f"{stream.dataset_uri}/tables", {"name": "another"}),
        ("GET", stream.table_uri, None),
        ("GET", f"{stream.table_uri}/variables", None),
        ("GET", f"{stream.table_uri}/uploads", None),
        ("POST", f"{stream.table_uri}/uploads", {"name": "u", "type": "stream"}),
        ("GET", f"{stream.table_uri}/rows", None),
        ("POST", f"{stream.table_uri}/readSessions", {}),
        ("GET", stream.upload_uri, None),
        ("GET", f"{stream.upload_uri}/variables", None),
        ("POST", f"{stream.upload_uri}/readSessions", {}),
        ("POST", f"{stream.upload_uri}/rows", ROW),
        ("DELETE", stream.upload_uri, None),
        ("DELETE", stream.table_uri, None),
        ("DELETE", stream.dataset_uri, None),
    ]


def ask(
    stream: Stream, token: str | None, method: str, path: str, body: dict[str, object] | None
) -> httpx.Response:
    """A request with a token, or with none."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with plain_http.client(base_url=stream.client.base_url, headers=headers) as client:
        return client.request(method, path, json=body)


def test_anonymous(stream: Stream) -> None:
    """Without credentials everything here is 401, so that a client knows to sign in."""
    for method, path, body in requests(stream):
        response = ask(stream, None, method, path, body)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_token"), path


def test_bad_token(stream: Stream) -> None:
    """A token that is not known is 401 wherever it is sent."""
    for method, path, body in requests(stream):
        response = ask(stream, "x" * 43, method, path, body)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_token"), path


def test_stranger(stream: Stream, stranger: str) -> None:
    """Who may not see the dataset gets 404, worded as for one that does not exist."""
    for method, path, body in requests(stream):
        response = ask(stream, stranger, method, path, body)
        assert (response.status_code, response.json()["error"]) == (404, "not_found_error"), path
    hidden = ask(stream, stranger, "GET", "/datasets/demo.dataset_1", None).json()
    absent = ask(stream, stranger, "GET", "/datasets/demo.dataset_x", None).json()
    assert hidden["error_description"].replace("dataset_1", "dataset_x") == absent["error_description"]


def test_missing_scope(stream: Stream, reader: str) -> None:
    """The owner with a weaker token is told which scope is missing."""
    for method, path, body in requests(stream):
        response = ask(stream, reader, method, path, body)
        error = response.json()
        assert (response.status_code, error["error"]) == (403, "insufficient_scope"), path
        assert error["scope"] == "data.edit"


def test_create_for_someone_else(stream: Stream, stranger: str, server: ServerProcess) -> None:
    """Only the owner itself, or an administrator of it, creates datasets."""
    for path in (f"/users/{server.user}/datasets", f"/organizations/{server.organization}/datasets"):
        response = ask(stream, stranger, "POST", path, {"name": "mine"})
        assert (response.status_code, response.json()["error"]) == (403, "forbidden")
    response = ask(stream, stranger, "POST", "/users/nobody/datasets", {"name": "mine"})
    assert response.status_code == 404


def test_lists_hide_what_is_not_released(stream: Stream, stranger: str, server: ServerProcess) -> None:
    """Others see an empty list of the datasets of an owner who has released nothing."""
    rowkeep("user", "create", "recluse", data_dir=server.data_dir)
    token = rowkeep("token", "create", "--user", "recluse", data_dir=server.data_dir)
    unreleased = Stream(server.url, token, None, "recluse")
    path = "/users/recluse/datasets"
    assert len(ask(stream, token, "GET", path, None).json()["results"]) == 1
    for other in (stranger, None):
        response = ask(stream, other, "GET", path, None)
        assert (response.status_code, response.json()["results"]) == (200, [])
    unreleased.close()


def test_head_carries_the_error(stream: Stream, stranger: str) -> None:
    """HEAD answers without a body; the error is in its header."""
    response = ask(stream, stranger, "HEAD", stream.table_uri, None)
    assert (response.status_code, response.content) == (404, b"")
    assert "not_found_error" in response.headers["x-redivis-error-payload"]
    assert (
        ask(stream, stream.client.headers["authorization"][7:], "HEAD", stream.table_uri, None).status_code
        == 200
    )
    missing = f"{stream.table_uri}/uploads/none"
    assert stream.client.head(missing).status_code == 404


def test_read_stream_is_its_makers(stream: Stream, stranger: str) -> None:
    """Only who made a read session may read its streams."""
    session = stream.client.post(f"{stream.upload_uri}/readSessions", json={}).json()
    path = f"/readStreams/{session['streams'][0]['id']}"
    assert stream.client.get(path).status_code == 200
    assert ask(stream, stranger, "GET", path, None).status_code == 404
    assert ask(stream, None, "GET", path, None).status_code == 401


def test_who_is_not_a_member(stream: Stream, stranger: str, server: ServerProcess) -> None:
    """Nobody of that name, a user who is none, an organization: each is 404 to its administrator."""
    members = f"/organizations/{server.organization}/members"
    for name in ("nobody", "stranger", server.organization):
        for method in ("GET", "DELETE"):
            response = ask(stream, server.token, method, f"{members}/{name}", None)
            assert (response.status_code, response.json()["error"]) == (404, "not_found_error"), (
                method,
                name,
            )
    assert (
        ask(stream, server.token, "GET", f"{members}/{server.user}", None).json()["role"] == "administrator"
    )
