"""Bounds the number of open connections, so that descriptors are left for files. The idlest end first.

Theory
------
Each connection takes a descriptor, and so does each file of the database. The HTTP server accepts whoever
comes, and who comes is not known before a request is read: nothing can be kept for callers with a token. So
when there are too many connections, those end on which nothing has moved for the longest time.

The HTTP server itself ends a connection that has sent no whole head within SILENT_SECONDS_MAX, at its
beginning or between two requests. On one that has been quiet for longer a request is being answered: a query
that takes a minute is not ended for those who send nothing.

The connections are found among the descriptors of the process, and what moved on them is asked of the kernel
(TCP_INFO). Where the kernel does not tell (not Linux), only the limit of descriptors bounds them.
"""

import asyncio
import os
import resource
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

SILENT_SECONDS_MAX = 30.0
# Kept for the database, segments, exports, worker processes.
DESCRIPTORS_RESERVED = 256
WATCH_SECONDS = 1.0

_DESCRIPTORS = Path("/proc/self/fd")
# Milliseconds since data was sent, and since some was received, in Linux's struct tcp_info.
_SENT_AT, _RECEIVED_AT, _INFO_BYTES = 44, 52, 104


def raise_descriptor_limit() -> int:
    """Raises this process's limit of open files to the highest allowed. Returns it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


async def watch_connections(port: int, *, connections_max: int) -> None:
    """Ends the idlest connections to a port while there are too many, until it is cancelled."""
    while sys.platform == "linux":
        await asyncio.sleep(WATCH_SECONDS)
        if len(_descriptors()) > connections_max:
            await asyncio.to_thread(_end_idlest, port, connections_max)


def _end_idlest(port: int, connections_max: int) -> None:
    found = {descriptor: _quiet_seconds(descriptor, port) for descriptor in _descriptors()}
    connections = {descriptor: seconds for descriptor, seconds in found.items() if seconds is not None}
    ending = [descriptor for descriptor, seconds in connections.items() if seconds <= SILENT_SECONDS_MAX]
    ending.sort(key=connections.__getitem__, reverse=True)
    for descriptor in ending[: max(0, len(connections) - connections_max)]:
        with suppress(OSError), _socket(descriptor) as connection:
            connection.shutdown(socket.SHUT_RDWR)  # the HTTP server finds it ended, and closes it


def _descriptors() -> list[int]:
    return [int(path.name) for path in _DESCRIPTORS.iterdir()]


def _quiet_seconds(descriptor: int, port: int) -> float | None:
    """Returns how long a connection to a port has been quiet. None for any other descriptor."""
    try:
        with _socket(descriptor) as connection:
            if connection.getsockname()[1] != port:
                return None
            connection.getpeername()  # the socket that listens has none
            information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except (OSError, IndexError):
        return None
    since: list[int] = [struct.unpack_from("<I", information, at)[0] for at in (_SENT_AT, _RECEIVED_AT)]
    return min(since) / 1_000


def _socket(descriptor: int) -> socket.socket:
    """Returns a duplicate of a descriptor as a socket. Raises OSError when it is not a socket."""
    return socket.socket(fileno=os.dup(descriptor))
