"""A network that fails: an HTTP proxy between client and server that breaks what passes, at random.

It forwards whole requests, one at a time on each connection, and draws a fault for some, with a seed. A
request may be lost, cut short, delivered twice or long after its client has gone; an answer may be lost,
cut short, sent twice or late; and the proxy may answer by itself that it cannot.
"""

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

LATE_SECONDS_MAX = 0.4
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
_TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 5\r\n\r\nlater"
_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Cut(Exception):
    """The connection to the client ends here."""


class FaultyProxy:
    """Runs in a thread of its own between `with` and its end. `faults` counts what was done to requests."""

    def __init__(self, server_url: str, seed: int, fault_share: float = 0.35) -> None:
        parts = urlsplit(server_url)
        assert parts.hostname is not None
        self._server = parts.hostname, parts.port
        self._path = parts.path
        self._chance = random.Random(seed)
        self.fault_share = fault_share
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-proxy")
        self._late: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._kinds: dict[str, Callable[[Streams, Streams, bytes], Awaitable[None]]] = {
            "request lost": self._lose_request,
            "request cut": self._cut_request,
            "request doubled": self._double_request,
            "request doubled, both answers sent": self._double_exchange,
            "request delivered late": self._deliver_late,
            "answer lost": self._lose_answer,
            "answer cut": self._cut_answer,
            "answer doubled": self._double_answer,
            "answer late": self._answer_late,
            "answered by the proxy": self._answer_itself,
        }
        self.chosen = list(self._kinds)  # those that may happen
        self.methods: frozenset[bytes] | None = None  # only their requests are broken; None: those of any
        self.spared = 0  # so many of these requests pass before the first fault
        self.requests = 0
        self.faults: Counter[str] = Counter()
        self.url = ""

    @property
    def kinds(self) -> set[str]:
        """All faults there are."""
        return set(self._kinds)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listener = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result()
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}{self._path}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        """Waits for what is still to be delivered late, then ends what is left."""
        self._listener.close()
        await asyncio.gather(*self._late)
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server: Streams | None = None
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)  # the loop alone would let go of it
        try:
            server = await asyncio.open_connection(*self._server)
            while True:
                request = await _read_message(reader)
                await self._handle((reader, writer), server, request)
        except (Cut, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # by either side, or by the end of the proxy
        finally:
            self._serving.discard(task)
            for stream in (writer, *([server[1]] if server else [])):
                stream.close()

    async def _handle(self, client: Streams, server: Streams, request: bytes) -> None:
        if self.methods is not None and request.partition(b" ")[0] not in self.methods:
            await _send(client, await _exchange(server, request))
            return
        self.requests += 1
        if self.requests <= self.spared or self._chance.random() >= self.fault_share:
            await _send(client, await _exchange(server, request))
            return
        name = self._chance.choice(self.chosen)
        self.faults[name] += 1
        await self._kinds[name](client, server, request)

    async def _lose_request(self, client: Streams, server: Streams, request: bytes) -> None:
        raise Cut

    async def _cut_request(self, client: Streams, server: Streams, request: bytes) -> None:
        await _send(server, request[: self._chance.randrange(1, len(request))])
        raise Cut

    async def _double_request(self, client: Streams, server: Streams, request: bytes) -> None:
        await _exchange(server, request)
        await _send(client, await _exchange(server, request))

    async def _double_exchange(self, client: Streams, server: Streams, request: bytes) -> None:
        await _send(client, await _exchange(server, request))
        await _send(client, await _exchange(server, request))

    async def _deliver_late(self, client: Streams, server: Streams, request: bytes) -> None:
        task = asyncio.create_task(self._deliver(request, self._chance.uniform(0, LATE_SECONDS_MAX)))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        raise Cut

    async def _deliver(self, request: bytes, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            server = await asyncio.open_connection(*self._server)
            await _exchange(server, request)
            server[1].close()

    async def _lose_answer(self, client: Streams, server: Streams, request: bytes) -> None:
        await _exchange(server, request)
        raise Cut

    async def _cut_answer(self, client: Streams, server: Streams, request: bytes) -> None:
        answer = await _exchange(server, request)
        await _send(client, answer[: self._chance.randrange(1, len(answer))])
        raise Cut

    async def _double_answer(self, client: Streams, server: Streams, request: bytes) -> None:
        answer = await _exchange(server, request)
        await _send(client, answer)
        if self._chance.random() < 0.5:  # the second may come when the next request is under way
            await asyncio.sleep(0.002)
        await _send(client, answer)

    async def _answer_late(self, client: Streams, server: Streams, request: bytes) -> None:
        answer = await _exchange(server, request)
        await asyncio.sleep(self._chance.uniform(0, LATE_SECONDS_MAX))
        await _send(client, answer)

    async def _answer_itself(self, client: Streams, server: Streams, request: bytes) -> None:
        await _send(client, self._chance.choice([_BUSY, _TOO_MANY, _BAD_GATEWAY]))


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    """A whole request or answer, of the length that its head says."""
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    start = lowered.find(b"content-length:")
    length = int(lowered[start + 15 :].split(b"\r\n")[0]) if start >= 0 else 0
    return head + await reader.readexactly(length)


async def _exchange(server: Streams, request: bytes) -> bytes:
    await _send(server, request)
    return await _read_message(server[0])


async def _send(streams: Streams, data: bytes) -> None:
    streams[1].write(data)
    await streams[1].drain()
