"""Workers that are forked before there is a job for them: each does one, in the same jail as any other."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure
from rowkeep.workers.jail import missing_walls
from rowkeep.workers.pool import READY_PER_PREPARATION, WorkerPool
from tests.contract.test_worker_jail import (
    JOBS,
    OTHER_REFUSALS,
    is_running,
    job,
    parent_of,
    with_pool,
)
from tests.contract.test_worker_jail import folder as folder  # a fixture
from tests.contract.test_worker_jail import modules as modules  # a fixture

PREPARATION = f"{JOBS}:prepare"


async def told(pool: WorkerPool, folder: Path) -> tuple[int, list[int]]:
    """Which process did a job, and in which ones it was prepared."""
    asked = msgspec.structs.replace(job("tell_prepared", folder), preparation=PREPARATION)
    return msgspec.json.decode(await pool.run(asked), type=tuple[int, list[int]])


def children_of(process_id: int) -> set[int]:
    """The processes that one has forked."""
    text = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return {int(number) for number in text.split()}


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something to be true."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about")


async def waiting_workers(template: int) -> set[int]:
    """The workers of a template, once as many wait as should."""
    await until(lambda: len(children_of(template)) == READY_PER_PREPARATION)
    return children_of(template)


def template_of() -> int:
    """The process that workers are forked from, which is a child of this one."""
    [found] = [child for child in children_of(os.getpid()) if b"template" in _command(child)]
    return found


def _command(process_id: int) -> bytes:
    return Path(f"/proc/{process_id}/cmdline").read_bytes()


def _has_files(process_id: int) -> bool:
    return Path(f"/proc/{process_id}/fd").exists()


def test_a_job_is_done_by_a_worker_that_was_ready_and_by_no_other(folder: Path) -> None:
    """Each job has a process of its own, which was prepared once, and which was there before the job."""

    async def run(pool: WorkerPool) -> None:
        seen: set[int] = set()
        process_id, prepared = await told(pool, folder)
        assert prepared == [process_id]
        for _ in range(4):
            seen.add(process_id)
            waiting = await waiting_workers(template_of())
            process_id, prepared = await told(pool, folder)
            assert prepared == [process_id]
            assert process_id in waiting
            assert process_id not in seen

    with_pool(run)


def test_more_jobs_than_ready_workers(folder: Path) -> None:
    """Those that find none have one forked; afterwards as many wait as before."""

    async def run(pool: WorkerPool) -> None:
        await told(pool, folder)
        found = await asyncio.gather(*(told(pool, folder) for _ in range(6)))
        assert len({process_id for process_id, _ in found}) == 6
        assert all(prepared == [process_id] for process_id, prepared in found)
        await waiting_workers(template_of())

    with_pool(run, workers_max=6)


def test_a_ready_worker_that_was_killed_is_no_jobs_failure(folder: Path) -> None:
    """The next job takes another."""

    async def run(pool: WorkerPool) -> None:
        await told(pool, folder)
        killed = await waiting_workers(template_of())
        for process_id in killed:
            os.kill(process_id, 9)
        await until(lambda: not children_of(template_of()) & killed)
        process_id, _ = await told(pool, folder)
        assert process_id not in killed

    with_pool(run)


def test_ready_workers_end_with_the_pool(folder: Path) -> None:
    """None is left when the pool closes, and none when its template dies; then the next job has a new one."""

    async def run(pool: WorkerPool) -> set[int]:
        await told(pool, folder)
        first = await waiting_workers(template_of())
        os.kill(parent_of(next(iter(first))), 9)
        await until(lambda: not any(_has_files(process_id) for process_id in first))
        process_id, prepared = await told(pool, folder)
        assert prepared == [process_id]
        return first | await waiting_workers(template_of())

    assert not [process_id for process_id in with_pool(run) if is_running(process_id)]


@pytest.mark.skipif(missing_walls() != [], reason=f"this machine cannot: {missing_walls()}")
@pytest.mark.parametrize(
    "attempt", ["read /etc/passwd", "read beside the folder", "connect", "fork", "raise a limit"]
)
def test_the_walls_of_a_ready_worker(folder: Path, attempt: str) -> None:
    """It goes to jail before it sees the job's arguments, as any worker does."""

    async def run(pool: WorkerPool) -> object:
        await told(pool, folder)
        asked = msgspec.structs.replace(job("attempt", folder, attempt), preparation=PREPARATION)
        return msgspec.json.decode(await pool.run(asked))

    assert with_pool(run) == OTHER_REFUSALS.get(attempt, "PermissionError")


def test_a_preparation_that_leaves_a_thread_is_refused(folder: Path) -> None:
    """Landlock would not hold that thread: no job runs beside it."""
    asked = msgspec.structs.replace(job("double", folder, 2), preparation=f"{JOBS}:start_thread")
    with pytest.raises(WorkerFailedError, match="2 threads") as caught:
        with_pool(lambda pool: pool.run(asked))
    assert caught.value.failure is WorkerFailure.CRASH
