"""Each wall of the jail stands, and whoever waits for a worker hears why it gave no answer."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.worker_jobs import MEBIBYTE, WorkerFailedError, WorkerFailure, WorkerJob, WorkerLimits
from rowkeep.workers.jail import missing_walls
from rowkeep.workers.pool import WorkerPool
from tests.contract import jailed
from tests.house.sources import ROOT

JOBS = "tests.contract.jailed"
# What is refused in other words than "permission denied".
OTHER_REFUSALS = {"clone3": "OSError", "raise a limit": "ValueError"}
Result = TypeVar("Result")


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find the job functions of the tests."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("ROWKEEP_SECRET", "not for workers")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A worker's folder, with its input and something secret beside it."""
    (tmp_path / "input").write_text("the input")
    (tmp_path / "secret").write_text("a secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    yield folder
    assert (tmp_path / "input").read_text() == "the input"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "input", "secret"]


def job(function: str, folder: Path, argument: object = None, **limits: float) -> WorkerJob:
    """A job that runs a function of `jailed.py`."""
    return WorkerJob(
        function=f"{JOBS}:{function}",
        arguments=msgspec.Raw(msgspec.json.encode(argument)),
        folder=str(folder),
        readable=(str(folder.parent / "input"),),
        limits=msgspec.convert(limits, WorkerLimits),
    )


def with_pool(run: Callable[[WorkerPool], Awaitable[Result]], workers_max: int = 2) -> Result:
    """Runs something with a pool."""

    async def main() -> Result:
        pool = WorkerPool(JOBS, workers_max=workers_max)
        try:
            return await asyncio.wait_for(run(pool), 60)
        finally:
            await pool.close()

    return asyncio.run(main())


def answer(work: WorkerJob) -> object:
    """What comes of one job."""
    return msgspec.json.decode(with_pool(lambda pool: pool.run(work)))


def failure(work: WorkerJob) -> WorkerFailedError:
    """Why one job gave no answer; another that runs beside it and one after it do all the same."""

    async def run(pool: WorkerPool) -> WorkerFailedError:
        other_folder = Path(work.folder) / "other"
        other_folder.mkdir()
        beside = asyncio.create_task(pool.run(job("double", other_folder, 2)))
        with pytest.raises(WorkerFailedError) as caught:
            await pool.run(work)
        assert await beside == b"4"
        assert await pool.run(job("use_threads", other_folder)) == b"4"
        return caught.value

    return with_pool(run)


def test_a_job_gets_its_answer(folder: Path) -> None:
    """Arguments go in, progress and a result come back, and files lie in the worker's folder."""
    heard: list[float] = []
    found = with_pool(lambda pool: pool.run(job("double", folder, 21), heard.append))
    assert (found, heard) == (b"42", [0.5])
    assert (folder / "number").read_text() == "21"


def test_an_input_can_be_read(folder: Path) -> None:
    """What the job names as its input is open to it."""
    assert answer(job("read", folder, str(folder.parent / "input"))) == "the input"


def test_what_a_job_has_against_its_input_is_the_callers_to_hear(folder: Path) -> None:
    """An error of the closed set comes back as it was raised."""
    with pytest.raises(RowkeepError, match="line 3 ends in a quote") as caught:
        with_pool(lambda pool: pool.run(job("refuse", folder, "line 3 ends in a quote")))
    assert caught.value.code is ErrorCode.INVALID_REQUEST


@pytest.mark.skipif(missing_walls() != [], reason=f"this machine cannot: {missing_walls()}")
def test_no_wall_is_passed(folder: Path) -> None:
    """Files, network, processes, limits: whatever is tried is refused, and threads are not."""

    async def run(pool: WorkerPool) -> dict[str, object]:
        found = {}
        for name in jailed.ATTEMPTS:
            found[name] = msgspec.json.decode(await pool.run(job("attempt", folder, name)))
        return found

    expected = {name: OTHER_REFUSALS.get(name, "PermissionError") for name in jailed.ATTEMPTS}
    assert with_pool(run) == expected


def test_nothing_of_the_server_is_handed_on(folder: Path) -> None:
    """No variable of the environment, no open file."""

    async def run(pool: WorkerPool) -> None:
        names = msgspec.json.decode(await pool.run(job("environment", folder)))
        assert "ROWKEEP_SECRET" not in names
        assert names["HOME"] == "/nonexistent"
        assert msgspec.json.decode(await pool.run(job("descriptors", folder))) == [0, 1, 2, 3]

    with_pool(run)


