"""Rate limits of inserts, by token and by upload: token buckets in memory.

Theory
------
A bucket holds up to a quota and refills evenly, all of it within a window. A request is let in when every
bucket that it draws from holds at least one unit; then it takes one from those that count requests, and
the length of its body from those that count bytes. So all is decided before the body is read, and a body
of any size can go: it may leave a bucket in debt, which those after it wait off. A body of unknown length is
paid for when it has been read.

* Who is refused pays nothing, and who waits as long as it was told finds a unit in each bucket.
* Only callers who may insert into an upload draw from its bucket: no stranger can use it up.
* Buckets live with the process: after a restart all are full. Beyond BUCKETS_MAX those that nobody
  asked for longest go, and count as full.

Used on the event loop; without a policy there is no `InsertLimits`, and nobody pays for one.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import StrEnum

import msgspec

from rowkeep.model.errors import ErrorCode, RowkeepError

BUCKETS_MAX = 50_000
# What refilling in floating point may be short of after exactly the time that was told.
_ALMOST = 1e-6


class RateUnit(StrEnum):
    """What a limit counts, in the words of the IETF draft."""

    REQUESTS = "requests"
    CONTENT_BYTES = "content-bytes"


class RatePolicy(msgspec.Struct, frozen=True):
    """One limit: `per_second` units in the long run, `quota` at once. Clients are shown `name`."""

    name: str
    unit: RateUnit
    per_second: float
    quota: int

    @property
    def window_seconds(self) -> int:
        """Returns how long an empty bucket takes to fill."""
        return max(1, math.ceil(self.quota / self.per_second))


class RateState(msgspec.Struct, frozen=True):
    """The state of a policy for one caller.

    `reset_seconds` is the time until the bucket is full, or, when nothing is left, until it holds one unit.
    """

    policy: RatePolicy
    remaining: int
    reset_seconds: int


class RateLimited(RowkeepError):
    """Returns 429: nothing of the request was done."""

    def __init__(self, states: Sequence[RateState], wait_seconds: int, narrowest: RatePolicy) -> None:
        super().__init__(
            ErrorCode.RATE_LIMIT_EXCEEDED,
            f"The limit {narrowest.name} of {narrowest.per_second:g} {narrowest.unit} a second is used up. "
            f"Nothing of this request was inserted; send it again in {wait_seconds} s.",
            retry_after_seconds=wait_seconds,
        )
        self.states = states


class Buckets:
    """The buckets of one policy: for each key, its level and the time of that level."""

    def __init__(self, policy: RatePolicy) -> None:
        self.policy = policy
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def level(self, key: Hashable, now: float) -> float:
        """Returns the level of a bucket."""
        found = self._levels.get(key)
        if found is None:
            return float(self.policy.quota)
        level, at = found
        return min(self.policy.quota, level + (now - at) * self.policy.per_second)

    def draw(self, key: Hashable, amount: int, now: float) -> None:
        """Takes units from a bucket. The level may become negative."""
        self._levels[key] = self.level(key, now) - amount, now
        self._levels.move_to_end(key)
        if len(self._levels) > BUCKETS_MAX:
            self._levels.popitem(last=False)

    def state(self, key: Hashable, now: float) -> RateState:
        """Returns the state of a bucket, for its caller."""
        level = self.level(key, now) + _ALMOST
        full_at = self.policy.quota if level >= 1 else 1
        seconds = math.ceil((full_at - level) / self.policy.per_second)
        return RateState(self.policy, max(0, math.floor(level)), max(1, seconds))


class InsertLimits:
    """Limits to inserting, by token and by upload."""

    def __init__(
        self,
        of_token: Iterable[RatePolicy],
        of_upload: Iterable[RatePolicy],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._of_token = [Buckets(policy) for policy in of_token]
        self._of_upload = [Buckets(policy) for policy in of_upload]
        self._clock = clock

    def admit(self, token: Hashable, upload_id: int, byte_count: int) -> list[RateState]:
        """Lets a request in. Returns what is left afterwards. Raises RateLimited."""
        now = self._clock()
        draws = self._draws(token, upload_id)
        before = [buckets.state(key, now) for buckets, key in draws]
        narrowest = max(before, key=lambda state: (state.remaining < 1, state.reset_seconds))
        if narrowest.remaining < 1:
            for buckets, key in draws:
                buckets.draw(key, 0, now)  # nothing; but who asks must not be forgotten
            raise RateLimited(before, narrowest.reset_seconds, narrowest.policy)
        for buckets, key in draws:
            buckets.draw(key, 1 if buckets.policy.unit is RateUnit.REQUESTS else byte_count, now)
        return [buckets.state(key, now) for buckets, key in draws]

    def charge(self, token: Hashable, upload_id: int, byte_count: int) -> None:
        """Takes the bytes of a body whose length was not known before it ended."""
        now = self._clock()
        for buckets, key in self._draws(token, upload_id):
            if buckets.policy.unit is RateUnit.CONTENT_BYTES:
                buckets.draw(key, byte_count, now)

    def _draws(self, token: Hashable, upload_id: int) -> list[tuple[Buckets, Hashable]]:
        return [
            *((buckets, token) for buckets in self._of_token),
            *((buckets, upload_id) for buckets in self._of_upload),
        ]


def insert_limits(
    per_second: Sequence[tuple[str, RateUnit, float]], burst_seconds: float
) -> InsertLimits | None:
    """Returns the limits from settings, or None when all are 0.

    A setting is (`token` or `upload`, unit, units a second), with 0 for no limit.
    """
    policies = [
        (
            subject,
            RatePolicy(f"{subject}-{_WORDS[unit]}", unit, rate, max(1, math.floor(rate * burst_seconds))),
        )
        for subject, unit, rate in per_second
        if rate
    ]
    if not policies:
        return None
    return InsertLimits(
        [policy for subject, policy in policies if subject == "token"],
        [policy for subject, policy in policies if subject == "upload"],
    )


_WORDS = {RateUnit.REQUESTS: "requests", RateUnit.CONTENT_BYTES: "bytes"}
