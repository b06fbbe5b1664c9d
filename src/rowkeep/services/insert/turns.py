"""Turns: how much of one upload may be under way at once while others send too.

Theory
------
Between its body and its 201 a request is decoded on the event loop, and then waits for the commit of its
group. Both are served in the order of arrival, so a sender with sixty-four connections at full speed puts
all its requests before that of anyone else: some milliseconds of decoding, and a group as large as them all.

So each upload has a line. While another upload sends too, at most `REQUESTS_MAX` requests and `BYTES_MAX`
bytes of a line are under way; the rest wait in front, in their order, and one that is through lets in the
next. A newcomer to another upload finds no more than that before it. Groups stay large enough that the flood
itself loses little.

* An upload that is alone has no bound: nobody would gain by it.
* "Sends too" is: a request came within the last `SHARED_SECONDS`. A bound that began with a request's arrival
  would not help that request: what is before it is under way already.
* A line with nothing under way lets in anything, so a body above `BYTES_MAX` goes too, by itself.
* Who waits longer than `wait_seconds_max` is refused as by a full queue: nothing of it was written.
* Nobody waits for a turn that nobody gives: there is a line in front only if something is under way, and
  that leaves. When the others have stopped, the next to leave lets in all who wait.

Rejected: turns in the lane's queue (decoding comes before it, and the groups became small: the flood ran 42 %
slower); a bound below a megabyte (the flood lost a quarter and more with 1,000 rows a request).
"""

import asyncio
from collections import deque

import msgspec

from rowkeep.model.errors import too_slow

REQUESTS_MAX = 16
BYTES_MAX = 1_280_000
SHARED_SECONDS = 1.0


class _Waiter(msgspec.Struct, frozen=True, eq=False):
    byte_count: int
    turn: "asyncio.Future[None]"
    overdue_at: float


class _Line:
    """The requests of one upload: the number and bytes under way, and those that wait in front."""

    __slots__ = ("byte_count", "request_count", "timer", "waiting")

    def __init__(self) -> None:
        self.request_count = 0
        self.byte_count = 0
        self.waiting: deque[_Waiter] = deque()
        self.timer: asyncio.TimerHandle | None = None

    def has_room(self, byte_count: int) -> bool:
        if self.request_count == 0:
            return True
        return self.request_count < REQUESTS_MAX and self.byte_count + byte_count <= BYTES_MAX

    def take_in(self, byte_count: int) -> None:
        self.request_count += 1
        self.byte_count += byte_count


class Turns:
    """The lines of all uploads. Used on one event loop. `now` is a time of `time.perf_counter`."""

    def __init__(self, *, wait_seconds_max: float) -> None:
        self._wait_seconds_max = wait_seconds_max
        self._lines: dict[int, _Line] = {}
        self._latest_id: int | None = None  # the upload that the newest request was for
        self._latest_at = float("-inf")
        self._other_at = float("-inf")  # the newest request for any other

    def enter(self, upload_id: int, byte_count: int, now: float) -> bool:
        """Lets a request in at once and returns True, or returns False: it must `wait`.

        Either way the request counts as having come.
        """
        if upload_id != self._latest_id:
            self._other_at = self._latest_at
            self._latest_id = upload_id
        self._latest_at = now
        line = self._lines.get(upload_id)
        if line is None:
            line = self._lines[upload_id] = _Line()
        elif line.waiting or (self._is_shared(upload_id, now) and not line.has_room(byte_count)):
            return False
        line.take_in(byte_count)
        return True

    async def wait(self, upload_id: int, byte_count: int) -> None:
        """Waits until a request that could not enter is let in. Raises `unavailable` after too long."""
        loop = asyncio.get_running_loop()
        line = self._lines[upload_id]
        waiter = _Waiter(byte_count, loop.create_future(), loop.time() + self._wait_seconds_max)
        line.waiting.append(waiter)
        if line.timer is None:
            line.timer = loop.call_at(waiter.overdue_at, self._refuse_overdue, line)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            # A turn may come in the moment its sender gives up: it goes to the next in line.
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self.leave(upload_id, byte_count)
            raise

    def leave(self, upload_id: int, byte_count: int) -> None:
        """Ends a request that was let in, and lets in those that have room now."""
        line = self._lines[upload_id]
        line.request_count -= 1
        line.byte_count -= byte_count
        if line.waiting:
            self._let_in(upload_id, line)
        if line.request_count == 0:
            del self._lines[upload_id]
            if line.timer is not None:
                line.timer.cancel()

    def _let_in(self, upload_id: int, line: _Line) -> None:
        is_bounded = self.is_shared(upload_id)
        while line.waiting:
            waiter = line.waiting[0]
            if not waiter.turn.done():
                if is_bounded and not line.has_room(waiter.byte_count):
                    return
                line.take_in(waiter.byte_count)
                waiter.turn.set_result(None)
            line.waiting.popleft()

    def is_shared(self, upload_id: int) -> bool:
        """Returns whether other uploads send too."""
        return self._is_shared(upload_id, self._latest_at)

    def _is_shared(self, upload_id: int, now: float) -> bool:
        newest_of_others = self._other_at if upload_id == self._latest_id else self._latest_at
        return now - newest_of_others < SHARED_SECONDS

    def _refuse_overdue(self, line: _Line) -> None:
        """Refuses the requests that have waited too long. Sets a timer for the next one."""
        loop = asyncio.get_running_loop()
        line.timer = None
        while line.waiting:
            waiter = line.waiting[0]
            if not waiter.turn.done():
                if waiter.overdue_at > loop.time():
                    line.timer = loop.call_at(waiter.overdue_at, self._refuse_overdue, line)
                    return
                waiter.turn.set_exception(too_slow())
            line.waiting.popleft()
