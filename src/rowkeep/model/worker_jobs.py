"""The job of a jailed worker, its limits, and the ways in which it can end (workers/jail.py)."""

from enum import StrEnum

import msgspec

MEBIBYTE = 1024 * 1024


class WorkerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a worker. One that exceeds them is killed."""

    memory_bytes_max: int = 1024 * MEBIBYTE
    seconds_max: float = 600.0
    # What its folder holds, and the files in it.
    scratch_bytes_max: int = 4096 * MEBIBYTE
    scratch_files_max: int = 1000
    # What its disk must have left.
    free_bytes_min: int = 0
    # All that it says: progress and its result.
    answer_bytes_max: int = 16 * MEBIBYTE
    niceness: int = 10


class WorkerJob(msgspec.Struct, frozen=True, kw_only=True):
    """A function to run in a jail.

    `function` is a module and a function of it ("rowkeep.workers.load:load"); `arguments` are what it
    decodes. It may read the files and folders `readable`, and write to `folder` and nowhere else.

    `preparation` is a function without arguments that a worker calls before it is told of any job. Where it
    is given, the pool keeps workers ready that have called it: each still does one job and ends.
    """

    function: str
    preparation: str | None = None
    arguments: msgspec.Raw
    folder: str
    readable: tuple[str, ...] = ()
    limits: WorkerLimits = WorkerLimits()


class WorkerFailure(StrEnum):
    """The reasons why a worker gave no answer."""

    MEMORY = "memory"
    TIME = "time"
    SCRATCH = "scratch"
    ANSWER = "answer"
    CRASH = "crash"
    LOST = "lost"  # the process that starts workers died, or could not be started


class WorkerFailedError(Exception):
    """A worker ended without an answer. `detail` is for the log: it may hold anything."""

    def __init__(self, failure: WorkerFailure, detail: str) -> None:
        super().__init__(f"{failure.value}: {detail}")
        self.failure = failure
        self.detail = detail
