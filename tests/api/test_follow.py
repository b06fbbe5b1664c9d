"""Following a table or an upload: what comes, in what form, from where, and why it ends."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.stream import Stream
from tests.command_line import rowkeep
from tests.follower import Follower
from tests.server_process import ServerProcess

SCHEMA = [{"name": "count", "type": "integer"}]


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A stream of counts in a dataset of its own."""
    made = Stream(server.url, server.token, SCHEMA, server.user)
    yield made
    made.close()


def insert(stream: Stream, *counts: int, upload: str | None = None) -> None:
    """Inserts a row for each count."""
    response = stream.client.post(
        f"{upload or stream.upload_uri}/rows", json={"rows": [{"count": count} for count in counts]}
    )
    assert response.status_code == 201, response.text


def counts(rows: list[dict[str, Any]]) -> list[int]:
    """The counts of rows."""
    return [row["count"] for row in rows]


def refusal(server: ServerProcess, path: str, **query: str) -> tuple[int, str]:
    """The status and the error of a following request that is refused."""
    with Follower(server.url, server.token, path, **query) as follower:
        return follower.response.status_code, follower.response.json()["error_description"]


def test_rows_come_as_they_are_committed(server: ServerProcess, stream: Stream) -> None:
    """Each row comes right after its insert, not at the next look or heartbeat, in the order of commits."""
    insert(stream, 0)
    waits = []
    with Follower(server.url, server.token, stream.table_uri) as follower:
        assert follower.response.headers["content-type"] == "text/event-stream"
        follower.opened()
        for count in range(1, 21):
            started = time.monotonic()
            insert(stream, count)
            assert follower.rows(1) == [{"count": count}]
            waits.append(time.monotonic() - started)
    # A few ms; the next look at the catalog would be after up to a second, the heartbeat after 15.
    assert statistics.median(waits) < 0.5


def test_an_upload(server: ServerProcess, stream: Stream) -> None:
    """An upload is listed and followed like a table."""
    insert(stream, 1, 2)
    listed = stream.client.get(f"{stream.upload_uri}/rows", params={"format": "csv"})
    assert listed.text.split() == ['"count"', "1", "2"]
    with Follower(server.url, server.token, stream.upload_uri, tail="1") as follower:
        follower.opened()
        insert(stream, 3)
        assert counts(follower.rows(2)) == [2, 3]


def test_lines(server: ServerProcess, stream: Stream) -> None:
    """As lines: a position first, and one behind the rows it stands for, which resumes there."""
    insert(stream, 1, 2)
    query = {"format": "jsonl", "tail": "all", "maxResults": "3"}
    with Follower(server.url, server.token, stream.table_uri, **query) as follower:
        assert follower.response.headers["content-type"] == "application/x-ndjson"
        assert list(follower.line()) == ["@position"]
        assert [follower.line(), follower.line()] == [{"count": 1}, {"count": 2}]
        position = follower.line()["@position"]
        insert(stream, 3, 4)
        row, behind, last = follower.lines()
        assert row == {"count": 3}
        assert last == {**behind, "@end": {"reason": "complete"}}
    query = {"format": "ndjson", "from": position, "maxResults": "2"}
    with Follower(server.url, server.token, stream.table_uri, **query) as follower:
        assert follower.lines()[:3] == [{"@position": position}, {"count": 3}, {"count": 4}]


def test_every_row_has_the_position_behind_it(server: ServerProcess, stream: Stream) -> None:
    """Resumed from any event, by header or query, a follower gets exactly the rows behind it."""
    other = stream.post(f"{stream.table_uri}/uploads", {"name": "t", "type": "stream", "schema": SCHEMA})
    insert(stream, 0, 1, 2)
    insert(stream, 3, 4, upload=other["uri"])
    with Follower(server.url, server.token, stream.table_uri, tail="all") as follower:
        follower.opened()
        events = [follower.event() for _ in range(5)]
    assert counts([event.data for event in events]) == [0, 1, 2, 3, 4]
    for number, event in enumerate(events[:-1]):
        query = {"from": event.position, "maxResults": str(4 - number)}
        with Follower(server.url, server.token, stream.table_uri, **query) as follower:
            assert follower.opened() == event.position
            assert counts(follower.rows(4 - number)) == list(range(number + 1, 5))
            assert follower.ending().position == events[-1].position
    # An EventSource repeats its first query and adds the header.
    query = {"from": events[0].position, "tail": "all", "last_event_id": events[2].position}
    with Follower(server.url, server.token, stream.table_uri, **query) as follower:
        follower.opened()
        assert counts(follower.rows(2)) == [3, 4]


@pytest.mark.parametrize(
    ("tail", "expected"), [("0", []), ("1", [4]), ("3", [2, 3, 4]), ("99", [0, 1, 2, 3, 4])]
)
def test_tail(server: ServerProcess, stream: Stream, tail: str, expected: list[int]) -> None:
    """The last rows of the table come first, as many as asked for, over all its uploads."""
    other = stream.post(f"{stream.table_uri}/uploads", {"name": "t", "type": "stream", "schema": SCHEMA})
    insert(stream, 0, 1, 2)
    insert(stream, 3, 4, upload=other["uri"])
    with Follower(server.url, server.token, stream.table_uri, tail=tail) as follower:
        follower.opened()
        insert(stream, 5)
        assert sorted(counts(follower.rows(len(expected) + 1))) == [*expected, 5]


