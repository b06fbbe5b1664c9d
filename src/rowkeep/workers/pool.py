"""The pool of jailed workers: a process for each job, forked from a template, watched and killed from here.

A worker that goes beyond its limits, that crashes or says nonsense ends its own job and nothing else.
Whoever waits for it hears why (WorkerFailedError), or what the job has against its input (RowkeepError).
Cancelling the wait kills the worker. jail.py tells what holds it meanwhile.

A job with a preparation (model/worker_jobs.py) is done by a worker that was forked before it was asked for:
when one has been taken, and its job has ended, another is made ready. Each does one job. They cost 8 MiB of
memory each while they wait, and what they save is most of the time of a small query.

Measured on two processors that others used too, with pyarrow and DuckDB imported: 14 ms from asking to the
answer of a job that does nothing, where a process that starts from nothing takes 400 ms for its imports.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

import msgspec

from rowkeep.model.errors import RowkeepError
from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure, WorkerJob
from rowkeep.workers.messages import LENGTH_BYTES, Ended, Failure, Fork, FromWorker, Progress, Refusal
from rowkeep.workers.template_process import TemplateProcess
from rowkeep.workers.watching import check_folder, check_memory

WATCH_SECONDS = 0.05
FOLDER_WATCH_ROUNDS = 5
ERROR_BYTES_MAX = 64 * 1024
# A new query takes two workers, one after the other.
READY_PER_PREPARATION = 2
_OUT_OF_MEMORY = (b"memory allocation of", b"bad_alloc", b"MemoryError")

ProgressListener = Callable[[float], None]


class WorkerAnswer(NamedTuple):
    """The result of a job's function, as JSON. `gone` is done when the worker's process has ended."""

    value: bytes
    gone: "asyncio.Task[None]"


_messages = msgspec.json.Decoder(FromWorker)


class WorkerPool:
    """Runs jobs in jailed processes, a bounded number at a time."""

    def __init__(self, *modules: str, workers_max: int) -> None:
        self._modules = modules
        self._room = asyncio.Semaphore(workers_max)
        self._numbers = count()
        self._starting = asyncio.Lock()
        self._template: TemplateProcess | None = None
        self._ready: dict[str, list[_Worker]] = {}
        self._endings: set[asyncio.Task[None]] = set()

    async def run(self, job: WorkerJob, listener: ProgressListener = lambda _: None) -> bytes:
        """Runs a job. Returns the result of its function as JSON, once its process has ended.

        Raises RowkeepError or WorkerFailedError.
        """
        answer = await self.ask(job, listener)
        await _finished(answer.gone)
        return answer.value

    async def ask(self, job: WorkerJob, listener: ProgressListener = lambda _: None) -> WorkerAnswer:
        """Runs a job. Returns the result of its function at once; its process may live a moment longer.

        This is for answers that need no files: the process may still hold a file open that it has written.
        Raises as `run` does.
        """
        await self._room.acquire()
        try:
            template = await self._running_template()
            worker = self._ready_worker(job) or self._new_worker(template, job.preparation)
        except BaseException:
            self._room.release()
            raise
        gone = None
        try:
            value = await worker.run(job, listener)
            return WorkerAnswer(value, gone := self._ending(worker, job.preparation, template))
        finally:
            if gone is None:
                await _finished(self._ending(worker, job.preparation, template))

    def _ending(
        self, worker: "_Worker", preparation: str | None, template: TemplateProcess
    ) -> "asyncio.Task[None]":
        """Ends a worker, and gives its place to the next one."""
        ending = asyncio.create_task(self._end(worker, preparation, template))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        return ending

    async def _end(self, worker: "_Worker", preparation: str | None, template: TemplateProcess) -> None:
        try:
            await worker.end()
        finally:
            self._room.release()
        self._make_ready(template, preparation)

    def _new_worker(self, template: TemplateProcess, preparation: str | None) -> "_Worker":
        return _Worker(template, Fork(next(self._numbers), preparation))

    def _ready_worker(self, job: WorkerJob) -> "_Worker | None":
        """Returns a worker that waits for such a job, if there is one. Dead ones are passed over."""
        waiting = self._ready.get(job.preparation or "", [])
        while waiting:
            worker = waiting.pop(0)
            if worker.is_waiting:
                return worker
            worker.let_go()
        return None

    def _make_ready(self, template: TemplateProcess, preparation: str | None) -> None:
        if preparation is None or template.is_lost:
            return
        waiting = self._ready.setdefault(preparation, [])
        while len(waiting) < READY_PER_PREPARATION:
            waiting.append(self._new_worker(template, preparation))

    def _let_ready_go(self) -> None:
        """Forgets the waiting workers. They end with their template."""
        for worker in (worker for waiting in self._ready.values() for worker in waiting):
            worker.let_go()
        self._ready.clear()

    async def _running_template(self) -> TemplateProcess:
        async with self._starting:
            if self._template is None or self._template.is_lost:
                await self.close()
                self._template = await self._new_template()
            return self._template

    async def _new_template(self) -> TemplateProcess:
        template = TemplateProcess(self._modules)
        try:
            await template.start()
        except BaseException:
            await template.close()
            raise
        return template

    async def close(self) -> None:
        """Ends all workers."""
        if self._template is not None:
            await self._template.close()
        if self._endings:
            await asyncio.wait(self._endings)
        self._let_ready_go()


class _Worker:
    """One worker, from its fork to its end."""

    def __init__(self, template: TemplateProcess, fork: Fork) -> None:
        self._template = template
        self._number = fork.number
        self._channel, their_channel = socket.socketpair()
        self._errors, their_errors = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._fork = template.fork(fork, their_channel.fileno(), their_errors)
        finally:
            their_channel.close()
            os.close(their_errors)

    @property
    def is_waiting(self) -> bool:
        """Returns whether the worker can still take a job.

        The system closes its channel when its process ends. The template may report the end a moment later.
        """
        if self._fork.ended.done():
            return False
        try:
            return self._channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True

    async def run(self, job: WorkerJob, listener: ProgressListener) -> bytes:
        """Runs a job within its limits."""
        limits = job.limits
        conversation = asyncio.create_task(self._converse(job, listener))
        try:
            async with asyncio.timeout(limits.seconds_max):
                process_id = await self._fork.started
                await self._watch(process_id, job, conversation)
        except TimeoutError:
            raise WorkerFailedError(WorkerFailure.TIME, f"more than {limits.seconds_max} s") from None
        finally:
            conversation.cancel()
        result = conversation.result()
        check_folder(Path(job.folder), limits)
        return result

    async def _watch(self, process_id: int, job: WorkerJob, conversation: "asyncio.Task[bytes]") -> None:
        folder = Path(job.folder)
        for turn in count():
            done, _ = await asyncio.wait({conversation}, timeout=WATCH_SECONDS)
            if done:
                return
            check_memory(process_id, job.limits)
            if turn % FOLDER_WATCH_ROUNDS == 0:
                check_folder(folder, job.limits)

    async def _converse(self, job: WorkerJob, listener: ProgressListener) -> bytes:
        bytes_max = job.limits.answer_bytes_max
        self._channel.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=self._channel, limit=bytes_max)
        try:
            asked = msgspec.json.encode(job)
            writer.write(len(asked).to_bytes(LENGTH_BYTES, "big") + asked)
            while line := await self._line(reader):
                bytes_max -= len(line)
                if bytes_max < 0:
                    raise WorkerFailedError(WorkerFailure.ANSWER, "too many messages")
                message = _decoded(line)
                if isinstance(message, Progress):
                    listener(message.fraction)
                elif isinstance(message, Refusal):
                    raise RowkeepError(message.code, message.message, detail=message.detail)
                elif isinstance(message, Failure):
                    raise WorkerFailedError(message.failure, f"{message.detail} {self._last_words()!r}")
                else:
                    return bytes(message.value)
        except (ConnectionError, BrokenPipeError):
            pass
        finally:
            writer.close()
        raise self._death(await self._fork.ended)

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readline()
        except ValueError as error:
            raise WorkerFailedError(WorkerFailure.ANSWER, str(error)) from error

    def _death(self, end: Ended) -> WorkerFailedError:
        words = self._last_words()
        code = os.waitstatus_to_exitcode(end.status)
        failure = WorkerFailure.CRASH
        if code == -signal.SIGXCPU:
            failure = WorkerFailure.TIME
        elif code == -signal.SIGKILL or any(sign in words for sign in _OUT_OF_MEMORY):
            failure = WorkerFailure.MEMORY  # nobody here has killed it, so the system did
        return WorkerFailedError(failure, f"exit code {code} {words!r}")

    def _last_words(self) -> bytes:
        try:
            return os.read(self._errors, ERROR_BYTES_MAX)
        except BlockingIOError:
            return b""

    async def end(self) -> None:
        """Kills the worker if it still runs. Returns when it is gone."""
        with suppress(WorkerFailedError):
            if not self._fork.ended.done():
                self._template.kill(self._number)
            await self._fork.ended
        self.let_go()

    def let_go(self) -> None:
        """Closes the descriptors that lead to the worker."""
        self._channel.close()
        os.close(self._errors)


async def _finished(ending: "asyncio.Task[None]") -> None:
    """Waits for an end that must come, even if this wait is cancelled meanwhile."""
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await asyncio.wait({ending})
        raise


def _decoded(line: bytes) -> FromWorker:
    try:
        message: FromWorker = _messages.decode(line)
    except msgspec.MsgspecError as error:
        raise WorkerFailedError(WorkerFailure.CRASH, f"it said {line[:200]!r}: {error}") from error
    return message
