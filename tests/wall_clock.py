"""A clock on the wall that a test sets."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class WallClock:
    """The clock on the wall of this process, ahead of the real one by `shift` nanoseconds."""

    def __init__(self) -> None:
        self.shift = 0
        self._real = time.time_ns

    def time_ns(self) -> int:
        """What everything in this process reads."""
        return self._real() + self.shift

    def pass_seconds(self, seconds: float) -> None:
        """Lets time pass at once."""
        self.shift += int(seconds * 1_000_000_000)


@contextmanager
def wall_clock() -> Iterator[WallClock]:
    """Everything in this process reads a clock that can be set."""
    clock = WallClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", clock.time_ns)
        yield clock
