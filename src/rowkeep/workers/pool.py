"""The pool of jailed workers: a process for each job, forked from a template, watched and killed from here.

A worker that goes beyond its limits, that crashes or says nonsense ends its own job and nothing else.
Whoever waits for it hears why (WorkerFailedError), or what the job has against its input (RowkeepError).
Cancelling the wait kills the worker. jail.py tells what holds it meanwhile.

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

import msgspec

from rowkeep.model.errors import RowkeepError
from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure, WorkerJob
from rowkeep.workers.messages import LENGTH_BYTES, Ended, Failure, FromWorker, Progress, Refusal
from rowkeep.workers.template_process import TemplateProcess
from rowkeep.workers.watching import check_folder, check_memory

WATCH_SECONDS = 0.05
FOLDER_WATCH_ROUNDS = 5
ERROR_BYTES_MAX = 64 * 1024
_OUT_OF_MEMORY = (b"memory allocation of", b"bad_alloc", b"MemoryError")

ProgressListener = Callable[[float], None]
_messages = msgspec.json.Decoder(FromWorker)


class WorkerPool:
    """Runs jobs in jailed processes, so many at a time."""

    def __init__(self, *modules: str, workers_max: int) -> None:
        self._modules = modules
        self._room = asyncio.Semaphore(workers_max)
        self._numbers = count()
        self._starting = asyncio.Lock()
        self._template: TemplateProcess | None = None

    async def run(self, job: WorkerJob, listener: ProgressListener = lambda _: None) -> bytes:
        """What the job's function returned, as JSON. Raises RowkeepError or WorkerFailedError."""
        async with self._room:
            template = await self._running_template()
            worker = _Worker(template, next(self._numbers), job)
            try:
                return await worker.run(listener)
            finally:
                await worker.end()

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


class _Worker:
    """One worker, from its fork to its end."""

    def __init__(self, template: TemplateProcess, number: int, job: WorkerJob) -> None:
        self._template = template
        self._number = number
        self._job = job
        self._channel, their_channel = socket.socketpair()
        self._errors, their_errors = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._fork = template.fork(number, their_channel.fileno(), their_errors)
        finally:
            their_channel.close()
            os.close(their_errors)

    async def run(self, listener: ProgressListener) -> bytes:
        """Runs the job within its limits."""
        limits = self._job.limits
        conversation = asyncio.create_task(self._converse(listener))
        try:
            async with asyncio.timeout(limits.seconds_max):
                process_id = await self._fork.started
                await self._watch(process_id, conversation)
        except TimeoutError:
            raise WorkerFailedError(WorkerFailure.TIME, f"more than {limits.seconds_max} s") from None
        finally:
            conversation.cancel()
        result = conversation.result()
        check_folder(Path(self._job.folder), limits)
        return result

    async def _watch(self, process_id: int, conversation: "asyncio.Task[bytes]") -> None:
        folder = Path(self._job.folder)
        for turn in count():
            done, _ = await asyncio.wait({conversation}, timeout=WATCH_SECONDS)
            if done:
                return
            check_memory(process_id, self._job.limits)
            if turn % FOLDER_WATCH_ROUNDS == 0:
                check_folder(folder, self._job.limits)

    async def _converse(self, listener: ProgressListener) -> bytes:
        bytes_max = self._job.limits.answer_bytes_max
        self._channel.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=self._channel, limit=bytes_max)
        try:
            job = msgspec.json.encode(self._job)
            writer.write(len(job).to_bytes(LENGTH_BYTES, "big") + job)
            while line := await self._line(reader):
                bytes_max -= len(line)
                if bytes_max < 0:
                    raise WorkerFailedError(WorkerFailure.ANSWER, "too many messages")
                message = _decoded(line)
                if isinstance(message, Progress):
                    listener(message.fraction)
                elif isinstance(message, Refusal):
                    raise RowkeepError(message.code, message.message)
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
        """Kills the worker if it still runs, and returns when it is gone."""
        with suppress(WorkerFailedError):
            if not self._fork.ended.done():
                self._template.kill(self._number)
            await self._fork.ended
        self._channel.close()
        os.close(self._errors)


def _decoded(line: bytes) -> FromWorker:
    try:
        message: FromWorker = _messages.decode(line)
    except msgspec.MsgspecError as error:
        raise WorkerFailedError(WorkerFailure.CRASH, f"it said {line[:200]!r}: {error}") from error
    return message
