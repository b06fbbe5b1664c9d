"""Turns by upload: who enters, who waits, who comes next."""

import asyncio

import pytest

from rowkeep.model.errors import RowkeepError
from rowkeep.services.insert.turns import BYTES_MAX, REQUESTS_MAX, SHARED_SECONDS, Turns
from tests.skipping_loop import run_skipping

FLOOD, POLITE, THIRD = 1, 2, 3
SMALL = 100


def shared(requests: int = REQUESTS_MAX, byte_count: int = SMALL, wait_seconds_max: float = 20) -> Turns:
    """Turns with a line that is as full as it may be while another upload sends."""
    turns = Turns(wait_seconds_max=wait_seconds_max)
    assert turns.enter(POLITE, SMALL, 0.0)
    for _ in range(requests):
        assert turns.enter(FLOOD, byte_count, 0.0)
    return turns


async def waiting(turns: Turns, byte_count: int = SMALL, now: float = 0.0) -> "asyncio.Task[None]":
    """A request of the flood that has to wait, and does."""
    assert not turns.enter(FLOOD, byte_count, now)
    task = asyncio.create_task(turns.wait(FLOOD, byte_count))
    await asyncio.sleep(0)
    return task


def test_an_upload_alone_has_no_bound() -> None:
    """Nobody would gain by it."""
    turns = Turns(wait_seconds_max=20)
    assert all(turns.enter(FLOOD, BYTES_MAX, 0.0) for _ in range(100))


def test_requests_are_bounded_beside_another_upload() -> None:
    """The next one over the bound has to wait; the other upload enters."""
    turns = shared()
    assert not turns.enter(FLOOD, SMALL, 0.0)
    assert turns.enter(POLITE, SMALL, 0.0)


def test_bytes_are_bounded_beside_another_upload() -> None:
    """A request that would go over the bound has to wait, one that fits enters."""
    turns = shared(1, BYTES_MAX - SMALL)
    assert not turns.enter(FLOOD, SMALL + 1, 0.0)
    turns = shared(1, BYTES_MAX - SMALL)
    assert turns.enter(FLOOD, SMALL, 0.0)


def test_a_body_above_the_bound_enters_alone() -> None:
    """Otherwise it could never go."""
    turns = Turns(wait_seconds_max=20)
    assert turns.enter(POLITE, SMALL, 0.0)
    assert turns.enter(FLOOD, BYTES_MAX + 1, 0.0)
    assert not turns.enter(FLOOD, 1, 0.0)


def test_the_bound_ends_when_the_other_upload_is_silent() -> None:
    """A second after its last request; the flood's own requests do not count as another's."""
    turns = shared()
    for number in range(10):
        assert turns.enter(FLOOD, SMALL, SHARED_SECONDS + number)


def test_the_bound_holds_for_each_of_two() -> None:
    """Two floods are bounded alike, whichever came last."""
    turns = shared()
    for _ in range(REQUESTS_MAX - 1):
        assert turns.enter(POLITE, SMALL, 0.5)
    assert not turns.enter(POLITE, SMALL, 0.5)
    assert not turns.enter(FLOOD, SMALL, 0.5)
    assert turns.enter(THIRD, SMALL, 0.5)


def test_who_waits_comes_in_order() -> None:
    """Each that leaves lets in the next; a newcomer does not pass those in front."""

    async def test() -> None:
        turns = shared()
        first, second = await waiting(turns), await waiting(turns)
        turns.leave(FLOOD, SMALL)
        await first
        assert not second.done()
        third = await waiting(turns)
        turns.leave(FLOOD, SMALL)
        await second
        assert not third.done()
        turns.leave(FLOOD, SMALL)
        await third

    run_skipping(test)


