"""Bad input costs nothing: a clear 4xx, nothing written, and the server goes on (promise 7)."""

import contextlib
import http.client
import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api.stream import ALL_TYPES, Stream
from tests.server_process import ServerProcess


def rows(*values: str) -> bytes:
    """A body with these rows, spelled as they are."""
    return ('{"rows":[' + ",".join(values) + "]}").encode()


MALFORMED = {
    "not JSON": b"hello",
    "empty": b"",
    "truncated": b'{"rows":[{"site":"a"}',
    "trailing text": b'{"rows":[]} x',
    "byte order mark within": rows().replace(b'{"rows"', b'{\xef\xbb\xbf"rows"'),
    "no rows": b"{}",
    "rows is null": b'{"rows":null}',
    "rows is an object": b'{"rows":{"site":"a"}}',
    "body is an array": b'[{"site":"a"}]',
    "row is a number": rows("1"),
    "row is an array": rows("[]"),
    "row is null": rows("null"),
    "deep value": rows('{"site":' + "[" * 10_000 + "]" * 10_000 + "}"),
    "deep property": b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b',"rows":[]}',
    "deep rows": b'{"rows":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "long integer": rows('{"count":' + "9" * 1_000_000 + "}"),
    "long float": rows('{"temperature":' + "9" * 1_000_000 + "}"),
    "keys that differ in case": rows('{"site":"a","SITE":"b"}'),
    "unknown variable": rows('{"nowhere":1}'),
    "integer 2^63": rows('{"count":9223372036854775808}'),
    "integer -2^63-1": rows('{"count":-9223372036854775809}'),
    "integer 1.5": rows('{"count":1.5}'),
    "float 1e400": rows('{"temperature":1e400}'),
    "integer 1e999999999999": rows('{"count":1e999999999999}'),
    "NaN": rows('{"temperature":NaN}'),
    "Infinity": rows('{"temperature":-Infinity}'),
    "invalid UTF-8": b'{"rows":[{"site":"\xff\xfe"}]}',
    "invalid UTF-8 in a key": b'{"rows":[{"\xff":"a"}]}',
    "lone high surrogate": rows(r'{"site":"\ud800"}'),
    "lone low surrogate": rows(r'{"site":"\udc00x"}'),
    "raw control character": rows('{"site":"a\x01"}'),
    "30 February": rows('{"day":"2020-02-30"}'),
    "year 0": rows('{"day":"0000-01-01"}'),
    "date with a time": rows('{"day":"2020-01-01T00:00:00"}'),
    "24 o'clock": rows('{"local_time":"24:00:00"}'),
    "dateTime at 24 o'clock": rows('{"measured_at":"2020-01-01T24:00:00"}'),
    "dateTime in Z": rows('{"measured_at":"2020-01-01T00:00:00Z"}'),
    "dateTime with an offset": rows('{"measured_at":"2020-01-01T00:00:00+02:00"}'),
    "7th fraction digit": rows('{"measured_at":"2020-01-01T00:00:00.1234567"}'),
    "time with a zone": rows('{"local_time":"12:00:00Z"}'),
    "half a point": rows('{"position":"POINT(1)"}'),
    "open ring": rows('{"position":"POLYGON((0 0, 1 0, 1 1))"}'),
    "not WKT": rows('{"position":"somewhere"}'),
    "deep geometry": rows(
        '{"position":"' + "GEOMETRYCOLLECTION(" * 5_000 + "POINT(1 2)" + ")" * 5_000 + '"}'
    ),
    "updateSchema is a string": b'{"rows":[],"updateSchema":"yes"}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_body(stream: Stream, body: bytes) -> None:
    """A body that cannot be taken is a 400 in the one error shape, and nothing of it is written."""
    response = stream.insert(body)
    assert response.status_code == 400, response.text
    error = response.json()
    assert (error["status"], error["error"]) == (400, "invalid_request_error")
    assert isinstance(error["error_description"], str)
    assert error["error_description"]
    assert stream.row_count() == 0
    assert stream.insert({"rows": [{"site": "still there"}]}).status_code == 201


WRONG_TYPES: dict[str, list[Any]] = {
    "site": [[], {}],
    "count": ["1", 1.5, True, [], {}],
    "temperature": ["1.5", True, [], {}],
    "valid": ["true", 1, 0.0, [], {}],
    "day": [1, True, "yesterday", [], {}],
    "measured_at": [1, True, "now", [], {}],
    "local_time": [1, True, "noon", [], {}],
    "position": [1, True, "here", [], {"type": "Point"}],
}


@pytest.mark.parametrize(
    ("variable", "value"), [(name, value) for name, values in WRONG_TYPES.items() for value in values]
)
def test_wrong_type_is_named(stream: Stream, variable: str, value: object) -> None:
    """The error names the row, the variable, the type it takes and what came instead."""
    response = stream.insert({"rows": [{}, {variable: value}, {}]})
    assert response.status_code == 400
    error = response.json()
    assert error["errorCount"] == 1
    (row_error,) = error["errors"]
    assert (row_error["row"], row_error["variable"]) == (1, variable)
    expected = {item["name"]: item["type"] for item in ALL_TYPES}[variable]
    assert expected in row_error["message"]
    described = {str: "the string", bool: "the boolean", list: "an array", dict: "an object"}
    assert described.get(type(value), "the number") in row_error["message"]
    assert stream.row_count() == 0


def test_all_bad_rows_are_listed(stream: Stream) -> None:
    """Up to 100 errors are listed and all are counted, with the index each row has in the request."""
    bad = [{"count": "x"} if index % 2 else {"count": index} for index in range(400)]
    error = stream.insert({"rows": bad}).json()
    assert error["errorCount"] == 200
    assert [item["row"] for item in error["errors"]] == list(range(1, 200, 2))
    assert stream.row_count() == 0


def test_large_body_with_one_bad_row(stream: Stream) -> None:
    """A body that is decoded elsewhere reports the same: the right row, nothing written."""
    many: list[dict[str, Any]] = [{"site": "x" * 100, "count": index} for index in range(30_000)]
    many[29_999]["count"] = "x"
    response = stream.insert({"rows": many})
    assert response.status_code == 400
    assert [item["row"] for item in response.json()["errors"]] == [29_999]
    assert stream.row_count() == 0


NOT_ERRORS = {
    "no rows": (rows(), []),
    "an empty row": (rows("{}"), [{}]),
    "a NUL character": (rows(r'{"site":"a\u0000b"}'), [{"site": "a\x00b"}]),
    "a key given twice": (rows('{"site":"a","site":"b"}'), [{"site": "b"}]),
    "an integral float": (rows('{"count":1.0}'), [{"count": 1}]),
    "an exact large float": (rows('{"count":9007199254740993.0}'), [{"count": 9007199254740993}]),
    "an integer for a float": (rows('{"temperature":3}'), [{"temperature": 3.0}]),
    "one-digit parts": (
        rows('{"day":"2020-1-2","local_time":"1:2:3","measured_at":"2020-1-2 3:4:5"}'),
        [{"day": "2020-01-02", "local_time": "01:02:03", "measured_at": "2020-01-02 03:04:05"}],
    ),
    "a date for a dateTime": (
        rows('{"measured_at":"2020-01-02"}'),
        [{"measured_at": "2020-01-02 00:00:00"}],
    ),
    "another case": (rows('{"SITE":"a"}'), [{"site": "a"}]),
    "unknown properties": (b'{"comment":[1],"rows":[{"site":"a"}]}', [{"site": "a"}]),
    "white space": (b'{\n "rows": [\r\n\t{ "site" : "a" }\n]\n}\n', [{"site": "a"}]),
}


@pytest.mark.parametrize(("body", "expected"), NOT_ERRORS.values(), ids=NOT_ERRORS.keys())
def test_not_an_error(stream: Stream, body: bytes, expected: list[dict[str, Any]]) -> None:
    """What looks odd but has one meaning is taken, and reads back with that meaning."""
    response = stream.insert(body)
    assert response.status_code == 201, response.text
    assert response.json()["rowsAdded"] == len(expected)
    assert stream.row_count() == len(expected)
    nulls = {item["name"]: None for item in ALL_TYPES}
    assert stream.rows() == [{**nulls, **row} for row in expected]


def test_body_over_the_limit_with_a_length(stream: Stream, server: ServerProcess) -> None:
    """A Content-Length over 100 MiB is refused before the body is read."""
    status, _ = raw_request(
        server, stream, b"Content-Length: 104857601\r\nContent-Type: application/json\r\n", b""
    )
    assert status == 413
    assert stream.row_count() == 0


def test_body_over_the_limit_without_a_length(stream: Stream, server: ServerProcess) -> None:
    """A chunked body is refused once it is over the limit."""
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    headers = b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
    status, _ = raw_request(server, stream, headers, chunk * 101 + b"0\r\n\r\n")
    assert status == 413
    assert stream.row_count() == 0


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("POST", "{upload}/rows", {"Content-Type": "text/csv"}, 415, "unsupported_media_type"),
        ("POST", "{upload}/rows", {"Content-Encoding": "br"}, 415, "unsupported_media_type"),
        ("POST", "{table}/uploads/nope/rows", {}, 404, "not_found_error"),
        ("POST", "{table}/uploads/..%2F..%2Fs/rows", {}, 404, "not_found_error"),
        ("POST", "{table}/uploads/%2e%2e%2fs/rows", {}, 404, "not_found_error"),
        ("POST", "/tables/nobody.nothing.nowhere/uploads/s/rows", {}, 404, "not_found_error"),
        ("POST", "/tables/x/uploads/s/rows", {}, 404, "not_found_error"),
        ("PATCH", "{upload}/rows", {}, 405, "method_not_allowed"),
        ("PUT", "{upload}/rows", {}, 405, "method_not_allowed"),
        ("DELETE", "{upload}/rows", {}, 405, "method_not_allowed"),
        ("POST", "{upload}/rows", {"Idempotency-Key": "k" * 256}, 400, "invalid_request_error"),
        ("POST", "{upload}/rows", {"Idempotency-Key": "a b"}, 400, "invalid_request_error"),
        ("POST", "{upload}/rows", {"Authorization": "Bearer wrong"}, 401, "invalid_token"),
        ("POST", "{upload}/rows", {"Authorization": "Basic YTpi"}, 401, "invalid_token"),
    ],
)
def test_request_that_is_not_an_insert(
    stream: Stream, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    """A wrong method, type, path or credential answers in the one error shape and writes nothing."""
    response = stream.client.request(
        method,
        path.format(upload=stream.upload_uri, table=stream.table_uri),
        content=rows('{"site":"a"}'),
        headers={"Content-Type": "application/json", **headers},
    )
    assert (response.status_code, response.json()["error"]) == (status, code), response.text
    assert response.json()["status"] == status
    assert stream.row_count() == 0


def test_upload_that_is_not_a_stream(stream: Stream) -> None:
    """Only streams can be created by JSON alone, so there is no upload of another type to insert into."""
    response = stream.client.post(f"{stream.table_uri}/uploads", json={"name": "f.csv", "type": "delimited"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request_error")


def test_body_that_stalls(impatient_server: ServerProcess) -> None:
    """A body whose next part does not come is given up: 408 or a closed connection, nothing written."""
    stream = Stream(impatient_server.url, impatient_server.token, ALL_TYPES, impatient_server.user)
    headers = b"Content-Length: 1000\r\nContent-Type: application/json\r\n"
    status, _ = raw_request(impatient_server, stream, headers, b'{"rows":[')
    assert status in (408, None)  # and no timeout of the socket, which waits 30 times as long
    assert stream.row_count() == 0
    stream.close()


def test_client_that_leaves_midway(stream: Stream, server: ServerProcess) -> None:
    """Half a body is nothing: the client is gone, no row is there, the server goes on."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(request_head(server, stream, b"Content-Length: 1000\r\n") + b'{"rows":[{}]}')
    assert stream.insert({"rows": [{"site": "next"}]}).status_code == 201
    assert stream.row_count() == 1


def request_head(server: ServerProcess, stream: Stream, headers: bytes) -> bytes:
    """The first lines of an insertRows request."""
    path = f"{urlsplit(server.url).path}{stream.upload_uri}/rows".encode()
    token = server.token.encode()
    return b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n" % (path, token, headers)


def raw_request(
    server: ServerProcess, stream: Stream, headers: bytes, body: bytes
) -> tuple[int | None, dict[str, Any] | None]:
    """Sends bytes as they are; the status, or None when the server only closed the connection."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(request_head(server, stream, headers))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has answered and reads no more
            connection.sendall(body)
        try:
            answer = connection.recv(65_536)
        except ConnectionResetError:
            return None, None
    if not answer:
        return None, None
    _, _, text = answer.partition(b"\r\n\r\n")
    return int(answer.split(b" ")[1]), json.loads(text) if text else None


@pytest.mark.parametrize(
    "path", ["/tables/no.such.table/uploads/s/rows", "/datasets/no.such/versions", "/nothing"]
)
def test_an_answer_reaches_a_client_that_still_sends(server: ServerProcess, path: str) -> None:
    """Who is refused before the body is read gets an answer, not a broken connection."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    for pause in (0.0, 0.05, 0.3):
        connection.putrequest("POST", f"/api/v1{path}")
        connection.putheader("Authorization", f"Bearer {server.token}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "12")
        connection.endheaders()
        time.sleep(pause)
        connection.send(b'{"rows": []}')
        response = connection.getresponse()
        assert (response.status, response.getheader("connection")) == (404, None)
        response.read()
    connection.close()
