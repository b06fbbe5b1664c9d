"""updateSchema under load: widenings converge, readers midway see one schema. Source: contract 4.5.1, 7.8."""

import concurrent.futures
import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests import plain_http
from tests.api.stream import Stream
from tests.arrow_streams import table_of
from tests.server_process import ServerProcess

WRITERS = 8
REQUESTS = 12
DECLARED = [
    {"name": "id", "type": "integer"},
    {"name": "number", "type": "integer"},
    {"name": "day", "type": "date"},
    {"name": "anything", "type": "integer"},
]
# What each writer sends for `number`, `day` and `anything`; for the last, the texts that a string variable
# may keep of it: an integer that came in while the variable was a float is a float.
NUMBERS = [1, 2.5, -3, 1e100]
DAYS = ["2020-01-01", "2020-01-01T01:02:03", "2021-12-31"]
ANYTHING: list[tuple[Any, set[str]]] = [
    (1, {"1", "1.0"}),
    (2.5, {"2.5"}),
    (True, {"true"}),
    ("text", {"text"}),
    (7, {"7", "7.0"}),
]


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """An empty stream with a schema."""
    made = Stream(server.url, server.token, DECLARED, server.user)
    yield made
    made.close()


def row_of(identity: int) -> dict[str, Any]:
    """The row with this id; its other values follow from it."""
    return {
        "id": identity,
        "number": NUMBERS[identity % len(NUMBERS)],
        "day": DAYS[identity % len(DAYS)],
        "anything": ANYTHING[identity % len(ANYTHING)][0],
        f"extra{identity % 5}": identity,
    }


def write(stream: Stream, writer: int) -> list[dict[str, Any]]:
    """Sends rows of one writer, two a request; the schema updates that it was told of."""
    told: list[dict[str, Any]] = []
    with plain_http.client(base_url=stream.client.base_url, headers=stream.client.headers) as client:
        for request in range(REQUESTS):
            first = (writer * REQUESTS + request) * 2
            body = {"rows": [row_of(first), row_of(first + 1)], "updateSchema": True}
            response = client.post(f"{stream.upload_uri}/rows", json=body, timeout=60)
            assert (response.status_code, response.json()["rowsAdded"]) == (201, 2), response.text
            told += response.json()["schemaUpdates"]
    return told


def types_of(stream: Stream, uri: str) -> dict[str, str]:
    """The variables at a uri and their types."""
    return {one["name"]: one["type"] for one in stream.client.get(f"{uri}/variables").json()["results"]}


def test_concurrent_widenings_converge(stream: Stream) -> None:
    """Whatever the order, the types hold all values, each change is told once, no value is lost."""
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        told = [
            update
            for updates in pool.map(lambda one: write(stream, one), range(WRITERS))
            for update in updates
        ]
    types = types_of(stream, stream.upload_uri)
    extras = {f"extra{number}": "integer" for number in range(5)}
    assert types == {"id": "integer", "number": "float", "day": "dateTime", "anything": "string", **extras}
    assert types_of(stream, stream.table_uri) == types
    added = [variable["name"] for update in told for variable in update["addedVariables"]]
    assert sorted(added) == sorted(extras)
    for name in ("number", "day", "anything"):
        steps = [
            (one["previousType"], one["type"])
            for update in told
            for one in update["updatedVariables"]
            if one["name"] == name
        ]
        path = dict(steps)
        assert len(path) == len(steps)  # no step was taken twice
        type_ = next(one["type"] for one in DECLARED if one["name"] == name)
        while type_ in path:
            type_ = path.pop(type_)
        assert (type_, path) == (types[name], {})
    rows = {row["id"]: row for row in stream.rows()}
    assert sorted(rows) == list(range(WRITERS * REQUESTS * 2))
    for identity, row in rows.items():
        assert row["number"] == NUMBERS[identity % len(NUMBERS)]
        assert row["anything"] in ANYTHING[identity % len(ANYTHING)][1]
        day = DAYS[identity % len(DAYS)].replace("T", " ")
        assert row["day"] == (day if " " in day else f"{day} 00:00:00")
        assert {name: row[name] for name in extras if row[name] is not None} == {
            f"extra{identity % 5}": identity
        }


def test_readers_midway_see_one_schema(stream: Stream) -> None:
    """Each read has one schema that fits all its rows; from read to read types widen and rows are added."""
    done = threading.Event()
    reads: list[tuple[dict[str, str], list[int]]] = []

    def read() -> None:
        with plain_http.client(base_url=stream.client.base_url, headers=stream.client.headers) as client:
            while not done.is_set():
                body = client.get(f"{stream.table_uri}/rows?format=arrow").content
                table = table_of(body)
                reads.append(
                    (
                        {field.name: str(field.type) for field in table.schema},
                        table.column("id").to_pylist(),
                    )
                )
                lines = client.get(f"{stream.table_uri}/rows").text.splitlines()
                decoded = [json.loads(line) for line in lines]
                assert len({tuple(row) for row in decoded}) <= 1
                for name in ("number", "anything"):
                    kinds = {isinstance(row[name], str) for row in decoded if row[name] is not None}
                    assert len(kinds) <= 1

    with concurrent.futures.ThreadPoolExecutor(WRITERS + 2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        writers = [pool.submit(write, stream, writer) for writer in range(WRITERS)]
        for writer in writers:
            writer.result()
        done.set()
        for reader in readers:
            reader.result()
    assert len(reads) > 2
    final = [row["id"] for row in stream.rows()]
    for _, ids in reads:
        assert ids == final[: len(ids)]
        assert len(ids) % 2 == 0  # requests are whole
    schemas = [schema for schema, _ in sorted(reads, key=lambda one: len(one[1]))]
    for before, after in itertools.pairwise(schemas):
        assert list(after)[: len(before)] == list(before)


def test_a_session_keeps_the_schema_of_its_moment(stream: Stream) -> None:
    """Rows and types of a read session stay as they were when the schema grows after it."""
    stream.insert({"rows": [{"id": 1, "number": 2, "anything": 3}]})
    session = stream.client.post(f"{stream.table_uri}/readSessions", json={}).json()
    grown = {"id": 2, "number": 2.5, "anything": "x", "more": 1}
    response = stream.insert({"rows": [grown], "updateSchema": True})
    assert response.status_code == 201
    table = table_of(stream.client.get(f"/readStreams/{session['streams'][0]['id']}").content)
    assert table.column_names == ["id", "number", "day", "anything"]
    assert table.to_pylist() == [{"id": 1, "number": 2, "day": None, "anything": 3}]
    assert [row["anything"] for row in stream.rows()] == ["3", "x"]


def test_a_refused_request_grows_nothing(stream: Stream) -> None:
    """What one row would have added is not added when another row of the request is refused."""
    before = types_of(stream, stream.upload_uri)
    for bad in ({"2bad": 1}, {"nested": {}}, {"id": [1]}):
        body = {"rows": [{"id": 1, "fresh": 1, "number": 2.5}, bad], "updateSchema": True}
        assert stream.insert(body).status_code == 400
    assert types_of(stream, stream.upload_uri) == before
    assert stream.row_count() == 0
