"""Who may query what: every table is asked for as its reader, with the token that was sent."""

from collections.abc import Iterator

import pytest

from tests import plain_http
from tests.api.querying import QueryClient
from tests.api.stream import Stream
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

SCHEMA = [{"name": "count", "type": "integer"}]


@pytest.fixture(scope="module")
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A table with a released version of one row, and two rows in the next version."""
    made = Stream(server.url, server.token, SCHEMA, server.user)
    made.insert({"rows": [{"count": 1}]})
    release = made.client.post(f"{made.dataset_uri}/versions/next/release", json={"continueStreams": True})
    assert release.status_code == 200, release.text
    assert made.insert({"rows": [{"count": 2}]}).status_code == 201
    yield made
    made.close()


@pytest.fixture(scope="module")
def dataset(stream: Stream) -> str:
    """The data set's reference without a version."""
    shown = stream.client.get(stream.dataset_uri).json()
    owner, _, rest = shown["qualifiedReference"].partition(".")
    name, reference_id, *_ = rest.split(":")
    return f"{owner}.{name}:{reference_id}"


def queries_with(server: ServerProcess, token: str) -> QueryClient:
    """Queries with a token."""
    return QueryClient(plain_http.client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}))


def test_versions(stream: Stream, dataset: str) -> None:
    """A reference without a version is the released one; `next` is for editors, and knows its uploads."""
    queries = QueryClient(stream.client)
    count = "SELECT COUNT(*) FROM `{}{}.measurements`"
    assert queries.rows(count.format(dataset, "")) == [[1]]
    assert queries.rows(count.format(dataset, ":v1_0")) == [[1]]
    assert queries.rows(count.format(dataset, ":current")) == [[1]]
    assert queries.rows(count.format(dataset, ":next")) == [[2]]
    assert "no dataset" in queries.refusal(count.format(dataset, ":v9_9"))
    assert queries.rows(f"SELECT * FROM `{dataset}:v1_0.measurements`") == [[1]]
    hidden = queries.refusal(f"SELECT _upload_name FROM `{dataset}.measurements`")
    assert "Unrecognized name: _upload_name" in hidden
    both = (
        f"SELECT a.count FROM `{dataset}.measurements` a JOIN `{dataset}:next.measurements` b USING (count)"
    )
    assert queries.rows(both) == [[1]]


def test_scopes_and_levels(server: ServerProcess, stream: Stream, dataset: str) -> None:
    """A token without the scope, and a user without the level, are told what is missing."""
    query = f"SELECT COUNT(*) FROM `{dataset}.measurements`"
    narrow = rowkeep(
        "token", "create", "--user", server.user, "--scope", "data.metadata", data_dir=server.data_dir
    )
    assert "lacks the scope data.data" in queries_with(server, narrow).refusal(query)
    rowkeep("user", "create", "querier", data_dir=server.data_dir)
    token = rowkeep("token", "create", "--user", "querier", data_dir=server.data_dir)
    queries = queries_with(server, token)
    assert "There is no dataset" in queries.refusal(query)
    uri = stream.dataset_uri.replace(":next", "")
    for level, found in (("metadata", "Line 1, column 22: "), ("data", None)):
        granted = stream.client.put(f"{uri}/access/querier", json={"accessLevel": level})
        assert granted.status_code == 200, granted.text
        if found is None:
            assert queries.rows(query) == [[1]]
        else:
            assert queries.refusal(query).startswith(found)
    assert "There is no dataset" in queries.refusal(query.replace(".measurements", ":next.measurements"))
    query_of_mine = queries.send(query)
    assert stream.client.get(query_of_mine["uri"]).status_code == 404
    assert stream.client.get(f"{query_of_mine['uri']}/rows").status_code == 404


def test_a_result_needs_the_scope_to_be_read(server: ServerProcess, stream: Stream, dataset: str) -> None:
    """Another token of the same user reads a result only if it may read data."""
    query = QueryClient(stream.client).send(f"SELECT COUNT(*) FROM `{dataset}.measurements`")
    narrow = rowkeep(
        "token", "create", "--user", server.user, "--scope", "data.metadata", data_dir=server.data_dir
    )
    client = queries_with(server, narrow).client
    assert client.get(query["uri"]).status_code == 200
    for path in ("rows", "variables"):
        assert client.get(f"{query['uri']}/{path}").status_code == 403
    assert client.post(f"{query['uri']}/readSessions", json={}).status_code == 403
