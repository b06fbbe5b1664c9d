"""The lane: the one bounded queue and the one thread through which everything is written.

Theory
------
Requests put batches into a queue and wait. The lane's thread takes whatever is there, writes it as one
transaction with one fsync, and then resolves all of it at once. While that fsync runs the next group
collects by itself: no timer, so an idle server answers after one fsync and a busy one shares it.

States: open → failed (a write or fsync failed: nothing more is written until a restart, see the crash
table), open → full → open (nothing is written until the disk has room again; the thread looks for it every
second), or open → closing → closed (what was accepted is still written).

* What was accepted is written, whether or not its sender still waits.
* The queue is bounded in bytes. Over the bound a sender waits in line, at most `wait_seconds_max`,
  then gets `unavailable`, and nothing of it was written.
* Catalog changes go through the same thread, each a transaction of its own, so there is one writer.
* When rows arrive faster than they can leave the journal, maintenance slows the lane down: it rests after
  each commit for some times as long as the commit took. The queue then fills, its bound does the rest, and
  nobody waits for long where a full stop would make everybody wait at once.

Rejected: a timer that gathers for some milliseconds (adds latency where there is no load, and under
load the last fsync is the timer); a thread pool of writers (the embedded database has one writer anyway).
"""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from rowkeep.model.errors import RowkeepError, too_slow, unavailable
from rowkeep.model.health import Health
from rowkeep.model.receipts import Outcome
from rowkeep.model.resources import Batch, Receipt
from rowkeep.model.timing import CommitTimes, InsertTimes
from rowkeep.storage.base import (
    Connection,
    Database,
    StorageBusyError,
    StorageFailedError,
    StorageFullError,
)
from rowkeep.storage.journal.commits import Commits
from rowkeep.storage.journal.journal import Journal
from rowkeep.storage.journal.thread_names import show_thread_name

Result = TypeVar("Result")

BUSY_RETRY_SECONDS = 1
FAILED_RETRY_SECONDS = 30
FULL_RETRY_SECONDS = 5
REST_SECONDS_MAX = 1.0
LANE_THREAD = "rowkeep-lane"
# How often a lane whose disk is full looks for room.
ROOM_SECONDS = 1.0


class _Submission(msgspec.Struct, frozen=True, eq=False):
    batch: Batch
    future: "asyncio.Future[Outcome]"
    times: InsertTimes | None


class _Edit(msgspec.Struct, frozen=True, eq=False):
    function: Callable[[Connection], Any]
    future: "asyncio.Future[Any]"


_Job = _Submission | _Edit | None


