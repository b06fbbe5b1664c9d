"""Whose job is next, and what becomes of jobs whose holder is gone, over a real database."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.jobs import Job, JobKind, JobStatus
from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure
from rowkeep.services import jobs as jobs_module
from rowkeep.services.jobs import JobFailure, JobOutcome, JobService, next_job
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.jobs import Lease, NewJob
from tests.unit.read_world import World

SECONDS_MAX = 30


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A database."""
    with asyncio.Runner() as runner:
        made = World(tmp_path / "data", runner)
        yield made
        made.close()


class Runner:
    """Runs jobs that do what a test says; `started` are the users of those begun, `tidied` the jobs ended."""

    def __init__(self, work: Callable[[Job], object]) -> None:
        self._work = work
        self.gate = asyncio.Event()
        self.started: list[int] = []
        self.tidied: list[int] = []

    async def run(self, job: Job, _: Callable[[float], None]) -> JobOutcome:
        self.started.append(job.user_id)
        await self.gate.wait()
        self._work(job)

        async def discard() -> None:
            self.tidied.append(-job.id)

        return JobOutcome(lambda _: '"done"', discard)

    def failure(self, error: RowkeepError | WorkerFailedError) -> JobFailure:
        return JobFailure(str(error))

    def forget(self, editor: CatalogEditor, job: Job) -> None:
        """Keeps nothing."""

    async def tidy(self, job: Job) -> None:
        self.tidied.append(job.id)


def add(world: World, user_id: int) -> Job:
    """A queued job of a user."""
    new = NewJob(JobKind.EXPORT, user_id, "{}")
    return world.run(world.doors.write(lambda editor: editor.jobs.add(new)))


def found(world: World, job: Job) -> Job:
    """The job as it is now."""
    now = world.run(world.doors.read(lambda view: view.jobs.find(job.id)))
    assert now is not None
    return now


async def happens(condition: Callable[[], bool]) -> None:
    """Returns when something has happened; the bound only ends a test that would never end."""
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def served(world: World, runner: Runner, places: int, until: Callable[[], bool]) -> JobService:
    """Runs jobs until a condition holds, then stops."""

    async def serve() -> JobService:
        service = JobService(world.doors, {JobKind.EXPORT: runner}, {JobKind.EXPORT: places})
        running = asyncio.create_task(service.run())
        await happens(until)
        running.cancel()
        await asyncio.wait({running})
        await service.stop()
        return service

    return world.run(serve())


def test_a_caller_has_half_of_the_places(world: World) -> None:
    """One who asks for many does not keep others waiting, whoever asked first."""
    for _ in range(5):
        add(world, user_id=1)
    add(world, user_id=2)
    runner = Runner(lambda _: None)
    served(world, runner, 4, lambda: len(runner.started) == 3)
    assert sorted(runner.started) == [1, 1, 2]


def test_who_has_fewest_running_is_next(world: World) -> None:
    """Of two who wait the one with less under way goes first, then the older job."""
    jobs = [add(world, user_id=1), add(world, user_id=2)]
    assert next_job(jobs, {1: 1, 2: 0}, places=4) == jobs[1]
    assert next_job(jobs, {}, places=4) == jobs[0]
    assert next_job(jobs, {1: 2, 2: 2}, places=4) is None
    assert next_job(jobs, {}, places=1) == jobs[0]


def test_a_job_ends_well(world: World) -> None:
    """What it made is named in the transaction that completes it, and what it needed is tidied away."""
    job = add(world, user_id=1)
    runner = Runner(lambda _: None)
    runner.gate.set()
    served(world, runner, 1, lambda: bool(runner.tidied))
    now = found(world, job)
    assert (now.status, now.result, now.fraction, now.attempts) == (JobStatus.COMPLETED, '"done"', 1.0, 1)
    assert runner.tidied == [job.id]


