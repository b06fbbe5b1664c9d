"""The lane: one bounded queue, one writer; what was accepted is written, what was refused is not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.receipts import Outcome
from rowkeep.model.resources import Batch, Receipt
from rowkeep.storage.base import Connection, Database
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.journal.lane import Lane
from rowkeep.storage.sqlite import SqliteDatabase
from tests.contract.backends import OpenDatabase
from tests.contract.journaling import (
    Uploads,
    batch,
    check_counters,
    make_uploads,
    plain,
    stored,
    widening,
    widening_batch,
)
from tests.server_process import wait_until

KIB = 1024


@asynccontextmanager
async def open_lane(
    database: Database, *, queue_bytes_max: int = 64 * KIB * KIB, wait_seconds_max: float = 20.0
) -> AsyncIterator[Lane]:
    lane = Lane(
        database,
        group_bytes_max=8 * KIB * KIB,
        queue_bytes_max=queue_bytes_max,
        wait_seconds_max=wait_seconds_max,
    )
    try:
        yield lane
    finally:
        await lane.close()


@contextmanager
def writer_held_up(database: Database) -> Iterator[None]:
    """While this lasts another transaction holds the one right to write."""
    with database.writing():
        yield


async def submit(lane: Lane, rows: Batch) -> Outcome:
    return await lane.submit(rows)


def in_background(lane: Lane, rows: Batch) -> "asyncio.Task[Outcome]":
    return asyncio.create_task(submit(lane, rows))


def bump(connection: Connection) -> None:
    """An edit that makes every batch checked before stale."""
    CatalogEditor(connection).tokens.revoke(0)


async def settled(tasks: list["asyncio.Task[Outcome]"]) -> list[Any]:
    return [plain(result) for result in await asyncio.gather(*tasks, return_exceptions=True)]


def test_a_crowd_shares_commits(database: Database, uploads: Uploads) -> None:
    """Batches that wait together are committed together; every sender gets its own receipt, in order."""

    async def run() -> None:
        async with open_lane(database) as lane:
            tasks = [in_background(lane, batch(uploads, [number] * 2)) for number in range(200)]
            assert await settled(tasks) == [Receipt(2)] * 200
            health = lane.health()
            assert (health.rows_inserted, health.batches, health.queued_bytes) == (400, 200, 0)
            assert health.groups < 100
            assert health.failure is None
            assert health.commit_seconds > 0

    asyncio.run(run())
    assert stored(database, uploads.first) == [number for number in range(200) for _ in range(2)]
    check_counters(database, uploads)


def test_rows_are_there_when_the_receipt_is(database: Database, uploads: Uploads) -> None:
    """A reader sees the rows of every receipt at once."""

    async def run() -> None:
        async with open_lane(database) as lane:
            for number in range(5):
                await lane.submit(batch(uploads, [number]))
                assert stored(database, uploads.first) == list(range(number + 1))

    asyncio.run(run())


def test_a_schema_change_is_a_group_of_its_own(open_database: OpenDatabase) -> None:
    """It goes in between those before it and those after it, which are stale then."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> list[Any]:
        async with open_lane(database) as lane:
            with writer_held_up(holder):
                before = in_background(lane, batch(uploads, [1]))
                change = in_background(lane, widening_batch(uploads, [2.5]))
                after = in_background(lane, batch(uploads, [3]))
                await asyncio.sleep(0.1)
            return await settled([before, change, after])

    before, change, after = asyncio.run(run())
    assert (before, change) == (Receipt(1), Receipt(1, widening()))
    assert not isinstance(after, Receipt)
    assert stored(database, uploads.first) == [1, 2.5]


