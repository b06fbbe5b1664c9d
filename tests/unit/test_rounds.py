"""Readings that step on one snapshot: those that are alike share what one of them reads, and no others."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from rowkeep.api.resources.follow import EventFraming, LineFraming
from rowkeep.model.access import Caller
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.resources import ReadStream
from rowkeep.services.read.following import FollowReading, FollowRequest, Framing
from rowkeep.services.read.read import read_request
from rowkeep.services.read.rounds import Rounds, read_together
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.engines import RowReading, RowReadings
from tests.unit.read_world import TABLE, World

ALL = None


class Followed:
    """A table with rows in two uploads, and readings of it that are counted."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.read_count = 0
        for upload in ("one", "two"):
            world.create(upload)
            world.insert(upload, [{"a": 1, "b": 2}], updateSchema=True)
        self.insert(3)

    def insert(self, value: int) -> None:
        """Inserts a row into the second upload."""
        self.world.insert("two", [{"a": value, "b": value + 1}])

    def _reading(self, stream: ReadStream, *, offset: int, with_sentinel: bool) -> RowReading:
        self.read_count += 1
        return self.world.readings(stream, offset=offset, with_sentinel=with_sentinel)

    def opened(
        self,
        caller: Caller | None = None,
        framing: Callable[[], Framing] = LineFraming,
        *,
        upload: str | None = None,
        names: list[str] | None = None,
        rows_max: int | None = None,
        tail: int | None = 0,
        readings: RowReadings | None = None,
    ) -> FollowReading:
        """A reading that has found where it begins."""
        rows = read_request(TABLE, upload, "jsonl", names, rows_max)
        asked = FollowRequest(rows, position=None, tail=tail)
        reading = FollowReading(caller or self.world.owner, asked, readings or self._reading, framing())
        self.world.run(self.world.doors.read(reading.open))
        return reading

    def round(self, *readings: FollowReading) -> list[bytes | Exception]:
        """A step of each on one snapshot."""

        def step(view: CatalogView) -> list[bytes | Exception]:
            return read_together(view, readings)

        return self.world.run(self.world.doors.read(step))


@pytest.fixture
def followed(world: World) -> Iterator[Followed]:
    """A table to follow."""
    return Followed(world)


def test_those_alike_read_once(followed: Followed) -> None:
    """Ten readers of two tokens at one place take one reading, in this round and the next."""
    tokens = [followed.world.owner, followed.world.token("ada")]
    readings = [followed.opened(token) for token in tokens * 5]
    for value in (5, 7):
        followed.insert(value)
        followed.read_count = 0
        outcomes = followed.round(*readings)
        assert followed.read_count == 1
        position = readings[0].position
        row = b'{"a":%d,"b":%d}\n' % (value, value + 1)
        assert outcomes == [row + b'{"@position":"%b"}\n' % position.encode()] * 10
        assert {reading.position for reading in readings} == {position}
        assert not any(reading.is_under_way for reading in readings)
    assert followed.round(*readings) == [b""] * 10


def test_each_gets_what_it_asked_for(followed: Followed) -> None:
    """Others variables, framing, bounds, places or subjects: each reads for itself, as if it were alone."""

    def all_of_them() -> list[FollowReading]:
        return [
            followed.opened(),
            followed.opened(framing=EventFraming),
            followed.opened(names=["b"]),
            followed.opened(names=["b", "a"]),
            followed.opened(rows_max=1),
            followed.opened(tail=1),
            followed.opened(tail=ALL),
            followed.opened(upload="one"),
            followed.opened(upload="two"),
        ]

    together, alone = all_of_them(), all_of_them()
    followed.insert(5)
    followed.read_count = 0
    shared = followed.round(*together)
    assert followed.read_count == len(together) - 1  # nothing is new in "one"
    assert shared == [outcome for reading in alone for outcome in followed.round(reading)]
    assert len(set(map(bytes, shared))) == len(together) - 1  # with rows_max it is the same, and the last
    assert [reading.is_complete for reading in together] == [reading.is_complete for reading in alone]
    assert together[4].is_complete


def test_rows_left_go_on_alone(followed: Followed) -> None:
    """Who took over the first step of a long round goes on from there: each row once, in order."""
    followed.world.insert("one", [{"a": number, "b": 0} for number in range(100_000)])
    first, second = followed.opened(tail=ALL), followed.opened(tail=ALL)
    expected = followed.world.rest(followed.world.parts(format_name="jsonl"))
    bodies: list[list[bytes]] = [[], []]
    outcomes = followed.round(first, second)
    assert first.is_under_way
    assert second.is_under_way
    while any(outcomes):
        for body, outcome in zip(bodies, outcomes, strict=True):
            assert isinstance(outcome, bytes)
            body += [line for line in outcome.splitlines() if not line.startswith(b'{"@')]
        outcomes = [outcome for reading in (first, second) for outcome in followed.round(reading)]
    assert bodies[0] == bodies[1] == b"".join(expected).splitlines()


