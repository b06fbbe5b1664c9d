"""A clock that jumps: no row is lost, doubled or moved, and no key is forgotten."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.timing import InsertTimes
from rowkeep.services.insert.requests import InsertRequest
from rowkeep.services.upkeep import prune
from rowkeep.storage.verification import verify
from tests.unit.read_world import TABLE, World
from tests.wall_clock import WallClock, wall_clock

HOUR = 3_600 * 10**9
JUMPS = {
    "an hour forward": HOUR,
    "an hour back": -HOUR,
    "a day forward": 24 * HOUR,
    "a day back": -24 * HOUR,
    "ten years forward": 87_600 * HOUR,
    "ten years back": -87_600 * HOUR,
}


@pytest.fixture
def clock() -> Iterator[WallClock]:
    """The clock that everything in this process reads."""
    with wall_clock() as made:
        yield made


@pytest.fixture
def world(quick_folder: Path, runner: asyncio.Runner) -> Iterator[World]:
    """An empty upload."""
    made = World(quick_folder, runner)
    made.create("s", [{"name": "id", "type": "integer"}])
    yield made
    made.close()


def insert(world: World, number: int, key: str) -> bool:
    """One row under a key; whether it was a repeat."""
    request = InsertRequest(world.owner, (TABLE, "s"), key)

    async def send() -> bool:
        target = await world.inserts.look_up_target(request)
        body = msgspec.json.encode({"rows": [{"id": number}]})
        return (await world.inserts.insert(request, target, body, InsertTimes(0.0))).replayed

    return world.run(send())


def pass_upkeep(world: World) -> None:
    """One pass of upkeep, which the server makes every five minutes."""
    world.run(prune(world.doors))


@pytest.mark.parametrize("jump", JUMPS)
def test_rows_keep_their_order_and_keys_are_known(world: World, clock: WallClock, jump: str) -> None:
    """Rows arrive, are sealed and read on both sides of a jump; every repeat is known as one."""
    for number in range(10):
        if number == 5:
            clock.shift = JUMPS[jump]
        assert not insert(world, number, f"k{number}")
        if number % 3 == 0:
            world.seal()
        pass_upkeep(world)
    for number in range(10):
        assert insert(world, number, f"k{number}")
    assert world.listed()["id"].to_pylist() == list(range(10))
    assert verify(world.database, world.directory).problems == ()


def test_a_clock_that_jumps_to_and_fro(world: World, clock: WallClock) -> None:
    """Every jump after every other, with a repeat of everything after each."""
    for number, (one, other) in enumerate(itertools.permutations(JUMPS.values(), 2)):
        clock.shift = one
        assert not insert(world, number, f"k{number}")
        clock.shift = other
        pass_upkeep(world)
        world.seal()
        assert all(insert(world, earlier, f"k{earlier}") for earlier in range(number + 1))
    assert world.listed()["id"].to_pylist() == list(range(30))
    assert verify(world.database, world.directory).problems == ()


def test_sessions_end_by_the_clock(world: World, clock: WallClock) -> None:
    """A read session expires early when the clock is set forward: a clear error, and another is made."""
    insert(world, 1, "k")
    [stream] = world.session().streams
    clock.shift = -24 * HOUR
    assert world.table(stream)["id"].to_pylist() == [1]
    clock.shift = 24 * HOUR
    with pytest.raises(RowkeepError) as refusal:
        world.table(stream)
    assert refusal.value.code is ErrorCode.NOT_FOUND
    [stream] = world.session().streams
    assert world.table(stream)["id"].to_pylist() == [1]
