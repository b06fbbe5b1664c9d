"""The service that runs jobs: bounded in number, a share for each caller, none ever stuck.

Theory
------
model/jobs.py tells the states of a job. Here is who takes the next one, and what happens around it:

* Of each kind so many run at a time. A caller has at most half of the places (one, if there is one): so one
  who asks for a hundred loads does not keep others waiting. Who has fewest running goes first, then the
  oldest job.
* Who runs a job makes what it makes, and says how it is to be named. Naming it and completing the job is one
  transaction. If the job is gone by then, or another's, nothing is named.
* While it runs, its lease and its progress are written every few seconds. A renewal that finds nothing means
  that the job was cancelled or deleted, maybe by another process: the worker is killed.
* When the server stops, its jobs are queued again, for the next start. When it dies, the next start finds
  them by the name of their holder; other nodes find them when their lease has run out.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol

import msgspec
import structlog

from rowkeep.model.errors import RowkeepError
from rowkeep.model.jobs import ATTEMPTS_MAX, Job, JobKind
from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.catalog.jobs import Lease

LEASE_SECONDS = 60.0
RENEW_SECONDS = 2.0
LOOK_SECONDS = 30.0
CANDIDATES_MAX = 1_000
_NOBODY = ""

_log = structlog.get_logger("rowkeep.jobs")


class JobOutcome(msgspec.Struct, frozen=True):
    """The result of a job that is not yet named.

    `name` makes it part of the catalog within a transaction, and returns it as JSON. `discard` removes it
    when it cannot be named.
    """

    name: Callable[[CatalogEditor], str]
    discard: Callable[[], Awaitable[None]]


class JobFailure(msgspec.Struct, frozen=True):
    """Why a job failed, for the caller who asked for it. `result` is JSON whose form depends on the kind."""

    message: str
    result: str | None = None


class JobRunner(Protocol):
    """Does the jobs of one kind."""

    async def run(self, job: Job, report: Callable[[float], None]) -> JobOutcome:
        """Does a job and returns its result. Cancelling this ends the work at once.

        `report` is called with the progress. Raises RowkeepError with the message for the caller who asked,
        or WorkerFailedError.
        """

    def failure(self, error: RowkeepError | WorkerFailedError) -> JobFailure:
        """Returns what the caller who asked for a failed job is told."""

    def forget(self, editor: CatalogEditor, job: Job) -> None:
        """Deletes the catalog rows of a failed job, in the transaction that marks it as failed."""

    async def tidy(self, job: Job) -> None:
        """Removes the files that an ended job no longer needs."""


class _JobLost(Exception):
    """The job is no longer held by this process."""


class JobService:
    """Runs jobs. One per process; used on the event loop."""

    def __init__(
        self,
        doors: Doors,
        runners: Mapping[JobKind, JobRunner],
        places: Mapping[JobKind, int],
        *,
        holder: str = "server",
    ) -> None:
        self._doors = doors
        self._runners = runners
        self._places = places
        self._holder = holder
        self._running: dict[int, tuple[Job, asyncio.Task[None]]] = {}
        self._endings: dict[int, list[asyncio.Event]] = {}
        self._news = asyncio.Event()
        self._is_stopping = False
        self.completed_count = self.failed_count = 0  # since the start of the process

    @property
    def running_count(self) -> int:
        """Returns how many jobs run now."""
        return len(self._running)

    @property
    def places(self) -> Mapping[JobKind, int]:
        """Returns how many jobs of each kind may run at a time."""
        return self._places

    def running_of(self, kind: JobKind) -> int:
        """Returns how many jobs of a kind run now."""
        return self._count(kind)

    def wake(self) -> None:
        """Wakes the service: there is a job to do."""
        self._news.set()

    @contextmanager
    def ending(self, job_id: int) -> Iterator[asyncio.Event]:
        """Yields an event that is set when this process has ended a job, in whatever way."""
        event = asyncio.Event()
        self._endings.setdefault(job_id, []).append(event)
        try:
            yield event
        finally:
            left = self._endings.get(job_id, [])
            if event in left:
                left.remove(event)
            if not left:
                self._endings.pop(job_id, None)

    async def run(self) -> None:
        """Takes and runs jobs until this is cancelled."""
        holder = self._holder
        while True:
            if await self._take_back_lost(holder):
                break
            await asyncio.sleep(RENEW_SECONDS)
        while True:
            self._news.clear()
            with suppress(RowkeepError):  # the lane is closed or busy; the next look finds the same
                await self._take_some()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                await self._take_back_lost(_NOBODY)

    async def _take_back_lost(self, holder: str) -> bool:
        """Queues the jobs of a dead holder again. Returns whether the catalog could be written."""
        try:
            await self._doors.write_in_reserve(lambda editor: editor.jobs.take_back_lost(holder))
        except RowkeepError as error:
            _log.warning("put off", reason=error.message)
            return False
        return True

    async def stop(self) -> None:
        """Ends all running jobs and queues them again."""
        self._is_stopping = True
        job_ids = list(self._running)
        await self._end([task for _, task in self._running.values()])

        def give_back(editor: CatalogEditor) -> None:
            for job_id in job_ids:
                editor.jobs.give_back(job_id, self._holder)

        if job_ids:
            with suppress(RowkeepError):  # the lane is closed: the next start finds them
                await self._doors.write_in_reserve(give_back)

    async def forget(self, job_ids: list[int]) -> None:
        """Ends the work on jobs that were cancelled or deleted. Jobs that do not run are passed over."""
        await self._end([self._running[job_id][1] for job_id in job_ids if job_id in self._running])

    async def _end(self, tasks: "list[asyncio.Task[None]]") -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _take_some(self) -> None:
        for kind, places in self._places.items():
            while not self._is_stopping and self._count(kind) < places:
                job = next_job(await self._queued(kind), self._counts(kind), places)
                if job is None:
                    break
                await self._begin(job)

    async def _queued(self, kind: JobKind) -> list[Job]:
        return await self._doors.read(lambda view: view.jobs.queued(kind, CANDIDATES_MAX))

    def _count(self, kind: JobKind) -> int:
        return sum(self._counts(kind).values())

    def _counts(self, kind: JobKind) -> Counter[int]:
        return Counter(job.user_id for job, _ in self._running.values() if job.kind is kind)

    async def _begin(self, job: Job) -> None:
        lease = self._lease()
        if await self._doors.write_in_reserve(lambda editor: editor.jobs.begin(job.id, lease)):
            begun = msgspec.structs.replace(job, attempts=job.attempts + 1)
            self._running[job.id] = (begun, asyncio.create_task(self._run_job(begun)))

    def _lease(self) -> Lease:
        return Lease(self._holder, int((time.time() + LEASE_SECONDS) * 1000))

    async def _run_job(self, job: Job) -> None:
        try:
            await self._run_with_care(job)
        finally:
            del self._running[job.id]
            self.wake()

    async def _run_with_care(self, job: Job) -> None:
        runner = self._runners[job.kind]
        try:
            await self._run_to_its_end(job, runner)
        except _JobLost:
            _log.info("a job is no longer wanted", job=job.identifier)
        except (RowkeepError, WorkerFailedError) as error:
            await self._fail_or_try_again(job, runner, error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the job must not stay running
            _log.error("a job failed", job=job.identifier, exc_info=error)
            message = f"Something went wrong in the server; its log says what, under job {job.identifier}."
            await self._fail(job, runner, JobFailure(message))
        finally:
            for event in self._endings.pop(job.id, ()):
                event.set()
            if not self._is_stopping:
                await self._tidy(job, runner)

    async def _tidy(self, job: Job, runner: JobRunner) -> None:
        with suppress(RowkeepError, OSError):  # what is left is found by who looks for files without a name
            now = await self._doors.read(lambda view: view.jobs.find(job.id))
            if now is None or now.is_finished:
                await runner.tidy(job)

    async def _run_to_its_end(self, job: Job, runner: JobRunner) -> None:
        fractions = [0.0]
        work = asyncio.create_task(runner.run(job, lambda fraction: fractions.append(fraction)))
        try:
            while not (await asyncio.wait({work}, timeout=RENEW_SECONDS))[0]:
                del fractions[:-1]
                await self._renew(job, fractions[0])
            outcome = work.result()
        finally:
            await self._end_work(work)
        await self._complete(job, outcome)

    async def _end_work(self, work: "asyncio.Task[JobOutcome]") -> None:
        if not work.done():
            work.cancel()
            await asyncio.wait({work})

    async def _renew(self, job: Job, fraction: float) -> None:
        lease = self._lease()
        try:
            is_ours = await self._doors.write_in_reserve(
                lambda editor: editor.jobs.renew(job.id, lease, fraction)
            )
        except RowkeepError as error:  # the database is busy: the lease lasts until the next try, and longer
            _log.warning("a lease was not renewed", job=job.identifier, reason=error.message)
            return
        if not is_ours:
            raise _JobLost

    async def _complete(self, job: Job, outcome: JobOutcome) -> None:
        def name(editor: CatalogEditor) -> None:
            if editor.jobs.find(job.id) is None:
                raise _JobLost
            if not editor.jobs.complete(job.id, self._holder, outcome.name(editor)):
                raise _JobLost

        try:
            await self._doors.write_in_reserve(name)
            self.completed_count += 1
        except _JobLost:
            # Only here is it certain that nothing was named. What else is left unnamed is swept.
            await outcome.discard()
            raise

    async def _fail_or_try_again(
        self, job: Job, runner: JobRunner, error: RowkeepError | WorkerFailedError
    ) -> None:
        # What is wrong with a file may quote its values, which are not for the log.
        reason = error.failure.value if isinstance(error, WorkerFailedError) else error.code
        _log.warning("a job failed", job=job.identifier, reason=reason, detail=error.detail)
        is_lost = isinstance(error, WorkerFailedError) and error.failure is WorkerFailure.LOST
        if is_lost and job.attempts < ATTEMPTS_MAX:
            with suppress(RowkeepError):
                await self._doors.write_in_reserve(lambda editor: editor.jobs.try_again(job.id, self._holder))
        else:
            await self._fail(job, runner, runner.failure(error))

    async def _fail(self, job: Job, runner: JobRunner, failure: JobFailure) -> None:
        def fail(editor: CatalogEditor) -> None:
            if editor.jobs.fail(job.id, self._holder, failure.message, failure.result):
                runner.forget(editor, job)

        self.failed_count += 1
        with suppress(RowkeepError):  # the lane is closed: the next start finds the job
            await self._doors.write_in_reserve(fail)


def next_job(candidates: list[Job], running: Mapping[int, int], places: int) -> Job | None:
    """Returns the queued job that goes next; `running` is the number of running jobs by user."""
    share = max(1, places // 2)
    waiting = [job for job in candidates if running.get(job.user_id, 0) < share]
    return min(waiting, key=lambda job: (running.get(job.user_id, 0), job.id), default=None)
