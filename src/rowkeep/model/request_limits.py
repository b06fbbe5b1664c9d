"""How much one caller may ask of the routes beside inserts: requests, and bytes of rows and files.

A caller is a token, or an address for those who have none (of IPv6, the network of 64 bits that one
subscriber has). So callers who cannot be told apart any better share a limit, and no stranger can use up
that of a token. The buckets are those of model/rate_limits.py: a request is let in when there is something in
each, and what it reads is paid for afterwards.
"""

import ipaddress
import math
import time
from collections.abc import Callable, Hashable, Iterable

from rowkeep.model.audit import Origin
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.rate_limits import Buckets, RatePolicy, RateUnit

SUBSCRIBER_BITS = 64


class RequestLimits:
    """The limits of every caller. Used on one event loop."""

    def __init__(
        self,
        of_token: Iterable[RatePolicy],
        of_address: Iterable[RatePolicy],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._of_token = [Buckets(policy) for policy in of_token]
        self._of_address = [Buckets(policy) for policy in of_address]
        self._clock = clock

    def admit(self, origin: Origin) -> None:
        """Lets a request in. Raises rate_limit_exceeded."""
        now = self._clock()
        buckets, key = self._of(origin)
        for bucket in buckets:
            state = bucket.state(key, now)
            if state.remaining < 1:
                whose = "this token" if origin.token_hash is not None else "callers without a token"
                raise RowkeepError(
                    ErrorCode.RATE_LIMIT_EXCEEDED,
                    f"The limit of {bucket.policy.per_second:g} {bucket.policy.unit} a second for {whose} is "
                    f"used up. Nothing was done; send the request again in {state.reset_seconds} s.",
                    retry_after_seconds=state.reset_seconds,
                )
        for bucket in buckets:
            bucket.draw(key, 1 if bucket.policy.unit is RateUnit.REQUESTS else 0, now)

    def charge(self, origin: Origin, byte_count: int) -> None:
        """Takes bytes that were read from the caller's limit."""
        buckets, key = self._of(origin)
        for bucket in buckets:
            if bucket.policy.unit is RateUnit.CONTENT_BYTES:
                bucket.draw(key, byte_count, self._clock())

    def _of(self, origin: Origin) -> tuple[list[Buckets], Hashable]:
        if origin.token_hash is not None:
            return self._of_token, origin.token_hash
        return self._of_address, _subscriber(origin.address)


def request_limits(
    *,
    token: tuple[float, int],
    address: tuple[float, int],
    burst_seconds: float,
) -> RequestLimits:
    """Returns limits from settings: (requests, bytes) a second, 0 for none."""
    return RequestLimits(
        _policies("token", token, burst_seconds), _policies("address", address, burst_seconds)
    )


def _policies(subject: str, per_second: tuple[float, int], burst_seconds: float) -> list[RatePolicy]:
    units = ((RateUnit.REQUESTS, "requests"), (RateUnit.CONTENT_BYTES, "bytes"))
    return [
        RatePolicy(f"{subject}-{word}", unit, rate, max(1, math.floor(rate * burst_seconds)))
        for (unit, word), rate in zip(units, per_second, strict=True)
        if rate
    ]


def _subscriber(address: str | None) -> str:
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, SUBSCRIBER_BITS), strict=False))