@pytest.mark.parametrize(
    ("function", "limits", "expected"),
    [
        ("wait", {"seconds_max": 0.5}, WorkerFailure.TIME),
        ("compute", {"seconds_max": 0.5}, WorkerFailure.TIME),
        ("ignore_signals", {"seconds_max": 0.5}, WorkerFailure.TIME),
        ("eat_memory", {"memory_bytes_max": 200 * MEBIBYTE}, WorkerFailure.MEMORY),
        ("eat_at_once", {"memory_bytes_max": 200 * MEBIBYTE}, WorkerFailure.MEMORY),
        ("fill_folder", {"scratch_bytes_max": 20 * MEBIBYTE}, WorkerFailure.SCRATCH),
        ("fill_file", {"scratch_bytes_max": 20 * MEBIBYTE}, WorkerFailure.SCRATCH),
        ("make_files", {"scratch_files_max": 100}, WorkerFailure.SCRATCH),
    ],
)
def test_a_limit_ends_its_worker_alone(
    folder: Path, function: str, limits: dict[str, int], expected: WorkerFailure
) -> None:
    """A worker that goes beyond a limit is killed, and no other is."""
    assert failure(job(function, folder, **limits)).failure is expected
    held = sum(file.stat().st_blocks * 512 for file in folder.rglob("*"))
    assert held < 1024 * MEBIBYTE


@pytest.mark.parametrize("how", jailed.CRASHES)
def test_a_crash_ends_its_worker_alone(folder: Path, how: str) -> None:
    """An exception, a signal, a silent end: each is a crash, and says what is known of it."""
    found = failure(job("crash", folder, how))
    assert found.failure is WorkerFailure.CRASH
    if how == "exception":
        assert "by what was in the file" in found.detail


@pytest.mark.parametrize(
    ("said", "expected"),
    [("long", WorkerFailure.ANSWER), ("many", WorkerFailure.ANSWER), ("none", WorkerFailure.CRASH)],
)
def test_a_worker_cannot_flood_the_server(folder: Path, said: str, expected: WorkerFailure) -> None:
    """A worker that says too much, or nonsense, is killed."""
    assert failure(job("chatter", folder, said, answer_bytes_max=65_536)).failure is expected


def test_cancelling_kills(folder: Path) -> None:
    """Who stops waiting for a job ends its process."""

    async def run(pool: WorkerPool) -> int:
        waiting = asyncio.create_task(pool.run(job("tell_process_id", folder)))
        process_id = await _told(folder)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return process_id

    assert not is_running(with_pool(run))


def test_cancelling_at_once(folder: Path) -> None:
    """A job that is given up before its worker has begun leaves nothing behind, and the pool works on."""

    async def run(pool: WorkerPool) -> list[object]:
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        for turns in range(8):
            waiting = asyncio.create_task(pool.run(job("wait", folder)))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert await pool.run(job("use_threads", folder)) == b"4"
        return problems

    assert with_pool(run) == []


def test_workers_die_with_the_template_and_the_next_job_starts_another(folder: Path) -> None:
    """A template that is killed takes its workers with it; who waits hears of it."""

    async def run(pool: WorkerPool) -> int:
        waiting = asyncio.create_task(pool.run(job("tell_process_id", folder)))
        process_id = await _told(folder)
        os.kill(parent_of(process_id), 9)
        with pytest.raises(WorkerFailedError) as caught:
            await waiting
        assert caught.value.failure is WorkerFailure.LOST
        assert await pool.run(job("use_threads", folder)) == b"4"
        return process_id

    process_id = with_pool(run)
    assert not is_running(process_id)


def test_closing_ends_all(folder: Path) -> None:
    """No process is left when the server stops, and none when it only dies: its socket closes either way."""

    async def run(pool: WorkerPool) -> int:
        waiting = asyncio.create_task(pool.run(job("tell_process_id", folder)))
        process_id = await _told(folder)
        await pool.close()
        with pytest.raises(WorkerFailedError):
            await waiting
        return process_id

    assert not is_running(with_pool(run))


def test_no_more_than_so_many_at_a_time(folder: Path) -> None:
    """A job waits until there is room for it."""

    async def run(pool: WorkerPool) -> None:
        first = asyncio.create_task(pool.run(job("tell_process_id", folder)))
        await _told(folder)
        second = asyncio.create_task(pool.run(job("use_threads", folder)))
        done, _ = await asyncio.wait({second}, timeout=0.3)
        assert not done
        first.cancel()
        assert await second == b"4"

    with_pool(run, workers_max=1)


def test_a_template_that_cannot_start(folder: Path) -> None:
    """A job of a pool whose template does not start fails, and does not wait for ever."""

    async def run() -> None:
        pool = WorkerPool("tests.contract.there_is_no_such_module", workers_max=1)
        try:
            with pytest.raises(WorkerFailedError) as caught:
                await pool.run(job("use_threads", folder))
            assert caught.value.failure is WorkerFailure.LOST
        finally:
            await pool.close()

    asyncio.run(run())


async def _told(folder: Path) -> int:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        await asyncio.sleep(0.02)
        file = folder / "pid"
        if file.exists() and file.read_text():
            return int(file.read_text())
    raise AssertionError("the worker does not run")


def parent_of(process_id: int) -> int:
    """The process that forked another."""
    return int(Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[1])


def is_running(process_id: int) -> bool:
    """Whether a process is there and not just waiting to be reaped; looks for a while before it says so."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        if state in "ZX":
            return False
        time.sleep(0.02)
    return True
