"""Receipts over HTTP: what an insert answers, what can be asked of it later, undoing it, verifying all."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.stream import ALL_TYPES, Stream
from tests.server_process import ServerProcess

Json = dict[str, Any]
NOTHING = hashlib.sha256(b"").hexdigest()
START = "0" * 64


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A stream of one integer and one string."""
    schema = [{"name": "id", "type": "integer"}, {"name": "text", "type": "string"}]
    made = Stream(server.url, server.token, schema, server.user)
    yield made
    made.close()


def sha256(text: str) -> str:
    """The digest of a canonical text."""
    return hashlib.sha256(text.encode()).hexdigest()


def chained(chain: str, digest: str) -> str:
    """The chain after a batch."""
    return hashlib.sha256(bytes.fromhex(chain) + bytes.fromhex(digest)).hexdigest()


def inserted(stream: Stream, rows: list[Json], key: str | None = None, **said: Any) -> Json:
    """What an insert answers that must succeed."""
    headers = {} if key is None else {"Idempotency-Key": key}
    response = stream.insert({"rows": rows, **said}, **headers)
    assert response.status_code in (200, 201), response.text
    answer: Json = response.json()
    return answer


def proof_of(answer: Json) -> Json:
    """The part of an answer that a receipt consists of."""
    return {name: answer[name] for name in ("commit", "firstRow", "lastRow", "sha256", "chain")}


def asked(stream: Stream, key: str, method: str = "GET") -> httpx.Response:
    """The request of a key."""
    return stream.client.request(method, f"{stream.upload_uri}/requests/{key}")


def verified(stream: Stream) -> Json:
    """What verifying answers."""
    response = stream.client.get(f"{stream.upload_uri}/verify")
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


def refusal(response: httpx.Response, status: int, code: str) -> str:
    """Why a request was refused that must be refused so."""
    problem: Json = response.json()
    assert (response.status_code, problem["error"]) == (status, code), response.text
    return str(problem["error_description"])


def test_a_receipt_numbers_rows_and_moves_the_chain(stream: Stream) -> None:
    """Rows are numbered on, commits counted, and the chain is what a client computes for itself."""
    first = inserted(stream, [{"id": 1, "text": "é"}, {"text": None}])
    digest = sha256('{"id":1,"text":"é"}\n{}\n')
    chain = chained(START, digest)
    assert proof_of(first) == {"commit": 1, "firstRow": 0, "lastRow": 1, "sha256": digest, "chain": chain}
    second = inserted(stream, [{"text": "b", "id": 2}])
    digest = sha256('{"id":2,"text":"b"}\n')
    chain = chained(chain, digest)
    assert proof_of(second) == {"commit": 2, "firstRow": 2, "lastRow": 2, "sha256": digest, "chain": chain}
    found = verified(stream)
    assert found["isIntact"] is True
    assert (found["rowCount"], found["commitCount"], found["chain"]) == (3, 2, chain)
    assert found["computedChain"] == chain


def test_a_request_without_rows_moves_nothing(stream: Stream) -> None:
    """It has the digest of nothing and the chain as it stands."""
    before = inserted(stream, [{"id": 1}])
    empty = inserted(stream, [])
    expected = {
        "commit": None,
        "firstRow": None,
        "lastRow": None,
        "sha256": NOTHING,
        "chain": before["chain"],
    }
    assert proof_of(empty) == expected
    assert inserted(stream, [{"id": 2}])["firstRow"] == 1


def test_spelling_does_not_matter(stream: Stream) -> None:
    """Rows sent strictly, leniently, as lines and compressed have one digest."""
    strict = inserted(stream, [{"id": 7, "text": "x"}])["sha256"]
    assert strict == sha256('{"id":7,"text":"x"}\n')
    assert inserted(stream, [{"TEXT": "x", "ID": 7.0}])["sha256"] == strict
    lines = stream.insert(b'{"text":"x",  "id":7}\n\n', **{"Content-Type": "application/x-ndjson"})
    assert lines.json()["sha256"] == strict
    assert verified(stream)["isIntact"] is True


