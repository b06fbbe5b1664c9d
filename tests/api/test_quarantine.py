"""The quarantine of an upload: listed, emptied, replayed, bounded, and gone with its upload."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import plain_http
from tests.api.stream import Stream
from tests.command_line import rowkeep
from tests.server_process import ServerProcess

SCHEMA = [{"name": "count", "type": "integer"}]


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """An empty stream of one integer."""
    made = Stream(server.url, server.token, SCHEMA, server.user)
    yield made
    made.close()


@pytest.fixture(scope="module")
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose quarantines hold five rows, or a thousand bytes."""
    started = ServerProcess(
        tmp_path_factory.mktemp("narrow") / "data", quarantine_rows_max="5", quarantine_bytes_max="1000"
    )
    started.start()
    yield started
    started.close()


@pytest.fixture
def narrow(narrow_server: ServerProcess) -> Iterator[Stream]:
    """An empty stream of one integer there."""
    made = Stream(narrow_server.url, narrow_server.token, SCHEMA, narrow_server.user)
    yield made
    made.close()


def insert(stream: Stream, *texts: str, key: str | None = None) -> dict[str, Any]:
    """Inserts rows given as JSON text; the answer."""
    body = f'{{"skipInvalidRows":true,"rows":[{",".join(texts)}]}}'.encode()
    response = stream.insert(body, **({} if key is None else {"Idempotency-Key": key}))
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def page(stream: Stream, **parameters: object) -> dict[str, Any]:
    """A page of the quarantine."""
    response = stream.client.get(f"{stream.upload_uri}/quarantine", params=parameters)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def contents(stream: Stream) -> list[str]:
    """The rows in the quarantine."""
    return [row["content"] for row in page(stream, maxResults=1000)["results"]]


def replay(stream: Stream, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Replays; the counts."""
    response = stream.client.post(f"{stream.upload_uri}/quarantine/replay", json=body or {})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def bad_count(stream: Stream) -> int:
    """What the upload says, by itself and in the list."""
    alone: int = stream.client.get(stream.upload_uri).json()["badRecordsCount"]
    listed = stream.client.get(f"{stream.table_uri}/uploads").json()["results"][0]["badRecordsCount"]
    assert listed == alone
    return alone


def test_a_row_and_why(stream: Stream) -> None:
    """Its text as it came, its place, its request's key, the reasons and the time, in milliseconds."""
    before = time.time_ns() // 1_000_000
    text = '{ "count" : 1.50000000000000000001,  "more": [1,\n2] }'
    insert(stream, '{"count":1}', text, key="k")
    after = time.time_ns() // 1_000_000
    found = page(stream)
    (row,) = found["results"]
    assert found == {"kind": "quarantineList", "results": [row], "nextPageToken": None, "droppedCount": 0}
    assert before <= row.pop("quarantinedAt") <= after
    assert row.pop("id") > 0
    reasons = row.pop("reasons")
    assert row == {"kind": "quarantinedRow", "row": 1, "idempotencyKey": "k", "content": text}
    assert [reason["variable"] for reason in reasons] == ["count", "more"]
    assert "1.50000000000000000001" in reasons[0]["message"]
    assert bad_count(stream) == 1


def test_pages(stream: Stream) -> None:
    """Oldest first, across requests, as other lists are; a page token goes on, also as lines."""
    for start in range(0, 10, 5):
        insert(stream, *(f'"{number}"' for number in range(start, start + 5)))
    texts = [f'"{number}"' for number in range(10)]
    first = page(stream, maxResults=4)
    assert [row["content"] for row in first["results"]] == texts[:4]
    assert [row["row"] for row in page(stream)["results"]] == [0, 1, 2, 3, 4] * 2
    second = page(stream, maxResults=6, pageToken=first["nextPageToken"])
    assert ([row["content"] for row in second["results"]], second["nextPageToken"]) == (texts[4:], None)
    url = f"{stream.upload_uri}/quarantine"
    lines = stream.client.get(url, params={"format": "jsonl", "pageToken": first["nextPageToken"]})
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in lines.text.splitlines()] == second["results"]
    for query in ("maxResults=0", "pageToken=x", "format=csv"):
        assert stream.client.get(f"{url}?{query}").status_code == 400


