"""What a `RowStream` tells and keeps of rows that are not known to be in."""

import datetime
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy
import pandas
import pytest

from rowkeep.client import (
    InsertError,
    RequestRefused,
    RetryPolicy,
    RowsRefused,
    RowStream,
    ServerUnreachable,
    ValueRefused,
)
from rowkeep.client.batches import Batch, insert_fitting
from rowkeep.client.errors import Reason
from rowkeep.client.retrying import Receipt, RowErrors
from tests.api.stream import ALL_TYPES, Stream
from tests.faulty_proxy import FaultyProxy
from tests.server_process import ServerProcess

Open = Callable[..., RowStream]
HASTY = RetryPolicy(seconds_max=0.3, wait_seconds_max=0.1)


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A typed stream of its own."""
    made = Stream(server.url, server.token, ALL_TYPES, server.user)
    yield made
    made.close()


@pytest.fixture
def open_rows(server: ServerProcess, stream: Stream) -> Open:
    """Opens a RowStream into the stream."""

    def opened(*, url: str = server.url, token: str = server.token, **options: Any) -> RowStream:
        return RowStream(url, token, stream.table_uri.removeprefix("/tables/"), "s", **options)

    return opened


def counts(rows: list[dict[str, Any]]) -> list[int]:
    """The counts of rows."""
    return [row["count"] for row in rows]


def append_until_told(rows: RowStream, given: list[Any], row_count: int = 5_000) -> None:
    """Appends a row every few milliseconds until an append raises; notes what was given to all of them."""
    with rows:
        for number in range(row_count):
            given.append(number)
            rows.append({"count": number})
            time.sleep(0.002)


@pytest.mark.parametrize("in_flight", [1, 3])
def test_what_a_timer_met_is_raised_by_the_next_append(open_rows: Open, in_flight: int) -> None:
    """With a wrong token the first send by age is refused; no buffer needs to be full, and no row is lost."""
    rows = open_rows(token="wrong", linger_seconds=0.02, in_flight_max=in_flight)
    given: list[int] = []
    with pytest.raises(RequestRefused, match="token create") as refused:
        append_until_told(rows, given)
    assert len(given) < 5_000
    assert counts(refused.value.unsettled_rows) == given
    assert counts(rows.unsettled_rows) == given
    assert len({batch.key for batch in refused.value.unsettled}) == len(refused.value.unsettled)


def test_flush_raises_it_too(open_rows: Open) -> None:
    """Also when there is nothing left to send."""
    rows = open_rows(token="wrong", batch_rows_max=1)
    rows.append({"count": 0})
    for _ in range(2):
        with pytest.raises(RequestRefused) as refused:
            rows.flush()
        assert counts(refused.value.unsettled_rows) == [0]
    with pytest.raises(RequestRefused):
        rows.close()


def test_rows_behind_one_that_does_not_fit(open_rows: Open, stream: Stream) -> None:
    """What is in the table and what is unsettled are together what was given, each row in one of them."""
    rows = open_rows(batch_rows_max=5)
    given = ["many" if number == 13 else number for number in range(20)]
    taken: list[Any] = []

    def append() -> None:
        with rows:
            for value in given:
                taken.append(value)
                rows.append({"count": value})

    with pytest.raises(RowsRefused) as refused:
        append()
    assert counts(stream.rows()) + counts(refused.value.unsettled_rows) == taken


def test_an_exception_within_the_block(open_rows: Open) -> None:
    """The exception says that rows were left, and the stream has them."""
    rows = open_rows(url="http://127.0.0.1:9/api/v1", retry=HASTY)

    def append() -> None:
        with rows:
            for number in range(7):
                rows.append({"count": number})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as failed:
        append()
    assert counts(rows.unsettled_rows) == list(range(7))
    [note] = failed.value.__notes__
    assert note.startswith("And 7 rows that were appended before are not known to be in")
    assert "nothing listens at 127.0.0.1:9" in note


def test_kept_rows_go_in_first_and_once(
    open_rows: Open, server: ServerProcess, stream: Stream, tmp_path: Path
) -> None:
    """A network loses every answer: rows are in and nobody knows. Kept and sent again, they are in once."""
    file = tmp_path / "kept.jsonl"
    with FaultyProxy(server.url, seed=1, fault_share=1.0) as proxy:
        proxy.chosen = ["answer lost"]
        rows = open_rows(url=proxy.url, kept=file, batch_rows_max=4, retry=HASTY, timeout_seconds=5)
        given: list[int] = []
        with pytest.raises(ServerUnreachable):
            append_until_told(rows, given)
        assert stream.row_count() == 4
        assert counts(rows.unsettled_rows) == given
        rows = open_rows(url=proxy.url, kept=file, retry=HASTY, timeout_seconds=5)
        more: list[int] = []
        with pytest.raises(ServerUnreachable):
            append_until_told(rows, more, row_count=1)
        proxy.fault_share = 0.0
        with open_rows(url=proxy.url, kept=file) as rows:
            rows.append({"count": -2})
    assert counts(stream.rows()) == [*given, *more, -2]
    assert not file.exists()


def test_kept_rows_of_another_upload(open_rows: Open, server: ServerProcess, tmp_path: Path) -> None:
    """A file goes with one upload; what is no such file is not taken for one."""
    file = tmp_path / "kept.jsonl"
    rows = open_rows(token="wrong", kept=file)
    rows.append({"count": 1})
    with pytest.raises(RequestRefused):
        rows.close()
    with pytest.raises(ValueError, match="this stream goes to"):
        RowStream(server.url, server.token, "other.dataset.table", "s", kept=file)
    file.write_text("something\n")
    with pytest.raises(ValueError, match="is no file of a RowStream"):
        open_rows(kept=file)


def test_a_kept_file_has_one_stream(open_rows: Open, stream: Stream, tmp_path: Path) -> None:
    """A stream that is given another's file is refused and removes nothing until the other has closed."""
    file = tmp_path / "kept.jsonl"
    failing = open_rows(token="wrong", kept=file)
    failing.append({"count": 1})
    with pytest.raises(ValueError, match="another RowStream has"):
        open_rows(kept=file)
    with pytest.raises(RequestRefused):
        failing.close()
    with open_rows(kept=file) as rows:
        rows.append({"count": 2})
    assert counts(stream.rows()) == [1, 2]
    assert list(tmp_path.iterdir()) == []


