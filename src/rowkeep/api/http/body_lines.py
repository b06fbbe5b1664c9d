"""The lines of a body that is still coming: taken as they arrive, held within a bound.

Theory
------
A task takes in the body's parts until GROUP_BYTES_MAX are held that nobody took; then it waits, the
server's buffers fill, and with them the client's connection: it cannot send faster than its rows are
committed. What is held is one group and the part that crossed the bound. A line may be longer, up to
LINE_BYTES_MAX.

Only whole lines are handed out. The last one may lack its line feed, but only if the body ended as it
should: what a connection left half sent is no line.
"""

import asyncio

from rowkeep.api.http.asgi import Receive
from rowkeep.api.http.body import BodyBroken
from rowkeep.model.decoding.row_lines import split_lines
from rowkeep.model.errors import ErrorCode, RowkeepError

GROUP_BYTES_MAX = 256 * 1024
LINE_BYTES_MAX = 1024 * 1024


class BodyLines:
    """The lines of one body. `fill` must run while they are taken."""

    def __init__(self, receive: Receive, *, idle_seconds_max: float) -> None:
        self._receive = receive
        self._idle_seconds_max = idle_seconds_max
        self._held = bytearray()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._has_news = asyncio.Event()
        self._failure: Exception | None = None
        self._is_ended = False
        self.is_whole = False

    async def fill(self) -> None:
        """Takes in the body until it ends."""
        try:
            while not self.is_whole:
                await self._has_room.wait()
                await self._take_in()
        except (BodyBroken, RowkeepError) as error:
            self._failure = error
            self._has_news.set()

    async def next(self) -> list[bytes]:
        """Returns the lines that have arrived; waits for one.

        Returns none after the body's end or after `end`.

        Blank lines are left out. Raises BodyBroken, request_timeout, payload_too_large.
        """
        while True:
            await self._has_news.wait()
            if self._is_ended:
                return []
            lines = split_lines(self._cut())
            if lines or self.is_whole:
                return lines
            if self._failure is not None:
                raise self._failure

    def end(self) -> None:
        """Hands out no more lines."""
        self._is_ended = True
        self._has_news.set()

    async def _take_in(self) -> None:
        try:
            async with asyncio.timeout(self._idle_seconds_max):
                message = await self._receive()
        except TimeoutError:
            raise self._idle() from None
        if message["type"] == "http.disconnect":
            self._held.clear()
            raise BodyBroken
        part: bytes = message.get("body", b"")
        self._held += part
        self.is_whole = not message.get("more_body", False)
        if self.is_whole or b"\n" in part:
            self._has_news.set()
        self._check_room()

    def _check_room(self) -> None:
        if len(self._held) < GROUP_BYTES_MAX:
            return
        if self._has_news.is_set():
            self._has_room.clear()
        elif len(self._held) > LINE_BYTES_MAX:
            raise RowkeepError(
                ErrorCode.PAYLOAD_TOO_LARGE,
                f"A row takes more than {LINE_BYTES_MAX} bytes. Insert it in a request of its own.",
            )

    def _cut(self) -> bytes:
        """Returns the whole lines that are held."""
        end = len(self._held) if self.is_whole else self._held.rfind(b"\n") + 1
        lines = bytes(self._held[:end])
        del self._held[:end]
        self._has_room.set()
        if not self.is_whole and self._failure is None:
            self._has_news.clear()
        return lines

    def _idle(self) -> RowkeepError:
        return RowkeepError(
            ErrorCode.REQUEST_TIMEOUT,
            f"Nothing arrived for {self._idle_seconds_max:g} seconds. Go on in a new request; a blank line "
            "now and then keeps one open.",
        )
