"""Rounds: followers that wait for the same commit read together.

Theory
------
A commit wakes many followers at once, and most of them stand at the same place. Readings that ask while a
round is under way form the next round: one snapshot in one reader thread. Readings of a round share what one
of them has found out. A look-up is shared by readings of the same caller that ask for the same rows. Rows
read are shared by readings whose look-ups gave equal results, whose positions are equal and which want the
same rows. So nobody is sent rows that a look-up of their own, in this snapshot, has not permitted.

Between rounds there is a pause, the longer the more follow: together they take a bounded share of the
processor, and a row still leaves well within 100 ms of its commit.

A reading that is catching up, with rows left over from its round, does not come here: the others wait for no
more than the first part that such a reading reads.
"""

import asyncio
from collections.abc import Callable, Sequence

from rowkeep.services.read.following import FollowReading, Snapshot
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors


class Rounds:
    """Takes the steps of many readings together. Used on the event loop."""

    def __init__(self, doors: Doors, pause_seconds: Callable[[], float]) -> None:
        self._doors = doors
        self._pause_seconds = pause_seconds
        self._asking: list[tuple[FollowReading, asyncio.Future[bytes]]] = []
        self._running: asyncio.Task[None] | None = None

    async def step(self, reading: FollowReading) -> bytes:
        """Takes a step of a reading in the next round. Returns the bytes to send."""
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
    """Takes a step of each reading on one snapshot. Returns for each the new bytes, or the error."""
    snapshot = Snapshot(view)
    outcomes: list[bytes | Exception] = []
    for reading in readings:
        try:
            outcomes.append(reading.step(snapshot))
        except Exception as error:  # noqa: BLE001  # it is this reader's alone
            outcomes.append(error)
    return outcomes
