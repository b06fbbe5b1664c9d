"""insertRows as its page describes it, and what it promises beyond. Source: contract 4.5.1, 7; design 1."""

import concurrent.futures
import json
import threading
import time
from typing import Any

import psutil
import pytest

from rowkeep.trials.processes import children_of, peak_memory_mib
from tests import plain_http
from tests.api.pings import held_up_share, pinged
from tests.api.stream import ALL_TYPES, Stream
from tests.command_line import rowkeep
from tests.server_process import ServerProcess


def test_answer(stream: Stream) -> None:
    """201 with exactly the documented keys, as JSON, under a request id."""
    response = stream.insert({"rows": [{"site": "Jane", "count": 30}, {"site": "John", "count": 5}]})
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    answer = response.json()
    assert {name: len(answer.pop(name)) for name in ("sha256", "chain")} == {"sha256": 64, "chain": 64}
    assert answer == {
        "kind": "insertRowsResponse",
        "rowsAdded": 2,
        "rowsSkipped": 0,
        "schemaUpdates": [],
        "version": "next",
        "commit": 1,
        "firstRow": 0,
        "lastRow": 1,
    }


@pytest.mark.parametrize("escaped", ["my up_load%2F1", "my%20up.load%2F1", "MY%20UP_LOAD%2f1"])
def test_encoded_names(stream: Stream, escaped: str) -> None:
    """The reference and the upload's name may be URL-encoded; an encoded slash stays in the name."""
    stream.post(f"{stream.table_uri}/uploads", {"name": "my up.load/1", "type": "stream"})
    table = stream.table_uri.removeprefix("/tables/").replace(":", "%3A").replace(".", "%2E")
    url = f"{stream.client.base_url}tables/{table}/uploads/{escaped.replace(' ', '%20')}/rows"
    response = stream.client.post(url, json={"rows": [{"a": 1}]})
    assert (response.status_code, response.json().get("rowsAdded")) == (201, 1), response.text


def test_read_your_writes(stream: Stream) -> None:
    """The very next read sees the rows: listRows, numRows of the upload and of the table."""
    for number in range(1, 30):
        assert stream.insert({"rows": [{"count": number}]}).status_code == 201
        assert stream.row_count() == number
        assert stream.client.get(stream.table_uri).json()["numRows"] == number
        assert stream.rows()[-1]["count"] == number


def test_hash_changes_with_the_content(stream: Stream) -> None:
    """The hash of table and upload is the same until rows come in."""
    before = [stream.client.get(uri).json()["hash"] for uri in (stream.table_uri, stream.upload_uri)]
    again = [stream.client.get(uri).json()["hash"] for uri in (stream.table_uri, stream.upload_uri)]
    stream.insert({"rows": [{}]})
    after = [stream.client.get(uri).json()["hash"] for uri in (stream.table_uri, stream.upload_uri)]
    assert before == again
    assert all(len(value) == 32 for value in before)
    assert not set(before) & set(after)


def test_requests_stay_whole_and_in_order(stream: Stream) -> None:
    """Rows of one request stay together and in order, however many connections write at once."""

    def write(writer: int) -> None:
        with plain_http.client(base_url=stream.client.base_url, headers=stream.client.headers) as client:
            for request in range(25):
                rows = [{"site": f"{writer}-{request}", "count": number} for number in range(7)]
                response = client.post(f"{stream.upload_uri}/rows", json={"rows": rows})
                assert response.status_code == 201

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    rows = stream.rows()
    assert len(rows) == 8 * 25 * 7
    seen: dict[str, int] = {}
    for start in range(0, len(rows), 7):
        request = rows[start : start + 7]
        assert [row["count"] for row in request] == list(range(7))
        (site,) = {row["site"] for row in request}
        writer, number = site.split("-")
        assert seen.get(writer, -1) == int(number) - 1  # a writer's requests in the order it sent them
        seen[writer] = int(number)


