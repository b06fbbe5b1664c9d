"""`RowStream`: rows in, one at a time; batches out, when they are large or old enough.

    with RowStream(url, token, "demo.weather.measurements", "live") as stream:
        stream.append({"site": "Zurich", "temperature": 21.5})

Order: with one request in flight (the default) rows are in the table in the order in which they were
appended, and after a refused batch nothing more is sent. With more in flight only the rows of one batch are
in order. Repeats never double a row, whatever the network does (see retrying.py and connection.py).

A batch that fails ends the stream. From then on nothing is sent, and what is not known to be in is told and
kept (unsettled.py): the failed batch, those that were under way with it, and what no batch had taken yet.
That is bounded, for nothing is taken any more but the one row by which the caller hears of it.
"""

import logging
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from rowkeep.client.batches import Batch, InsertBatch, Outcome, frame, insert_fitting, insert_whole
from rowkeep.client.connection import Connection, check_token, parse_address, upload_path
from rowkeep.client.errors import InsertError, UnsettledBatch
from rowkeep.client.patience import RetryPolicy
from rowkeep.client.pipeline import Pipeline
from rowkeep.client.quarantine import QuarantineFile
from rowkeep.client.retrying import Sender
from rowkeep.client.unsettled import KeptFile, Ledger
from rowkeep.client.values import encode_row

OnError = Literal["abort", "skip", "quarantine"]
REQUEST_SECONDS_MAX = 60.0

_log = logging.getLogger("rowkeep.client")