def test_what_cannot_be_followed(server: ServerProcess, stream: Stream) -> None:
    """A bad parameter, a format that does not go on, a position that is none or of something else: 400."""
    with Follower(server.url, server.token, stream.table_uri) as follower:
        position = follower.opened()
    for query in [
        {"follow": "yes"},
        {"format": "csv"},
        {"format": "arrow"},
        {"tail": "-1"},
        {"tail": "some"},
        {"selectedVariables": "nope"},
        {"from": "1"},
        {"from": position.replace("1~", "2~", 1)},
        {"from": f"{position}~"},
        {"from": f"{position}~1.{'9' * 30}"},
        {"from": position.replace("~t.", "~t.0")},
        {"last_event_id": "7"},
    ]:
        status, description = refusal(server, stream.table_uri, **query)
        assert status == 400, (query, description)
    status, description = refusal(server, stream.upload_uri, **{"from": position})
    assert (status, "another table or upload" in description) == (400, True)
    ahead = position.rpartition(".")[0] + ".7"
    status, description = refusal(server, stream.table_uri, **{"from": ahead})
    assert (status, "restoring a backup" in description) == (409, True)


def test_uploads_that_come_and_go(server: ServerProcess, stream: Stream) -> None:
    """A new upload is followed from its first row, a deleted one leaves, and a position knows both."""
    insert(stream, 0)
    with Follower(server.url, server.token, stream.table_uri) as follower:
        before = follower.opened()
        other = stream.post(f"{stream.table_uri}/uploads", {"name": "t", "type": "stream", "schema": SCHEMA})
        insert(stream, 1, upload=other["uri"])
        assert counts(follower.rows(1)) == [1]
        assert stream.client.delete(stream.upload_uri).status_code == 200
        insert(stream, 2, upload=other["uri"])
        event = follower.event()
        assert event.data == {"count": 2}
        assert len(event.position) == len(before)  # one upload, as before
    with Follower(server.url, server.token, stream.table_uri, **{"from": before}) as follower:
        follower.opened()
        assert counts(follower.rows(2)) == [1, 2]


def test_what_is_deleted(server: ServerProcess, stream: Stream) -> None:
    """Who follows an upload or a dataset that is deleted is told within some seconds."""
    with (
        Follower(server.url, server.token, stream.upload_uri) as of_upload,
        Follower(server.url, server.token, stream.table_uri) as of_table,
    ):
        of_upload.opened()
        of_table.opened()
        stream.client.delete(stream.upload_uri)
        ending = of_upload.ending().data
        assert (ending["reason"], ending["error"]["error"]) == ("refused", "not_found_error")
        stream.client.delete(stream.dataset_uri)
        ending = of_table.ending().data
        assert (ending["reason"], ending["error"]["status"]) == ("refused", 404)


def test_a_revoked_token(server: ServerProcess, stream: Stream) -> None:
    """Revoked by the command line, another process, a token gets no further row; the position stays good."""
    made = rowkeep("token", "create", "--user", server.user, data_dir=server.data_dir)
    token_id = rowkeep("token", "list", data_dir=server.data_dir).splitlines()[-1].split()[0]
    with Follower(server.url, made, stream.table_uri) as follower:
        follower.opened()
        insert(stream, 1)
        assert counts(follower.rows(1)) == [1]
        rowkeep("token", "revoke", token_id, data_dir=server.data_dir)
        insert(stream, 2)
        ending = follower.ending()
    assert (ending.data["reason"], ending.data["error"]["error"]) == ("refused", "invalid_token")
    with Follower(server.url, made, stream.table_uri) as follower:
        assert follower.response.status_code == 401
    with Follower(server.url, server.token, stream.table_uri, **{"from": ending.position}) as follower:
        follower.opened()
        assert counts(follower.rows(1)) == [2]


def test_a_schema_that_grows(server: ServerProcess, stream: Stream) -> None:
    """Rows behind an updateSchema have the new variables; who selects variables gets those selected."""
    insert(stream, 1)
    with (
        Follower(server.url, server.token, stream.table_uri) as follower,
        Follower(server.url, server.token, stream.table_uri, selectedVariables="count") as selecting,
    ):
        follower.opened()
        selecting.opened()
        insert(stream, 2)
        assert follower.rows(1) == [{"count": 2}]
        body = {"rows": [{"count": 2.5, "note": "half"}], "updateSchema": True}
        assert stream.insert(body).status_code == 201
        assert follower.rows(1) == [{"count": 2.5, "note": "half"}]
        insert(stream, 3)
        assert follower.rows(1) == [{"count": 3.0, "note": None}]
        assert selecting.rows(3) == [{"count": 2}, {"count": 2.5}, {"count": 3.0}]


def test_public_rows(server: ServerProcess, stream: Stream) -> None:
    """Who may list the rows may follow them, without a token too; who may not is refused alike."""
    insert(stream, 1)
    with Follower(server.url, None, stream.table_uri) as follower:
        assert follower.response.status_code == 401
    opened = stream.client.patch(stream.dataset_uri, json={"publicAccessLevel": "data"})
    assert opened.status_code == 200, opened.text
    released = stream.client.post(f"{stream.dataset_uri}/versions/next/release", json={})
    assert released.status_code == 200, released.text
    dataset = stream.dataset_uri.removesuffix(":next")
    table = f"{dataset.replace('/datasets/', '/tables/')}.measurements"
    with Follower(server.url, None, table, tail="all") as follower:
        assert follower.response.status_code == 200, (table, follower.response.text)
        follower.opened()
        assert counts(follower.rows(1)) == [1]
        closed = stream.client.patch(dataset, json={"publicAccessLevel": "none"})
        assert closed.status_code == 200, closed.text
        assert follower.ending().data["error"]["error"] == "invalid_token"
    with Follower(server.url, None, stream.upload_uri) as follower:
        assert follower.response.status_code == 401


def test_head_takes_no_place(server: ServerProcess, stream: Stream) -> None:
    """A HEAD is answered at once."""
    response = stream.client.head(f"{stream.table_uri}/rows", params={"follow": "true"})
    assert (response.status_code, response.content) == (200, b"")