def test_lines_hold_all(stream: Stream) -> None:
    """More than a page: `format=jsonl` has every row."""
    insert(stream, *(f'"{number}"' for number in range(3_000)))
    lines = stream.client.get(f"{stream.upload_uri}/quarantine?format=jsonl").text.splitlines()
    assert [json.loads(line)["content"] for line in lines] == [f'"{number}"' for number in range(3_000)]
    assert len(page(stream)["results"]) == 100


def test_an_empty_quarantine(stream: Stream) -> None:
    """A list without rows, no lines, nothing to replay or to throw away."""
    assert page(stream)["results"] == []
    assert stream.client.get(f"{stream.upload_uri}/quarantine?format=jsonl").content == b""
    assert replay(stream) == {
        "kind": "quarantineReplay",
        "rowsAdded": 0,
        "rowsRemaining": 0,
        "schemaUpdates": [],
        "version": "next",
    }
    assert stream.client.delete(f"{stream.upload_uri}/quarantine").text == "OK"


def test_emptying(narrow: Stream) -> None:
    """DELETE throws the rows away and counts anew; the rows of the upload stay."""
    insert(narrow, '{"count":1}', *["5"] * 7)
    assert (bad_count(narrow), page(narrow)["droppedCount"]) == (5, 2)
    assert narrow.client.delete(f"{narrow.upload_uri}/quarantine").text == "OK"
    assert (bad_count(narrow), page(narrow)["droppedCount"], contents(narrow)) == (0, 0, [])
    assert narrow.row_count() == 1
    insert(narrow, "6")
    assert contents(narrow) == ["6"]


def test_replay_after_a_schema_change(stream: Stream) -> None:
    """Those that fit now become rows, behind the others and in order; the rest stays as it was."""
    texts = ['{"new":1}', '{"count":"x"}', '{"new":2,"count":7}', "5", '{"new":\n3}']
    insert(stream, '{"count":1}', *texts)
    before = page(stream)["results"]
    assert replay(stream)["rowsAdded"] == 0
    assert page(stream)["results"] == before
    assert stream.insert({"rows": [{"new": 0}], "updateSchema": True}).status_code == 201
    assert replay(stream) == {
        "kind": "quarantineReplay",
        "rowsAdded": 3,
        "rowsRemaining": 2,
        "schemaUpdates": [],
        "version": "next",
    }
    assert [(row["count"], row["new"]) for row in stream.rows()] == [
        (1, None),
        (None, 0),
        (None, 1),
        (7, 2),
        (None, 3),
    ]
    assert page(stream)["results"] == [before[1], before[3]]
    assert (bad_count(stream), stream.row_count()) == (2, 5)
    assert replay(stream)["rowsRemaining"] == 2
    assert stream.row_count() == 5


def test_replay_may_change_the_schema(stream: Stream) -> None:
    """`updateSchema` means what it does in an insert, and the answer says what it did."""
    insert(stream, '{"new":1}', '{"new":1.5,"count":"x"}', '{"new":[]}')
    assert replay(stream, {"updateSchema": True}) == {
        "kind": "quarantineReplay",
        "rowsAdded": 2,
        "rowsRemaining": 1,
        "schemaUpdates": [
            {
                "updatedVariables": [{"name": "count", "type": "string", "previousType": "integer"}],
                "addedVariables": [{"name": "new", "type": "float"}],
            }
        ],
        "version": "next",
    }
    assert [(row["count"], row["new"]) for row in stream.rows()] == [(None, 1.0), ("x", 1.5)]
    assert contents(stream) == ['{"new":[]}']
    response = stream.client.post(f"{stream.upload_uri}/quarantine/replay", json={"updateSchema": 5})
    assert response.status_code == 400