class Lane:
    """The writer's thread and its queue. Made and used on one event loop."""

    def __init__(
        self, database: Database, *, group_bytes_max: int, queue_bytes_max: int, wait_seconds_max: float
    ) -> None:
        self._database = database
        self._group_bytes_max = group_bytes_max
        self._queue_bytes_max = queue_bytes_max
        self._wait_seconds_max = wait_seconds_max
        self._journal = Journal()
        self.commits = Commits()
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._held: _Job = None
        self._queued_bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._failure: StorageFailedError | None = None
        self._rest_factor = 0.0
        self._rows_inserted = self._batch_count = self._group_count = 0
        self._commit_seconds = 0.0
        self._is_closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=LANE_THREAD, daemon=True)
        self._thread.start()

    def health(self) -> Health:
        """Returns the state of the lane, and its figures."""
        return Health(
            failure=None if self._failure is None else str(self._failure),
            queued_bytes=self._queued_bytes,
            rows_inserted=self._rows_inserted,
            batches=self._batch_count,
            groups=self._group_count,
            commit_seconds=self._commit_seconds,
        )

    def slow_down(self, rest_factor: float) -> None:
        """Makes the lane rest after each commit of rows, `rest_factor` times as long as the commit took."""
        self._rest_factor = rest_factor

    def submit(self, batch: Batch, times: InsertTimes | None = None) -> Awaitable[Outcome]:
        """Writes a batch durably and notes the times in `times`.

        Raises `unavailable` when nothing of the batch was written.

        Raises `unavailable` when nothing of it was written.
        """
        if self._failure is not None or self._is_closing:
            raise self._refusal()
        size = batch.byte_count
        if self._waiting or not self._has_room(size):
            return self._submit_in_turn(batch, times)
        return self._enqueue(batch, size, times)

    def _enqueue(self, batch: Batch, size: int, times: InsertTimes | None) -> "asyncio.Future[Outcome]":
        self._queued_bytes += size
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self._jobs.put(_Submission(batch, future, times))
        return future

    async def _submit_in_turn(self, batch: Batch, times: InsertTimes | None) -> Outcome:
        size = batch.byte_count
        await self._wait_for_room(size)
        self._queued_bytes -= size  # its room was kept for it; _enqueue takes it up
        return await self._enqueue(batch, size, times)

    async def write(self, function: Callable[[Connection], Result]) -> Result:
        """Runs a function in one durable transaction. An error of the function rolls it back."""
        if self._failure is not None or self._is_closing:
            raise self._refusal()
        future: asyncio.Future[Result] = self._loop.create_future()
        self._jobs.put(_Edit(function, future))
        return await future

    async def close(self) -> None:
        """Writes what was accepted, then ends the thread."""
        if not self._is_closing:
            self._is_closing = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _refusal(self) -> RowkeepError:
        if self._failure is not None:
            return _failed(self._failure)
        return unavailable("The server is shutting down.", retry_after_seconds=BUSY_RETRY_SECONDS)

    # The bound, on the event loop.

    def _has_room(self, size: int) -> bool:
        # A batch larger than the whole bound may go when it is alone.
        return self._queued_bytes == 0 or self._queued_bytes + size <= self._queue_bytes_max

    async def _wait_for_room(self, size: int) -> None:
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((size, turn))
        try:
            await asyncio.wait_for(turn, self._wait_seconds_max)
            if self._failure is not None or self._is_closing:
                raise self._refusal()
        except BaseException as error:
            # A turn may come in the moment its sender gives up: the room goes to the next in line.
            self._release(size if turn.done() and not turn.cancelled() else 0)
            if isinstance(error, TimeoutError):
                raise too_slow() from error
            raise

    def _release(self, size: int) -> None:
        """Gives room back, and admits the waiting batches that fit now, in order."""
        self._queued_bytes -= size
        while self._waiting:
            next_size, turn = self._waiting[0]
            if not turn.done():
                if not self._has_room(next_size):
                    return
                turn.set_result(None)
                self._queued_bytes += next_size
            self._waiting.popleft()

    def _settle(
        self, group: Sequence[_Submission], outcomes: Sequence[Outcome], size: int, commit: CommitTimes
    ) -> None:
        for submission, outcome in zip(group, outcomes, strict=True):
            if submission.times is not None:
                submission.times.commit = commit
            if not submission.future.done():
                submission.future.set_result(outcome)
        self._release(size)
        if self.commits.has_listeners:
            self.commits.announce([submission.batch for submission in group])

    def _refuse(self, group: Sequence[_Submission], error: Exception, size: int) -> None:
        for submission in group:
            if not submission.future.done():
                submission.future.set_exception(error)
        self._release(size)

    # The writer's thread.

    def _run(self) -> None:
        show_thread_name()
        while True:
            job = self._next_job()
            if job is None:
                return
            if isinstance(job, _Edit):
                self._run_edit(job)
            else:
                self._commit(*self._gather(job))

    def _next_job(self) -> _Job:
        held, self._held = self._held, None
        if held is not None:
            return held
        while isinstance(self._failure, StorageFullError):
            try:
                return self._jobs.get(timeout=ROOM_SECONDS)
            except queue.Empty:
                if self._database.has_room():
                    self._failure = None
        return self._jobs.get()

    def _gather(self, first: _Submission) -> tuple[list[_Submission], int]:
        group = [first]
        size = first.batch.byte_count
        while size < self._group_bytes_max and not first.batch.needs_own_group:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if not isinstance(job, _Submission) or job.batch.needs_own_group:
                self._hold(job)
                break
            group.append(job)
            size += job.batch.byte_count
        return group, size

    def _hold(self, job: _Job) -> None:
        """Keeps a job that cannot join the current group for the next turn."""
        if job is None:
            self._jobs.put(None)  # closing: it stays the last job
        self._held = job

    def _commit(self, group: list[_Submission], size: int) -> None:
        batches = [submission.batch for submission in group]
        started = time.perf_counter()
        try:
            self._check_failure()
            outcomes = self._journal.commit_group(self._database, batches)
        except Exception as error:  # noqa: BLE001  # whatever it is, the sender hears of it
            self._note_failure(error)
            self._loop.call_soon_threadsafe(self._refuse, group, _refusal(error), size)
        else:
            commit = CommitTimes(started, self._database.commit_started_at, time.perf_counter())
            self._count(outcomes, commit.ended_at - started)
            self._loop.call_soon_threadsafe(self._settle, group, outcomes, size, commit)
            if self._rest_factor:
                time.sleep(min(self._rest_factor * (commit.ended_at - started), REST_SECONDS_MAX))

    def _count(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt) and not outcome.replayed]
        self._rows_inserted += sum([receipt.row_count for receipt in receipts])
        self._batch_count += len(receipts)
        self._group_count += 1
        self._commit_seconds += seconds

    def _run_edit(self, edit: _Edit) -> None:
        try:
            self._check_failure()
            with self._database.writing() as connection:
                result = edit.function(connection)
        except Exception as error:  # noqa: BLE001  # whatever it is, the sender hears of it
            self._note_failure(error)
            self._loop.call_soon_threadsafe(_fail, edit.future, _refusal(error))
        else:
            self._loop.call_soon_threadsafe(_succeed, edit.future, result)

    def _check_failure(self) -> None:
        failure = self._failure
        if failure is not None:
            raise type(failure)(*failure.args)  # not the same one: an error gathers tracebacks

    def _note_failure(self, error: Exception) -> None:
        if isinstance(error, StorageFailedError) and self._failure is None:
            self._failure = error


def _refusal(error: Exception) -> Exception:
    """Returns the error that senders get for an error. Errors that are not of storage stay as they are."""
    if isinstance(error, StorageBusyError):
        return unavailable(
            "The database is busy. Nothing was written; send the request again.",
            retry_after_seconds=BUSY_RETRY_SECONDS,
            detail=str(error),
        )
    if isinstance(error, StorageFailedError):
        return _failed(error)
    return error


def _failed(failure: StorageFailedError) -> RowkeepError:
    if isinstance(failure, StorageFullError):
        return unavailable(
            "The disk of the server is full. Nothing of this request was kept; the server goes on by itself "
            "once there is room again. Send the request again later.",
            retry_after_seconds=FULL_RETRY_SECONDS,
            detail=str(failure),
        )
    return unavailable(
        "The server cannot write to its disk and refuses all changes until it is restarted. Whether this "
        "request was kept is known after the restart; an Idempotency-Key makes sending it again safe.",
        retry_after_seconds=FAILED_RETRY_SECONDS,
        detail=str(failure),
    )


def _succeed(future: "asyncio.Future[Any]", result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[Any]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
