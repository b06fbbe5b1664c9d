"""validateOnly: the whole check and the answer that would be, and nothing written."""

import hashlib
from typing import Any

import pytest

from tests.api.asking import Ask, Asking
from tests.api.stream import Stream
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

MANY = 60_000


asking = Asking("validateOnly")


@asking.each_way
@pytest.mark.parametrize("row", [{"count": 1}, {"COUNT": 1.0}], ids=["strict", "lenient"])
@pytest.mark.parametrize("count", [0, 1, 2_000, MANY])
def test_good_rows(stream: Stream, ask: Ask, row: dict[str, Any], count: int) -> None:
    """200 with what the 201 would say; no row is there afterwards."""
    response = ask(stream, [row] * count)
    assert (response.status_code, response.json()) == (
        200,
        {
            "kind": "insertRowsResponse",
            "rowsAdded": count,
            "rowsSkipped": 0,
            "schemaUpdates": [],
            "version": "next",
            "commit": None,
            "firstRow": None,
            "lastRow": None,
            "sha256": hashlib.sha256(b'{"count":1}\n' * count).hexdigest(),
            "chain": None,
            "validateOnly": True,
        },
    )
    assert stream.row_count() == 0
    assert stream.rows() == []


@asking.each_way
@pytest.mark.parametrize("count", [2, MANY])
def test_bad_rows(stream: Stream, ask: Ask, count: int) -> None:
    """The errors are those of the insert."""
    rows: list[Any] = [{"count": 1}] * (count - 1) + [{"count": "x", "nowhere": 1}]
    expected = stream.insert({"rows": rows})
    found = ask(stream, rows)
    assert (found.status_code, found.json()) == (expected.status_code, expected.json())
    assert found.status_code == 400


@pytest.mark.parametrize("count", [1, MANY])
def test_the_schema_stays(server: ServerProcess, count: int) -> None:
    """What rows would do to the schema is told and not done; then the insert does exactly that."""
    stream = Stream(server.url, server.token, None, server.user)
    rows = [{"a": 1, "b": "x"}] * count
    before = stream.client.get(stream.upload_uri).json()
    told = asking.in_body(stream, rows).json()
    assert stream.client.get(stream.upload_uri).json() == before
    assert stream.client.get(f"{stream.upload_uri}/variables").json()["results"] == []
    assert asking.with_lines(stream, rows).json() == told
    done = stream.insert({"rows": rows}).json()
    assert done["schemaUpdates"]
    unwritten = dict.fromkeys(("commit", "firstRow", "lastRow", "chain"))
    assert {**done, **unwritten, "validateOnly": True} == told
    stream.close()


@asking.each_way
def test_no_key_is_used_up(stream: Stream, ask: Ask) -> None:
    """The key is free afterwards, for these rows or others; one that is taken does not matter."""
    key = {"Idempotency-Key": "k"}
    assert ask(stream, [{"count": 1}], **key).status_code == 200
    assert stream.insert({"rows": [{"count": 2}]}, **key).status_code == 201
    again = ask(stream, [{"count": 3}], **key)
    assert (again.status_code, again.json()["rowsAdded"]) == (200, 1)
    assert "idempotency-replayed" not in again.headers
    assert [row["count"] for row in stream.rows()] == [2]


def test_the_body_goes_before_the_query(stream: Stream) -> None:
    """`false` and null in the body, `false` in the query: an ordinary insert."""
    url = f"{stream.upload_uri}/rows"
    rows = [{"count": 1}]
    assert stream.client.post(url, json={"rows": rows, "validateOnly": False}).status_code == 201
    assert stream.client.post(url, json={"rows": rows, "validateOnly": None}).status_code == 201
    asked = {"rows": rows, "validateOnly": False}
    assert stream.client.post(f"{url}?validateOnly=true", json=asked).status_code == 201
    assert stream.client.post(f"{url}?validateOnly=false", json={"rows": rows}).status_code == 201
    assert stream.row_count() == 4
    assert stream.client.post(url, json={"rows": rows, "validateOnly": "yes"}).status_code == 400


@asking.each_way
def test_it_is_the_current_schema_that_counts(stream: Stream, ask: Ask) -> None:
    """A schema that changed just now, and an upload that is gone."""
    assert ask(stream, [{"new": 1}]).status_code == 400
    assert stream.insert({"rows": [{"new": 1}], "updateSchema": True}).status_code == 201
    assert ask(stream, [{"new": 1}]).status_code == 200
    stream.client.delete(stream.upload_uri)
    assert ask(stream, [{"new": 1}]).status_code == 404


@asking.each_way
def test_it_takes_what_an_insert_takes(server: ServerProcess, stream: Stream, ask: Ask) -> None:
    """The same scope and access: a token that may not insert may not ask either."""
    token = rowkeep(
        "token", "create", "--user", server.user, "--scope", "data.data", data_dir=server.data_dir
    )
    stream.client.headers["Authorization"] = f"Bearer {token}"
    response = ask(stream, [{"count": 1}])
    assert (response.status_code, response.json()["error"]) == (403, "insufficient_scope")