def test_a_flood_waits_in_order_and_goes_in(open_database: OpenDatabase) -> None:
    """Over the bound senders wait in line; none is lost and none overtakes another."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> None:
        async with open_lane(database, queue_bytes_max=4 * KIB) as lane:
            with writer_held_up(holder):
                tasks = [in_background(lane, batch(uploads, [number], padding=KIB)) for number in range(40)]
                await asyncio.sleep(0.1)
                assert lane.health().queued_bytes <= 4 * KIB
            assert await settled(tasks) == [Receipt(1)] * 40
            assert lane.health().queued_bytes == 0

    asyncio.run(run())
    assert stored(database, uploads.first) == list(range(40))


def test_a_flood_that_waits_too_long_is_refused(open_database: OpenDatabase) -> None:
    """Who waits too long gets `unavailable`, and nothing of it is written; later batches go in."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> list[Any]:
        async with open_lane(database, queue_bytes_max=4 * KIB, wait_seconds_max=0.2) as lane:
            with writer_held_up(holder):
                tasks = [in_background(lane, batch(uploads, [number], padding=KIB)) for number in range(10)]
                await asyncio.sleep(0.5)
            results = await settled(tasks)
            assert plain(await lane.submit(batch(uploads, [99]))) == Receipt(1)
            assert lane.health().queued_bytes == 0
            return results

    results = asyncio.run(run())
    accepted = [number for number, result in enumerate(results) if plain(result) == Receipt(1)]
    assert accepted == list(range(len(accepted)))
    assert 1 <= len(accepted) <= 4
    for error in results[len(accepted) :]:
        assert isinstance(error, RowkeepError)
        assert error.code is ErrorCode.UNAVAILABLE
        assert error.retry_after_seconds
        assert "Nothing of this request was inserted" in error.message
    assert stored(database, uploads.first) == [*accepted, 99]


def test_a_batch_larger_than_the_bound_goes_alone(database: Database, uploads: Uploads) -> None:
    """The bound delays, it forbids nothing."""

    async def run() -> None:
        async with open_lane(database, queue_bytes_max=KIB) as lane:
            tasks = [in_background(lane, batch(uploads, [number], padding=2 * KIB)) for number in range(5)]
            assert await settled(tasks) == [Receipt(1)] * 5

    asyncio.run(run())
    assert stored(database, uploads.first) == list(range(5))


