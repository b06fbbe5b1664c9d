"""`RowStream`: rows in, one at a time; batches out, when they are large or old enough.

    with RowStream(url, token, "demo.weather.measurements", "live") as stream:
        stream.append({"site": "Zurich", "temperature": 21.5})

Order: with one request in flight (the default) rows are in the table in the order in which they were
appended, and after a refused batch nothing more is sent. With more in flight only the rows of one batch are
in order. Repeats never double a row, whatever the network does (see retrying.py and connection.py).

A failure ends the stream, whatever it is: an InsertError, a full disk under the quarantine file, no memory.
From then on nothing is sent. The rule for rows is one:

    Every row that an append has taken is in the table, was refused as a row, or is in `unsettled_rows`.

`unsettled_rows` are in the order in which they were appended, by whatever thread. An append takes its row
before it does anything else. So an append that raises has taken it too, but for three errors that say that
they have not: ValueRefused (JSON cannot hold the row), ValueError (the stream is closed) and RowNotTaken (the
stream failed long ago, and LATE_BYTES_MAX of rows came since: memory stays bounded). An interrupt (Ctrl-C)
before the row was looked at is one before the append.

ledger.py has the rows, pipeline.py sends them, unsettled.py keeps them in a file.
"""

import logging
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from rowkeep.client.batches import Batch, InsertBatch, Outcome, insert_fitting, insert_whole
from rowkeep.client.connection import Connection, check_token, parse_address, upload_path
from rowkeep.client.errors import InsertError, RowNotTaken, UnsettledBatch
from rowkeep.client.ledger import Ledger
from rowkeep.client.patience import RetryPolicy
from rowkeep.client.pipeline import Pipeline
from rowkeep.client.quarantine import QuarantineFile
from rowkeep.client.retrying import Sender
from rowkeep.client.unsettled import KeptFile
from rowkeep.client.values import encode_row

