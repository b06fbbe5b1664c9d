"""Server-Timing tells where the time of an insert went; X-Request-Id is on every answer."""

import gzip
import json
import re
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.api.stream import Stream
from tests.server_process import ServerProcess

ALL = ["read", "decode", "queue", "commit", "fsync"]
_phase = re.compile(r"(\w+);dur=(\d+\.\d{2})").fullmatch


def phases(response: httpx.Response) -> dict[str, float]:
    """The durations by name, in their order, in milliseconds."""
    matches = [_phase(part) for part in response.headers["server-timing"].split(", ")]
    assert all(matches), response.headers["server-timing"]
    return {match[1]: float(match[2]) for match in matches if match}


@pytest.mark.parametrize("count", [1, 60_000])
@pytest.mark.parametrize("row", [{"count": 1}, {"COUNT": 1.0}], ids=["strict", "lenient"])
def test_an_insert_tells_all_phases(stream: Stream, count: int, row: dict[str, object]) -> None:
    """Each phase took some time, and together they took no longer than the client waited."""
    body = json.dumps({"rows": [row] * count}).encode()
    for encoding, sent in (("identity", body), ("gzip", gzip.compress(body))):
        started = time.perf_counter()
        response = stream.insert(sent, **{"Content-Encoding": encoding})
        waited = (time.perf_counter() - started) * 1000
        assert response.status_code == 201
        told = phases(response)
        assert list(told) == ALL
        assert told["read"] > 0
        assert told["commit"] > 0
        assert told["fsync"] > 0
        assert sum(told.values()) <= waited
        if count > 1:
            assert told["decode"] > 1


def test_a_repeat_tells_them_too(stream: Stream) -> None:
    """The commit of a repeat is the one that found its key."""
    for replayed in (None, "true"):
        response = stream.insert({"rows": [{}]}, **{"Idempotency-Key": "k"})
        assert response.headers.get("idempotency-replayed") == replayed
        assert list(phases(response)) == ALL


def test_a_slow_body_is_seen_in_read(stream: Stream) -> None:
    """A body that takes its time is the client's, and shows as such."""

    def slowly() -> Iterator[bytes]:
        yield b'{"rows":'
        time.sleep(1)
        yield b'[{"count":1}]}'

    response = stream.client.post(
        f"{stream.upload_uri}/rows", content=slowly(), headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 201
    told = phases(response)
    assert told["read"] > 250  # the server may have begun later than the client
    assert told["decode"] < told["read"] / 2


def test_what_was_not_reached_is_left_out(stream: Stream) -> None:
    """Refused rows were read and decoded, a check alone too; what is refused before was hardly read."""
    assert list(phases(stream.insert({"rows": [{"count": "x"}]}))) == ["read", "decode"]
    assert list(phases(stream.insert(b"no JSON"))) == ["read", "decode"]
    assert list(phases(stream.insert({"rows": [{}], "validateOnly": True}))) == ["read", "decode"]
    assert list(phases(stream.insert(b"", **{"Content-Type": "text/csv"}))) == ["read"]
    assert list(phases(stream.insert({"rows": []}, Authorization="Bearer no"))) == ["read"]


def test_a_change_of_schema_in_between(stream: Stream) -> None:
    """An insert that starts over tells one commit, its own."""
    assert stream.insert({"rows": [{"new": 1}], "updateSchema": True}).status_code == 201
    response = stream.insert({"rows": [{"new": 2}]})
    assert list(phases(response)) == ALL
    refused = stream.insert({"rows": [{"newer": 2}]})
    assert list(phases(refused)) == ["read", "decode"]


def test_every_answer_has_a_request_id(server: ServerProcess, stream: Stream) -> None:
    """Good and bad, of any route and method, streamed or not, each with an id of its own."""
    origin = server.url.removesuffix("/api/v1")
    asked = [
        ("GET", f"{server.url}{stream.table_uri}"),
        ("HEAD", f"{server.url}{stream.table_uri}"),
        ("HEAD", f"{server.url}/tables/no.such.table"),
        ("GET", f"{server.url}{stream.table_uri}/rows"),
        ("GET", f"{server.url}{stream.table_uri}/rows?format=arrow"),
        ("HEAD", f"{server.url}{stream.table_uri}/rows"),
        ("PUT", f"{server.url}{stream.upload_uri}/rows"),
        ("POST", f"{server.url}{stream.upload_uri}/rows"),
        ("GET", f"{origin}/healthz"),
        ("GET", f"{origin}/nothing"),
        ("GET", f"{origin}/metrics"),
    ]
    answers = [stream.client.request(method, url) for method, url in asked]
    assert {answer.status_code for answer in answers} == {200, 400, 404, 405}
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == len(ids)
