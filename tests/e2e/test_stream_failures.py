"""Whatever a `RowStream` fails of, each row that it took is in the table, was refused, or is unsettled."""

import itertools
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rowkeep.client import InsertError, RequestRefused, RowNotTaken, RowStream, ledger, row_stream
from rowkeep.client.batches import Batch, Outcome, frame
from rowkeep.client.ledger import Ledger
from rowkeep.client.pipeline import Pipeline
from tests.api.stream import Stream
from tests.e2e.insert_command import SCHEMA
from tests.server_process import ServerProcess, wait_until

Open = Callable[..., RowStream]
FULL_DISK = Path("/dev/full")
WAIT_SECONDS_MAX = 60


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A typed stream of its own."""
    made = Stream(server.url, server.token, SCHEMA, server.user)
    yield made
    made.close()


@pytest.fixture
def open_rows(server: ServerProcess, stream: Stream) -> Open:
    """Opens a RowStream into the stream."""

    def opened(*, token: str = server.token, **options: Any) -> RowStream:
        return RowStream(server.url, token, stream.table_uri.removeprefix("/tables/"), "s", **options)

    return opened


def counts(rows: list[dict[str, Any]]) -> list[Any]:
    """The counts of rows."""
    return [row["count"] for row in rows]


def append_until_told(rows: RowStream, given: list[Any], values: Iterator[Any]) -> BaseException:
    """Appends a row a value until an append raises; returns what it raised, and notes what was given."""
    for value in values:
        given.append(value)
        try:
            rows.append({"count": value})
        except BaseException as failure:  # noqa: BLE001  # what it raises is what the tests look at
            return failure
    raise AssertionError("no append raised")


@pytest.mark.parametrize("in_flight", [1, 3])
def test_a_full_disk_under_the_quarantine(open_rows: Open, stream: Stream, in_flight: int) -> None:
    """The error is that of the disk, it says where the rows are, and none is missing."""
    rows = open_rows(batch_rows_max=5, in_flight_max=in_flight, on_error="quarantine", quarantine=FULL_DISK)
    given: list[Any] = []
    failure = append_until_told(rows, given, itertools.chain(range(7), ["many"], itertools.count(8)))
    assert isinstance(failure, OSError)
    assert "unsettled_rows" in failure.__notes__[0]
    unsettled = counts(rows.unsettled_rows)
    assert unsettled == sorted(unsettled, key=given.index)
    assert "many" in unsettled
    with pytest.raises(OSError, match="No space"):
        rows.close()
    assert {*counts(stream.rows()), *counts(rows.unsettled_rows)} == set(given)


def test_a_full_disk_within_the_block_keeps_the_rows(open_rows: Open, stream: Stream, tmp_path: Path) -> None:
    """What is unsettled is kept in the file, and goes in once with the next stream."""
    file = tmp_path / "kept"
    given: list[Any] = []
    options: dict[str, Any] = {"batch_rows_max": 5, "kept": file, "on_error": "quarantine"}

    def append() -> None:
        with open_rows(quarantine=FULL_DISK, **options) as rows:
            raise append_until_told(rows, given, itertools.chain(range(7), ["many"], itertools.count(8)))

    with pytest.raises(OSError, match="No space"):
        append()
    refused = tmp_path / "refused"
    open_rows(quarantine=refused, **options).close()
    assert counts(stream.rows()) == [value for value in given if value != "many"]
    assert json.loads(refused.read_text())["content"] == {"count": "many"}
    assert not file.exists()


def test_threads_lose_no_row(open_rows: Open) -> None:
    """Each thread is told twice. The rows of all are unsettled, those of each thread in their order."""
    rows = open_rows(token="wrong", batch_rows_max=3, linger_seconds=60)
    given: list[list[Any]] = [[] for _ in range(8)]

    def append(number: int) -> None:
        values = itertools.count(number * 1_000_000)
        append_until_told(rows, given[number], values)
        append_until_told(rows, given[number], values)

    threads = [threading.Thread(target=append, args=[number]) for number in range(len(given))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(RequestRefused) as refused:
        rows.close()
    unsettled = counts(refused.value.unsettled_rows)
    assert [[count for count in unsettled if count // 1_000_000 == number] for number in range(8)] == given


def test_rows_after_the_failure_are_bounded(open_rows: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes on appending is told each time; beyond a bound rows are not taken, and the error says so."""
    monkeypatch.setattr(row_stream, "LATE_BYTES_MAX", 1_000)
    rows = open_rows(token="wrong", batch_rows_max=1)
    given: list[int] = []
    values = itertools.count()
    while not isinstance(failure := append_until_told(rows, given, values), RowNotTaken):
        assert isinstance(failure, InsertError)
    assert isinstance(failure.__cause__, RequestRefused)
    assert counts(rows.unsettled_rows) == given[:-1]
    with pytest.raises(RequestRefused):
        rows.close()
    with pytest.raises(ValueError, match="was not taken"):
        rows.append({"count": -1})
    assert counts(rows.unsettled_rows) == given[:-1]