def test_a_newcomer_that_would_fit_does_not_pass_those_in_front() -> None:
    """Neither while the bound holds nor after it has ended: there is a line, and it stands at its end."""

    async def test() -> None:
        turns = shared(2, BYTES_MAX // 2)
        large = await waiting(turns, BYTES_MAX // 2)
        small = await waiting(turns, 0)  # there is room for it
        late = await waiting(turns, 0, now=2 * SHARED_SECONDS)  # the other upload is silent
        assert not any(task.done() for task in (large, small, late))
        turns.leave(FLOOD, BYTES_MAX // 2)
        await asyncio.gather(large, small, late)

    run_skipping(test)


def test_a_large_body_in_front_is_not_passed_by_small_ones() -> None:
    """They would keep it waiting for ever."""

    async def test() -> None:
        turns = shared(2, BYTES_MAX // 2)
        large, small = await waiting(turns, BYTES_MAX), await waiting(turns, 1)
        turns.leave(FLOOD, BYTES_MAX // 2)
        await asyncio.sleep(0)
        assert not large.done()
        assert not small.done()
        turns.leave(FLOOD, BYTES_MAX // 2)
        await large
        assert not small.done()
        turns.leave(FLOOD, BYTES_MAX)
        await small

    run_skipping(test)


def test_all_are_let_in_when_the_others_are_silent() -> None:
    """The next that leaves, after a request that came when nobody else sent any more, opens the line."""

    async def test() -> None:
        turns = shared()
        tasks = [await waiting(turns) for _ in range(2 * REQUESTS_MAX)]
        tasks.append(await waiting(turns, now=SHARED_SECONDS))
        turns.leave(FLOOD, SMALL)
        await asyncio.gather(*tasks)

    run_skipping(test)


def test_who_gives_up_is_passed_over() -> None:
    """The turn goes to the next."""

    async def test() -> None:
        turns = shared()
        first, second = await waiting(turns), await waiting(turns)
        first.cancel()
        await asyncio.sleep(1)
        assert first.cancelled()
        third = await waiting(turns)
        assert not second.done()  # nobody has left but one who had no turn
        turns.leave(FLOOD, SMALL)
        await second
        assert not third.done()
        turns.leave(FLOOD, SMALL)
        await third

    run_skipping(test)


def test_a_turn_that_comes_while_its_sender_gives_up_goes_on() -> None:
    """It was taken in and never will leave by itself."""

    async def test() -> None:
        turns = shared()
        first, second = await waiting(turns), await waiting(turns)
        turns.leave(FLOOD, SMALL)
        first.cancel()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first

    run_skipping(test)


def test_who_waits_too_long_is_refused() -> None:
    """Each after its own time, with `unavailable`; those in time get their turn."""

    async def test() -> None:
        turns = shared(wait_seconds_max=5)
        first = await waiting(turns)
        await asyncio.sleep(3)
        second, third = await waiting(turns), await waiting(turns)
        with pytest.raises(RowkeepError, match="more slowly than they arrive") as refused:
            await first
        assert refused.value.retry_after_seconds == 1
        assert not second.done()
        turns.leave(FLOOD, SMALL)
        await second
        with pytest.raises(RowkeepError, match="more slowly than they arrive"):
            await third

    run_skipping(test)


def test_who_has_given_up_is_not_refused() -> None:
    """Its time comes and goes; those behind it are refused at theirs."""

    async def test() -> None:
        turns = shared(wait_seconds_max=5)
        first = await waiting(turns)
        await asyncio.sleep(1)
        second = await waiting(turns)
        first.cancel()
        began_at = asyncio.get_running_loop().time()
        with pytest.raises(RowkeepError, match="more slowly than they arrive"):
            await second
        assert asyncio.get_running_loop().time() - began_at == pytest.approx(5)
        assert first.cancelled()

    run_skipping(test)


def test_an_upload_is_shared_while_another_sends() -> None:
    """Whichever of them sent last: what counts is how long ago anybody else did."""
    turns = Turns(wait_seconds_max=20)
    assert turns.enter(FLOOD, SMALL, 0.0)
    assert not turns.is_shared(FLOOD)
    assert turns.enter(POLITE, SMALL, 10 * SHARED_SECONDS)
    assert turns.is_shared(FLOOD)
    assert not turns.is_shared(POLITE)
    assert turns.enter(FLOOD, SMALL, 10.5 * SHARED_SECONDS)
    assert turns.is_shared(POLITE)
    assert turns.is_shared(FLOOD)
    assert turns.enter(FLOOD, SMALL, 11 * SHARED_SECONDS)
    assert not turns.is_shared(FLOOD)


def test_nothing_is_left_of_what_has_left() -> None:
    """An upload whose requests are all through starts anew, and no timer of it goes off."""

    async def test() -> None:
        turns = shared(wait_seconds_max=2)
        task = await waiting(turns)
        for _ in range(REQUESTS_MAX):
            turns.leave(FLOOD, SMALL)
        await task
        turns.leave(FLOOD, SMALL)
        assert all(turns.enter(FLOOD, SMALL, 0.0) for _ in range(REQUESTS_MAX))
        late = asyncio.create_task(turns.wait(FLOOD, SMALL))
        await asyncio.sleep(1)
        assert not late.done()
        turns.leave(FLOOD, SMALL)
        await late
        for _ in range(REQUESTS_MAX):
            turns.leave(FLOOD, SMALL)
        turns.leave(POLITE, SMALL)
        assert not turns._lines, "an upload that nobody inserts into takes memory"

    run_skipping(test)
