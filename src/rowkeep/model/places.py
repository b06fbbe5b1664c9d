"""Places for long requests: a bounded number in all, and a share of them for each caller.

Callers without a token cannot be told apart, so all of them have one share together: they cannot shut out
those who have a token, and no token can shut out the others.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rowkeep.model.access import Caller
from rowkeep.model.errors import ErrorCode, RowkeepError, unavailable

RETRY_SECONDS = 5


class Places:
    """The places of one kind. `noun` and `advice` go into the error message. Used on one event loop."""

    def __init__(self, places_max: int, share_max: int, *, noun: str, advice: str) -> None:
        self._places_max = places_max
        self._share_max = share_max
        self._noun = noun
        self._advice = advice
        self._taken: Counter[Caller] = Counter()

    @property
    def places_max(self) -> int:
        """Returns how many places there are."""
        return self._places_max

    @property
    def taken_count(self) -> int:
        """Returns how many places are taken."""
        return self._taken.total()

    @contextmanager
    def take(self, caller: Caller) -> Iterator[None]:
        """Holds a place for a caller. Raises rate_limit_exceeded and unavailable."""
        if self._taken[caller] >= self._share_max:
            whose = "Callers without a token have" if caller.is_anonymous else "This token has"
            raise RowkeepError(
                ErrorCode.RATE_LIMIT_EXCEEDED,
                f"{whose} {self._taken[caller]} {self._noun} at this moment, as many as one caller may. "
                f"{self._advice}",
                retry_after_seconds=RETRY_SECONDS,
            )
        if self.taken_count >= self._places_max:
            raise unavailable(
                f"There are as many {self._noun} as this server takes. {self._advice}",
                retry_after_seconds=RETRY_SECONDS,
            )
        self._taken[caller] += 1
        try:
            yield
        finally:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]
