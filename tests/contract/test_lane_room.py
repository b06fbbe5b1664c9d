"""The room of the lane's queue: whichever way a sender goes, what was kept for it comes back."""

import asyncio
from typing import Any

import msgspec

from rowkeep.model.errors import RowkeepError
from rowkeep.model.receipts import Outcome, StaleBatch
from rowkeep.model.resources import Receipt
from tests.contract.backends import OpenDatabase
from tests.contract.journaling import batch, make_uploads, plain, stored
from tests.contract.test_lane import KIB, in_background, open_lane, settled, submit, writer_held_up


def test_a_sender_who_leaves_the_line_changes_nothing(open_database: OpenDatabase) -> None:
    """A cancelled waiter is not written, and those behind it move up."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> None:
        async with open_lane(database, queue_bytes_max=2 * KIB) as lane:
            with writer_held_up(holder):
                tasks = [in_background(lane, batch(uploads, [number], padding=KIB)) for number in range(5)]
                await asyncio.sleep(0.05)
                tasks[2].cancel()
                tasks[3].cancel()
                await asyncio.sleep(0.05)
            results = await settled(tasks)
            assert results[4] == Receipt(1)
            assert isinstance(results[2], asyncio.CancelledError)
            assert lane.health().queued_bytes == 0

    asyncio.run(run())
    assert stored(database, uploads.first) == [0, 1, 4]


def test_a_turn_that_comes_to_one_who_leaves_goes_to_the_next(open_database: OpenDatabase) -> None:
    """A waiter cancelled in the very moment it is let in neither keeps the room nor blocks the line."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> list[Any]:
        async with open_lane(database, queue_bytes_max=KIB, wait_seconds_max=120) as lane:

            async def first() -> Outcome:
                outcome = await lane.submit(batch(uploads, [0], padding=KIB))
                tasks[1].cancel()  # its turn is given and it has not run yet
                return outcome

            with writer_held_up(holder):
                tasks = [asyncio.create_task(first())]
                tasks += [in_background(lane, batch(uploads, [number], padding=KIB)) for number in (1, 2)]
                await asyncio.sleep(0.05)
            results = await asyncio.wait_for(settled(tasks), 60)
            assert plain(await asyncio.wait_for(submit(lane, batch(uploads, [9])), 60)) == Receipt(1)
            assert lane.health().queued_bytes == 0
            return results

    results = asyncio.run(run())
    inserted = [number for number, result in enumerate(results) if plain(result) == Receipt(1)]
    assert plain(results[0]) == plain(results[2]) == Receipt(1)
    assert stored(database, uploads.first) == [*inserted, 9]


def test_a_turn_that_comes_as_the_lane_closes_gives_its_room_back(open_database: OpenDatabase) -> None:
    """Who is let in and then refused leaves no room taken, and those behind are refused at once."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> list[Any]:
        async with open_lane(database, queue_bytes_max=KIB, wait_seconds_max=120) as lane:

            async def first() -> Outcome:
                outcome = await lane.submit(batch(uploads, [0], padding=KIB))
                tasks.append(asyncio.create_task(lane.close()))  # the turn of the next is given
                return outcome

            with writer_held_up(holder):
                tasks: list[asyncio.Task[Any]] = [asyncio.create_task(first())]
                tasks += [in_background(lane, batch(uploads, [number], padding=KIB)) for number in (1, 2, 3)]
                await asyncio.sleep(0.05)
            results = await asyncio.wait_for(settled(tasks[:4]), 60)
            await asyncio.wait_for(settled(tasks[4:]), 60)
            assert lane.health().queued_bytes == 0
            return results

    results = asyncio.run(run())
    accepted = [number for number, result in enumerate(results) if plain(result) == Receipt(1)]
    assert accepted in ([0], [0, 1])
    assert all("shutting down" in str(error) for error in results[len(accepted) :])
    assert stored(database, uploads.first) == accepted


def test_room_comes_back_after_every_way_out(open_database: OpenDatabase) -> None:
    """Written, stale, refused by time, left in line: afterwards the lane takes as much as at first."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> None:
        async with open_lane(database, queue_bytes_max=4 * KIB, wait_seconds_max=0.2) as lane:
            with writer_held_up(holder):
                stale = msgspec.structs.replace(batch(uploads, [0], padding=KIB), catalog_version=0)
                batches = [stale, *(batch(uploads, [number], padding=KIB) for number in range(1, 9))]
                tasks = [in_background(lane, each) for each in batches]
                await asyncio.sleep(0)
                tasks[5].cancel()
                late = [await asyncio.gather(task, return_exceptions=True) for task in tasks[6:]]
            results = await settled(tasks)
            assert all(isinstance(error, RowkeepError) for [error] in late)
            assert isinstance(results[0], StaleBatch)
            assert results.count(Receipt(1)) == 2
            assert lane.health().queued_bytes == 0
            with writer_held_up(holder):
                again = [in_background(lane, batch(uploads, [9], padding=KIB)) for _ in range(5)]
                await asyncio.sleep(0)
                assert lane.health().queued_bytes == batch(uploads, [9], padding=KIB).byte_count * 3
            await settled(again)

    asyncio.run(run())
