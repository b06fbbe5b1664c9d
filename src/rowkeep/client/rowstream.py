"""`RowStream`: rows in, one at a time; batches out, when they are large or old enough.

    with RowStream(url, token, "demo.weather.measurements", "live") as stream:
        stream.append({"site": "Zurich", "temperature": 21.5})

Order: with one request in flight (the default) rows are in the table in the order in which they were
appended, and after a refused batch nothing more is sent. With more in flight only the rows of one batch are
in order. Repeats never double a row, whatever the network does (see retrying.py and connection.py).
"""

import math
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from rowkeep.client.batches import Batch, InsertBatch, Outcome, frame, insert_fitting, insert_whole
from rowkeep.client.connection import Connection, parse_address, upload_path
from rowkeep.client.errors import InsertError
from rowkeep.client.pipeline import Pipeline
from rowkeep.client.quarantine import QuarantineFile
from rowkeep.client.retrying import RetryPolicy, Sender

OnError = Literal["abort", "skip", "quarantine"]
REQUEST_SECONDS_MAX = 60.0


class RowStream:
    """Streams rows into one upload. Use it as a context manager; any number of threads may append.

    `url` is that of the API (http://127.0.0.1:8080/api/v1), `table` a reference (owner.dataset.table).
    A batch is sent when it has `batch_rows_max` rows or `batch_bytes_max` bytes, or when its first row is
    `linger_seconds` old. `in_flight_max` requests are under way at a time. What does not fit stops the
    stream (`on_error="abort"`), is left out ("skip") or is left out and kept in the file `quarantine`
    ("quarantine"). `timeout_seconds` is how long one attempt may go without a sign of the server.
    """

    def __init__(
        self,
        url: str,
        token: str,
        table: str,
        upload: str,
        *,
        batch_rows_max: int = 1_000,
        batch_bytes_max: int = 1_000_000,
        linger_seconds: float = 1.0,
        in_flight_max: int = 1,
        on_error: OnError = "abort",
        quarantine: Path | None = None,
        retry: RetryPolicy | None = None,
        timeout_seconds: float = REQUEST_SECONDS_MAX,
    ) -> None:
        if (on_error == "quarantine") != (quarantine is not None):
            raise ValueError('a quarantine file goes with on_error="quarantine"')
        if min(batch_rows_max, batch_bytes_max, in_flight_max) < 1:
            raise ValueError("batch_rows_max, batch_bytes_max and in_flight_max must be at least 1")
        self._name = secrets.token_hex(8)
        self._rows_max = batch_rows_max
        self._bytes_max = batch_bytes_max
        self._linger_seconds = linger_seconds
        self._buffer = _Buffer()
        self._batches = 0
        self._outcome = Outcome(0, 0, ())
        self._refused = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._is_stopping = threading.Event()
        self._quarantine = None if quarantine is None else QuarantineFile(quarantine, self._name)
        address, path = parse_address(url), upload_path(table, upload) + "/rows"
        senders = [
            Sender(
                Connection(address, token, timeout_seconds), path, retry or RetryPolicy(), self._is_stopping
            )
            for _ in range(in_flight_max)
        ]
        self._pipeline = Pipeline(senders, _insert_of(on_error), self._note_outcome)
        self._lingerer = threading.Thread(target=self._send_old_rows, name="rowkeep-linger", daemon=True)
        self._lingerer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        if isinstance(error, InsertError):
            self._shut()
            return
        try:  # what was appended before something else failed goes out all the same
            self.close()
        except InsertError as failure:
            error.add_note(f"And the rows appended before could not all be inserted: {failure}")

    @property
    def inserted_count(self) -> int:
        """How many rows the server has confirmed."""
        return self._outcome.inserted

    @property
    def refused_count(self) -> int:
        """How many rows were left out because they do not fit."""
        return self._refused

    def append(self, row: Mapping[str, Any]) -> int:
        """Takes a row and returns its number, counted from 0; errors name it by that.

        Waits while too much is under way. Raises ValueError for a row that JSON cannot hold (NaN, infinity),
        and the InsertError of an earlier batch.
        """
        encoded = _encode(row)
        with self._changed:
            self._check_open()
            if self._buffer.size + len(encoded) > self._bytes_max:
                self._send_buffer()
            number = self._buffer.add(encoded)
            if len(self._buffer.rows) == 1:
                self._changed.notify()
            if len(self._buffer.rows) >= self._rows_max or self._buffer.size >= self._bytes_max:
                self._send_buffer()
            return number

    def flush(self) -> None:
        """Returns when all rows so far are settled. Raises the InsertError of a batch that failed."""
        with self._changed:
            self._check_open()
            self._send_buffer()
        self._pipeline.drain()

    def close(self) -> None:
        """Flushes, and ends the connections. Raises as `flush` does; a second call does nothing."""
        if self._is_closed:
            return
        try:
            self.flush()
        finally:
            self._shut()

    def _shut(self) -> None:
        self._is_stopping.set()  # after a failure, what is under way makes no further attempt
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._pipeline.close()
        self._lingerer.join()
        if self._quarantine is not None:
            self._quarantine.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError("the stream is closed")

    def _send_buffer(self) -> None:
        if not self._buffer.rows:
            return
        rows, first = self._buffer.take()
        batch = Batch(f"{self._name}-{self._batches}", frame(rows), range(first, first + len(rows)))
        self._batches += 1
        self._pipeline.submit(batch)

    def _send_old_rows(self) -> None:
        with self._changed:
            while not self._is_closed:
                if not self._buffer.rows:
                    self._changed.wait()
                    continue
                age = time.monotonic() - self._buffer.began_at
                if age < self._linger_seconds:
                    self._changed.wait(self._linger_seconds - age)
                    continue
                try:
                    self._send_buffer()
                except InsertError:
                    return  # the next append or flush raises it

    def _note_outcome(self, batch: Batch, outcome: Outcome) -> None:
        del batch
        if self._quarantine is not None:
            self._quarantine.add(outcome.refused)
        self._refused += len(outcome.refused)
        self._outcome = Outcome(
            self._outcome.inserted + outcome.inserted, self._outcome.repeated + outcome.repeated, ()
        )


class _Buffer:
    """Encoded rows that no batch has taken yet. `size` is that of the body they would make, nearly."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.size = 0
        self.began_at = 0.0
        self._next_number = 0

    def add(self, row: bytes) -> int:
        """The number of the row."""
        if not self.rows:
            self.began_at = time.monotonic()
        self.rows.append(row)
        self.size += len(row) + 1
        self._next_number += 1
        return self._next_number - 1

    def take(self) -> tuple[list[bytes], int]:
        """All rows and the number of the first; the buffer is empty then."""
        rows, first = self.rows, self._next_number - len(self.rows)
        self.rows, self.size = [], 0
        return rows, first


def _insert_of(on_error: OnError) -> InsertBatch:
    if on_error == "abort":
        return insert_whole
    return lambda batch, sender: insert_fitting(batch, sender, _forget)


def _forget(batch: Batch, removed: Sequence[object]) -> None:
    """The rows of a stream end with its process: nothing is to be remembered beyond it."""


def _encode(row: Mapping[str, Any]) -> bytes:
    for name, value in row.items():
        # msgspec would write null: right for a missing number, a loss for an infinite one.
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}, which JSON cannot hold; use None for a missing number")
    return msgspec.json.encode(dict(row))