def test_what_was_accepted_is_written_though_its_sender_left(open_database: OpenDatabase) -> None:
    """A client that disconnects after its rows were accepted changes nothing."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> None:
        async with open_lane(database) as lane:
            with writer_held_up(holder):
                tasks = [in_background(lane, batch(uploads, [number])) for number in range(3)]
                await asyncio.sleep(0.05)
                tasks[1].cancel()
            await settled(tasks)

    asyncio.run(run())
    assert stored(database, uploads.first) == [0, 1, 2]


def test_closing_writes_what_was_accepted(open_database: OpenDatabase) -> None:
    """Closing drains the queue; whoever comes later, or still waits in line, is refused."""
    database, holder = open_database(), open_database()
    uploads = make_uploads(database)

    async def run() -> list[Any]:
        async with open_lane(database, queue_bytes_max=3 * KIB) as lane:
            with writer_held_up(holder):
                tasks = [in_background(lane, batch(uploads, [number], padding=KIB)) for number in range(6)]
                await asyncio.sleep(0.05)
                closing = asyncio.create_task(lane.close())
                await asyncio.sleep(0.05)
                with pytest.raises(RowkeepError, match="shutting down"):
                    lane.submit(batch(uploads, [99]))
                with pytest.raises(RowkeepError, match="shutting down"):
                    await lane.write(bump)
            await closing
            results = await asyncio.wait_for(settled(tasks), 60)
            assert lane.health().queued_bytes == 0
            return results

    results = asyncio.run(run())
    accepted = [number for number, result in enumerate(results) if plain(result) == Receipt(1)]
    assert accepted == [0, 1]
    assert all("shutting down" in str(error) for error in results[len(accepted) :])
    assert stored(database, uploads.first) == accepted


def test_edits_and_rows_are_written_in_the_order_they_come(database: Database, uploads: Uploads) -> None:
    """An edit of the catalog is a transaction between those of the rows before and after it."""

    async def run() -> list[Any]:
        async with open_lane(database) as lane:
            before = in_background(lane, batch(uploads, [1]))
            await asyncio.sleep(0)
            edited = asyncio.create_task(lane.write(bump))
            await asyncio.sleep(0)
            after = in_background(lane, batch(uploads, [2]))
            await edited
            return await settled([before, after])

    before, after = asyncio.run(run())
    assert plain(before) == Receipt(1)
    assert not isinstance(after, Receipt)
    assert stored(database, uploads.first) == [1]


def test_an_edit_that_fails_is_rolled_back(database: Database, uploads: Uploads) -> None:
    """What the function raises reaches its caller; the lane goes on."""

    async def run() -> None:
        async with open_lane(database) as lane:

            def edit(connection: Connection) -> None:
                CatalogEditor(connection).uploads.delete(uploads.first)
                raise LookupError("no such thing")

            with pytest.raises(LookupError, match="no such thing"):
                await lane.write(edit)
            assert plain(await lane.submit(batch(uploads, [1]))) == Receipt(1)

    asyncio.run(run())
    assert stored(database, uploads.first) == [1]


# What a full disk does, on SQLite: a database that may not grow fails as a disk without room does.


def limit_size(database: SqliteDatabase) -> None:
    """Lets the file grow no further."""
    raw: apsw.Connection = database._writer.raw  # no setting of ours says this
    raw.pragma("max_page_count", raw.pragma("page_count"))


def noise(uploads: Uploads, number: int) -> Batch:
    """A batch that does not compress into the room that is left."""
    values = [(number * 7919 + index * 104_729) ** 3 % 2**53 for index in range(2_000)]
    return batch(uploads, values)


def test_a_full_disk_stops_the_lane_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile nothing is written and reads go on; with room again writing goes on, without a restart."""
    monkeypatch.setattr("rowkeep.storage.journal.lane.ROOM_SECONDS", 0.02)
    monkeypatch.setattr("rowkeep.storage.sqlite._ROOM_BYTES_MIN", 2**62)
    database = SqliteDatabase(tmp_path / "rowkeep.db")
    uploads = make_uploads(database)

    async def run() -> None:
        async with open_lane(database) as lane:
            await lane.submit(batch(uploads, [1]))
            limit_size(database)
            failed = await settled([in_background(lane, noise(uploads, number)) for number in range(3)])
            assert lane.health().failure is not None
            with pytest.raises(RowkeepError) as later:
                await lane.submit(batch(uploads, [2]))
            with pytest.raises(RowkeepError) as edit:
                await lane.write(bump)
            for error in (*failed, later.value, edit.value):
                assert isinstance(error, RowkeepError)
                assert error.code is ErrorCode.UNAVAILABLE
                assert error.retry_after_seconds == 5
                assert "The disk of the server is full" in error.message
                assert "FullError" in (error.detail or "")
                assert "FullError" not in error.message
            assert stored(database, uploads.first) == [1]
            monkeypatch.setattr("rowkeep.storage.sqlite._ROOM_BYTES_MIN", 1)
            database._writer.raw.pragma("max_page_count", 2**20)
            await asyncio.to_thread(wait_until, lambda: lane.health().failure is None)
            assert plain(await lane.submit(noise(uploads, 2))) == Receipt(2_000)
            await lane.write(bump)

    asyncio.run(run())
    assert len(stored(database, uploads.first)) == 2_001
    check_counters(database, uploads)
    database.close()


def test_those_in_line_are_told_when_the_disk_fails(tmp_path: Path) -> None:
    """A failure empties the line at once: nobody waits for a lane that is closed."""
    database = SqliteDatabase(tmp_path / "rowkeep.db")
    uploads = make_uploads(database)

    async def run() -> list[Any]:
        async with open_lane(database, queue_bytes_max=20 * KIB, wait_seconds_max=120) as lane:
            limit_size(database)
            tasks = [in_background(lane, noise(uploads, number)) for number in range(5)]
            return await asyncio.wait_for(settled(tasks), 60)

    for error in asyncio.run(run()):
        assert isinstance(error, RowkeepError)
        assert error.retry_after_seconds == 5
    assert stored(database, uploads.first) == []
    database.close()
