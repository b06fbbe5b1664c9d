"""How long a request without a definite answer is repeated, and the notices about it."""

import random
import threading
import time
from collections.abc import Callable
from typing import NoReturn

import msgspec

from rowkeep.client.errors import ServerUnreachable

Notice = Callable[[str], None]
NOTICE_SECONDS = 30.0
# A connection that was kept alive may break, and a busy server ask for some seconds: nobody needs to know.
UNSAID_SECONDS = 1.0
BUSY_UNSAID_SECONDS = 5.0


class RetryPolicy(msgspec.Struct, frozen=True):
    """How long a batch without a definite answer is repeated, and how long to wait in between.

    Waits double from `wait_seconds_min` to `wait_seconds_max`; each is drawn at random up to that. A
    `Retry-After` of the server is the least wait. `version_seconds_max` is how long to wait until somebody
    opens the next version of a dataset that has none.
    """

    seconds_max: float = 300.0
    wait_seconds_min: float = 0.1
    wait_seconds_max: float = 10.0
    version_seconds_max: float = 300.0


class Patience:
    """The waits between the attempts of one request.

    Once `is_stopping` is set, there are no more attempts.
    """

    def __init__(self, policy: RetryPolicy, is_stopping: threading.Event, notice: Notice) -> None:
        self._policy = policy
        self._is_stopping = is_stopping
        self._notice = notice
        self._began_at = time.monotonic()
        self._wait_seconds = policy.wait_seconds_min
        self._attempts = 0
        self._said_at: float | None = None

    def wait(self, problem: str, wait_seconds_min: float = 0.0, *, is_busy: bool = False) -> None:
        """Waits before the next attempt. `is_busy` says that the server itself asks for the wait.

        Raises ServerUnreachable when the time is over.
        """
        self._attempts += 1
        # Not all at once: clients that lost the same server would come back together.
        pause = max(random.uniform(0, self._wait_seconds), wait_seconds_min)
        self._wait_seconds = min(2 * self._wait_seconds, self._policy.wait_seconds_max)
        elapsed = time.monotonic() - self._began_at
        is_known = (
            elapsed < BUSY_UNSAID_SECONDS if is_busy else self._attempts < 2 and elapsed < UNSAID_SECONDS
        )
        if not is_known:
            self._say(problem, elapsed)
        if elapsed + pause > self._policy.seconds_max or self._is_stopping.wait(pause):
            self._give_up(problem)

    def end(self) -> None:
        """Gives notice that the wait is over, if there was a notice about it."""
        if self._said_at is not None:
            self._notice("the server answers again")

    def _say(self, problem: str, elapsed: float) -> None:
        if self._said_at is not None and elapsed < self._said_at + NOTICE_SECONDS:
            return
        self._said_at = elapsed
        left = max(self._policy.seconds_max - elapsed, 0)
        self._notice(f"{problem}; trying again for {left:.0f} seconds more")

    def _give_up(self, problem: str) -> NoReturn:
        if self._is_stopping.is_set():
            raise ServerUnreachable(f"stopped while the server gave no answer (the last attempt: {problem})")
        raise ServerUnreachable(
            f"no answer within {self._policy.seconds_max:g} seconds (the last attempt: {problem})"
        )
