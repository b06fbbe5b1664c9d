"""Following: rows as they are committed, for as long as the reader stays.

Theory
------
A follower waits until a commit concerns it, then reads what is new (`following.py`), a part at a time;
whoever sends the parts asks for the next when one is sent. So a slow reader holds one part and its
positions, and the rest stays where it is: in the journal and the segments.

What wakes a follower: a commit to an upload that it follows, to one newer than all it heard of (it may be of
the same table), or at another version of the catalog than its own, which the lane tells on the event loop
while anybody follows; and every `LOOK_SECONDS`, so that a reader who may not read on (its token was revoked,
perhaps by another process, or has expired) hears of it.

Those that wait read together (services/read/rounds.py).
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.errors import RowkeepError, invalid_request, unavailable
from rowkeep.model.places import Places
from rowkeep.model.resources import Batch
from rowkeep.services.read.following import FollowReading, FollowRequest, Framing, Snapshot
from rowkeep.services.read.rounds import Rounds
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import CommitNotices, RowReadings

HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 1.0
PAUSE_SECONDS_EACH = 0.0005
PAUSE_SECONDS_MAX = 0.05
RETRY_SECONDS = 5


class FollowPart(msgspec.Struct, frozen=True):
    """Bytes to send to a follower. After the last part nothing follows."""

    body: bytes
    is_last: bool = False


class Follower:
    """One reader that follows. Used on the event loop."""

    def __init__(self, service: "FollowService", reading: FollowReading, framing: Framing) -> None:
        self._service = service
        self._reading = reading
        self._framing = framing
        self._news = asyncio.Event()
        self._news.set()
        self._newest_upload_id = 0
        self._is_too_slow = False

    @property
    def caller(self) -> Caller:
        """Returns who follows."""
        return self._reading.caller

    def opening(self) -> FollowPart:
        """Returns the first part to send."""
        return FollowPart(self._framing.opening(self._reading.position))

    async def next(self) -> FollowPart:
        """Returns the next part; waits until there is one. Raises when the server has failed."""
        deadline = time.monotonic() + HEARTBEAT_SECONDS
        while not self._service.is_stopping:
            if self._reading.is_complete:
                return self.ending("complete")
            if not self._reading.is_under_way:
                await self._wait(deadline)
            try:
                body = await self._service.read_step(self._reading)
            except RowkeepError as error:
                return self.ending("refused", error)
            if body:
                return FollowPart(body)
            if time.monotonic() >= deadline:
                return FollowPart(self._framing.still_there(self._reading.position))
        return self.ending("stopping")

    def ending(self, reason: str, error: RowkeepError | None = None) -> FollowPart:
        """Returns the last part to send."""
        return FollowPart(self._framing.end(self._reading.position, reason, error), is_last=True)

    def release(self) -> None:
        """Lets go of what is held between parts, for a reader that is slow to take them."""
        self._reading.release()
        self._service.dropped_count += not self._is_too_slow
        self._is_too_slow = True

    def wake(self) -> None:
        """Wakes the follower to look for new rows."""
        self._news.set()

    def notice(self, catalog_versions: set[int], upload_ids: set[int]) -> None:
        """Tells the follower of commits. An upload with an id above all known ids may be new in the table."""
        newest = max(upload_ids)
        if newest > self._newest_upload_id or self._reading.concerns(catalog_versions, upload_ids):
            self._newest_upload_id = max(newest, self._newest_upload_id)
            self._news.set()

    async def _wait(self, deadline: float) -> None:
        """Waits until there may be new rows, or until the deadline.

        Rows that come meanwhile are not missed.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await self._news.wait()
        self._news.clear()


class FollowService:
    """The service for followers. One per process; used on the event loop."""

    def __init__(
        self, doors: Doors, readings: RowReadings, commits: CommitNotices, *, places: Places
    ) -> None:
        self._doors = doors
        self._readings = readings
        self._commits = commits
        self._places = places
        self._rounds = Rounds(doors, self._pause_seconds)
        self._followers: set[Follower] = set()
        self.dropped_count = 0  # readers that were too slow
        self.is_stopping = False

    @property
    def follower_count(self) -> int:
        """Returns how many readers follow now."""
        return len(self._followers)

    async def open(self, caller: Caller, request: FollowRequest, framing: Framing) -> Follower:
        """Opens a follower at its first position. Raises what listRows would raise."""
        reading = FollowReading(caller, request, self._readings, framing)
        await self._doors.read(reading.open)
        return Follower(self, reading, framing)

    @contextmanager
    def place(self, follower: Follower) -> Iterator[None]:
        """Holds one of the places while a follower is sent rows. Raises what `Places.take` raises."""
        if self.is_stopping:
            raise unavailable("The server is shutting down.", retry_after_seconds=RETRY_SECONDS)
        with self._places.take(follower.caller):
            if not self._followers:
                self._commits.listen(self._notice)
            self._followers.add(follower)
            try:
                yield
            finally:
                self._followers.remove(follower)
                if not self._followers:
                    self._commits.forget(self._notice)

    async def read_step(self, reading: FollowReading) -> bytes:
        """Takes one step of a reading, on a snapshot as of now. Returns the bytes to send."""
        if reading.is_under_way:
            return await self._doors.read(lambda view: reading.step(Snapshot(view)))
        return await self._rounds.step(reading)

    def stop(self) -> None:
        """Ends every follower with the position where it resumes, and opens no more."""
        self.is_stopping = True
        for follower in self._followers:
            follower.wake()

    async def watch(self) -> None:
        """Makes all followers check that they may still read, again and again. Runs for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for follower in self._followers:
                follower.wake()

    def _pause_seconds(self) -> float:
        return min(PAUSE_SECONDS_EACH * len(self._followers), PAUSE_SECONDS_MAX)

    def _notice(self, batches: Sequence[Batch]) -> None:
        versions = {batch.catalog_version for batch in batches}
        upload_ids = {batch.upload_id for batch in batches}
        for follower in self._followers:
            follower.notice(versions, upload_ids)


def tail_count(text: str | None) -> int | None:
    """Returns how many of the last rows are asked for. None means all of them, and no text means no rows."""
    if text == "all":
        return None
    if text is not None and (not text.isascii() or not text.isdigit() or len(text) > 18):
        raise invalid_request(f"`tail` must be a whole number or all, not {text[:60]!r}.")
    return int(text or 0)
