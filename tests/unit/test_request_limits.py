"""Limits of one caller over every route: who shares one, what is refused, and how it comes back."""

import pytest

from rowkeep.model.audit import Origin
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.request_limits import RequestLimits, request_limits


class Clock:
    """A clock that tests set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def limits_of(clock: Clock, **settings: tuple[float, int]) -> RequestLimits:
    made = request_limits(**{"token": (0, 0), "address": (0, 0), **settings}, burst_seconds=10)
    made._clock = clock  # no setting of ours says this
    return made


def refused(limits: RequestLimits, origin: Origin) -> int:
    """In how many seconds a request that is refused may come again."""
    with pytest.raises(RowkeepError) as error:
        limits.admit(origin)
    assert error.value.code is ErrorCode.RATE_LIMIT_EXCEEDED
    assert error.value.retry_after_seconds is not None
    return error.value.retry_after_seconds


def test_tokens_and_addresses_have_limits_of_their_own() -> None:
    """A token's is not used up by another, nor by callers without one at the same address."""
    clock = Clock()
    limits = limits_of(clock, token=(1, 0), address=(0.5, 0))
    first, second = (Origin(name, "192.0.2.1") for name in (b"first", b"second"))
    nobody, elsewhere = Origin(None, "192.0.2.1"), Origin(None, "192.0.2.2")
    for _ in range(10):
        limits.admit(first)
    for _ in range(5):
        limits.admit(nobody)
    assert refused(limits, first) == 1
    assert refused(limits, nobody) == 2
    for other in (second, elsewhere):
        limits.admit(other)
    clock.now += 2
    for waited in (first, nobody):
        limits.admit(waited)


def test_a_network_of_ipv6_is_one_caller() -> None:
    """Its subscriber has 2 to the 64 addresses, and one limit."""
    limits = limits_of(Clock(), address=(0.1, 0))
    limits.admit(Origin(None, "2001:db8:1:2::1"))
    refused(limits, Origin(None, "2001:db8:1:2:ffff::9"))
    limits.admit(Origin(None, "2001:db8:1:3::1"))
    limits.admit(Origin(None, None))
    limits.admit(Origin(None, "no address"))


def test_what_was_read_is_paid_for() -> None:
    """A read of any size goes; the next one waits until it is paid for."""
    clock = Clock()
    limits = limits_of(clock, token=(0, 1_000))
    reader = Origin(b"reader")
    limits.admit(reader)
    limits.charge(reader, 30_000)
    assert refused(limits, reader) == 21
    clock.now += 21
    limits.admit(reader)


def test_without_limits_everybody_goes() -> None:
    """0 is no limit."""
    limits = limits_of(Clock())
    for _ in range(1_000):
        limits.admit(Origin(b"token"))
        limits.charge(Origin(None, "192.0.2.1"), 10**9)
