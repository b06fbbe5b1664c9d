"""The HTTP server process. The only file that knows granian.

One process serves everything, on one event loop: kill it and nothing of it is left (its child processes
end with their standard input). Stopping goes from the outside in: those who follow are told where to
resume, no new connections, what was accepted is answered, the journal is closed.

Rejected: several worker processes over one database file. There is one writer at a time anyway, each
process would fsync for itself, and the group commit that makes the server fast would be cut in pieces.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TextIO, cast

import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from rowkeep import __version__
from rowkeep.compose.application import open_application
from rowkeep.config import Settings, shown_settings
from rowkeep.connections import (
    DESCRIPTORS_RESERVED,
    SILENT_SECONDS_MAX,
    raise_descriptor_limit,
    watch_connections,
)
from rowkeep.storage.base import StorageError
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.marker import check_directory

BACKLOG = 1024
DRAIN_SECONDS_MAX = 8.0
# `rowkeep verify` holds the lock for a moment.
LOCK_SECONDS_MAX = 1.0
# Rows are millions of small objects without cycles; the default makes the collector walk them for nothing.
COLLECTED_OBJECTS_MIN = 100_000

_log = structlog.get_logger("rowkeep.server")


class StartError(Exception):
    """The server cannot start; the text says why and what to do."""


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises StartError."""
    configure_log(settings.log_level)
    with refusals_logged():
        if settings.workers != 1:
            raise StartError("This version serves with one worker; start it without --workers.")
        check_directory(settings.data_dir)
        _lock(DataDirectory(settings.data_dir))
        port = free_port(settings.host, settings.port)
    _log.info("starting", version=__version__, python=sys.version.split()[0], pid=os.getpid())
    _log.info("settings in force", **shown_settings(settings))
    uvloop.run(_serve(settings, port))


@contextmanager
def refusals_logged() -> Iterator[None]:
    """Writes a line in the log when a start is refused, and raises the refusal again."""
    try:
        yield
    except (StartError, StorageError, ValueError) as error:
        _log.error("start refused", reason=str(error))
        raise


def _lock(directory: DataDirectory) -> None:
    give_up_at = time.monotonic() + LOCK_SECONDS_MAX
    while True:
        try:
            directory.lock()
        except BlockingIOError as error:
            if time.monotonic() >= give_up_at:
                raise StartError(f"Another server is using {directory.path}; stop it first.") from error
            time.sleep(0.05)
        else:
            return


def free_port(host: str, port: int) -> int:
    """The port to listen on: itself if it is free, any free one for 0. Raises StartError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
        chosen: int = probe.getsockname()[1]
        return chosen


def http_server(application: object, host: str, port: int) -> Server:
    """The HTTP server as rowkeep runs it; the benchmark's floor runs the same."""
    return Server(
        application,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=int(SILENT_SECONDS_MAX * 1_000)),
        log_enabled=False,
    )


def settle_memory() -> None:
    """Takes what start-up made out of the garbage collector's sight; see COLLECTED_OBJECTS_MIN."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS_MIN, 20, 100)


async def _serve(settings: Settings, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        with refusals_logged():
            application = await stack.enter_async_context(open_application(settings))
        settle_memory()
        is_debugging = settings.log_level == "debug"
        is_logged = is_debugging or settings.access_log
        served = application.logged(is_debugging=not settings.access_log) if is_logged else application
        server = http_server(served, settings.host, port)
        serving = asyncio.create_task(server.serve())
        connections_max = min(settings.connections_max, raise_descriptor_limit() - DESCRIPTORS_RESERVED)
        watching = asyncio.create_task(watch_connections(port, connections_max=connections_max))
        stack.callback(watching.cancel)
        await _wait_until_listening(settings.host, port, serving)
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        _log.info("listening", url=f"http://{shown}:{port}/api/v1")
        sys.stdout.write(f"rowkeep: listening on http://{shown}:{port}/api/v1\n")
        first_start = await application.first_start_path()
        if first_start is not None:
            sys.stdout.write(f"rowkeep: no users yet; make the first at http://{shown}:{port}{first_start}\n")
        sys.stdout.flush()
        await asyncio.wait({serving, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        _log.info("stopping", drain_seconds_max=DRAIN_SECONDS_MAX)
        application.end_live_answers()
        server.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
        await asyncio.wait({serving}, timeout=DRAIN_SECONDS_MAX)
    _log.info("stopped")


async def _wait_until_listening(host: str, port: int, serving: "asyncio.Task[None]") -> None:
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    await serving


class _LogFile:
    """The standard error stream. A line that it does not take is lost, and no request with it."""

    def write(self, text: str) -> int:
        """Writes a text, as far as there is room."""
        with suppress(OSError):
            os.write(sys.stderr.fileno(), text.encode())
        return len(text)

    def flush(self) -> None:
        """Does nothing: each text is written at once."""


def configure_log(level: str) -> None:
    """Has the log written to stderr, a JSON object a line, from a level on."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _LogFile())),
    )