def fail(error: Exception) -> Callable[[Job], object]:
    """Work that fails."""

    def work(_: Job) -> object:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (invalid_request("It has no header."), "It has no header."),
        (WorkerFailedError(WorkerFailure.MEMORY, "detail"), "memory: detail"),
        (ZeroDivisionError("secret"), "Something went wrong in the server"),
    ],
)
def test_a_job_that_fails_says_why(world: World, error: Exception, said: str) -> None:
    """Errors of the closed set and of workers are told in words, others only to the log."""
    job = add(world, user_id=1)
    runner = Runner(fail(error))
    runner.gate.set()
    served(world, runner, 1, lambda: bool(runner.tidied))
    now = found(world, job)
    assert now.status is JobStatus.FAILED
    assert now.error is not None
    assert now.error.startswith(said)
    assert "secret" not in now.error


def test_a_lost_worker_is_no_fault_of_the_job(world: World) -> None:
    """A job whose worker was lost is begun again, three times at most."""
    job = add(world, user_id=1)
    runner = Runner(fail(WorkerFailedError(WorkerFailure.LOST, "the template ended")))
    runner.gate.set()
    served(world, runner, 1, lambda: bool(runner.tidied))
    assert (found(world, job).status, found(world, job).attempts) == (JobStatus.FAILED, 3)


def test_stopping_gives_jobs_back(world: World) -> None:
    """A job that runs when the server stops is queued again, as if it had not been begun."""
    job = add(world, user_id=1)
    runner = Runner(lambda _: None)
    served(world, runner, 1, lambda: bool(runner.started))
    assert (found(world, job).status, found(world, job).attempts) == (JobStatus.QUEUED, 0)
    assert runner.tidied == []


def begin(world: World, job: Job, holder: str, lease_until: int) -> None:
    """Begins a job for someone else."""
    lease = Lease(holder, lease_until)
    assert world.run(world.doors.write(lambda editor: editor.jobs.begin(job.id, lease)))


def test_jobs_of_who_is_gone_are_taken_back(world: World) -> None:
    """A start takes its own jobs of before, and those of others only when their lease has run out."""
    now = time.time_ns() // 1_000_000
    mine, expired, held = (add(world, user_id=number) for number in (1, 2, 3))
    begin(world, mine, "server", now + 60_000)
    begin(world, expired, "other", now - 1)
    begin(world, held, "other", now + 60_000)
    world.run(world.doors.write(lambda editor: editor.jobs.take_back_lost("server")))
    states = [found(world, job).status for job in (mine, expired, held)]
    assert states == [JobStatus.QUEUED, JobStatus.QUEUED, JobStatus.RUNNING]


def test_an_expired_lease_is_found_while_the_service_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of another process that has died is taken over when its lease has run out, without a restart."""
    monkeypatch.setattr(jobs_module, "LOOK_SECONDS", 0.05)
    job = add(world, user_id=1)
    begin(world, job, "other", time.time_ns() // 1_000_000 + 300)
    runner = Runner(lambda _: None)
    runner.gate.set()
    served(world, runner, 1, lambda: bool(runner.tidied))
    assert (found(world, job).status, found(world, job).attempts) == (JobStatus.COMPLETED, 2)


def test_who_has_lost_a_job_names_nothing(world: World) -> None:
    """A job that was cancelled meanwhile is not completed, and what it made is discarded."""
    job = add(world, user_id=1)
    runner = Runner(lambda _: None)

    async def cancel() -> None:
        await world.doors.write(lambda editor: editor.jobs.cancel(job.id))
        runner.gate.set()

    async def serve() -> None:
        service = JobService(world.doors, {JobKind.EXPORT: runner}, {JobKind.EXPORT: 1})
        running = asyncio.create_task(service.run())
        await happens(lambda: bool(runner.started))
        await cancel()
        await happens(lambda: bool(runner.tidied) and not service.running_count)
        running.cancel()
        await asyncio.wait({running})

    world.run(serve())
    assert found(world, job).status is JobStatus.CANCELLED
    assert found(world, job).result is None
    assert runner.tidied == [-job.id, job.id]
