"""The server's end of the template (template.py)."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec
import structlog

from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure
from rowkeep.workers.messages import Ended, Fork, FromTemplate, Kill, Ready, Started, ToTemplate

END_SECONDS_MAX = 5.0
_DATAGRAM_BYTES_MAX = 4096
# Libraries must not start threads before a fork: allocators, linear algebra.
_ENVIRONMENT = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "HOME": "/nonexistent",
}
_INHERITED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")

Value = TypeVar("Value")

_log = structlog.get_logger("rowkeep.workers")


class ForkedWorker:
    """The state of a worker: its process id, and how it ended."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[Ended] = loop.create_future()

    def lose(self) -> None:
        """Marks the worker as lost, because the template is gone."""
        for future in (self.started, self.ended):
            if not future.done():
                future.set_exception(WorkerFailedError(WorkerFailure.LOST, "the template process ended"))
                future.exception()  # nobody need look at it


class TemplateProcess:
    """Starts the template, makes it fork and kill workers, and hears how they end."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._command = (sys.executable, "-P", "-m", "rowkeep.workers.template", *modules)
        self._process: Process | None = None
        self._control, self._their_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._messages = msgspec.json.Decoder(FromTemplate)
        self._workers: dict[int, ForkedWorker] = {}
        self.is_lost = False

    async def start(self) -> None:
        """Starts the process. It imports its modules before it forks."""
        self._control.setblocking(False)
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=self._their_control.fileno(),
                stdout=DEVNULL,
                env={**inherited, **_ENVIRONMENT},
                start_new_session=True,  # an interrupt at the terminal is the server's to handle
            )
        finally:
            self._their_control.close()
        asyncio.get_running_loop().add_reader(self._control, self._hear)

    def fork(self, message: Fork, channel: int, errors: int) -> ForkedWorker:
        """Returns a new worker that talks through these descriptors. They may be closed then."""
        worker = self._workers[message.number] = ForkedWorker()
        try:
            socket.send_fds(self._control, [msgspec.json.encode(message)], [channel, errors])
        except OSError:
            self._lose()
        return worker

    def kill(self, number: int) -> None:
        """Kills a worker, unless it has ended."""
        self._tell(Kill(number))

    def _tell(self, message: ToTemplate) -> None:
        try:
            self._control.send(msgspec.json.encode(message))
        except OSError:
            self._lose()

    def _hear(self) -> None:
        try:
            datagram = self._control.recv(_DATAGRAM_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            datagram = b""
        if not datagram:
            self._lose()
            return
        message = self._messages.decode(datagram)
        if isinstance(message, Ready):
            _tell_walls(message)
        elif isinstance(message, Started):
            _settle(self._workers[message.number].started, message.process_id)
        else:
            _settle(self._workers.pop(message.number).ended, message)

    def _lose(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            asyncio.get_running_loop().remove_reader(self._control)
        for worker in self._workers.values():
            worker.lose()
        self._workers.clear()

    async def close(self) -> None:
        """Ends the template and with it all workers."""
        self._lose()
        self._control.close()
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), END_SECONDS_MAX)
        if process.returncode is None:
            process.kill()
            await process.wait()


def _settle(future: "asyncio.Future[Value]", value: Value) -> None:
    if not future.done():  # whoever waited may have been cancelled, and the future with them
        future.set_result(value)


def _tell_walls(ready: Ready) -> None:
    if ready.missing_walls:
        _log.warning("walls around workers that this machine cannot put up", missing=ready.missing_walls)