def test_the_key_of_what_is_left_of_a_batch_stays() -> None:
    """Rows that were kept have other numbers when they are sent again; what is left of them has its key."""
    body = b'{"rows":[{"a":1},{"a":"x"},{"a":2}]}'
    first, again = Batch("k", body, range(3)), Batch("k", body, range(-3, 0))
    sent: list[str] = []

    class Recording:
        def send(self, key: str, body: bytes, row_count: int) -> Receipt:
            sent.append(key)
            if b'"x"' in body:
                raise RowErrors([(1, Reason("a", "no"))])
            return Receipt(row_count, False)

    for batch in (first, again):
        insert_fitting(batch, Recording(), lambda *_: None)  # type: ignore[arg-type]
    assert sent[1] == sent[3] != "k"


@pytest.mark.parametrize("token", ["secret\n", "sec ret", "sécret"])
def test_what_is_no_token_is_told_at_once(open_rows: Open, token: str) -> None:
    """A token that was read with the end of its line is refused before any row, and is not shown."""
    with pytest.raises(ValueError, match="end of a line") as refused:
        open_rows(token=token)
    assert token.strip() not in str(refused.value)


TAKEN = [
    ("count", numpy.int64(5), 5),
    ("count", numpy.uint8(5), 5),
    ("count", Decimal("5"), 5),
    ("temperature", numpy.float64(0.5), 0.5),
    ("temperature", numpy.float32(0.5), 0.5),
    ("temperature", numpy.longdouble(0.5), 0.5),
    ("temperature", Decimal("21.5"), 21.5),
    ("temperature", Decimal("1E+3"), 1000.0),
    ("valid", numpy.bool_(True), True),
    ("site", numpy.str_("Zürich"), "Zürich"),
    ("site", UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ("day", datetime.date(2026, 1, 31), "2026-01-31"),
    ("measured_at", datetime.datetime(2026, 1, 31, 12), "2026-01-31T12:00:00"),
    ("measured_at", pandas.Timestamp("2026-01-31 12:00"), "2026-01-31T12:00:00"),
    ("measured_at", numpy.datetime64("2026-01-31T12:00:00.000000000"), "2026-01-31T12:00:00.000000"),
    ("local_time", datetime.time(12, 30), "12:30:00"),
]


@pytest.mark.parametrize(("name", "value", "expected"), TAKEN)
def test_numbers_are_numbers(
    open_rows: Open, stream: Stream, name: str, value: object, expected: object
) -> None:
    """Whoever made them: Python, decimal, numpy or pandas."""
    with open_rows() as rows:
        rows.append({name: value})
    [row] = stream.rows()
    found = row[name]
    if name == "measured_at":
        found, expected = pandas.Timestamp(found), pandas.Timestamp(expected)
    assert (found, type(found)) == (expected, type(expected))


REFUSED = [
    (b"bytes", "bytes"),
    (bytearray(b"x"), "bytes"),
    (memoryview(b"x"), "bytes"),
    (numpy.bytes_(b"x"), "bytes"),
    ([b"x"], "list"),
    (float("nan"), "nan"),
    (numpy.float32("inf"), "inf"),
    (Decimal("NaN"), "NaN"),
    (pandas.NaT, "NaT"),
    (numpy.datetime64("NaT"), "NaT"),
    (pandas.NA, "NAType"),
    (numpy.array([1.5]), "ndarray"),
    (1j, "complex"),
    (object(), "object"),
    ("half a pair \ud800", "JSON"),
]


@pytest.mark.parametrize(("value", "word"), REFUSED, ids=[word for _, word in REFUSED])
def test_what_json_would_change_is_named(open_rows: Open, stream: Stream, value: object, word: str) -> None:
    """The row and the variable are named, the row is not taken, and the stream goes on."""
    with open_rows() as rows:
        rows.append({"count": 1})
        with pytest.raises(ValueRefused, match=r"^row 1: ") as refused:
            rows.append({"site": value})
        assert word in str(refused.value)
        assert isinstance(refused.value, ValueError | TypeError)
        rows.append({"count": 2})
    assert counts(stream.rows()) == [1, 2]


def test_integers_of_any_size_keep_their_digits(open_rows: Open) -> None:
    """What is beyond 64 bits is the server's to refuse, with all its digits."""
    rows = open_rows()
    rows.append({"count": 2**80})
    with pytest.raises(InsertError, match=r'row 0: variable "count"'):
        rows.close()
    assert rows.unsettled[0].body == b'{"rows":[{"count":1208925819614629174706176}]}'
