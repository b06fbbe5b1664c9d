"""Queries of the official clients, unmodified: what their own tests ask, against a real server."""

from collections.abc import Iterator

import pytest

from tests.api.stream import ALL_TYPES, Stream
from tests.e2e.client_process import SCRIPTS, Facts, drive, javascript_client, python_of
from tests.e2e.test_javascript_client import VERSION as JAVASCRIPT_VERSION
from tests.e2e.test_python_clients import INSTALLED, NAMES
from tests.server_process import ServerProcess

ROW = dict.fromkeys(NAMES) | {"site": "a", "count": 1, "measured_at": "2024-01-31T12:00:00.000"}


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A data set that is not released, with a row."""
    made = Stream(server.url, server.token, ALL_TYPES, server.user)
    assert made.insert({"rows": [ROW]}).status_code == 201
    yield made
    made.close()


@pytest.mark.parametrize("version", ["0.20.6", INSTALLED])
def test_python(server: ServerProcess, stream: Stream, version: str) -> None:
    """Each query of the client's tests has the rows and the types that it should have."""
    dataset = stream.client.get(stream.dataset_uri).json()["name"].replace(" ", "_")
    given = {"owner": server.user, "dataset": dataset, "table": "measurements"}
    told: Facts = drive([python_of(version, INSTALLED), SCRIPTS / "python_query.py"], server, given)["query"]
    assert told["global"] == [["a", 1, None, None, None, "2024-01-31T12:00:00.000000", None, None]]
    assert told["scoped"] == "_upload_name"
    assert told["sum"] == [["some_number", "some_string"], [2, "foo"], [4, "bar"]]
    assert told["empty"] == [["val"]]
    assert told["underscore"] == [["_val"], [2]]
    assert told["types"] == [
        "int64",
        "double",
        "string",
        "bool",
        "date32[day]",
        "timestamp[us]",
        "time64[us]",
    ]
    assert [type_ for _, type_ in told["variables"]] == [
        *("integer", "float", "string", "boolean", "date", "dateTime", "time")
    ]
    assert "Unrecognized name: nope" in told["refused"]["text"]


def test_javascript(server: ServerProcess) -> None:
    """A query has its rows; one that fails is an error with the server's words."""
    client = javascript_client()
    assert JAVASCRIPT_VERSION in (client / "package.json").read_text(encoding="utf-8")
    script = SCRIPTS / "javascript_query.mjs"
    told = drive(["node", script, client / "dist" / "esm" / "index.js"], server, {})["query"]
    assert told["rows"] == [
        {"some_number": 2, "some_string": "foo"},
        {"some_number": 4, "some_string": "bar"},
    ]
    assert told["refused"]
