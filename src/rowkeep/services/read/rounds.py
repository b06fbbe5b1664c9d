"""Rounds: followers that wait for the same commit read together.

Theory
------
A commit wakes many followers at once, and most of them stand at the same place. Those that ask while a round
is under way are the next one: one snapshot in one reader thread. What a reading has found out, others of the
round take over: the look-up of a caller and what is asked for, by exactly these; and what was read, by all
that what they are looked up to be, stand at and want is the same. So nobody is sent what a look-up of their
own, in this snapshot, has not permitted.

Between rounds there is a pause, the longer the more follow: together they take a bounded share of the
processor, and a row still leaves well within 100 ms of its commit.

Who is catching up (a round has left rows over) does not come here: others wait for no more than the first
part of what such a reader reads.
"""

import asyncio
from collections.abc import Callable, Sequence

from rowkeep.services.read.following import FollowReading, Snapshot
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors


class Rounds:
    """Those who ask what is new. Used on the event loop."""

    def __init__(self, doors: Doors, pause_seconds: Callable[[], float]) -> None:
        self._doors = doors
        self._pause_seconds = pause_seconds
        self._asking: list[tuple[FollowReading, asyncio.Future[bytes]]] = []
        self._running: asyncio.Task[None] | None = None

    async def step(self, reading: FollowReading) -> bytes:
        """A step of a reading, in the next round."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asking.append((reading, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._asking:
            asking, self._asking = self._asking, []
            await self._run_round(asking)
            await asyncio.sleep(self._pause_seconds())

    async def _run_round(self, asking: Sequence[tuple[FollowReading, "asyncio.Future[bytes]"]]) -> None:
        readings = [reading for reading, _ in asking]
        try:
            outcomes = await self._doors.read(lambda view: read_together(view, readings))
        except Exception as error:  # noqa: BLE001  # whatever it is, who asked hears of it
            outcomes = [error] * len(readings)
        for (_, future), outcome in zip(asking, outcomes, strict=True):
            if future.done():
                continue  # the reader has left
            if isinstance(outcome, bytes):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)


def read_together(view: CatalogView, readings: Sequence[FollowReading]) -> list[bytes | Exception]:
    """A step of each reading on one snapshot: what is new, or why there is nothing."""
    snapshot = Snapshot(view)
    outcomes: list[bytes | Exception] = []
    for reading in readings:
        try:
            outcomes.append(reading.step(snapshot))
        except Exception as error:  # noqa: BLE001  # it is this reader's alone
            outcomes.append(error)
    return outcomes
