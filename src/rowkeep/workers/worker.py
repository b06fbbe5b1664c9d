"""A worker's own end: it reads its job, goes to jail, runs the function and says what came of it.

What takes long and is the same for every job can be done before there is one: the preparation. It sees
nothing of any caller, and must leave the process with one thread, since Landlock holds only the thread that
asks for it (jail.py refuses a process with more).
"""

import errno
import faulthandler
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import NoReturn, TypeVar

import msgspec

from rowkeep.model.errors import RowkeepError
from rowkeep.model.worker_jobs import WorkerFailure, WorkerJob
from rowkeep.workers.jail import die_with, enter_jail
from rowkeep.workers.messages import LENGTH_BYTES, Failure, FromWorker, Progress, Refusal, Result

PROGRESS_SECONDS_MIN = 0.2
PREPARING_NICENESS = 10
_CHANNEL = 3

Arguments = TypeVar("Arguments")


class Work:
    """The input of a job's function: its arguments, its folder, and a way to report progress."""

    def __init__(self, job: WorkerJob, say: Callable[[FromWorker], None]) -> None:
        self._job = job
        self._say = say
        self._said_at = 0.0
        self.folder = Path(job.folder)

    def arguments(self, type_: type[Arguments]) -> Arguments:
        """Returns the job's arguments."""
        return msgspec.json.decode(self._job.arguments, type=type_)

    def report(self, fraction: float) -> None:
        """Reports the progress, from 0 to 1. A report that follows too soon is left out."""
        now = monotonic()
        if now - self._said_at >= PROGRESS_SECONDS_MIN:
            self._said_at = now
            self._say(Progress(fraction))


JobFunction = Callable[[Work], object]


def run_worker(channel: int, errors: int, parent: int, preparation: str | None) -> NoReturn:
    """Runs one job in this process, which was forked for it, and ends."""
    try:
        die_with(parent)
        _take_descriptors(channel, errors)
        if preparation is not None:
            os.nice(PREPARING_NICENESS)
            _named(preparation)()
        job = _read_job()
        function: JobFunction = _named(job.function)
        enter_jail(job)
        _say(_outcome(function, Work(job, _say)))
        os._exit(0)
    except BaseException:  # noqa: BLE001  # whatever it is, these are the worker's last words
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _take_descriptors(channel: int, errors: int) -> None:
    """Makes the channel descriptor 3.

    Of all others only input, output and errors stay, and they lead nowhere.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    channel, errors = os.dup(channel), os.dup(errors)
    for descriptor, target in ((nothing, 0), (nothing, 1), (errors, 2), (channel, _CHANNEL)):
        if descriptor != target:
            os.dup2(descriptor, target)
    os.closerange(_CHANNEL + 1, 2**31 - 1)
    faulthandler.enable()


def _read_job() -> WorkerJob:
    length = int.from_bytes(_read_exactly(LENGTH_BYTES), "big")
    return msgspec.json.decode(_read_exactly(length), type=WorkerJob)


def _read_exactly(byte_count: int) -> bytes:
    found = bytearray()
    while len(found) < byte_count:
        part = os.read(_CHANNEL, byte_count - len(found))
        if not part:
            raise EOFError("the server is gone")
        found += part
    return bytes(found)


def _named(name: str) -> Callable[..., object]:
    module, _, function = name.partition(":")
    found: Callable[..., object] = getattr(importlib.import_module(module), function)
    return found


def _outcome(function: JobFunction, work: Work) -> FromWorker:
    try:
        return Result(msgspec.Raw(msgspec.json.encode(function(work))))
    except RowkeepError as error:
        return Refusal(error.code, error.message, error.detail)
    except MemoryError as error:
        return Failure(WorkerFailure.MEMORY, repr(error))
    except OSError as error:
        traceback.print_exc()
        is_too_large = error.errno in {errno.EFBIG, errno.ENOSPC}
        return Failure(WorkerFailure.SCRATCH if is_too_large else WorkerFailure.CRASH, repr(error))


def _say(message: FromWorker) -> None:
    rest = memoryview(msgspec.json.encode(message) + b"\n")
    while rest:
        rest = rest[os.write(_CHANNEL, rest) :]
