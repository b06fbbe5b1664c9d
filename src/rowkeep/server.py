"""The HTTP server process. The only file that knows granian.

One process serves everything, on one event loop: kill it and nothing of it is left (its child processes
end with their standard input). Stopping goes from the outside in: those who follow are told where to
resume, no new connections, what was accepted is answered, the journal is closed.

Rejected: several worker processes over one database file. There is one writer at a time anyway, each
process would fsync for itself, and the group commit that makes the server fast would be cut in pieces.
"""

import asyncio
import gc
import ipaddress
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO, cast

import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from rowkeep import __version__
from rowkeep.compose.application import entrance_of, open_application, operators_entrance_of
from rowkeep.config import Settings, address_of, shown_settings
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
    """The server cannot start. The text says why and what to do."""


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises StartError."""
    configure_log(settings.log_level)
    with refusals_logged():
        if settings.workers != 1:
            raise StartError("This version serves with one worker; start it without --workers.")
        tls = tls_files(settings)
        check_directory(settings.data_dir)
        _lock(DataDirectory(settings.data_dir))
        port = free_port(settings.host, settings.port)
    _log.info("starting", version=__version__, python=sys.version.split()[0], pid=os.getpid())
    _log.info("settings in force", **shown_settings(settings))
    _warn_of_plain_http(settings)
    uvloop.run(_serve(settings, port, tls))


@contextmanager
def refusals_logged() -> Iterator[None]:
    """Logs a line when a start is refused, and raises the error again."""
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
    """Returns the port to listen on: this one if it is free; for 0, any free one. Raises StartError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
        chosen: int = probe.getsockname()[1]
        return chosen


def http_server(application: object, host: str, port: int, tls: tuple[Path, Path] | None = None) -> Server:
    """Returns the HTTP server as rowkeep runs it. The benchmark's floor runs the same.

    `tls` is certificate and key.
    """
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
        ssl_cert=None if tls is None else tls[0],
        ssl_key=None if tls is None else tls[1],
        ssl_protocol_min=SSLProtocols.tls12,
    )


def tls_files(settings: Settings) -> tuple[Path, Path] | None:
    """Returns certificate and key; None for a server without TLS. Raises StartError for unusable ones."""
    if not settings.tls_certificate:
        return None
    files = Path(settings.tls_certificate), Path(settings.tls_key)
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*files, password=_no_password)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise StartError(
            f"The certificate {files[0]} with the key {files[1]} cannot be used: {error}. Both are PEM "
            "files, and the key has no password."
        ) from error
    return files


def _no_password() -> str:
    raise ValueError("the key has a password")


def _warn_of_plain_http(settings: Settings) -> None:
    """Warns at the start that tokens and rows are sent unencrypted."""
    if settings.tls_certificate or _is_loopback(settings.host):
        return
    text = (
        f"it listens on {settings.host} without TLS: tokens and rows can be read on the network. Give it "
        "--tls-certificate and --tls-key, or have it listen on 127.0.0.1 behind a proxy that speaks HTTPS."
    )
    _log.warning("no TLS", host=settings.host, advice=text)
    sys.stderr.write(f"rowkeep: WARNING: {text}\n")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def settle_memory() -> None:
    """Hides the objects made at start-up from the garbage collector; see COLLECTED_OBJECTS_MIN."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS_MIN, 20, 100)


async def _serve(settings: Settings, port: int, tls: tuple[Path, Path] | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        with refusals_logged():
            application = await stack.enter_async_context(open_application(settings))
            await _serve_operators(operators_entrance_of(application), settings, stack)
        settle_memory()
        server = http_server(entrance_of(application, settings), settings.host, port, tls)
        serving = asyncio.create_task(server.serve())
        connections_max = min(settings.connections_max, raise_descriptor_limit() - DESCRIPTORS_RESERVED)
        watching = asyncio.create_task(watch_connections(port, connections_max=connections_max))
        stack.callback(watching.cancel)
        await _wait_until_listening(settings.host, port, serving)
        url = f"{'http' if tls is None else 'https'}://{_shown(settings.host)}:{port}"
        _log.info("listening", url=f"{url}/api/v1")
        sys.stdout.write(f"rowkeep: listening on {url}/api/v1\n")
        first_start = await application.first_start_path()
        if first_start is not None:
            sys.stdout.write(f"rowkeep: no users yet; make the first at {url}{first_start}\n")
        sys.stdout.flush()
        await asyncio.wait({serving, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        _log.info("stopping", drain_seconds_max=DRAIN_SECONDS_MAX)
        application.end_live_answers()
        server.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
        await asyncio.wait({serving}, timeout=DRAIN_SECONDS_MAX)
    _log.info("stopped")


async def _serve_operators(entrance: object, settings: Settings, stack: AsyncExitStack) -> None:
    """Serves health and metrics at their own address, if one is set, until the stack is closed."""
    if not settings.metrics_address:
        return
    host, port = address_of(settings.metrics_address)
    if port and port == settings.port:
        raise StartError(f"The port {port} cannot be both --port and that of --metrics-address.")
    port = free_port(host, port)
    server = http_server(entrance, host, port)
    serving = asyncio.create_task(server.serve())
    await _wait_until_listening(host, port, serving)
    _log.info("listening for operators", url=f"http://{_shown(host)}:{port}/metrics")

    async def stop() -> None:
        server.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
        await asyncio.wait({serving}, timeout=DRAIN_SECONDS_MAX)

    stack.push_async_callback(stop)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


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
    """The standard error stream. A line that cannot be written is lost, and no request fails for it."""

    def write(self, text: str) -> int:
        """Writes a text, as far as there is room."""
        try:
            descriptor = sys.stderr.fileno()
        except OSError:  # it is no file: whoever runs this reads what it writes
            return sys.stderr.write(text)
        with suppress(OSError):
            os.write(descriptor, text.encode())
        return len(text)

    def flush(self) -> None:
        """Does nothing: each text is written at once."""


def configure_log(level: str) -> None:
    """Sends the log to stderr, as a JSON object a line, from a level on."""
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
