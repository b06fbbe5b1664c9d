"""Arrow streams as bodies of insertRows: what is true of JSON is true of them."""

import datetime
import gzip
import math
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.api.stream import Stream
from tests.unit.test_arrow_bodies import stream_of

ARROW = "application/vnd.apache.arrow.stream"
ROWS: list[dict[str, Any]] = [
    {
        "site": "Zürich",
        "count": 1,
        "temperature": 20.5,
        "valid": True,
        "day": datetime.date(2026, 1, 31),
        "measured_at": datetime.datetime(2026, 1, 31, 12, 0, 0, 500),
        "local_time": datetime.time(12),
        "position": "POINT(8.5 47.4)",
    },
    {"site": None, "count": 2, "temperature": None, "valid": False},
]


def send(stream: Stream, body: bytes, query: str = "", **headers: str) -> httpx.Response:
    """Inserts a body that is an Arrow stream."""
    path = f"{stream.upload_uri}/rows{query}"
    return stream.client.post(path, content=body, headers={"Content-Type": ARROW, **headers})


def insert(stream: Stream, columns: dict[str, Any], query: str = "", **headers: str) -> httpx.Response:
    """Inserts columns."""
    return send(stream, stream_of(pa.table(columns)), query, **headers)


def columns_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows as columns of the types that pyarrow finds."""
    return {name: pa.array([row.get(name) for row in rows]) for name in rows[0]}


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON has it."""
    return {
        name: value.isoformat() if isinstance(value, datetime.date | datetime.time) else value
        for name, value in row.items()
    }


def test_the_same_as_json(stream: Stream) -> None:
    """Rows of all types: the same receipt, but for its place, the same rows, and the chain is whole."""
    by_json = stream.insert({"rows": [as_json(row) for row in ROWS]}).json()
    response = insert(stream, columns_of(ROWS))
    assert response.status_code == 201
    by_arrow = response.json()
    assert by_arrow["sha256"] == by_json["sha256"]
    assert (by_arrow["commit"], by_arrow["firstRow"], by_arrow["lastRow"]) == (2, 2, 3)
    rows = stream.rows()
    assert rows[:2] == rows[2:]
    assert stream.client.get(f"{stream.upload_uri}/verify").json()["isIntact"]


def test_many_rows(stream: Stream) -> None:
    """More than one slice, in order, over batches."""
    table = pa.table({"count": range(12_000)})
    response = send(stream, stream_of(table, rows_per_batch=7_000))
    assert (response.status_code, response.json()["rowsAdded"]) == (201, 12_000)
    assert [row["count"] for row in stream.rows()] == list(range(12_000))


def test_no_rows(stream: Stream) -> None:
    """A stream without batches, and one with an empty batch."""
    for table in (pa.table({"count": pa.array([], pa.int64())}), pa.table({})):
        response = send(stream, stream_of(table))
        assert (response.status_code, response.json()["rowsAdded"]) == (201, 0)


def test_a_value_that_does_not_fit(stream: Stream) -> None:
    """It is named as JSON's is, and nothing goes in."""
    response = insert(
        stream, {"count": [1, None, 2], "site": ["a", "b", "c"], "temperature": ["20", "x", "y"]}
    )
    assert response.status_code == 400
    error = response.json()
    assert [(bad["row"], bad["variable"]) for bad in error["errors"]] == [
        (0, "temperature"),
        (1, "temperature"),
        (2, "temperature"),
    ]
    response = insert(stream, {"temperature": [1.0, math.nan]})
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {
            "row": 1,
            "variable": "temperature",
            "message": 'the value of "temperature" is NaN, and JSON has no such number; '
            "send null for a missing one",
        }
    ]
    response = insert(stream, {"unheard_of": [1]})
    assert (response.status_code, response.json()["errors"][0]["variable"]) == (400, "unheard_of")
    assert stream.row_count() == 0


def test_wider_than_its_variable(stream: Stream) -> None:
    """Whole floats are integers, days are times, as in JSON; what would be lost is refused."""
    assert insert(stream, {"count": [2.0]}).status_code == 201
    assert insert(stream, {"measured_at": [datetime.date(2026, 1, 31)]}).status_code == 201
    assert insert(stream, {"count": [2.5]}).status_code == 400
    assert insert(stream, {"measured_at": pa.array([1], pa.timestamp("ns"))}).status_code == 400
    assert [(row["count"], row["measured_at"]) for row in stream.rows()] == [
        (2, None),
        (None, "2026-01-31 00:00:00"),
    ]


def test_options_stand_in_the_query(stream: Stream, growing: Stream) -> None:
    """New variables, rows that are skipped, a dry run, an offset, a key."""
    response = insert(growing, {"a": [1, 2], "b": ["x", None]})
    assert [added["name"] for added in response.json()["schemaUpdates"][0]["addedVariables"]] == ["a", "b"]
    assert insert(growing, {"a": [1.5]}).json()["schemaUpdates"][0]["updatedVariables"][0]["type"] == "float"
    skipping = insert(stream, {"count": [1.0, 2.5]}, "?skipInvalidRows=true").json()
    assert (skipping["rowsAdded"], skipping["rowsSkipped"]) == (1, 1)
    assert insert(stream, {"count": [2]}, "?validateOnly=true").status_code == 200
    assert insert(stream, {"count": [2]}, "?offsetToken=t").status_code == 201
    assert insert(stream, {"count": [2]}, "?expectedOffsetToken=u").status_code == 409
    key = {"Idempotency-Key": "k"}
    first, second = (insert(stream, {"count": [3]}, **key) for _ in range(2))
    assert (first.json(), second.headers["idempotency-replayed"]) == (second.json(), "true")
    assert insert(stream, {"count": [4]}, **key).status_code == 422
    assert [row["count"] for row in stream.rows()] == [1, 2, 3]
    assert growing.rows() == [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": None}, {"a": 1.5, "b": None}]


def test_a_body_may_be_compressed(stream: Stream) -> None:
    """As a whole; its buffers may not."""
    table = pa.table({"count": range(1_000)})
    assert send(stream, gzip.compress(stream_of(table)), **{"Content-Encoding": "gzip"}).status_code == 201
    response = send(stream, stream_of(table, compression="zstd"))
    assert response.status_code == 400
    assert "Content-Encoding" in response.json()["error_description"]
    assert stream.row_count() == 1_000


@pytest.mark.parametrize("body", [b"", b"x", b'{"rows": []}', stream_of(pa.table({"count": [1]}))[:-40]])
def test_what_is_no_stream(stream: Stream, body: bytes) -> None:
    """It says what to send."""
    response = send(stream, body)
    assert response.status_code == 400
    assert "Arrow's IPC streaming format" in response.json()["error_description"]
