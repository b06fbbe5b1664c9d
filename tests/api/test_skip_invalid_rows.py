"""skipInvalidRows: good rows in, bad ones out, whatever way they are sent."""

import concurrent.futures
import json
from typing import Any

import pytest

from tests import plain_http
from tests.api.asking import LINES, Ask, Asking
from tests.api.stream import Stream
from tests.server_process import ServerProcess

# So many that their body is decoded elsewhere when they do not fit, in several slices.
MANY = 12_000
PROOF = ("commit", "firstRow", "lastRow", "sha256", "chain")


asking = Asking("skipInvalidRows")
BAD: list[Any] = [{"count": "x", "day": "never"}, 5, None, ["count"], {"nowhere": 1}]


def without_proof(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what the rows can be proved by, which test_receipts.py holds."""
    return {name: value for name, value in answer.items() if name not in PROOF}


def held(stream: Stream) -> list[dict[str, Any]]:
    """The rows in the quarantine, at most a thousand."""
    found: list[dict[str, Any]] = stream.client.get(
        f"{stream.upload_uri}/quarantine", params={"maxResults": 1000}
    ).json()["results"]
    return found


def bad_count(stream: Stream) -> int:
    """What the upload says of its quarantine."""
    count: int = stream.client.get(stream.upload_uri).json()["badRecordsCount"]
    return count


@asking.each_way
def test_good_rows_go_in_and_bad_ones_do_not(stream: Stream, ask: Ask) -> None:
    """201 counts both and names what is wrong; good rows stay in order, bad ones are kept as they came."""
    rows = [{"count": 1}, BAD[0], {"COUNT": 2.0}, *BAD[1:], {"count": 3}]
    response = ask(stream, rows)
    answer = response.json()
    assert response.status_code == 201
    assert (answer["rowsAdded"], answer["rowsSkipped"], answer["schemaUpdates"]) == (3, 5, [])
    assert "droppedCount" not in answer
    wrong = [(error["row"], error["variable"]) for error in answer["errors"]]
    assert wrong == [(1, "count"), (1, "day"), (3, None), (4, None), (5, None), (6, "nowhere")]
    assert 'the string "x"' in answer["errors"][0]["message"]
    assert [row["count"] for row in stream.rows()] == [1, 2, 3]
    assert [(row["row"], json.loads(row["content"])) for row in held(stream)] == [
        (index, row) for index, row in enumerate(rows) if row in BAD
    ]
    assert bad_count(stream) == 5


@asking.each_way
@pytest.mark.parametrize("count", [0, 3, 100_000])
def test_all_good(stream: Stream, ask: Ask, count: int) -> None:
    """The answer is that of an insert without the option, and nothing is in the quarantine."""
    response = ask(stream, [{"count": 1}] * count)
    assert (response.status_code, without_proof(response.json())) == (
        201,
        {
            "kind": "insertRowsResponse",
            "rowsAdded": count,
            "rowsSkipped": 0,
            "schemaUpdates": [],
            "version": "next",
        },
    )
    assert stream.row_count() == count
    assert held(stream) == []


@asking.each_way
@pytest.mark.parametrize("count", [3, 2_000])
def test_all_bad(stream: Stream, ask: Ask, count: int) -> None:
    """201 with no row added and the first hundred errors; the schema stays."""
    answer = ask(stream, [{"nowhere": 1}] * count).json()
    assert (answer["rowsAdded"], answer["rowsSkipped"]) == (0, count)
    assert [error["row"] for error in answer["errors"]] == list(range(min(count, 100)))
    assert stream.row_count() == 0
    assert bad_count(stream) == count


@asking.each_way
def test_a_large_body(stream: Stream, ask: Ask) -> None:
    """One in two thousand of a body that is decoded elsewhere, and one at either end."""
    rows: list[Any] = [{"count": number} for number in range(MANY)]
    bad = [0, *range(4_999, MANY, 2_000), MANY - 1]
    for index in bad:
        rows[index] = {"count": f"bad {index}"}
    answer = ask(stream, rows).json()
    assert (answer["rowsAdded"], answer["rowsSkipped"]) == (MANY - len(set(bad)), len(set(bad)))
    assert [error["row"] for error in answer["errors"]] == sorted(set(bad))
    assert [row["row"] for row in held(stream)] == sorted(set(bad))
    assert stream.row_count() == MANY - len(set(bad))
    first = stream.client.get(f"{stream.table_uri}/rows?maxResults=2&selectedVariables=count").text
    assert [json.loads(line)["count"] for line in first.splitlines()] == [1, 2]


def test_lines_that_are_no_rows(stream: Stream) -> None:
    """Half an object, two in one line, no UTF-8: each is a bad row; blank lines do not count."""
    lines = [
        b'{"count":1}',
        b'{"count":',
        b"",
        b'{"count":2},{"count":3}',
        b'{"site":"\xff"}',
        b'{"count":4}',
    ]
    url = f"{stream.upload_uri}/rows?skipInvalidRows=true"
    answer = stream.client.post(url, content=b"\r\n".join(lines), headers=LINES).json()
    assert (answer["rowsAdded"], answer["rowsSkipped"]) == (2, 3)
    assert [error["row"] for error in answer["errors"]] == [1, 2, 3]
    assert [row["content"].rstrip("\r") for row in held(stream)] == [
        '{"count":',
        '{"count":2},{"count":3}',
        '{"site":"�"}',
    ]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b"{}", b'{"rows":5}', b'{"rows":{"a":1}}', b'{"rows":[{]}']
)
def test_a_body_that_holds_no_rows_is_refused_whole(stream: Stream, body: bytes) -> None:
    """What is not JSON, or has no list of rows, has nothing to skip."""
    url = f"{stream.upload_uri}/rows?skipInvalidRows=true"
    response = stream.client.post(url, content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request_error")
    assert (stream.row_count(), held(stream)) == (0, [])


def test_the_body_goes_before_the_query(stream: Stream) -> None:
    """`false` in the body refuses the request whole; anything but true and false is an error."""
    url = f"{stream.upload_uri}/rows?skipInvalidRows=true"
    rows = [{"count": 1}, 5]
    assert stream.client.post(url, json={"rows": rows, "skipInvalidRows": False}).status_code == 400
    assert stream.client.post(url, json={"rows": rows, "skipInvalidRows": None}).status_code == 201
    wrong = stream.insert({"rows": rows, "skipInvalidRows": "yes"})
    assert "`skipInvalidRows` must be true or false" in wrong.json()["error_description"]
    assert stream.client.post(url.replace("true", "yes"), json={"rows": rows}).status_code == 400
    assert stream.insert({"rows": rows}).status_code == 400
    assert stream.row_count() == 1


@asking.each_way
@pytest.mark.parametrize("count", [2, MANY])
def test_the_schema_grows_by_good_rows_alone(growing: Stream, ask: Ask, count: int) -> None:
    """A bad row adds no variable and widens none, wherever it stands; good ones do as without it."""
    bad = {"a": "x", "b": 1, "c": [1]}
    rows: list[Any] = [bad, *[{"a": 1}] * count, bad, {"a": 1.5, "d": True}, bad]
    answer = ask(growing, rows).json()
    assert (answer["rowsAdded"], answer["rowsSkipped"]) == (count + 1, 3)
    assert answer["schemaUpdates"] == [
        {
            "updatedVariables": [],
            "addedVariables": [{"name": "a", "type": "float"}, {"name": "d", "type": "boolean"}],
        }
    ]
    assert growing.row_count() == count + 1
    assert growing.rows()[-2:] == [{"a": 1.0, "d": None}, {"a": 1.5, "d": True}]
    assert [json.loads(row["content"]) for row in held(growing)] == [bad] * 3


def test_rows_that_fit_together_are_all_taken(growing: Stream) -> None:
    """What needs no skipping is as without the option: a later row makes a string of an enormous number."""
    assert growing.insert({"rows": [{"v": 1.5}]}).status_code == 201
    together = b'[{"v":1e400},{"v":"x"}'
    body = b'{"skipInvalidRows":true,"rows":%b%b]}'
    assert growing.insert(body % (together, b"")).json()["rowsSkipped"] == 0
    assert [row["v"] for row in growing.rows()] == ["1.5", "1e400", "x"]


@asking.each_way
@pytest.mark.parametrize("count", [3, MANY])
def test_a_repeat_under_a_key(growing: Stream, ask: Ask, count: int) -> None:
    """The same answer, errors and all, even when the schema takes the rows by now; nothing is doubled."""
    key = {"Idempotency-Key": "k"}
    rows: list[Any] = [{"a": 1}] * count + [5, {"b": [1]}]
    first = ask(growing, rows, **key)
    assert (first.status_code, first.json()["rowsSkipped"]) == (201, 2)
    kept = held(growing)
    assert [row["idempotencyKey"] for row in kept] == ["k", "k"]
    assert growing.insert({"rows": [{"a": "x", "b": 1}], "updateSchema": True}).status_code == 201
    again = ask(growing, rows, **key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert growing.row_count() == count + 1
    assert held(growing) == kept
    other = ask(growing, [*rows, 5], **key)
    assert (other.status_code, other.json()["error"]) == (422, "idempotency_key_reused")
    assert held(growing) == kept


def test_a_key_stands_for_the_option_too(stream: Stream) -> None:
    """The same body under the same key with another option in the query is another request."""
    url, key = f"{stream.upload_uri}/rows", {"Idempotency-Key": "k"}
    body = {"rows": [{"count": 1}]}
    assert stream.client.post(f"{url}?skipInvalidRows=true", json=body, headers=key).status_code == 201
    assert stream.client.post(url, json=body, headers=key).status_code == 422
    assert stream.client.post(f"{url}?skipInvalidRows=false", json=body, headers=key).status_code == 422


def test_without_a_key_it_comes_again(stream: Stream) -> None:
    """Two requests are two, in the quarantine as in the table."""
    for _ in range(2):
        assert asking.in_body(stream, [{"count": 1}, 5]).status_code == 201
    assert (stream.row_count(), bad_count(stream)) == (2, 2)
    assert [row["idempotencyKey"] for row in held(stream)] == [None, None]


@asking.each_way
@pytest.mark.parametrize("count", [3, MANY])
def test_validate_only(growing: Stream, ask: Ask, count: int) -> None:
    """Says what would happen and writes nothing: no row, no variable, nothing in the quarantine."""
    rows: list[Any] = [{"a": 1}] * count + [5, {"b": [1]}]
    url = growing.upload_uri
    query = "?validateOnly=true&skipInvalidRows=true"
    told = growing.client.post(f"{url}/rows{query}", json={"rows": rows})
    assert told.status_code == 200
    assert (growing.row_count(), held(growing)) == (0, [])
    assert growing.client.get(f"{url}/variables").json()["results"] == []
    done = ask(growing, rows)
    assert told.json()["sha256"] == done.json()["sha256"]
    assert without_proof(told.json()) == {**without_proof(done.json()), "validateOnly": True}


def test_requests_in_one_commit(stream: Stream, server: ServerProcess) -> None:
    """Many at a time, good and bad, with keys and without: each is answered for its own rows."""
    url = f"{server.url}{stream.upload_uri}/rows?skipInvalidRows=true"
    headers = dict(stream.client.headers)

    def send(number: int) -> tuple[int, int]:
        rows: list[Any] = [{"count": number}] * (number % 3) + ["bad"] * (number % 4)
        keyed = {**headers, **({"Idempotency-Key": f"k{number % 50}"} if number % 2 else {})}
        answer = plain_http.post(url, json={"rows": rows}, headers=keyed, timeout=60).json()
        return answer["rowsAdded"], answer["rowsSkipped"]

    numbers = range(100)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(send, [number for number in numbers if not number % 2 or number < 50]))
    asked = [number for number in numbers if not number % 2 or number < 50]
    assert found == [(number % 3, number % 4) for number in asked]
    assert stream.row_count() == sum(number % 3 for number in asked)
    assert bad_count(stream) == sum(number % 4 for number in asked)
