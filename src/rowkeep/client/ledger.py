"""The rows of a stream that are not known to be in, in the order in which they were appended.

Theory
------
A row is in the ledger from the moment `take` has it until its batch is settled. First it waits for a batch,
then it is in one that is unsent, then in one that was handed over. `_State` says which, and it is replaced by
one assignment: an exception at any moment (Ctrl-C, no memory) leaves each row in one place.

A batch stays unsent until the pipeline has it for certain. So it may be handed over twice. It has one key, so
the server takes it once, and `settle` is true once.
"""

import threading
import time
from collections.abc import Sequence

import msgspec

from rowkeep.client.batches import Batch, frame
from rowkeep.client.errors import UnsettledBatch


class _Waiting(msgspec.Struct, frozen=True):
    row: bytes
    size: int  # of the rows up to this one, about as many bytes as the body that they would make


class _State(msgspec.Struct, frozen=True):
    batches: dict[str, Batch]
    unsent: tuple[Batch, ...]
    waiting: list[_Waiting]
    first_number: int  # that of the first row in `waiting`
    batch_count: int

    @property
    def size(self) -> int:
        return self.waiting[-1].size if self.waiting else 0


class Ledger:
    """Takes rows and cuts them into batches. `kept` are batches of an earlier stream, which come first.

    Any number of threads may use it. None waits in it for anything but another thread's few microseconds.
    """

    def __init__(self, name: str, kept: Sequence[Batch]) -> None:
        self._name = name
        self._lock = threading.RLock()  # a signal's handler may ask while its own thread has the lock
        self._state = _State({batch.key: batch for batch in kept}, tuple(kept), [], 0, 0)
        self._began_at = 0.0
        self._is_closed = False

    @property
    def next_number(self) -> int:
        """Returns the number that the next row gets, counted from 0."""
        with self._lock:
            return self._state.first_number + len(self._state.waiting)

    @property
    def waiting_bytes(self) -> int:
        """Returns about how many bytes the rows without a batch have."""
        return self._state.size

    @property
    def began_at(self) -> float | None:
        """Returns when the first row without a batch came, or None when there is none."""
        return self._began_at if self._state.waiting else None

    def take(self, row: bytes) -> int:
        """Takes an encoded row and returns its number. Raises ValueError when the ledger is closed."""
        with self._lock:
            self.check_open()
            waiting = self._state.waiting
            if not waiting:
                self._began_at = time.monotonic()
            number = self.next_number
            waiting.append(_Waiting(row, self._state.size + len(row) + 1))
            return number

    def check_open(self) -> None:
        """Raises ValueError when the ledger is closed."""
        if self._is_closed:
            raise ValueError("the stream is closed, so this row was not taken")

    def close(self) -> None:
        """Takes no more rows."""
        with self._lock:
            self._is_closed = True

    def is_full(self, rows_max: int, bytes_max: int) -> bool:
        """Returns whether the rows without a batch fill one."""
        return len(self._state.waiting) >= rows_max or self._state.size >= bytes_max

    def cut(self, rows_max: int, bytes_max: int) -> None:
        """Makes an unsent batch of the first rows without one: at least one row, and at most what fits."""
        with self._lock:
            state = self._state
            fitting = sum(waiting.size <= bytes_max for waiting in state.waiting[:rows_max])
            rows = [waiting.row for waiting in state.waiting[: max(fitting, 1)]]
            end = state.first_number + len(rows)
            batch = Batch(self._next_key(), frame(rows), range(state.first_number, end))
            self._began_at = time.monotonic()
            self._state = _State(
                {**state.batches, batch.key: batch},
                (*state.unsent, batch),
                _measured([waiting.row for waiting in state.waiting[len(rows) :]]),
                end,
                state.batch_count + 1,
            )

    def unsent(self) -> Batch | None:
        """Returns the first batch that is to be sent, or None."""
        unsent = self._state.unsent
        return unsent[0] if unsent else None

    def note_sent(self, batch: Batch) -> None:
        """Notes that a batch was handed to the pipeline."""
        with self._lock:
            unsent = tuple(other for other in self._state.unsent if other is not batch)
            self._state = msgspec.structs.replace(self._state, unsent=unsent)

    def settle(self, batch: Batch) -> bool:
        """Forgets a settled batch. Returns False if it was settled before."""
        with self._lock:
            batches = {key: other for key, other in self._state.batches.items() if key != batch.key}
            is_new = len(batches) < len(self._state.batches)
            self._state = msgspec.structs.replace(self._state, batches=batches)
            return is_new

    def unsettled(self) -> tuple[UnsettledBatch, ...]:
        """Returns the batches that are not settled.

        Rows without a batch come last, under the key that their batch will have.
        """
        with self._lock:
            state, key = self._state, self._next_key()
            waiting = [waiting.row for waiting in state.waiting]
        batches = [UnsettledBatch(batch.key, batch.body) for batch in state.batches.values()]
        return (*batches, UnsettledBatch(key, frame(waiting))) if waiting else tuple(batches)

    def _next_key(self) -> str:
        return f"{self._name}-{self._state.batch_count}"


def _measured(rows: Sequence[bytes]) -> list[_Waiting]:
    measured: list[_Waiting] = []
    size = 0
    for row in rows:
        size += len(row) + 1
        measured.append(_Waiting(row, size))
    return measured