def test_every_type_has_a_canonical_text(server: ServerProcess) -> None:
    """Each type as the documentation spells it."""
    stream = Stream(server.url, server.token, ALL_TYPES, server.user)
    row = {
        "position": "POINT(1 2)",
        "site": 'a"\n',
        "count": -3,
        "temperature": 4,
        "valid": False,
        "day": "2024-2-29",
        "measured_at": "2024-02-29 12:30:00.5",
        "local_time": "1:02:03",
    }
    answer = inserted(stream, [row])
    text = (
        '{"site":"a\\"\\n","count":-3,"temperature":4.0,"valid":false,"day":"2024-02-29",'
        '"measured_at":"2024-02-29T12:30:00.500000","local_time":"01:02:03","position":"POINT(1 2)"}\n'
    )
    assert answer["sha256"] == sha256(text)
    stream.close()


def test_a_large_body_is_one_batch(stream: Stream) -> None:
    """A body that is decoded elsewhere, in many pieces, has one commit, one digest, one step of the chain."""
    rows = [{"id": number, "text": "x" * 200} for number in range(12_000)]
    answer = inserted(stream, rows)
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    digest = sha256(text)
    assert proof_of(answer) == {
        "commit": 1,
        "firstRow": 0,
        "lastRow": 11_999,
        "sha256": digest,
        "chain": chained(START, digest),
    }
    assert inserted(stream, [{"id": 1}])["commit"] == 2
    assert verified(stream)["isIntact"] is True


def test_a_repeat_gets_the_same_receipt(stream: Stream) -> None:
    """To the byte, whatever came in between."""
    first = stream.insert({"rows": [{"id": 1}]}, **{"Idempotency-Key": "k"})
    inserted(stream, [{"id": 2}])
    again = stream.insert({"rows": [{"id": 1}]}, **{"Idempotency-Key": "k"})
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content


def test_validating_tells_the_digest_alone(stream: Stream) -> None:
    """No numbers and no chain, for nothing is written."""
    answer = inserted(stream, [{"id": 1}], validateOnly=True)
    digest = sha256('{"id":1}\n')
    assert proof_of(answer) == {
        "commit": None,
        "firstRow": None,
        "lastRow": None,
        "sha256": digest,
        "chain": None,
    }


def test_a_stored_request_can_be_asked_after(stream: Stream) -> None:
    """Its receipt and its time; one that never came is not found; a key is what it is."""
    answer = inserted(stream, [{"id": 1}, {"id": 2}], key="a/b%")
    found = asked(stream, "a%2Fb%25").json()
    assert (found["kind"], found["state"], found["key"], found["rowsAdded"]) == (
        "insertRequest",
        "stored",
        "a/b%",
        2,
    )
    assert proof_of(found) == proof_of(answer)
    assert found["time"] > 1_500_000_000_000
    assert stream.client.get(found["uri"]).json() == found
    refusal(asked(stream, "never"), 404, "not_found_error")


def test_a_rejected_request_tells_its_errors(stream: Stream) -> None:
    """With all errors as they were answered, until it is sent again corrected."""
    refused = stream.insert({"rows": [{"id": "x"}, {"id": 1}]}, **{"Idempotency-Key": "k"})
    found = asked(stream, "k").json()
    assert found["state"] == "rejected"
    for name in ("error", "error_description", "errors", "errorCount"):
        assert found[name] == refused.json()[name]
    refusal(asked(stream, "k", "DELETE"), 409, "conflict")
    inserted(stream, [{"id": 3}], key="k")
    assert asked(stream, "k").json()["state"] == "stored"


def test_a_body_that_is_none_is_rejected_too(stream: Stream) -> None:
    """There are no rows to name, only the reason."""
    stream.insert(b'{"rows": [', **{"Idempotency-Key": "k"})
    found = asked(stream, "k").json()
    assert (found["state"], found["errors"], found["errorCount"]) == ("rejected", [], 0)
    assert "not valid JSON" in found["error_description"]