def test_a_stream_without_a_schema_replays_as_it_inserts(server: ServerProcess) -> None:
    """There rows may change the schema unless the replay says otherwise."""
    stream = Stream(server.url, server.token, None, server.user)
    body = {"rows": [{"v": 1}, {"w": 1}], "skipInvalidRows": True, "updateSchema": False}
    assert stream.insert(body).json()["rowsSkipped"] == 2
    assert replay(stream, {"updateSchema": False})["rowsAdded"] == 0
    assert replay(stream)["rowsAdded"] == 2
    stream.close()


def test_a_replay_of_many_commits(stream: Stream) -> None:
    """More rows than go into one commit, good and bad ones mixed."""
    texts = ["5" if number % 3 else f'{{"new":{number}}}' for number in range(3_500)]
    insert(stream, *texts)
    answer = replay(stream, {"updateSchema": True})
    good = [number for number in range(3_500) if not number % 3]
    assert (answer["rowsAdded"], answer["rowsRemaining"]) == (len(good), 3_500 - len(good))
    assert len(answer["schemaUpdates"]) == 1
    assert [row["new"] for row in stream.rows()] == good
    assert bad_count(stream) == 3_500 - len(good)


def test_replays_at_a_time(stream: Stream) -> None:
    """Four at once, while bad rows come in: no row is doubled or lost."""
    texts = [f'{{"new":{number}}}' for number in range(4_000)]
    insert(stream, *texts)
    assert stream.insert({"rows": [{"new": -1}], "updateSchema": True}).status_code == 201
    added: list[int] = []
    url, headers = f"{stream.client.base_url}{stream.upload_uri}", dict(stream.client.headers)

    def run() -> None:
        with plain_http.client(headers=headers, timeout=60) as client:
            added.append(client.post(f"{url}/quarantine/replay", json={}).json()["rowsAdded"])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        insert(stream, "5")
    for thread in threads:
        thread.join()
    assert sum(added) == 4_000
    assert sorted(row["new"] for row in stream.rows()) == list(range(-1, 4_000))
    assert contents(stream) == ["5"] * 20


def test_the_oldest_go_out_first(narrow: Stream) -> None:
    """Rows are bounded, over requests and within one; what went is counted, and the 201 says so."""
    assert "droppedCount" not in insert(narrow, '"0"', '"1"', '"2"', '"3"')
    answer = insert(narrow, '{"count":1}', '"4"', '"5"', '"6"', key="k")
    assert (answer["rowsSkipped"], answer["droppedCount"]) == (3, 2)
    assert contents(narrow) == ['"2"', '"3"', '"4"', '"5"', '"6"']
    assert insert(narrow, *(f'"{number}"' for number in range(10, 20)))["droppedCount"] == 10
    assert contents(narrow) == [f'"{number}"' for number in range(15, 20)]
    assert (bad_count(narrow), page(narrow)["droppedCount"]) == (5, 12)
    assert insert(narrow, '{"count":1}', '"4"', '"5"', '"6"', key="k") == answer
    assert page(narrow)["droppedCount"] == 12


def test_bytes_are_bounded_too(narrow: Stream) -> None:
    """Long rows push out more of the old ones; one that is longer than the bound is only counted."""
    insert(narrow, '"1"', '"2"', '"3"')
    first, second = f'"{"x" * 500}"', f'"{"y" * 600}"'
    assert "droppedCount" not in insert(narrow, first)
    assert insert(narrow, second)["droppedCount"] == 4
    assert contents(narrow) == [second]
    answer = insert(narrow, f'"{"z" * 2_000}"')
    assert (answer["rowsSkipped"], answer["droppedCount"]) == (1, 1)
    assert contents(narrow) == [second]


def test_a_full_quarantine_of_a_large_body(narrow: Stream) -> None:
    """Of the bad rows of a body that is decoded elsewhere the newest are kept."""
    answer = insert(narrow, *(f'"{number}"' for number in range(200_000)))
    assert (answer["rowsSkipped"], answer["droppedCount"]) == (200_000, 199_995)
    assert contents(narrow) == [f'"{number}"' for number in range(199_995, 200_000)]


