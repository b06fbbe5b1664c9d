"""An event loop whose clock jumps: nothing waits, and everything happens at its time.

When nothing is ready the clock moves on to the next timer, so what takes seconds on a server takes no time in
a test, and a busy machine changes nothing. For coroutines that wait for each other and for timers alone:
nothing that comes from a thread, a process or a socket moves this clock.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

SECONDS_MAX = 100_000  # a test that waits longer waits for ever


class _Skipping(selectors.DefaultSelector):
    """Adds to the clock what it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            self.now += SECONDS_MAX if timeout is None else max(timeout, 0)
            assert self.now < SECONDS_MAX, "the test waits for something that does not come"
        return ready


class _SkippingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now


def run_skipping(test: Callable[[], Awaitable[Any]]) -> Any:
    """Runs a test on such a loop."""

    async def awaited() -> Any:
        return await test()

    with asyncio.Runner(loop_factory=_SkippingLoop) as runner:
        return runner.run(awaited())
