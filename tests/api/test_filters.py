"""Rows by a condition, in an order, from an offset on, without a query."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.stream import ALL_TYPES, Stream
from tests.server_process import ServerProcess

ROWS = [
    {"site": "a", "count": 1, "temperature": 1.5, "day": "2024-01-01"},
    {"site": "b", "count": 3, "temperature": None, "day": "2024-01-02"},
    {"site": "c", "count": 2, "temperature": 0.5, "day": "2024-01-03"},
    {"site": None, "count": 3, "temperature": 2.5, "day": None},
]


@pytest.fixture(scope="module")
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A stream with four rows."""
    made = Stream(server.url, server.token, ALL_TYPES, server.user)
    made.insert({"rows": ROWS})
    yield made
    made.close()


def sites(stream: Stream, path: str = "", **query: Any) -> list[str | None]:
    """The sites of the rows that are found, in their order."""
    response = stream.client.get(f"{path or stream.table_uri}/rows", params=query)
    assert response.status_code == 200, response.text
    return [json.loads(line)["site"] for line in response.text.splitlines()]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("count > 1", ["b", "c", None]),
        ("COUNT = 3 AND site IS NOT NULL", ["b"]),
        ("site IN ('a', 'c') OR temperature >= 2.5", ["a", "c", None]),
        ("day >= '2024-01-02'", ["b", "c"]),
        ("day BETWEEN '2024-01-01' AND DATE '2024-01-02'", ["a", "b"]),
        ("NOT (count = 3)", ["a", "c"]),
        ("site LIKE 'b%'", ["b"]),
        ("temperature IS NULL", ["b"]),
        ("count = -1", []),
    ],
)
def test_conditions(stream: Stream, where: str, found: list[str | None]) -> None:
    """A condition keeps the rows for which it is true, in the order of the table."""
    assert sites(stream, where=where) == found
    assert sites(stream, stream.upload_uri, where=where) == found


def test_order_offset_and_count(stream: Stream) -> None:
    """Rows are sorted, then counted off; equal ones keep their order."""
    assert sites(stream, orderBy="count desc") == ["b", None, "c", "a"]
    assert sites(stream, orderBy="count desc, site") == [None, "b", "c", "a"]
    assert sites(stream, orderBy="temperature", maxResults=2) == ["b", "c"]
    assert sites(stream, orderBy="count", offset=1, maxResults=2) == ["c", "b"]
    assert sites(stream, offset=2) == ["c", None]
    assert sites(stream, where="count > 1", offset=9) == []


def test_other_formats_and_sessions(stream: Stream) -> None:
    """The rows come in every format, of the variables that are selected, and as read sessions."""
    asked = {"where": "count = 3", "selectedVariables": "day,COUNT", "format": "csv"}
    response = stream.client.get(f"{stream.table_uri}/rows", params=asked)
    assert response.text == '"day","count"\n2024-01-02,3\n,3\n'
    body = {"where": "count > 1", "orderBy": "count", "format": "csv", "selectedVariables": ["count"]}
    session = stream.client.post(f"{stream.table_uri}/readSessions", json=body).json()
    assert session["numRows"] == 3
    stream.insert({"rows": [{"count": 99}]})
    read = stream.client.get(f"/readStreams/{session['streams'][0]['id']}").text
    assert read.splitlines() == ['"count"', "2", "3", "3"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"where": "nope = 1"}, "Line 1, column 1: Unrecognized name: nope."),
        ({"where": "count = 'x'"}, "do not go together"),
        ({"where": "1=1; DROP TABLE t"}, "one statement"),
        ({"where": "TRUE ORDER BY 1"}, "one condition"),
        ({"where": "TRUE UNION ALL SELECT 1"}, "one condition"),
        ({"where": "count IN (SELECT 1)"}, "not possible in `where`"),
        ({"where": "LENGTH(site) = 1"}, "not possible in `where`"),
        ({"where": "count = "}, "cannot be read"),
        ({"where": "count"}, "must be BOOL"),
        ({"orderBy": "nope"}, "no such variable"),
        ({"orderBy": "count; DROP"}, "lists variables"),
        ({"orderBy": "position"}, "no order"),
        ({"where": "TRUE", "selectedVariables": "x"}, "no such variable"),
        ({"offset": "-1"}, "whole number"),
    ],
)
def test_what_is_refused(stream: Stream, query: dict[str, str], message: str) -> None:
    """What is no condition, no order or no offset is answered with 400 and why."""
    response = stream.client.get(f"{stream.table_uri}/rows", params=query)
    assert response.status_code == 400
    assert message in response.json()["error_description"]


def test_whoever_may_not_read_may_not_filter(server: ServerProcess, stream: Stream) -> None:
    """Access is asked as for any read; public tables are anybody's."""
    with httpx.Client(base_url=server.url, trust_env=False) as anonymous:
        path = f"{stream.table_uri}/rows?where=TRUE"
        assert anonymous.get(path).status_code == 401
        released = stream.client.post(f"{stream.dataset_uri}/versions/next/release")
        assert released.status_code == 200
        changed = stream.client.patch(
            stream.dataset_uri.replace(":next", ""), json={"publicAccessLevel": "data"}
        )
        assert changed.status_code == 200, changed.text
        table = stream.table_uri.replace(":next", "")
        response = anonymous.get(f"{table}/rows", params={"where": "count = 2", "format": "csv"})
        assert response.status_code == 200, response.text
        assert len(response.text.splitlines()) == 2
        assert anonymous.get("/queries").status_code == 401
