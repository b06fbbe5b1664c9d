"""The lane is fair between uploads: a flood waits for itself, in the queue and in the line before it."""

import asyncio
from typing import Any

import msgspec

from rowkeep.model.errors import RowkeepError
from rowkeep.model.resources import Batch, Receipt
from rowkeep.storage.base import Outcome
from rowkeep.storage.fairqueue import SHARE_BYTES
from rowkeep.storage.lane import Lane
from tests.contract.backends import OpenDatabase
from tests.contract.journaling import Uploads, batch, check_counters, make_uploads, stored
from tests.contract.test_lane import KIB, bump, in_background, open_lane, settled, writer_held_up

FLOOD = 40


async def given_over() -> None:
    """Waits until all senders so far have put their rows into the queue or stand in line."""
    for _ in range(5):
        await asyncio.sleep(0)


async def order_of_answers(named: dict[str, "asyncio.Task[Outcome]"]) -> list[str]:
    """The names of tasks in the order in which they end."""
    done: list[str] = []
    for name, task in named.items():
        task.add_done_callback(lambda _, name=name: done.append(name))
    await asyncio.gather(*named.values())
    await asyncio.sleep(0)
    return done


def large(uploads: Uploads, number: int, **into: int) -> Batch:
    """A batch of half a share."""
    return batch(uploads, [number], padding=SHARE_BYTES // 2, **into)


def test_a_newcomer_overtakes_the_flood(open_database: OpenDatabase) -> None:
    """One batch behind forty of another upload is written with the first few of them."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> list[str]:
        async with open_lane(database, group_bytes_max=4 * SHARE_BYTES) as lane:
            with writer_held_up(holder):
                named = {f"{number}": in_background(lane, large(uploads, number)) for number in range(FLOOD)}
                await given_over()
                named["late"] = in_background(lane, batch(uploads, [99], into=uploads.second))
                await given_over()
                assert lane.health().queued_bytes > FLOOD * SHARE_BYTES // 2
            return await order_of_answers(named)

    order = asyncio.run(run())
    # The first group is the flood's, for it was alone; the second has both.
    assert order.index("late") < FLOOD // 2
    assert [name for name in order if name != "late"] == [str(number) for number in range(FLOOD)]
    assert stored(database, uploads.first) == list(range(FLOOD))
    assert stored(database, uploads.second) == [99]
    check_counters(database, uploads)


def test_the_line_takes_turns(open_database: OpenDatabase) -> None:
    """Over the bound a newcomer is let in with the next, though forty of another upload stand in line."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> list[str]:
        async with open_lane(database, queue_bytes_max=SHARE_BYTES) as lane:
            with writer_held_up(holder):
                named = {f"{number}": in_background(lane, large(uploads, number)) for number in range(FLOOD)}
                await given_over()
                named["late"] = in_background(lane, large(uploads, 99, into=uploads.second))
                await given_over()
                assert lane.health().queued_bytes <= SHARE_BYTES
            return await order_of_answers(named)

    order = asyncio.run(run())
    assert order.index("late") < 8
    assert [name for name in order if name != "late"] == [str(number) for number in range(FLOOD)]
    assert stored(database, uploads.second) == [99]


def test_an_edit_keeps_its_place(open_database: OpenDatabase) -> None:
    """No turn carries rows over an edit: those before it are written, those after it are stale."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> list[Any]:
        async with open_lane(database) as lane:
            with writer_held_up(holder):
                before = [in_background(lane, large(uploads, number)) for number in range(FLOOD)]
                before.append(in_background(lane, batch(uploads, [1], into=uploads.second)))
                await given_over()
                edited = asyncio.create_task(lane.write(bump))
                await given_over()
                after = in_background(lane, batch(uploads, [2], into=uploads.second))
                await given_over()
            await edited
            assert await settled(before) == [Receipt(1)] * (FLOOD + 1)
            return await settled([after])

    (after,) = asyncio.run(run())
    assert not isinstance(after, Receipt)
    assert stored(database, uploads.first) == list(range(FLOOD))
    assert stored(database, uploads.second) == [1]


def test_who_sends_after_an_answer_comes_after_it(open_database: OpenDatabase) -> None:
    """Eight senders into two uploads, each waiting for its answers: every sender's rows are in its order."""
    database = open_database()
    uploads = make_uploads(database)

    async def send(lane: Lane, sender: int) -> None:
        into = uploads.first if sender % 2 else uploads.second
        for number in range(20):
            rows = batch(uploads, [sender * 1_000 + number], into=into, padding=sender * 20 * KIB)
            assert await lane.submit(rows) == Receipt(1)

    async def run() -> None:
        async with open_lane(database, queue_bytes_max=256 * KIB) as lane:
            await asyncio.gather(*[send(lane, sender) for sender in range(8)])
            assert lane.health().queued_bytes == 0

    asyncio.run(run())
    for upload_id, odd in ((uploads.first, 1), (uploads.second, 0)):
        found = stored(database, upload_id)
        for sender in range(odd, 8, 2):
            assert [value for value in found if value // 1_000 == sender] == [
                sender * 1_000 + number for number in range(20)
            ]
    check_counters(database, uploads)


def test_the_refused_are_not_written(open_database: OpenDatabase) -> None:
    """A flood of two uploads over a narrow queue: exactly the accepted are there, each upload's in order."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> list[Any]:
        async with open_lane(database, queue_bytes_max=8 * KIB, wait_seconds_max=0.2) as lane:
            with writer_held_up(holder):
                tasks = [
                    in_background(
                        lane,
                        batch(
                            uploads, [number], into=(uploads.first, uploads.second)[number % 2], padding=KIB
                        ),
                    )
                    for number in range(60)
                ]
                await asyncio.sleep(0.5)
                assert lane.health().queued_bytes <= 8 * KIB
            return await settled(tasks)

    results = asyncio.run(run())
    accepted = [number for number, result in enumerate(results) if result == Receipt(1)]
    assert 1 <= len(accepted) < 60
    assert all(isinstance(result, RowkeepError) for result in results if result != Receipt(1))
    assert stored(database, uploads.first) == [number for number in accepted if number % 2 == 0]
    assert stored(database, uploads.second) == [number for number in accepted if number % 2]


def test_a_sender_with_many_uploads_is_not_slowed(open_database: OpenDatabase) -> None:
    """Small batches of many uploads still share commits: a round is one group."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> None:
        async with open_lane(database) as lane:
            with writer_held_up(holder):
                rows = [
                    msgspec.structs.replace(
                        batch(uploads, [number]), upload_id=(uploads.first, uploads.second)[number % 2]
                    )
                    for number in range(200)
                ]
                tasks = [in_background(lane, item) for item in rows]
                await given_over()
            assert await settled(tasks) == [Receipt(1)] * 200
            assert lane.health().groups < 100

    asyncio.run(run())
    check_counters(database, uploads)