def test_key_repeats_the_first_answer(stream: Stream) -> None:
    """The same key and body again: same status and body, marked as a replay, nothing inserted."""
    body: dict[str, Any] = {"rows": [{"site": "a"}, {"site": "b"}]}
    first = stream.insert(body, **{"Idempotency-Key": "key-1"})
    again = stream.insert(body, **{"Idempotency-Key": "key-1"})
    quoted = stream.insert(body, **{"Idempotency-Key": '"key-1"'})
    assert "idempotency-replayed" not in first.headers
    for replay in (again, quoted):
        assert (replay.status_code, replay.content) == (first.status_code, first.content)
        assert replay.headers["idempotency-replayed"] == "true"
    assert stream.row_count() == 2


def test_key_with_another_body(stream: Stream) -> None:
    """The same key with another body is 422, and neither body is inserted again."""
    stream.insert({"rows": [{"site": "a"}]}, **{"Idempotency-Key": "key-1"})
    response = stream.insert({"rows": [{"site": "b"}]}, **{"Idempotency-Key": "key-1"})
    assert (response.status_code, response.json()["error"]) == (422, "idempotency_key_reused")
    assert stream.row_count() == 1


def test_key_belongs_to_its_upload(stream: Stream) -> None:
    """Another upload may use the same key, for other rows or for equal ones; each repeats its own."""
    uploads = [stream.upload_uri]
    for name in ("other", "equal"):
        made = stream.post(f"{stream.table_uri}/uploads", {"name": name, "type": "stream"})
        uploads.append(made["uri"])
    bodies = [{"rows": [{"site": "a"}]}, {"rows": [{"x": 1}, {"x": 2}]}, {"rows": [{"site": "a"}]}]
    answers = []
    for replayed in (None, "true"):
        for uri, body in zip(uploads, bodies, strict=True):
            key = {"Idempotency-Key": "key-1"}
            response = stream.client.post(f"{uri}/rows", json=body, headers=key)
            assert response.status_code == 201
            assert response.headers.get("idempotency-replayed") == replayed
            answers.append(response.json())
    assert answers[:3] == answers[3:]
    counts = [stream.client.get(uri).json()["numRows"] for uri in uploads]
    assert counts == [answer["rowsAdded"] for answer in answers[:3]] == [1, 2, 1]


def test_key_of_a_refused_request_is_free(stream: Stream) -> None:
    """A request that was refused left nothing behind: its key may be used for the corrected rows."""
    assert stream.insert({"rows": [{"count": "x"}]}, **{"Idempotency-Key": "k"}).status_code == 400
    assert stream.insert({"rows": [{"count": 1}]}, **{"Idempotency-Key": "k"}).status_code == 201


def test_key_remembers_an_empty_request(stream: Stream) -> None:
    """An empty request with a key is remembered too."""
    assert stream.insert({"rows": []}, **{"Idempotency-Key": "k"}).status_code == 201
    assert stream.insert({"rows": [{}]}, **{"Idempotency-Key": "k"}).status_code == 422


def test_same_key_at_once(stream: Stream) -> None:
    """Of many requests with one key at the same time one inserts, and all get its receipt."""
    barrier = threading.Barrier(12)

    def send(_: int) -> tuple[int, bytes, bool]:
        with plain_http.client(base_url=stream.client.base_url, headers=stream.client.headers) as client:
            barrier.wait()
            response = client.post(
                f"{stream.upload_uri}/rows",
                json={"rows": [{"site": "once"}]},
                headers={"Idempotency-Key": "same"},
            )
            return response.status_code, response.content, "idempotency-replayed" in response.headers

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(send, range(12)))
    assert {(status, content) for status, content, _ in answers} == {(201, answers[0][1])}
    assert sorted(replayed for _, _, replayed in answers) == [False] + [True] * 11
    assert stream.row_count() == 1


def test_key_of_a_request_that_changed_the_schema(server: ServerProcess) -> None:
    """The replay reports the schema updates of the first answer, not of the schema as it is now."""
    stream = Stream(server.url, server.token, None, server.user)
    first = stream.insert({"rows": [{"a": 1}]}, **{"Idempotency-Key": "k"})
    stream.insert({"rows": [{"b": 1}]})
    again = stream.insert({"rows": [{"a": 1}]}, **{"Idempotency-Key": "k"})
    assert first.json()["schemaUpdates"] == [
        {"updatedVariables": [], "addedVariables": [{"name": "a", "type": "integer"}]}
    ]
    assert again.content == first.content
    stream.close()