def test_a_timer_that_fails_is_told(open_rows: Open, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory in the thread that sends old rows: the next append raises it, and the rows are unsettled."""
    has_failed = threading.Event()

    def fail(*_: object) -> bytes:
        has_failed.set()
        raise MemoryError

    rows = open_rows(linger_seconds=0.01)
    monkeypatch.setattr(ledger, "frame", fail)
    given = [0]
    rows.append({"count": 0})
    assert has_failed.wait(WAIT_SECONDS_MAX)
    assert isinstance(append_until_told(rows, given, itertools.count(1)), MemoryError)
    monkeypatch.undo()
    assert counts(rows.unsettled_rows) == given
    with pytest.raises(MemoryError):
        rows.close()
    assert stream.row_count() == 0


def test_ctrl_c_while_an_append_waits(open_rows: Open, stream: Stream) -> None:
    """The row of the interrupted append is unsettled. Who goes on has every row in once, in order."""
    rows = open_rows(batch_rows_max=1, linger_seconds=60)
    may_go_on = threading.Event()
    settle = rows._ledger.settle  # the answers are there, and are not looked at yet

    def settle_later(batch: Batch) -> bool:
        may_go_on.wait(WAIT_SECONDS_MAX)
        return settle(batch)

    rows._ledger.settle = settle_later  # type: ignore[method-assign]
    rows.append({"count": 0})
    rows.append({"count": 1})
    given = [0, 1]
    main_thread = threading.get_ident()

    def interrupt() -> None:
        wait_until(lambda: counts(rows.unsettled_rows) == [0, 1, 2])
        signal.pthread_kill(main_thread, signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt).start()
    failure = append_until_told(rows, given, itertools.count(2))
    signal.signal(signal.SIGINT, handler)
    assert isinstance(failure, KeyboardInterrupt)
    assert counts(rows.unsettled_rows) == given
    may_go_on.set()
    rows.append({"count": 3})
    rows.close()
    assert counts(stream.rows()) == [0, 1, 2, 3]
    assert rows.inserted_count == 4


def test_an_interrupt_between_any_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever cut fails, each row has one place, and the rows that wait have the key of the next batch."""
    for steps in range(4):
        left = itertools.count(steps, -1)

        def fail(*given: Any, left: Iterator[int] = left, **more: Any) -> Any:
            if next(left) == 0:
                raise KeyboardInterrupt
            return frame(*given, **more)

        made = Ledger("stream", [])
        for number in range(5):
            made.take(b'{"count":%d}' % number)
        monkeypatch.setattr(ledger, "frame", fail)
        try:
            made.cut(2, 1_000)
            made.cut(2, 1_000)
        except KeyboardInterrupt:
            pass
        monkeypatch.undo()
        assert [row["count"] for batch in made.unsettled() for row in batch.rows] == list(range(5))
        assert [batch.key for batch in made.unsettled()] == [f"stream-{i}" for i in range(min(steps, 2) + 1)]


def test_a_batch_that_was_handed_over_twice_counts_once() -> None:
    """An interrupt after the hand-over leaves a batch unsent: it goes out twice, and counts once."""
    made = Ledger("stream", [])
    made.take(b"{}")
    made.cut(1, 100)
    batch = made.unsent()
    assert batch is not None
    assert [made.settle(batch), made.settle(batch)] == [True, False]
    assert made.unsent() is batch
    made.note_sent(batch)
    assert made.unsent() is None


def test_a_pipeline_without_threads_hangs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that cannot be started is an error of its submit; that batch is not under way, the next is."""
    done: list[str] = []
    pipeline = Pipeline(
        [Unused()],  # type: ignore[list-item]
        lambda batch, _: Outcome(len(batch.numbers), 0, ()),
        lambda batch, _: done.append(batch.key),
    )
    start = threading.Thread.start
    refusals = iter([True])

    def fail_once(thread: threading.Thread) -> None:
        if next(refusals, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail_once)
    with pytest.raises(RuntimeError, match="new thread"):
        pipeline.submit(Batch("a", b"", range(1)))
    pipeline.drain()
    pipeline.submit(Batch("b", b"", range(1)))
    pipeline.drain()
    pipeline.close()
    assert done == ["b"]


class Unused:
    """A sender that is only closed."""

    def close(self) -> None:
        """Nothing is open."""