@pytest.mark.parametrize("in_body", [True, False])
def test_validating_rejects_nothing(stream: Stream, in_body: bool) -> None:
    """A request that only asks leaves no trace, wherever it says so."""
    query = "" if in_body else "?validateOnly=true"
    body = {"rows": [{"id": "x"}], **({"validateOnly": True} if in_body else {})}
    path = f"{stream.upload_uri}/rows{query}"
    response = stream.client.post(path, json=body, headers={"Idempotency-Key": "k"})
    assert response.status_code == 400
    refusal(asked(stream, "k"), 404, "not_found_error")


def test_a_large_rejected_request_is_kept(stream: Stream) -> None:
    """One that was decoded elsewhere, unless it only asked."""
    rows = [{"id": 1, "text": "x" * 300} for _ in range(4_000)] + [{"id": "x"}]
    stream.insert({"rows": rows, "validateOnly": True}, **{"Idempotency-Key": "asked"})
    stream.insert({"rows": rows}, **{"Idempotency-Key": "sent"})
    refusal(asked(stream, "asked"), 404, "not_found_error")
    assert asked(stream, "sent").json()["errors"][0]["row"] == 4_000


def test_undoing_removes_the_rows_of_one_request(stream: Stream) -> None:
    """From lists, counts and statistics; the others keep their numbers, and the chain covers all."""
    inserted(stream, [{"id": 1}], key="a")
    undone = inserted(stream, [{"id": 2}, {"id": 3}], key="b")
    inserted(stream, [{"id": 4}], key="c")
    before = stream.client.get(stream.upload_uri).json()
    answer = asked(stream, "b", "DELETE")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["state"], proof_of(answer.json())) == ("undone", proof_of(undone))
    assert answer.json()["undoneAt"] >= answer.json()["time"]
    assert [row["id"] for row in stream.rows()] == [1, 4]
    assert stream.row_count() == 2
    assert stream.client.get(stream.table_uri).json()["numRows"] == 2
    assert stream.client.get(stream.upload_uri).json()["hash"] != before["hash"]
    statistics = stream.client.get(f"{stream.table_uri}/variables/id/statistics").json()
    assert (statistics["count"], statistics["max"]) == (2, 4)
    listed = stream.client.get(f"{stream.table_uri}/rows?maxResults=2").text
    assert [json.loads(line)["id"] for line in listed.splitlines()] == [1, 4]
    assert asked(stream, "b", "DELETE").json() == answer.json() == asked(stream, "b").json()
    assert inserted(stream, [{"id": 5}])["firstRow"] == 4
    assert verified(stream)["isIntact"] is True
    assert verified(stream)["rowCount"] == 5


def test_a_session_keeps_its_rows(stream: Stream) -> None:
    """One that was opened before an undo shows them; one opened after does not."""
    inserted(stream, [{"id": 1}], key="a")
    inserted(stream, [{"id": 2}])
    asking = {"format": "jsonl"}
    before = stream.client.post(f"{stream.table_uri}/readSessions", json=asking).json()
    asked(stream, "a", "DELETE")
    after = stream.client.post(f"{stream.table_uri}/readSessions", json=asking).json()

    def ids(session: Json) -> list[int]:
        text = stream.client.get(f"/readStreams/{session['streams'][0]['id']}").text
        return [json.loads(line)["id"] for line in text.splitlines()]

    assert (before["numRows"], ids(before)) == (2, [1, 2])
    assert (after["numRows"], ids(after)) == (1, [2])


