"""insertRows with a body of lines (NDJSON): the same promises, one row a line."""

import gzip
import json
from typing import Any

import httpx
import pytest

from tests.api.stream import Stream

LINES = {"Content-Type": "application/x-ndjson"}
MANY = 60_000


def send(stream: Stream, body: bytes, query: str = "", **headers: str) -> httpx.Response:
    """One insert of lines."""
    return stream.client.post(f"{stream.upload_uri}/rows{query}", content=body, headers={**LINES, **headers})


def lines_of(rows: list[dict[str, Any]], end: str = "\n") -> bytes:
    return end.join(json.dumps(row) for row in rows).encode()


def counted(count: int) -> list[dict[str, Any]]:
    return [{"site": f"site {number}", "count": number} for number in range(count)]


@pytest.mark.parametrize(
    "media_type", ["application/x-ndjson", "application/ndjson; charset=utf-8", "Application/JSONL"]
)
def test_media_types(stream: Stream, media_type: str) -> None:
    """The usual names of the format."""
    response = send(stream, b'{"count":1}\n{"count":2}\n', **{"Content-Type": media_type})
    answer = response.json()
    assert (response.status_code, answer["kind"], answer["rowsAdded"]) == (201, "insertRowsResponse", 2)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n \r\n\n"])
@pytest.mark.parametrize("count", [0, 1, 100, MANY])
@pytest.mark.parametrize("compressed", [False, True])
def test_rows_go_in_and_come_back(stream: Stream, end: str, count: int, compressed: bool) -> None:
    """Strict rows, small and large, with any line end, the last line without one, plain or compressed."""
    rows = counted(count)
    body = lines_of(rows, end)
    headers = {"Content-Encoding": "gzip"} if compressed else {}
    response = send(stream, gzip.compress(body) if compressed else body, **headers)
    assert (response.status_code, response.json().get("rowsAdded")) == (201, count), response.text
    assert stream.row_count() == count
    read = stream.rows()
    assert [{"site": row["site"], "count": row["count"]} for row in read] == rows


@pytest.mark.parametrize("count", [1, 2_000, MANY])
def test_lenient_rows(stream: Stream, count: int) -> None:
    """The whole grammar is taken from lines too, in place (few rows) or elsewhere (more)."""
    loose = {"SITE": "a", "count": 1.0, "day": "2020-1-2", "measured_at": "2020-1-2"}
    response = send(stream, lines_of([loose] * count))
    assert (response.status_code, response.json().get("rowsAdded")) == (201, count), response.text
    row = stream.rows()[-1]
    assert (row["site"], row["count"], row["day"], row["measured_at"]) == (
        "a",
        1,
        "2020-01-02",
        "2020-01-02 00:00:00",
    )


@pytest.mark.parametrize("count", [2, 2_000, MANY])
def test_errors_are_those_of_json(stream: Stream, count: int) -> None:
    """The answer to bad rows is the same whether they came in JSON or as lines; blank lines do not count."""
    rows = counted(count)
    for bad in (count // 2, count - 1):
        rows[bad]["count"] = "x"
        rows[bad]["nowhere"] = 1
    of_lines = send(stream, lines_of(rows, "\n\n"))
    of_json = stream.insert({"rows": rows})
    assert (of_lines.status_code, of_lines.json()) == (of_json.status_code, of_json.json())
    assert {error["row"] for error in of_lines.json()["errors"]} == {count // 2, count - 1}
    assert stream.row_count() == 0


@pytest.mark.parametrize("count", [2, 2_000, MANY])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"count":1},{"count":2}', "more than one row"),
        ('{"count":1}{"count":2}', "more than one row"),
        ('{"count":1', "ends before"),
        ("[]", "must be an object"),
        ('{"count":NaN}', 'the value of "count" is NaN, and JSON has no such number; send null'),
        ('{"rows":[{"count":1}]}', "unknown variable"),
    ],
)
def test_a_line_that_is_not_one_row(stream: Stream, count: int, line: str, words: str) -> None:
    """It is refused by its row, wherever it stands, and nothing is written."""
    rows = lines_of(counted(count)).decode().split("\n")
    rows[count // 2] = line
    response = send(stream, "\n".join(rows).encode())
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["row"] == count // 2
    assert words in error["message"]
    assert stream.row_count() == 0


@pytest.mark.parametrize("count", [1, MANY])
def test_options_in_the_query(stream: Stream, growing: Stream, count: int) -> None:
    """`updateSchema` and `updateVariables` work as in a JSON body; without them the upload decides."""
    body = lines_of([{"site": "a", "new": 1}] * count)
    assert send(stream, body).status_code == 400
    assert send(stream, body, "?updateSchema=false&updateVariables=true").status_code == 400
    assert stream.row_count() == 0
    added = {"addedVariables": [{"name": "new", "type": "integer"}], "updatedVariables": []}
    assert send(stream, body, "?updateVariables=true").json()["schemaUpdates"] == [added]
    assert send(growing, body, "?updateSchema=false").status_code == 400
    assert len(send(growing, body).json()["schemaUpdates"][0]["addedVariables"]) == 2
    assert growing.row_count() == stream.row_count() == count


def test_options_in_the_query_of_json(stream: Stream) -> None:
    """They hold for a JSON body too, unless it says otherwise itself."""
    url = f"{stream.upload_uri}/rows?updateSchema=true"
    refused = stream.client.post(url, json={"rows": [{"new": 1}], "updateSchema": False})
    assert refused.status_code == 400
    assert stream.client.post(url, json={"rows": [{"new": 1}]}).json()["schemaUpdates"]


@pytest.mark.parametrize("query", ["updateSchema=yes", "updateSchema=", "validateOnly=1", "updateVariables"])
def test_options_that_make_no_sense(stream: Stream, query: str) -> None:
    """A value that is neither true nor false is refused rather than guessed."""
    response = send(stream, b'{"count":1}', f"?{query}")
    assert response.status_code == 400
    assert query.partition("=")[0] in response.json()["error_description"]
    assert stream.row_count() == 0


def test_keys_stand_for_the_whole_request(stream: Stream) -> None:
    """A repeat of lines gets the first answer; the same bytes meant otherwise are another request."""
    body = b'{"count":1}'
    key = {"Idempotency-Key": "k"}
    assert send(stream, body, **key).status_code == 201
    again = send(stream, body, **key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert send(stream, gzip.compress(body), **key, **{"Content-Encoding": "gzip"}).status_code == 201
    assert send(stream, body + b"\n", **key).status_code == 422
    assert send(stream, body, "?updateSchema=true", **key).status_code == 422
    assert stream.insert(b'{"rows":[{"count":1}]}', **key).status_code == 422
    assert stream.row_count() == 1


def test_other_routes_take_no_lines(stream: Stream) -> None:
    """Lines are rows; what holds no rows is JSON."""
    response = stream.client.patch(stream.table_uri, content=b'{"description":"x"}', headers=LINES)
    assert (response.status_code, response.json()["error"]) == (415, "unsupported_media_type")
