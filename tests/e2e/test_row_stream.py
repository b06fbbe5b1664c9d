"""`RowStream`, the class behind `rowkeep insert`, against a real server."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rowkeep.client import (
    InsertError,
    RequestRefused,
    RetryPolicy,
    RowsRefused,
    RowStream,
    ServerUnreachable,
)
from tests.api.stream import Stream
from tests.e2e.insert_command import SCHEMA
from tests.server_process import ServerProcess, wait_until

Open = Callable[..., RowStream]


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A typed stream of its own."""
    made = Stream(server.url, server.token, SCHEMA, server.user)
    yield made
    made.close()


@pytest.fixture
def open_rows(server: ServerProcess, stream: Stream) -> Open:
    """Opens a RowStream into the stream."""

    def opened(**options: Any) -> RowStream:
        table = stream.table_uri.removeprefix("/tables/")
        return RowStream(server.url, server.token, table, "s", **options)

    return opened


def counts(stream: Stream) -> list[int]:
    """The counts in the table, in its order."""
    return [row["count"] for row in stream.rows()]


def append_all(rows: RowStream, given: Iterable[dict[str, Any]]) -> None:
    """Appends rows and closes the stream."""
    with rows:
        for row in given:
            rows.append(row)


def test_rows_are_numbered_and_in_order(open_rows: Open, stream: Stream) -> None:
    """`append` tells the number of each row; all are in the table, in order, when the block ends."""
    with open_rows(batch_rows_max=7) as rows:
        assert [rows.append({"count": number}) for number in range(100)] == list(range(100))
    assert rows.inserted_count == 100
    assert counts(stream) == list(range(100))


def test_flush_returns_when_rows_are_in(open_rows: Open, stream: Stream) -> None:
    """After `flush` the next read sees the rows."""
    with open_rows(linger_seconds=60) as rows:
        rows.append({"count": 1})
        assert stream.row_count() == 0
        rows.flush()
        assert stream.row_count() == 1
        assert rows.inserted_count == 1


def test_rows_go_out_when_they_are_old(open_rows: Open, stream: Stream) -> None:
    """A row waits no longer than the linger time, even if no other comes."""
    with open_rows(linger_seconds=0.1) as rows:
        for number in range(3):
            rows.append({"count": number})
            wait_until(lambda expected=number + 1: stream.row_count() == expected)


def test_rows_go_out_when_they_are_many_bytes(open_rows: Open, stream: Stream) -> None:
    """A batch is sent before it is larger than `batch_bytes_max`."""
    with open_rows(linger_seconds=60, batch_bytes_max=1_000) as rows:
        for _ in range(10):
            rows.append({"site": "x" * 300})
        wait_until(lambda: stream.row_count() == 9)
    assert stream.row_count() == 10


def test_refused_rows_are_named_by_their_numbers(open_rows: Open, stream: Stream) -> None:
    """The error has the caller's numbers, reasons and rows; nothing from that batch on was inserted."""
    rows = open_rows(batch_rows_max=10)
    with pytest.raises(RowsRefused, match=r"row 23: variable \"count\" takes an integer") as refused:
        append_all(rows, ({"count": "many" if number in (23, 26) else number} for number in range(1_000)))
    assert [row.number for row in refused.value.rows] == [23, 26]
    assert json.loads(refused.value.rows[0].content) == {"count": "many"}
    assert counts(stream) == list(range(20))
    with pytest.raises(ValueError, match="closed"):
        rows.append({"count": 1})


def test_refused_rows_can_be_skipped(open_rows: Open, stream: Stream, tmp_path: Path) -> None:
    """With "quarantine" the rest goes in, in order, and the refused rows to a file."""
    file = tmp_path / "refused.jsonl"
    with open_rows(batch_rows_max=50, on_error="quarantine", quarantine=file) as rows:
        for number in range(500):
            rows.append({"count": "many" if number % 7 == 0 else number})
    assert counts(stream) == [number for number in range(500) if number % 7]
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert [entry["row"] for entry in kept] == list(range(0, 500, 7))
    assert rows.refused_count == len(kept)


