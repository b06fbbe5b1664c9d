"""The body of a request as it comes in, and what happens to a body that the answer did not wait for.

Theory
------
An answer may be known before the body was read: a bad token, a table that is not there, a limit. If the
connection were closed on a body that still comes, the client's system would throw away the answer with it
(a reset), and a client that only writes would hear of a broken pipe and not of its bad token. So the body
is first taken in and thrown away, which is the lingering close of RFC 9112, 9.6, before the answer instead
of after it: the HTTP server closes a connection as soon as an answer is complete. Every client reads such
an answer, and so does a proxy between. A sender that pauses may be waiting for the answer, and gets it
then.

This is bounded: in bytes by LINGER_BODIES_MAX times the largest body that may be sent, in time by
LINGER_SECONDS_MAX, by LINGER_PAUSE_SECONDS without a part, and by how fast every body must come as a
whole. A client that asked for `100-continue` and
was not told to go on sends no body; nobody waits for it.
"""

import asyncio

from rowkeep.api.http.asgi import Message, Receive, Scope

LINGER_BODIES_MAX = 4
LINGER_SECONDS_MAX = 300.0
LINGER_PAUSE_SECONDS = 1.0


class Lingering:
    """Takes in bodies that nobody reads, and throws them away. One per process."""

    def __init__(self, *, body_bytes_max: int, bytes_per_second_min: int) -> None:
        self._bytes_per_second_min = bytes_per_second_min
        self._bytes_max = LINGER_BODIES_MAX * body_bytes_max
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def stop(self) -> None:
        """Waits for no more bodies, because the server ends."""
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()

    async def drain(self, body: "IncomingBody") -> None:
        """Throws a body away as it comes, until it ends, its sender pauses or it is too large."""
        if self._is_stopping:
            return
        task = asyncio.create_task(self._take_in(body))
        self._tasks.add(task)
        try:
            await asyncio.wait({task}, timeout=LINGER_SECONDS_MAX)
        finally:
            task.cancel()
            self._tasks.discard(task)

    async def _take_in(self, body: "IncomingBody") -> None:
        bytes_before, seconds_left = body.byte_count, LINGER_PAUSE_SECONDS
        loop = asyncio.get_running_loop()
        try:
            while body.is_awaited() and body.byte_count <= self._bytes_max:
                began_at = loop.time()
                async with asyncio.timeout(min(LINGER_PAUSE_SECONDS, seconds_left)):
                    await body()
                byte_count = body.byte_count - bytes_before
                seconds_left += byte_count / self._bytes_per_second_min - (loop.time() - began_at)
                bytes_before = body.byte_count
        except TimeoutError:
            return  # the sender pauses


class IncomingBody:
    """ASGI's `receive` of a request, which knows how much of the body has come in, and whether all of it."""

    __slots__ = ("_is_whole", "_lingering", "_receive", "_scope", "byte_count")

    def __init__(self, scope: Scope, receive: Receive, lingering: Lingering) -> None:
        self._scope = scope
        self._receive = receive
        self._lingering = lingering
        self._is_whole = False
        self.byte_count = 0

    async def __call__(self) -> Message:
        """Returns the next message."""
        message = await self._receive()
        self.byte_count += len(message.get("body", b""))
        if not message.get("more_body", False):
            self._is_whole = True
        return message

    def is_awaited(self) -> bool:
        """Returns whether a part of the body may still come."""
        if self._is_whole:
            return False
        headers = dict(self._scope["headers"])
        if self.byte_count == 0 and headers.get(b"expect", b"").lower() == b"100-continue":
            return False
        if b"transfer-encoding" in headers:
            return True
        length = headers.get(b"content-length", b"0")
        return length.isdigit() and self.byte_count < int(length)

    async def drain(self) -> None:
        """Takes in and throws away the rest of the body while it keeps coming, within the bounds."""
        if self.is_awaited():
            await self._lingering.drain(self)
