"""Rows over HTTP: listRows, read sessions, read streams. Source: contract 1.3, 4.7, 7.32, 8."""

import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyarrow
import pytest

from tests import plain_http
from tests.api.stream import ALL_TYPES, Stream
from tests.arrow_streams import arrow_batches, table_of
from tests.server_process import ServerProcess

FULL_ROW = {
    "site": 'a "quoted", text',
    "count": 9007199254740993,
    "temperature": 20.5,
    "valid": True,
    "day": "2020-02-29",
    "measured_at": "2020-02-29T01:02:03.5",
    "local_time": "01:02:03",
    "position": "POINT(10 20)",
}
SIX_HOURS_MS = 6 * 3_600_000


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A stream with a full row, a row with an empty text and a row of nulls."""
    made = Stream(server.url, server.token, ALL_TYPES, server.user)
    assert made.insert({"rows": [FULL_ROW, {"site": ""}, {}]}).status_code == 201
    yield made
    made.close()


def rows_of(stream: Stream, query: str = "") -> httpx.Response:
    response = stream.client.get(f"{stream.table_uri}/rows{query}")
    assert response.status_code == 200, response.text
    assert "content-encoding" not in response.headers
    return response


def session_of(stream: Stream, parent_uri: str, **body: Any) -> dict[str, Any]:
    response = stream.client.post(f"{parent_uri}/readSessions", json=body)
    assert response.status_code == 200, response.text
    session: dict[str, Any] = response.json()
    return session


@pytest.mark.parametrize("query", ["", "?format=jsonl", "?format=ndjson"])
def test_json_lines(stream: Stream, query: str) -> None:
    """Without a format rows are JSON objects, one a line."""
    response = rows_of(stream, query)
    assert response.headers["content-type"] == "application/x-ndjson"
    full, _, nulls = [json.loads(line) for line in response.text.splitlines()]
    assert full == {**FULL_ROW, "measured_at": "2020-02-29 01:02:03.500000"}
    assert nulls == dict.fromkeys(FULL_ROW)


@pytest.mark.parametrize("selected", ["COUNT,site", "COUNT&selectedVariables=site"])
def test_csv(stream: Stream, selected: str) -> None:
    """CSV has a header, quotes texts, leaves nulls empty; variables are selected by a list or one by one."""
    response = rows_of(stream, f"?format=csv&selectedVariables={selected}")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.text == '"count","site"\n9007199254740993,"a ""quoted"", text"\n,""\n,\n'


def test_arrow(stream: Stream) -> None:
    """Arrow comes plain, without a batch that has no rows, and with the selected columns only."""
    response = rows_of(stream, "?format=arrow&selectedVariables=day%2CSite&maxResults=2")
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    table = table_of(response.content)
    assert [str(day) for day in table["day"].to_pylist()] == ["2020-02-29", "None"]
    assert table["site"].to_pylist() == ['a "quoted", text', ""]
    assert table.num_columns == 2


def test_no_rows_asked_for(stream: Stream) -> None:
    """`maxResults=0` is a complete body without rows."""
    assert rows_of(stream, "?maxResults=0").content == b""
    assert arrow_batches(rows_of(stream, "?format=arrow&maxResults=0").content) == []


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("format=xml", "arrow, csv, jsonl"),
        ("selectedVariables=site,nope", "nope"),
        ("selectedVariables=site,,day", "''"),
        ("selectedVariables=", "no variable"),
        ("selectedVariables=site,SITE", "twice"),
        ("selectedVariables=site&selectedVariables=SITE", "twice"),
        ("selectedVariables=site&selectedVariables=", "''"),
        ("maxResults=-1", "maxResults"),
        ("maxResults=many", "maxResults"),
        ("maxResults=", "maxResults"),
        ("maxResults=2&maxResults=3", "maxResults twice"),
        ("maxResults=2&maxResults=", "maxResults twice"),
        ("format=csv&format=jsonl", "format twice"),
        ("follow=true&follow=false", "follow twice"),
        (f"maxResults={'9' * 5000}", "maxResults"),
    ],
)
def test_bad_queries(stream: Stream, query: str, complaint: str) -> None:
    """What a query asks for and cannot have is a 400 that names it."""
    response = stream.client.get(f"{stream.table_uri}/rows?{query}")
    assert response.status_code == 400
    assert complaint in response.json()["error_description"]


@pytest.mark.parametrize(
    "body",
    [
        {"format": "xml"},
        {"selectedVariables": ["nope"]},
        {"selectedVariables": []},
        {"selectedVariables": "site"},
        {"maxResults": -1},
        {"maxResults": "1e-3"},
        {"maxResults": 1.5},
        {"maxResults": "9" * 5000},
        {"maxResults": True},
        {"requestedStreamCount": "many"},
    ],
)
def test_bad_sessions(stream: Stream, body: dict[str, Any]) -> None:
    """A session that cannot be made is a 400."""
    response = stream.client.post(f"{stream.upload_uri}/readSessions", json=body)
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_request_error"


def test_reads_show_themselves_to_editors_alone(server: ServerProcess, stream: Stream) -> None:
    """Without a token every read is a 401."""
    [made] = session_of(stream, stream.table_uri)["streams"]
    for method, path in [
        ("GET", f"{stream.table_uri}/rows"),
        ("POST", f"{stream.table_uri}/readSessions"),
        ("POST", f"{stream.upload_uri}/readSessions"),
        ("GET", f"/readStreams/{made['id']}"),
    ]:
        assert plain_http.request(method, f"{server.url}{path}").status_code == 401


def test_session_without_a_body(stream: Stream) -> None:
    """A session with nothing said is Arrow in one stream, for six hours."""
    before = time.time() * 1000
    response = stream.client.post(f"{stream.upload_uri}/readSessions")
    session = response.json()
    assert set(session) == {"kind", "id", "uri", "expiresAt", "numRows", "streams"}
    assert (response.status_code, session["kind"], session["numRows"]) == (200, "readSession", 3)
    assert before + SIX_HOURS_MS - 1 <= session["expiresAt"] <= time.time() * 1000 + SIX_HOURS_MS
    [made] = session["streams"]
    assert made["estimatedRows"] == 3
    body = stream.client.get(f"/readStreams/{made['id']}")
    assert body.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert "content-encoding" not in body.headers
    assert table_of(body.content).num_rows == 3


@pytest.mark.parametrize(("offset", "left"), [("", [2, 0]), ("&offset=0", [2, 0]), ("&offset=2", [0])])
def test_sentinel(stream: Stream, offset: str, left: list[int]) -> None:
    """With `eosSentinel=true` one batch without rows ends the stream, wherever it began."""
    session = session_of(stream, stream.table_uri, maxResults="2", requestedStreamCount=1)
    path = f"/readStreams/{session['streams'][0]['id']}"
    body = stream.client.get(f"{path}?eosSentinel=true{offset}").content
    assert [batch.num_rows for batch in arrow_batches(body)] == left


def test_streams_of_a_session_are_the_table(stream: Stream) -> None:
    """The streams of a session, one after another, are the rows of the table at its creation."""
    session = session_of(stream, stream.table_uri, requestedStreamCount=2, selectedVariables=["site"])
    assert stream.insert({"rows": [{"site": "late"}]}).status_code == 201
    bodies = [stream.client.get(f"/readStreams/{made['id']}").content for made in session["streams"]]
    assert pyarrow.concat_tables(map(table_of, bodies)).to_pydict() == {"site": [FULL_ROW["site"], "", None]}


@pytest.mark.parametrize(
    ("format_name", "media_type"), [("csv", "text/csv"), ("jsonl", "application/x-ndjson")]
)
def test_text_sessions(stream: Stream, format_name: str, media_type: str) -> None:
    """A session in a text format is read as such."""
    session = session_of(stream, stream.upload_uri, format=format_name)
    response = stream.client.get(f"/readStreams/{session['streams'][0]['id']}?offset=1")
    assert response.headers["content-type"].startswith(media_type)
    assert response.content.endswith(b",,,,,,,\n" if format_name == "csv" else b'"position":null}\n')


def test_unknown_streams(stream: Stream) -> None:
    """A stream that does not exist is a 404."""
    response = stream.client.get("/readStreams/nope?eosSentinel=true")
    assert (response.status_code, response.json()["error"]) == (404, "not_found_error")


def test_a_session_outlives_its_upload(stream: Stream) -> None:
    """What a session promised can be read after its upload is deleted, and again."""
    [made] = session_of(stream, stream.upload_uri)["streams"]
    expected = stream.client.get(f"/readStreams/{made['id']}?eosSentinel=true").content
    assert stream.client.delete(stream.upload_uri).status_code == 200
    for _ in range(2):
        response = stream.client.get(f"/readStreams/{made['id']}?eosSentinel=true")
        assert (response.status_code, response.content) == (200, expected)


def test_head_of_rows(stream: Stream) -> None:
    """HEAD says what GET would, without a body; its errors stand in a header."""
    response = stream.client.head(f"{stream.table_uri}/rows?format=csv")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"].startswith("text/csv")
    refused = stream.client.head(f"{stream.table_uri}/rows?format=xml")
    assert refused.status_code == 400
    assert "invalid_request_error" in refused.headers["x-redivis-error-payload"]


def test_rows_that_are_lost_midway_break_the_connection(own_server: ServerProcess) -> None:
    """A response that lost its rows ends without its last chunk, so that no reader takes it for whole."""
    stream = Stream(own_server.url, own_server.token, [{"name": "site", "type": "string"}], own_server.user)
    for _ in range(40):
        assert stream.insert({"rows": [{"site": "x" * 1000}] * 900}).status_code == 201
    address = urlsplit(own_server.url)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 80), timeout=30) as connection:
        request = f"GET {address.path}{stream.table_uri}/rows HTTP/1.1\r\nHost: {address.netloc}\r\n"
        connection.sendall(f"{request}Authorization: Bearer {own_server.token}\r\n\r\n".encode())
        received = connection.recv(1000)
        assert received.startswith(b"HTTP/1.1 200")
        with sqlite3.connect(own_server.data_dir / "rowkeep.db") as database:
            database.execute("DELETE FROM entries")
        database.close()
        while part := connection.recv(1024 * 1024):
            received = received[-100:] + part
    assert not received.endswith(b"0\r\n\r\n")
    stream.close()