def test_a_refusal_is_one_readers_alone(followed: Followed) -> None:
    """Who may not read on is told so, though it stands where others read; what breaks, breaks for one."""
    revoked = followed.world.token("ada")
    readings = [followed.opened(), followed.opened(revoked), followed.opened()]
    broken = followed.opened(names=["a"], readings=_broken)
    with followed.world.database.writing() as connection:
        connection.raw.execute("DELETE FROM tokens WHERE hash = ?", (revoked.token_hash,))
    followed.insert(5)
    good, refused, good_too, failed = followed.round(*readings, broken)
    assert good == good_too != b""
    assert isinstance(refused, RowkeepError)
    assert refused.code is ErrorCode.INVALID_TOKEN
    assert isinstance(failed, ZeroDivisionError)


def test_a_catalog_that_changes_between_steps(followed: Followed) -> None:
    """Readings that have rows left find their source again: each row once, in order, whatever has changed."""
    followed.world.insert("one", [{"a": number, "b": 0} for number in range(100_000)])
    expected = b"".join(followed.world.rest(followed.world.parts(format_name="jsonl"))).splitlines()
    readings = [followed.opened(tail=ALL), followed.opened(tail=ALL)]
    bodies: list[list[bytes]] = [[], []]
    changes = 0
    outcomes = followed.round(*readings)
    assert all(reading.is_under_way for reading in readings)
    while any(outcomes):
        for body, outcome in zip(bodies, outcomes, strict=True):
            assert isinstance(outcome, bytes)
            body += [line for line in outcome.splitlines() if not line.startswith(b'{"@')]
        with followed.world.database.writing() as connection:
            connection.records("catalog_changed")  # and nothing of the table
        changes += 1
        outcomes = followed.round(*readings)
    assert changes >= 2
    assert bodies[0] == bodies[1] == expected


def test_a_token_that_goes_in_the_middle_of_a_round(followed: Followed) -> None:
    """Its reader is refused at its next step, though rows are left; the other reads on to the end."""
    followed.world.insert("one", [{"a": number, "b": 0} for number in range(100_000)])
    revoked = followed.world.token("ada")
    kept, ended = followed.opened(tail=ALL), followed.opened(revoked, tail=ALL)
    first, _ = followed.round(kept, ended)
    assert kept.is_under_way
    assert ended.is_under_way
    with followed.world.database.writing() as connection:
        connection.raw.execute("DELETE FROM tokens WHERE hash = ?", (revoked.token_hash,))
        connection.records("catalog_changed")
    bodies = [first]
    while bodies[-1]:
        good, refused = followed.round(kept, ended)
        assert isinstance(refused, RowkeepError)
        assert refused.code is ErrorCode.INVALID_TOKEN
        bodies.append(good)
    assert sum(bytes(body).count(b'"a":') for body in bodies) == 100_000 + 3


def test_those_who_leave_hold_up_nobody(followed: Followed) -> None:
    """A reader that leaves while its round is under way; others get theirs, and later rounds come."""
    kept, left = followed.opened(), followed.opened()
    followed.insert(5)

    async def test() -> None:
        pauses = 0

        def pause_seconds() -> float:
            nonlocal pauses
            pauses += 1
            return 0.0

        rounds = Rounds(followed.world.doors, pause_seconds)
        leaving = asyncio.create_task(rounds.step(left))
        staying = asyncio.create_task(rounds.step(kept))
        await asyncio.sleep(0)
        leaving.cancel()
        assert b'{"a":5,"b":6}' in await staying
        assert await rounds.step(kept) == b""
        assert pauses >= 1

    followed.world.run(test())


def test_what_fails_for_all_is_told_to_all(followed: Followed) -> None:
    """A round that cannot read at all; the next one may."""

    async def test() -> None:
        rounds = Rounds(followed.world.doors, lambda: 0.0)
        doors, rounds._doors = rounds._doors, None  # type: ignore[assignment]  # nothing can be read
        failing = [asyncio.create_task(rounds.step(reading)) for reading in readings]
        for outcome in await asyncio.gather(*failing, return_exceptions=True):
            assert isinstance(outcome, AttributeError)
        rounds._doors = doors
        assert b'{"a":5,"b":6}' in await rounds.step(readings[0])

    readings = [followed.opened(), followed.opened()]
    followed.insert(5)
    followed.world.run(test())


def _broken(stream: ReadStream, *, offset: int, with_sentinel: bool) -> RowReading:
    raise ZeroDivisionError