def test_what_json_cannot_hold_is_refused_at_once(open_rows: Open) -> None:
    """NaN and infinity are the caller's mistake, and not silently null."""
    with open_rows() as rows:
        for value in (float("nan"), float("inf")):
            with pytest.raises(ValueError, match="temperature"):
                rows.append({"temperature": value})


def test_server_that_refuses_the_request(server: ServerProcess, stream: Stream) -> None:
    """A wrong token or table ends the stream with the server's words."""
    table = stream.table_uri.removeprefix("/tables/")
    for token, name, code in (("wrong", table, "invalid_token"), (server.token, "a.b.c", "not_found_error")):
        with pytest.raises(RequestRefused, match=code):
            append_all(RowStream(server.url, token, name, "s"), [{"count": 1}])


def test_something_else_that_answers(stream: Stream, server: ServerProcess) -> None:
    """An answer that is not the server's own is no refusal of rows; it is told as what it is."""
    origin = server.url.removesuffix("/api/v1")
    with pytest.raises(RequestRefused):
        append_all(RowStream(f"{origin}/elsewhere", server.token, "a.b.c", "s"), [{"count": 1}])


def test_server_that_is_not_there(stream: Stream) -> None:
    """Repeats end after the time that was given."""
    began_at = time.monotonic()
    rows = RowStream("http://127.0.0.1:9", "x", "a.b.c", "s", retry=RetryPolicy(seconds_max=0.3))
    with pytest.raises(ServerUnreachable, match=r"within 0\.3 seconds"):
        append_all(rows, [{"count": 1}])
    assert time.monotonic() - began_at < 60  # without the bound, repeats go on for minutes


def test_server_that_comes_back(own_server: ServerProcess) -> None:
    """Rows that are appended while the server is down go in when it is back, without any doing."""
    own = Stream(own_server.url, own_server.token, SCHEMA, own_server.user)
    table = own.table_uri.removeprefix("/tables/")
    with RowStream(own_server.url, own_server.token, table, "s", batch_rows_max=5) as rows:
        for number in range(10):
            rows.append({"count": number})
        own_server.kill()
        starting = threading.Timer(0.5, own_server.start, [urlsplit(own_server.url).port])
        starting.start()
        for number in range(10, 100):
            rows.append({"count": number})
    starting.join()
    assert counts(own) == list(range(100))
    own.close()


def test_an_error_of_the_caller_loses_no_rows(open_rows: Open, stream: Stream) -> None:
    """Rows that were appended before something else failed go out all the same."""

    def fail() -> Iterator[dict[str, Any]]:
        yield {"count": 1}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        append_all(open_rows(linger_seconds=60), fail())
    assert counts(stream) == [1]


def test_many_threads_append(open_rows: Open, stream: Stream) -> None:
    """Threads share a stream; each row is in once."""
    with open_rows(batch_rows_max=20, in_flight_max=3) as rows:

        def append(base: int) -> None:
            for number in range(300):
                rows.append({"count": base + number})

        threads = [threading.Thread(target=append, args=[base]) for base in range(0, 1_200, 300)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(counts(stream)) == list(range(1_200))


@pytest.mark.parametrize(
    "options",
    [{"on_error": "quarantine"}, {"quarantine": Path("x")}, {"batch_rows_max": 0}, {"in_flight_max": 0}],
)
def test_options_that_make_no_sense(open_rows: Open, options: dict[str, Any]) -> None:
    """They are refused before anything is opened."""
    with pytest.raises(ValueError):
        open_rows(**options)


def test_an_error_is_raised_by_the_next_append(open_rows: Open) -> None:
    """What failed in the background is told as soon as the caller comes by, and ends the stream."""
    rows = open_rows(batch_rows_max=1)
    rows.append({"count": "x"})

    def is_told() -> bool:
        try:
            rows.append({"count": 1})
        except InsertError:
            return True
        return False

    wait_until(is_told)
    with pytest.raises(InsertError):
        rows.close()
