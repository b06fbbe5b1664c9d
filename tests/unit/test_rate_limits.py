"""Token buckets by the clock: what is let in, what is told, and that waiting as told is enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowkeep.model import rate_limits
from rowkeep.model.rate_limits import InsertLimits, RateLimited, RatePolicy, RateUnit, insert_limits


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1e6

    def __call__(self) -> float:
        return self.now


def requests(per_second: float, quota: int) -> RatePolicy:
    return RatePolicy("r", RateUnit.REQUESTS, per_second, quota)


def content(per_second: float, quota: int) -> RatePolicy:
    return RatePolicy("b", RateUnit.CONTENT_BYTES, per_second, quota)


def is_let_in(limits: InsertLimits, token: str = "t", upload_id: int = 1, byte_count: int = 0) -> bool:
    try:
        limits.admit(token, upload_id, byte_count)
    except RateLimited:
        return False
    return True


@given(
    st.floats(0.01, 5_000),
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 10_000)), min_size=5, max_size=60),
)
def test_who_waits_as_told_is_let_in(per_second: float, quota: int, sent: list[tuple[float, int]]) -> None:
    """Whatever came before, after Retry-After seconds the next request finds a unit in every bucket."""
    clock = Clock()
    limits = InsertLimits([requests(per_second, quota)], [content(1_000, 5_000)], clock)
    for pause, byte_count in sent:
        clock.now += pause
        try:
            limits.admit("t", 1, byte_count)
        except RateLimited as refused:
            assert refused.retry_after_seconds is not None
            assert refused.retry_after_seconds >= 1
            clock.now += refused.retry_after_seconds
            assert is_let_in(limits, byte_count=byte_count)


@given(st.floats(0.1, 100), st.integers(1, 20), st.lists(st.floats(0, 1), max_size=100))
def test_no_more_than_the_rate_and_the_quota(per_second: float, quota: int, pauses: list[float]) -> None:
    """From a full bucket, in any time: at most the quota, and what has come since."""
    clock = Clock()
    limits = InsertLimits([requests(per_second, quota)], [], clock)
    count = 0
    for pause in pauses:
        clock.now += pause
        count += is_let_in(limits)
        assert count <= quota + (clock.now - 1e6) * per_second + 0.01


def test_the_refused_pay_nothing() -> None:
    """Requests that one bucket refuses draw nothing from another."""
    clock = Clock()
    limits = InsertLimits([requests(0.001, 10)], [content(0.001, 100)], clock)
    assert is_let_in(limits, upload_id=1, byte_count=1_000)
    assert not any(is_let_in(limits, upload_id=1) for _ in range(100))
    assert [is_let_in(limits, upload_id=number) for number in range(2, 12)] == [True] * 9 + [False]


def test_what_is_left_is_told() -> None:
    """States come in the order of the policies; the reset is when it is full, or when one is there."""
    limits = InsertLimits([requests(2, 10)], [content(50, 100)], Clock())
    of_token, of_upload = limits.admit("t", 1, 130)
    assert (of_token.remaining, of_token.reset_seconds) == (9, 1)
    assert (of_upload.remaining, of_upload.reset_seconds) == (0, 1)
    limits.charge("t", 1, 500)
    with pytest.raises(RateLimited) as refused:
        limits.admit("t", 1, 0)
    assert refused.value.retry_after_seconds == 11
    assert refused.value.states[0].remaining == 9


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number, those asked for least lately are forgotten, not those in use."""
    monkeypatch.setattr(rate_limits, "BUCKETS_MAX", 10)
    limits = InsertLimits([requests(0.001, 20)], [], Clock())
    for number in range(100):
        assert is_let_in(limits, token=f"other {number}")
        assert is_let_in(limits, token="busy") == (number < 20)


def test_settings_of_zero_are_no_limits() -> None:
    """Without a rate there is nothing that a request would have to ask."""
    assert (
        insert_limits([("token", RateUnit.REQUESTS, 0.0), ("upload", RateUnit.CONTENT_BYTES, 0)], 10) is None
    )
    limits = insert_limits([("token", RateUnit.REQUESTS, 0.01), ("upload", RateUnit.REQUESTS, 0.0)], 10)
    assert limits is not None
    (state,) = limits.admit("t", 1, 5)
    assert (state.policy.name, state.policy.quota, state.policy.window_seconds) == ("token-requests", 1, 100)
