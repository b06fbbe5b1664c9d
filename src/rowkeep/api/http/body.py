"""Reading request bodies: bounded in size, in time and in memory.

A timer per request would cost a third of all requests a second (measured), so one task looks at all
reads that are under way and ends those whose next part is overdue.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from rowkeep.api.http.asgi import Message, Receive
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.inflating import ContentCoding
from rowkeep.storage.engines import Spool

WATCHES_PER_STALL = 10
_SHORT_DIGITS = 6  # a length of up to 6 digits is below any limit


class BodyBroken(RowkeepError):
    """The body is not whole: its framing is wrong, or the client left."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.INVALID_REQUEST,
            "The body ended before it was whole, or its chunks are malformed. Nothing was done; send the "
            "request again.",
        )


class BodyLimits(msgspec.Struct, frozen=True):
    """The largest body, and the longest wait for its next part."""

    bytes_max: int
    compressed_bytes_max: int
    stall_seconds_max: float
    bytes_per_second_min: int


class _Wait(msgspec.Struct):
    """How long a body was waited for so far, and until when its next part must arrive.

    The whole body has a deadline, which depends on its size: the time for one wait, and a second for each
    `bytes_per_second_min` bytes. Only the sender's time counts, not the time in which its parts are used.
    """

    began_at: float = 0.0
    due_at: float = math.inf
    waited_seconds: float = 0.0

    def begin(self, limits: BodyLimits, byte_count: int) -> None:
        """Begins to wait for the part behind the first `byte_count` bytes."""
        whole = limits.stall_seconds_max + byte_count / limits.bytes_per_second_min
        self.began_at = time.monotonic()
        self.due_at = self.began_at + min(limits.stall_seconds_max, whole - self.waited_seconds)

    def end(self) -> None:
        """Ends a wait."""
        self.waited_seconds += time.monotonic() - self.began_at
        self.due_at = math.inf


class BodyReader:
    """Reads bodies. One per process; `watch` must run while it is used."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._waits: dict[asyncio.Task[Any], _Wait] = {}
        self._overdue: set[asyncio.Task[Any]] = set()

    async def watch(self) -> None:
        """Ends reads that have waited too long, until it is cancelled."""
        while True:
            await asyncio.sleep(self._limits.stall_seconds_max / WATCHES_PER_STALL)
            now = time.monotonic()
            for task, wait in self._waits.items():
                if wait.due_at < now:
                    self._overdue.add(task)
                    task.cancel()

    async def read(
        self,
        receive: Receive,
        content_length: bytes | None,
        spool: Callable[[], Spool],
        held_bytes_max: int,
        coding: ContentCoding | None = None,
    ) -> bytes | Spool:
        """Returns the whole body as it came: held in memory up to a size, else in a spool.

        The caller closes the spool. Raises payload_too_large, request_timeout, BodyBroken.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a body is read within a task")
        self.check_length(content_length, coding)
        now = time.monotonic()
        wait = self._waits[task] = _Wait(now, now + self._limits.stall_seconds_max)
        try:
            message = await receive()
            body: bytes = message.get("body", b"")
            # The server says only with the next message that this was all; the length says so now.
            if content_length == b"%d" % len(body) and len(body) <= held_bytes_max:
                return body
            return await self._read_on(wait, receive, message, spool, held_bytes_max, coding)
        except asyncio.CancelledError:
            if task not in self._overdue:
                raise
            task.uncancel()
            raise self._stalled() from None
        finally:
            del self._waits[task]
            self._overdue.discard(task)

    async def parts(self, receive: Receive) -> AsyncIterator[bytes]:
        """Yields the parts of a body of any length as they come. Raises request_timeout, BodyBroken."""
        has_more = True
        wait = _Wait()
        byte_count = 0
        while has_more:
            message = await self._next_message(receive, wait, byte_count)
            byte_count += len(message.get("body", b""))
            if message["type"] == "http.disconnect":
                raise BodyBroken
            has_more = message.get("more_body", False)
            yield message.get("body", b"")

    async def _next_message(self, receive: Receive, wait: _Wait, byte_count: int) -> Message:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a body is read within a task")
        self._waits[task] = wait
        wait.begin(self._limits, byte_count)
        try:
            return await receive()
        except asyncio.CancelledError:
            if task not in self._overdue:
                raise
            task.uncancel()
            raise self._stalled() from None
        finally:
            wait.end()
            del self._waits[task]
            self._overdue.discard(task)

    def check_length(self, content_length: bytes | None, coding: ContentCoding | None) -> None:
        """Raises payload_too_large for a length that no body may have."""
        if content_length is not None and len(content_length) > _SHORT_DIGITS:
            self._check_size(int(content_length), coding)

    async def _read_on(
        self,
        wait: _Wait,
        receive: Receive,
        message: Message,
        new_spool: Callable[[], Spool],
        held_bytes_max: int,
        coding: ContentCoding | None,
    ) -> bytes | Spool:
        spool: Spool | None = None
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                wait.end()
                if message["type"] == "http.disconnect":
                    raise BodyBroken
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                has_more = message.get("more_body", False)
                self._check_size(size + (0 if spool is None else spool.byte_count), coding)
                if size > held_bytes_max or (spool is not None and not has_more):
                    spool = spool or new_spool()
                    await spool.write(b"".join(chunks))
                    chunks, size = [], 0
                if not has_more:
                    return b"".join(chunks) if spool is None else spool
                wait.begin(self._limits, size + (0 if spool is None else spool.byte_count))
                message = await receive()
        except BaseException:
            if spool is not None:
                await spool.close()
            raise

    def _check_size(self, byte_count: int, coding: ContentCoding | None) -> None:
        limits = self._limits
        bytes_max = limits.bytes_max if coding is None else limits.compressed_bytes_max
        if byte_count > bytes_max:
            raise RowkeepError(
                ErrorCode.PAYLOAD_TOO_LARGE,
                f"The {'' if coding is None else 'compressed '}body is larger than {bytes_max} bytes. "
                "Nothing was done; send fewer rows in a request.",
            )

    def _stalled(self) -> RowkeepError:
        return RowkeepError(
            ErrorCode.REQUEST_TIMEOUT,
            f"No part of the body arrived for {self._limits.stall_seconds_max:g} seconds, or all of it came "
            f"more slowly than {self._limits.bytes_per_second_min} bytes a second. Nothing was done; send "
            "the request again.",
        )
