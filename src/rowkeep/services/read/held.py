"""Limits what readings hold between their steps: decoded rows and open segments.

A reading that waits for its reader keeps up to tens of MiB for its next step. Of the readings that have
waited for a moment, only those that began to wait last keep it. The others let go of it, and decode it again
when their reader takes the next part. A crowd of readers that take nothing therefore holds only one part of a
body each. A quick reader never waits that long, so its reading keeps everything.
"""

import asyncio
import weakref
from time import monotonic

import msgspec

from rowkeep.storage.engines import RowReading

HOLDING_MAX = 4
MOMENT_SECONDS = 0.2


class _Waiting(msgspec.Struct, frozen=True):
    """A reading that waits, and since when. It is dropped when its reader has left."""

    reading: "weakref.ref[RowReading]"
    since: float


class HeldReadings:
    """The readings that wait and hold decoded rows or open segments. Used on one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[int, _Waiting] = {}

    def resume(self, reading: RowReading) -> None:
        """Notes that a reading takes its next step."""
        self._waiting.pop(id(reading), None)

    def wait(self, reading: RowReading) -> None:
        """Notes that a reading waits for its reader."""
        key = id(reading)
        forgotten = weakref.ref(reading, lambda _: self._waiting.pop(key, None))
        self._waiting[key] = _Waiting(forgotten, monotonic())
        if len(self._waiting) > HOLDING_MAX:
            asyncio.get_running_loop().call_later(2 * MOMENT_SECONDS, self._let_some_go)

    def _let_some_go(self) -> None:
        now = monotonic()
        while len(self._waiting) > HOLDING_MAX:
            key = next(iter(self._waiting))
            if now - self._waiting[key].since < MOMENT_SECONDS:
                return
            longest = self._waiting.pop(key).reading()
            if longest is not None:
                # To free millions of cells takes a while, which is not the event loop's.
                asyncio.get_running_loop().run_in_executor(None, _drop, [longest.let_go()])


def _drop(held: list[object]) -> None:
    held.clear()