def test_it_goes_with_its_upload(stream: Stream) -> None:
    """A new upload of the same name has an empty one; that of a deleted upload is not to be found."""
    insert(stream, "5")
    assert stream.client.delete(stream.upload_uri).status_code == 200
    assert stream.client.get(f"{stream.upload_uri}/quarantine").status_code == 404
    assert stream.client.post(f"{stream.upload_uri}/quarantine/replay").status_code == 404
    again = stream.post(f"{stream.table_uri}/uploads", {"name": "s", "type": "stream", "schema": SCHEMA})
    assert (again["uri"], again["badRecordsCount"]) == (stream.upload_uri, 0)
    assert contents(stream) == []


def test_a_released_version(stream: Stream) -> None:
    """Its rows never change, so nothing can be replayed; what did not fit can be read and thrown away."""
    insert(stream, '{"count":1}', '{"new":1}')
    released = stream.client.post(f"{stream.dataset_uri}/versions/next/release", json={})
    assert released.status_code == 200
    table = stream.table_uri.replace(":next", ":v1_0")
    url = f"{table}/uploads/s/quarantine"
    response = stream.client.post(f"{url}/replay", json={"updateSchema": True})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request_error")
    assert len(stream.client.get(url).json()["results"]) == 1
    assert stream.client.delete(url).status_code == 200
    assert stream.client.get(url).json()["results"] == []


def test_it_outlives_a_restart_and_a_backup(own_server: ServerProcess, tmp_path: Path) -> None:
    """Rows that were skipped are as durable as rows; verify reads them, and a backup holds them."""
    stream = Stream(own_server.url, own_server.token, SCHEMA, own_server.user)
    insert(stream, '{"count":1}', "5", '{"new":1}')
    kept = page(stream)["results"]
    own_server.kill()
    rowkeep("verify", data_dir=own_server.data_dir)
    rowkeep("backup", str(tmp_path / "backup"), data_dir=own_server.data_dir)
    restored = tmp_path / "restored"
    rowkeep("restore", str(tmp_path / "backup"), data_dir=restored)
    own_server.data_dir = restored
    own_server.start()
    stream.client.base_url = httpx.URL(own_server.url)
    assert page(stream)["results"] == kept
    assert replay(stream, {"updateSchema": True})["rowsAdded"] == 1
    stream.close()


def test_kills_amid_a_replay(own_server: ServerProcess) -> None:
    """However often the server dies in between: at the end each row is there once."""
    count = 10_000
    stream = Stream(own_server.url, own_server.token, SCHEMA, own_server.user)
    insert(stream, *(f'{{"new":{number}}}' for number in range(count)))
    assert stream.insert({"rows": [{"new": -1}], "updateSchema": True}).status_code == 201
    for _ in range(2):
        replaying = threading.Thread(target=_replay_until_it_breaks, args=(own_server.url, stream))
        replaying.start()
        _wait_for_more_rows(stream)
        own_server.kill()
        replaying.join()
        own_server.start()
        stream.client.base_url = httpx.URL(own_server.url)
        assert stream.row_count() - 1 + bad_count(stream) == count
    replay(stream)
    assert [row["new"] for row in stream.rows()] == list(range(-1, count))
    assert bad_count(stream) == 0
    stream.close()
    own_server.kill()
    rowkeep("verify", data_dir=own_server.data_dir)


def _replay_until_it_breaks(url: str, stream: Stream) -> None:
    headers = {"Authorization": stream.client.headers["Authorization"]}
    with plain_http.client(timeout=60) as client, contextlib.suppress(httpx.TransportError):
        client.post(f"{url}{stream.upload_uri}/quarantine/replay", headers=headers)


def _wait_for_more_rows(stream: Stream) -> None:
    """Until some more have come in, or all were in before."""
    before = stream.row_count()
    deadline = time.monotonic() + 30
    while stream.row_count() == before and stream.client.get(stream.upload_uri).json()["badRecordsCount"]:
        assert time.monotonic() < deadline, "the replay does not go on"
