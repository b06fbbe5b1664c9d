"""Sends batches, a bounded number at a time. Each is settled, or its failure is known.

With one in flight, batches are inserted in the order in which they are submitted, and after one that failed
none is sent. With more, batches overtake one another; after a failure those already sent may be in.

An exception in `submit` (Ctrl-C, no thread left) leaves a batch submitted or not submitted. `drain` waits for
none that was not.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from rowkeep.client.batches import Batch, InsertBatch, Outcome
from rowkeep.client.retrying import Sender

# One that waits for each that is under way: the next is ready when an answer comes, and memory is bounded.
BATCHES_PER_SENDER = 2

Settled = Callable[[Batch, Outcome], None]


class Pipeline:
    """Inserts batches over several connections, one for each sender.

    `settled` is called once for each inserted batch, by one thread at a time. `failed` is called with the
    first failure, before anybody else sees it.
    """

    def __init__(
        self,
        senders: Sequence[Sender],
        insert: InsertBatch,
        settled: Settled,
        failed: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self._insert = insert
        self._settled = settled
        self._failed = failed
        self._settling = threading.Lock()
        self._failure: BaseException | None = None
        self._trace: TracebackType | None = None
        self._changed = threading.Condition()
        self._waiting: deque[Batch] = deque()
        self._running = 0
        self._is_closed = False
        self._senders = senders
        self._free_senders = deque(senders)
        self._batches_max = BATCHES_PER_SENDER * len(senders)
        self._threads = ThreadPoolExecutor(len(senders), "rowkeep-insert")

    @property
    def failure(self) -> BaseException | None:
        """Returns the failure of a batch, or None."""
        return self._failure

    def check_sound(self) -> None:
        """Raises the failure of a batch, if one failed."""
        if self._failure is not None:
            raise self._failure.with_traceback(self._trace)  # else it would grow each time that it is raised

    def submit(self, batch: Batch) -> None:
        """Takes a batch, after waiting for room. Raises the failure of an earlier batch."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_place() or self._failure is not None or self._is_closed)
            self.check_sound()
            # In this order: a thread without a batch does no harm, one batch without a thread is never sent.
            self._threads.submit(self._carry_out_next)
            self._waiting.append(batch)

    def drain(self) -> None:
        """Waits until nothing is under way. Raises the failure of a batch."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._running)
            self.check_sound()

    def fail(self, failure: BaseException) -> None:
        """Ends the pipeline. Waiting batches are not sent. Only the first failure is raised."""
        with self._changed:
            if self._failure is None:
                self._failed(failure)
                self._failure, self._trace = failure, failure.__traceback__
            self._waiting.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the threads and connections, after the batches under way."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._threads.shutdown()
        for sender in self._senders:
            sender.close()

    def _has_place(self) -> bool:
        return len(self._waiting) + self._running < self._batches_max

    def _carry_out_next(self) -> None:
        with self._changed:
            if not self._waiting:
                return
            batch = self._waiting.popleft()
            sender = self._free_senders.popleft()
            self._running += 1
        try:
            self._carry_out(batch, sender)
        except BaseException as failure:  # noqa: BLE001  # whatever it is, the caller hears of it
            self.fail(failure)
        finally:
            with self._changed:
                self._running -= 1
                self._free_senders.append(sender)
                self._changed.notify_all()

    def _carry_out(self, batch: Batch, sender: Sender) -> None:
        outcome = self._insert(batch, sender)
        with self._settling:
            self._settled(batch, outcome)