@pytest.mark.parametrize("size", [1, 50_000, 1_500_000], ids=["small", "lenient", "spooled"])
def test_key_of_rows_whose_variable_was_widened(stream: Stream, size: int) -> None:
    """A repeat gets the first answer though its variable was widened since; another body is still 422."""
    body = {"rows": [{"count": 1, "site": "a" * size}]}
    first = stream.insert(body, **{"Idempotency-Key": "k"})
    stream.insert({"rows": [{"count": "many"}], "updateSchema": True})
    again = stream.insert(body, **{"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    body["rows"][0]["count"] = 2
    assert stream.insert(body, **{"Idempotency-Key": "k"}).status_code == 422
    assert stream.insert(body, **{"Idempotency-Key": "new"}).status_code == 201
    assert stream.row_count() == 3


def test_keys_survive_a_restart(own_server: ServerProcess) -> None:
    """After kill -9 and a restart the rows are there and the key still replays."""
    stream = Stream(own_server.url, own_server.token, ALL_TYPES, own_server.user)
    first = stream.insert({"rows": [{"site": "a"}]}, **{"Idempotency-Key": "k"})
    stream.close()
    own_server.kill()
    own_server.start()
    with plain_http.client(
        base_url=own_server.url, headers={"Authorization": f"Bearer {own_server.token}"}
    ) as client:
        again = client.post(
            f"{stream.upload_uri}/rows",
            content=first.request.content,
            headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
        )
        assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
        assert client.get(stream.upload_uri).json()["numRows"] == 1


def test_explicit_update_schema(stream: Stream) -> None:
    """A typed stream grows only when the request says so."""
    assert stream.insert({"rows": [{"extra": 1}]}).status_code == 400
    response = stream.insert({"rows": [{"extra": 1, "count": "many"}], "updateSchema": True})
    assert response.json()["schemaUpdates"] == [
        {
            "updatedVariables": [{"name": "count", "type": "string", "previousType": "integer"}],
            "addedVariables": [{"name": "extra", "type": "integer"}],
        }
    ]
    assert [(row["count"], row["extra"]) for row in stream.rows()] == [("many", 1)]


def test_explicit_refusal_of_updates(server: ServerProcess) -> None:
    """A stream without a schema does not grow when the request forbids it."""
    stream = Stream(server.url, server.token, None, server.user)
    assert stream.insert({"rows": [{"a": 1}], "updateVariables": False}).status_code == 400
    assert stream.insert({"rows": [{"a": 1}]}).status_code == 201
    stream.close()


def test_concurrent_growth_converges(server: ServerProcess) -> None:
    """Requests that change the schema at the same time all go in, and each variable is there once."""
    stream = Stream(server.url, server.token, None, server.user)

    def write(number: int) -> None:
        with plain_http.client(base_url=stream.client.base_url, headers=stream.client.headers) as client:
            for step in range(5):
                row = {f"v{(number + step) % 7}": number, "shared": number if step % 2 else "text"}
                response = client.post(f"{stream.upload_uri}/rows", json={"rows": [row]}, timeout=60)
                assert response.status_code == 201, response.text

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    variables = stream.client.get(f"{stream.upload_uri}/variables").json()["results"]
    assert sorted(item["name"] for item in variables) == ["shared", *[f"v{n}" for n in range(7)]]
    assert len(stream.rows()) == 30
    stream.close()


def test_revoked_token_is_refused_at_once(server: ServerProcess, stream: Stream) -> None:
    """A token that has just been used is refused on the next request after it was revoked."""
    token = rowkeep("token", "create", "--user", server.user, data_dir=server.data_dir)
    last_line = rowkeep("token", "list", data_dir=server.data_dir).splitlines()[-1]
    headers = {"Authorization": f"Bearer {token}"}
    for _ in range(3):
        assert stream.insert({"rows": [{}]}, **headers).status_code == 201
    rowkeep("token", "revoke", last_line.split()[0], data_dir=server.data_dir)
    for body in ({"rows": [{}]}, {"rows": []}, {"rows": [{"count": "x"}]}):
        response = stream.insert(body, **headers)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_token")
    assert stream.row_count() == 3


def test_deleted_upload_is_gone_at_once(stream: Stream) -> None:
    """An insert into an upload that was just deleted is 404, although the stream was in use."""
    assert stream.insert({"rows": [{}]}).status_code == 201
    assert stream.client.delete(stream.upload_uri).text == "OK"
    assert stream.insert({"rows": [{}]}).status_code == 404


def seconds_to_parse(lines: list[bytes]) -> float:
    """The CPU time that this machine takes to read rows as plain JSON: what "quickly" is measured by."""
    body = b"[" + b",".join(lines) + b"]"
    started = time.process_time()
    json.loads(body)
    return time.process_time() - started


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process has taken so far."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@pytest.mark.alone
@pytest.mark.parametrize("megabytes", [2, 99])
def test_large_body(own_server: ServerProcess, megabytes: int) -> None:
    """A large body goes in whole and for little CPU time; the server goes on answering others meanwhile."""
    stream = Stream(own_server.url, own_server.token, ALL_TYPES, own_server.user)
    row = {"site": "x" * 60, "count": 1, "measured_at": "2026-01-01T00:00:00.5", "position": "POINT(1 2)"}
    line = json.dumps(row).encode()
    count = megabytes * 1_000_000 // (len(line) + 1)
    body = b'{"rows":[' + b",".join([line] * count) + b"]}"
    parsing = 10 * seconds_to_parse([line] * (count // 10))
    processes = [own_server.pid, *children_of(own_server.pid)]
    before = sum(map(cpu_seconds, processes))
    with pinged(own_server) as pauses:
        response = stream.insert(body)
    seconds = sum(map(cpu_seconds, processes)) - before
    assert (response.status_code, response.json()["rowsAdded"]) == (201, count), response.text
    assert stream.row_count() == count
    assert seconds < 1 + 10 * parsing  # with the pings; 3 s where 99 MB are parsed in one
    assert held_up_share(pauses) < 0.5
    stream.close()


def test_many_rows_read_back(stream: Stream) -> None:
    """A large body reads back row by row as it went in."""
    rows = [{"count": number, "site": f"s{number % 10}" * 20} for number in range(30_000)]
    assert stream.insert({"rows": rows}).json()["rowsAdded"] == 30_000
    read = stream.rows()
    assert [row["count"] for row in read] == list(range(30_000))
    assert read[12_345]["site"] == rows[12_345]["site"]


def test_empty_rows_in_a_wide_schema(own_server: ServerProcess) -> None:
    """A small body of empty rows does not take memory for every variable that it does not name."""
    wide = [{"name": f"v{number}", "type": "integer"} for number in range(2_000)]
    stream = Stream(own_server.url, own_server.token, wide, own_server.user)
    before = peak_memory_mib(own_server.pid)
    body = b'{"rows":[' + b",".join([b"{}"] * 60_000) + b"]}"
    assert stream.insert(body).json()["rowsAdded"] == 60_000
    assert stream.row_count() == 60_000
    assert peak_memory_mib(own_server.pid) - before < 150
    stream.close()


def test_memory_of_a_large_body(own_server: ServerProcess) -> None:
    """The server and its decoding process together stay below base + 2.5 times the body."""
    stream = Stream(own_server.url, own_server.token, ALL_TYPES, own_server.user)
    stream.insert({"rows": [{"site": "warm"}]})
    processes = [own_server.pid, *children_of(own_server.pid)]
    before = sum(map(peak_memory_mib, processes))
    line = b'{"site":"%s","count":1}' % (b"x" * 60)
    body = b'{"rows":[' + b",".join([line] * (90 * 1024 * 1024 // (len(line) + 1))) + b"]}"
    assert stream.insert(body).status_code == 201
    grown = sum(map(peak_memory_mib, processes)) - before
    assert grown <= 2.5 * len(body) / 1024 / 1024
    stream.close()