def test_an_undone_key_stays_used(stream: Stream) -> None:
    """A repeat is refused and inserts nothing, whether or not its rows would fit; so is another body."""
    inserted(stream, [{"id": 1}], key="k")
    asked(stream, "k", "DELETE")
    again = stream.insert({"rows": [{"id": 1}]}, **{"Idempotency-Key": "k"})
    assert "was undone" in refusal(again, 409, "conflict")
    other = stream.insert({"rows": [{"id": 2}]}, **{"Idempotency-Key": "k"})
    refusal(other, 422, "idempotency_key_reused")
    unfit = stream.insert({"rows": [{"id": "x"}]}, **{"Idempotency-Key": "k"})
    refusal(unfit, 422, "idempotency_key_reused")
    assert stream.rows() == []
    assert asked(stream, "k").json()["state"] == "undone"


def test_what_is_released_cannot_be_undone(stream: Stream) -> None:
    """Nothing of a released version changes."""
    inserted(stream, [{"id": 1}], key="k")
    released = stream.client.post(f"{stream.dataset_uri}/versions/next/release", json={})
    assert released.status_code == 200, released.text
    upload = stream.client.get(f"{stream.table_uri.replace(':next', '')}/uploads").json()["results"][0]
    response = stream.client.delete(f"{upload['uri']}/requests/k")
    assert "released and never changes" in refusal(response, 400, "invalid_request_error")


def test_offset_tokens_come_back(stream: Stream) -> None:
    """The last one that came with rows, or without any."""

    def latest() -> object:
        return stream.client.get(stream.upload_uri).json()["latestOffsetToken"]

    assert latest() is None
    inserted(stream, [{"id": 1}], offsetToken="file 1, byte 100")
    inserted(stream, [{"id": 2}])
    assert latest() == "file 1, byte 100"
    inserted(stream, [], offsetToken="é" * 128, expectedOffsetToken="file 1, byte 100")
    assert latest() == "é" * 128
    query = {"offsetToken": "lines", "expectedOffsetToken": "é" * 128}
    headers = {"Content-Type": "application/x-ndjson"}
    path = f"{stream.upload_uri}/rows"
    sent = stream.client.post(path, content=b'{"id":3}\n', params=query, headers=headers)
    assert sent.status_code == 201, sent.text
    assert latest() == "lines"


def test_an_unexpected_offset_inserts_nothing(stream: Stream) -> None:
    """The conflict names the token there is; null expects none; a repeat under a key is a repeat."""
    inserted(stream, [{"id": 1}], key="k", offsetToken="a", expectedOffsetToken=None)
    for expected in (None, "b"):
        body = {"rows": [{"id": 2}], "offsetToken": "c", "expectedOffsetToken": expected}
        text = refusal(stream.insert(body), 409, "conflict")
        assert 'latestOffsetToken is "a"' in text
    empty = f"{stream.upload_uri}/rows?offsetToken=c&expectedOffsetToken="
    refusal(stream.client.post(empty, json={"rows": [{"id": 2}]}), 409, "conflict")
    inserted(stream, [{"id": 3}], offsetToken="d", expectedOffsetToken="a")
    inserted(stream, [{"id": 1}], key="k", offsetToken="a", expectedOffsetToken=None)
    assert [row["id"] for row in stream.rows()] == [1, 3]
    assert stream.client.get(stream.upload_uri).json()["latestOffsetToken"] == "d"


@pytest.mark.parametrize("token", ["", "x" * 129, 5])
def test_offset_tokens_that_are_none(stream: Stream, token: object) -> None:
    """Empty, too long, or no text."""
    for name in ("offsetToken", "expectedOffsetToken"):
        response = stream.insert({"rows": [], name: token})
        assert name in refusal(response, 400, "invalid_request_error")
    response = stream.client.post(f"{stream.upload_uri}/rows?offsetToken={'x' * 129}", json={"rows": []})
    refusal(response, 400, "invalid_request_error")


def test_a_large_body_moves_the_offset(stream: Stream) -> None:
    """One that is decoded elsewhere is conditional too."""
    rows = [{"text": "x" * 300}] * 4_000
    inserted(stream, rows, offsetToken="a", expectedOffsetToken=None)
    refusal(stream.insert({"rows": rows, "offsetToken": "b", "expectedOffsetToken": "b"}), 409, "conflict")
    assert stream.row_count() == 4_000