class RowStream:
    """Streams rows into one upload. Use it as a context manager; any number of threads may append.

    `url` is that of the API (http://127.0.0.1:8080/api/v1), `table` a reference (owner.dataset.table). A
    batch is sent when it has `batch_rows_max` rows or `batch_bytes_max` bytes, or when its first row is
    `linger_seconds` old. `in_flight_max` requests are under way at a time. What does not fit stops the stream
    (`on_error="abort"`), is left out ("skip") or is left out and kept in the file `quarantine`
    ("quarantine"). `timeout_seconds` is how long one attempt may go without a sign of the server. With
    `kept`, rows that are not known to be in when the stream ends are kept in that file, and the next stream
    with the same file sends them first, under the same keys.
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
        kept: Path | None = None,
        retry: RetryPolicy | None = None,
        timeout_seconds: float = REQUEST_SECONDS_MAX,
    ) -> None:
        if (on_error == "quarantine") != (quarantine is not None):
            raise ValueError('a quarantine file goes with on_error="quarantine"')
        if min(batch_rows_max, batch_bytes_max, in_flight_max) < 1:
            raise ValueError("batch_rows_max, batch_bytes_max and in_flight_max must be at least 1")
        check_token(token)
        self._name = secrets.token_hex(8)
        self._rows_max = batch_rows_max
        self._bytes_max = batch_bytes_max
        self._linger_seconds = linger_seconds
        self._buffer = _Buffer()
        self._ledger = Ledger()
        self._is_told = False
        self._batches = 0
        self._outcome = Outcome(0, 0, ())
        self._refused = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._is_stopping = threading.Event()
        self._quarantine = None if quarantine is None else QuarantineFile(quarantine, self._name)
        address, path = parse_address(url), upload_path(table, upload) + "/rows"
        self._kept = None if kept is None else KeptFile(kept, f"{url.rstrip('/')}{path}")
        self._again = [] if self._kept is None else self._kept.batches()
        for batch in self._again:
            self._ledger.add(batch)
        policy = retry or RetryPolicy()
        senders = [
            Sender(Connection(address, token, timeout_seconds), path, policy, self._is_stopping, _log.warning)
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
            left = len(self.unsettled_rows)
            error.add_note(
                f"And {left} rows that were appended before are not known to be in; unsettled_rows of the "
                f"stream has them. The reason: {failure}"
            )

    @property
    def inserted_count(self) -> int:
        """How many rows the server has confirmed."""
        return self._outcome.inserted

    @property
    def refused_count(self) -> int:
        """How many rows were left out because they do not fit."""
        return self._refused

    @property
    def unsettled(self) -> tuple[UnsettledBatch, ...]:
        """The batches that are not known to be in, in order: their keys and the bodies of their requests."""
        with self._changed:
            rows = self._buffer.rows
            waiting = [UnsettledBatch(self._next_key(), frame(rows))] if rows else []
            return (*self._ledger.unsettled(), *waiting)

    @property
    def unsettled_rows(self) -> list[dict[str, Any]]:
        """The rows that are not known to be in, in the order in which they were appended."""
        return [row for batch in self.unsettled for row in batch.rows]

    def append(self, row: Mapping[str, Any]) -> int:
        """Takes a row and returns its number, counted from 0; errors name it by that.

        Waits while too much is under way. Raises ValueRefused for a value that JSON cannot hold, and the
        InsertError of an earlier batch as soon as it is known; then the row is one of its `unsettled_rows`.
        """
        with self._changed:
            self._check_open()
            encoded = encode_row(row, self._buffer.next_number)
            try:
                self._check_sound()
                if self._buffer.size + len(encoded) > self._bytes_max:
                    self._send_buffer()
            except InsertError:
                self._take_last(encoded)
                raise
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
        try:
            self._pipeline.drain()
        except InsertError:
            self._check_sound()
            raise

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
        if self._kept is not None:
            self._kept.keep(self.unsettled)

    def _check_sound(self) -> None:
        """Raises what a batch failed of."""
        failure = self._pipeline.failure
        if failure is None:
            return
        if isinstance(failure, InsertError):
            failure.unsettled_batches = lambda: self.unsettled
        raise failure

    def _take_last(self, encoded: bytes) -> None:
        """Takes the row by which the caller hears of a failure, and none after it."""
        if not self._is_told:
            self._is_told = True
            self._buffer.add(encoded)

    def _send_again(self) -> None:
        """Sends what an earlier stream has kept, before anything else."""
        while self._again:
            self._submit(self._again.pop(0))

    def _submit(self, batch: Batch) -> None:
        try:
            self._pipeline.submit(batch)
        except InsertError:
            self._check_sound()
            raise

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError("the stream is closed")

    def _send_buffer(self) -> None:
        self._check_sound()
        self._send_again()
        if not self._buffer.rows:
            return
        rows, first = self._buffer.take()
        batch = Batch(self._next_key(), frame(rows), range(first, first + len(rows)))
        self._batches += 1
        self._ledger.add(batch)
        self._submit(batch)

    def _next_key(self) -> str:
        return f"{self._name}-{self._batches}"

    def _send_old_rows(self) -> None:
        try:
            with self._changed:
                self._send_again()
                while not self._is_closed:
                    self._changed.wait(self._seconds_to_wait())
                    if self._seconds_to_wait() == 0:
                        self._send_buffer()
        except InsertError:
            return  # the next append or flush raises it

    def _seconds_to_wait(self) -> float | None:
        """How long the rows in the buffer may wait for more of them; None when there are none."""
        if not self._buffer.rows:
            return None
        return max(self._buffer.began_at + self._linger_seconds - time.monotonic(), 0)

    def _note_outcome(self, batch: Batch, outcome: Outcome) -> None:
        if self._quarantine is not None:
            self._quarantine.add(outcome.refused)
        self._ledger.settle(batch)
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
        self.next_number = 0

    def add(self, row: bytes) -> int:
        """The number of the row."""
        if not self.rows:
            self.began_at = time.monotonic()
        self.rows.append(row)
        self.size += len(row) + 1
        self.next_number += 1
        return self.next_number - 1

    def take(self) -> tuple[list[bytes], int]:
        """All rows and the number of the first; the buffer is empty then."""
        rows, first = self.rows, self.next_number - len(self.rows)
        self.rows, self.size = [], 0
        return rows, first


def _insert_of(on_error: OnError) -> InsertBatch:
    if on_error == "abort":
        return insert_whole
    return lambda batch, sender: insert_fitting(batch, sender, _forget)


def _forget(batch: Batch, removed: Sequence[object]) -> None:
    """The rows of a stream end with its process: nothing is to be remembered beyond it."""
