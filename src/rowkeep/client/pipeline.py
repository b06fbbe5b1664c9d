"""Batches under way: a bounded number at a time, each settled or the reason why not.

With one in flight, batches are inserted in the order in which they are submitted, and after one that failed
none is sent. With more, batches overtake one another; after a failure those already sent may be in.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from rowkeep.client.batches import Batch, InsertBatch, Outcome
from rowkeep.client.retrying import Sender

# One that waits for each that is under way: the next is ready when an answer comes, and memory is bounded.
BATCHES_PER_SENDER = 2

Settled = Callable[[Batch, Outcome], None]


class _Abandoned(Exception):
    """An earlier batch failed, so this one is not sent."""


class Pipeline:
    """Inserts batches over several connections, one for each sender.

    `settled` is called once for each batch that was inserted, by one thread at a time.
    """

    def __init__(self, senders: Sequence[Sender], insert: InsertBatch, settled: Settled) -> None:
        self._insert = insert
        self._settled = settled
        self._settling = threading.Lock()
        self._failure: BaseException | None = None
        self._free_senders: queue.SimpleQueue[Sender] = queue.SimpleQueue()
        self._senders = senders
        for sender in senders:
            self._free_senders.put(sender)
        self._places = BATCHES_PER_SENDER * len(senders)
        self._free_places = threading.Semaphore(self._places)
        self._threads = ThreadPoolExecutor(len(senders), "rowkeep-insert")

    @property
    def failure(self) -> BaseException | None:
        """What a batch failed of, if one did."""
        return self._failure

    def submit(self, batch: Batch) -> None:
        """Takes a batch, after waiting for a place. Raises what an earlier batch failed of."""
        self._free_places.acquire()
        if self._failure is not None:
            self._free_places.release()
            raise self._failure
        self._threads.submit(self._carry_out, batch).add_done_callback(self._note_end)

    def drain(self) -> None:
        """Waits until nothing is under way. Raises what a batch failed of."""
        for _ in range(self._places):
            self._free_places.acquire()
        self._free_places.release(self._places)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Ends the threads and connections, after what is under way."""
        self._threads.shutdown()
        for sender in self._senders:
            sender.close()

    def _carry_out(self, batch: Batch) -> None:
        if self._failure is not None:
            raise _Abandoned
        sender = self._free_senders.get()
        try:
            outcome = self._insert(batch, sender)
        finally:
            self._free_senders.put(sender)
        with self._settling:
            self._settled(batch, outcome)

    def _note_end(self, ended: "Future[None]") -> None:
        error = ended.exception()
        if error is not None and self._failure is None:
            self._failure = error
        self._free_places.release()