OnError = Literal["abort", "skip", "quarantine"]
REQUEST_SECONDS_MAX = 60.0
LATE_BYTES_MAX = 16_000_000
UNSETTLED_NOTE = "Rows that are not known to be in are in unsettled_rows of the RowStream."

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
        name = secrets.token_hex(8)
        self._rows_max = batch_rows_max
        self._bytes_max = batch_bytes_max
        self._linger_seconds = linger_seconds
        self._outcome = Outcome(0, 0, ())
        self._refused = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._is_lingerer_idle = False
        self._is_stopping = threading.Event()
        self._quarantine = None if quarantine is None else QuarantineFile(quarantine, name)
        address, path = parse_address(url), upload_path(table, upload) + "/rows"
        self._kept = None if kept is None else KeptFile(kept, f"{url.rstrip('/')}{path}")
        self._ledger = Ledger(name, [] if self._kept is None else self._kept.batches())
        policy = retry or RetryPolicy()
        senders = [
            Sender(Connection(address, token, timeout_seconds), path, policy, self._is_stopping, _log.warning)
            for _ in range(in_flight_max)
        ]
        self._pipeline = Pipeline(senders, _insert_of(on_error), self._note_outcome, self._note_failure)
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
        try:
            if isinstance(error, InsertError) or error is self._pipeline.failure:
                self._shut()
            else:
                self.close()  # what was appended before something else failed goes out all the same
        except Exception as failure:  # noqa: BLE001  # the caller's own error goes on, with a note of this one
            left = len(self.unsettled_rows)
            error.add_note(
                f"And {left} rows that were appended before are not known to be in; unsettled_rows of the "
                f"stream has them. The reason: {failure}"
            )

    @property
    def inserted_count(self) -> int:
        """Returns how many rows the server has confirmed."""
        return self._outcome.inserted

    @property
    def refused_count(self) -> int:
        """Returns how many rows were left out because they do not fit."""
        return self._refused

    @property
    def unsettled(self) -> tuple[UnsettledBatch, ...]:
        """Returns the batches that are not known to be in, in order: their keys and request bodies."""
        return self._ledger.unsettled()

    @property
    def unsettled_rows(self) -> list[dict[str, Any]]:
        """Returns the rows that are not known to be in, in the order in which they were appended."""
        return [row for batch in self.unsettled for row in batch.rows]

    def append(self, row: Mapping[str, Any]) -> int:
        """Takes a row and returns its number, counted from 0; errors name it by that.

        Waits while too much is under way. Raises ValueRefused for a value that JSON cannot hold; then the row
        is not taken. Raises the failure of an earlier batch as soon as it is known; then the row is one of
        `unsettled_rows`.
        """
        self._ledger.check_open()
        encoded = encode_row(row, self._ledger.next_number)
        self._check_room(encoded)
        number = self._ledger.take(encoded)
        with self._changed:
            self._pipeline.check_sound()
            while self._ledger.is_full(self._rows_max, self._bytes_max):
                self._send_batch()
            if self._is_lingerer_idle:
                self._changed.notify()
        return number

    def flush(self) -> None:
        """Waits until all rows so far are settled. Raises the failure of a batch."""
        if self._is_closed:
            raise ValueError("the stream is closed")
        with self._changed:
            self._send_all()
        self._pipeline.drain()

    def close(self) -> None:
        """Flushes, and ends the connections. Raises as `flush` does. A second call does nothing."""
        if self._is_closed:
            return
        self._ledger.close()
        try:
            self.flush()
        finally:
            self._shut()

    def _shut(self) -> None:
        self._is_stopping.set()  # after a failure, what is under way makes no further attempt
        self._ledger.close()
        with ExitStack() as ending:  # the rows are kept, whatever fails before; first what stands last
            ending.callback(self._keep)
            if self._quarantine is not None:
                ending.callback(self._quarantine.close)
            ending.callback(self._lingerer.join)
            ending.callback(self._pipeline.close)
            self._is_closed = True
            with self._changed:
                self._changed.notify_all()

    def _keep(self) -> None:
        if self._kept is not None:
            self._kept.keep(self.unsettled)

    def _check_room(self, encoded: bytes) -> None:
        failure = self._pipeline.failure
        if failure is not None and self._ledger.waiting_bytes + len(encoded) > LATE_BYTES_MAX:
            raise RowNotTaken(
                "this row was not taken, because the stream failed long ago. Close it, keep its "
                f"unsettled_rows and open another. It failed with: {failure}"
            ) from failure

    def _note_failure(self, failure: BaseException) -> None:
        if isinstance(failure, InsertError):
            failure.unsettled_batches = lambda: self.unsettled
        else:
            failure.add_note(UNSETTLED_NOTE)

    def _send_all(self) -> None:
        """Sends every row that was appended."""
        self._pipeline.check_sound()
        self._send_unsent()
        while self._ledger.began_at is not None:
            self._send_batch()

    def _send_batch(self) -> None:
        self._ledger.cut(self._rows_max, self._bytes_max)
        self._send_unsent()

    def _send_unsent(self) -> None:
        while (batch := self._ledger.unsent()) is not None:
            self._pipeline.submit(batch)
            self._ledger.note_sent(batch)

    def _send_old_rows(self) -> None:
        try:
            with self._changed:
                self._send_unsent()  # what an earlier stream has kept, before anything else
                while not self._is_closed:
                    seconds = self._seconds_to_wait()
                    self._is_lingerer_idle = seconds is None
                    self._changed.wait(seconds)
                    if self._seconds_to_wait() == 0:
                        self._send_all()
        except BaseException as failure:  # noqa: BLE001  # whatever it is, the caller hears of it
            self._pipeline.fail(failure)  # the next append or flush raises it

    def _seconds_to_wait(self) -> float | None:
        """Returns how long the buffered rows may wait for more rows, or None when there are none."""
        began_at = self._ledger.began_at
        if began_at is None:
            return None
        return max(began_at + self._linger_seconds - time.monotonic(), 0)

    def _note_outcome(self, batch: Batch, outcome: Outcome) -> None:
        if self._quarantine is not None:
            self._quarantine.add(outcome.refused)
        if not self._ledger.settle(batch):
            return
        self._refused += len(outcome.refused)
        self._outcome = Outcome(
            self._outcome.inserted + outcome.inserted, self._outcome.repeated + outcome.repeated, ()
        )


def _insert_of(on_error: OnError) -> InsertBatch:
    if on_error == "abort":
        return insert_whole
    return lambda batch, sender: insert_fitting(batch, sender, _forget)


def _forget(batch: Batch, removed: Sequence[object]) -> None:
    """Does nothing: the rows of a stream end with its process, so no removal is remembered."""
