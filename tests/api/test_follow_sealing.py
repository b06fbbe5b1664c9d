"""Following while rows are sealed and segments compacted: each row once and in order, whatever lies where."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.stream import Stream
from tests.api.test_sealing import metric
from tests.follower import Follower
from tests.server_process import ServerProcess, wait_until

BEFORE = 9


@pytest.fixture
def sealing_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A running server that seals whatever there is, at once."""
    started = ServerProcess(
        tmp_path / "data", seal_bytes_min="16", seal_minutes_max="0.0001", journal_bytes_max="1"
    )
    started.start()
    yield started
    started.close()


def insert_and_seal(server: ServerProcess, stream: Stream, number: int) -> None:
    """Inserts a row and waits until it is in a segment."""
    assert stream.insert({"rows": [{"count": number}]}).status_code == 201
    wait_until(lambda: metric(server, "rowkeep_rows_sealed_total") > number)


@pytest.mark.parametrize(
    ("count", "replaced"), [(5, 0), pytest.param(12, 8, marks=pytest.mark.long)], ids=["share", "whole"]
)
def test_each_row_once(sealing_server: ServerProcess, count: int, replaced: int) -> None:
    """One follows from the first row on, one from the middle, one live; all while segments come and go."""
    stream = Stream(sealing_server.url, sealing_server.token, None, sealing_server.user)
    place = (sealing_server.url, sealing_server.token, stream.table_uri)
    for number in range(count):
        insert_and_seal(sealing_server, stream, number)
    wait_until(lambda: metric(sealing_server, "rowkeep_segments_compacted_total") >= replaced)
    with (
        Follower(*place, tail="all") as early,
        Follower(*place, tail="5") as middle,
        Follower(*place) as late,
    ):
        for follower in (early, middle, late):
            follower.opened()
        assert [row["count"] for row in early.rows(3)] == [0, 1, 2]
        compacted = metric(sealing_server, "rowkeep_segments_compacted_total")
        for number in range(count, 2 * count):
            insert_and_seal(sealing_server, stream, number)
        wait_until(
            lambda: metric(sealing_server, "rowkeep_segments_compacted_total") >= compacted + bool(replaced)
        )
        total = 2 * count
        assert [row["count"] for row in early.rows(total - 3)] == list(range(3, total))
        assert [row["count"] for row in middle.rows(count + 5)] == list(range(count - 5, total))
        assert [row["count"] for row in late.rows(count)] == list(range(count, total))
        assert metric(sealing_server, "rowkeep_followers") == 3
    wait_until(lambda: metric(sealing_server, "rowkeep_followers") == 0)
    stream.close()


def test_a_position_outlives_the_journal(sealing_server: ServerProcess) -> None:
    """A reader that comes back after its rows were sealed, compacted and the server restarted goes on."""
    stream = Stream(sealing_server.url, sealing_server.token, None, sealing_server.user)
    insert_and_seal(sealing_server, stream, 0)
    with Follower(sealing_server.url, sealing_server.token, stream.table_uri, tail="all") as follower:
        follower.opened()
        position = follower.event().position
    for number in range(1, BEFORE):
        insert_and_seal(sealing_server, stream, number)
    wait_until(lambda: metric(sealing_server, "rowkeep_segments_compacted_total") >= 8)
    stream.close()
    sealing_server.stop()
    sealing_server.start()
    place = (sealing_server.url, sealing_server.token, stream.table_uri)
    with Follower(*place, last_event_id=position) as follower:
        follower.opened()
        assert [row["count"] for row in follower.rows(BEFORE - 1)] == list(range(1, BEFORE))
