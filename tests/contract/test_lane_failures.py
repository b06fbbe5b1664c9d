"""A lane whose disk fails, and senders who have left: each of the others hears, and nothing is written."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.resources import Receipt
from rowkeep.storage.base import Connection
from rowkeep.storage.sqlite import SqliteDatabase
from tests.contract.journaling import batch, check_counters, make_uploads, plain, stored
from tests.contract.test_lane import bump, in_background, limit_size, noise, open_lane, writer_held_up


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    """A database whose file can be kept from growing."""
    opened = SqliteDatabase(tmp_path / "rowkeep.db")
    yield opened
    opened.close()


def test_what_was_queued_when_the_disk_failed_is_refused(database: SqliteDatabase, tmp_path: Path) -> None:
    """Rows and edits behind the write that failed are refused too, though there would be room for them."""
    uploads = make_uploads(database)
    holder = SqliteDatabase(tmp_path / "rowkeep.db")

    async def run() -> list[Any]:
        async with open_lane(database) as lane:
            limit_size(database)
            with writer_held_up(holder):
                # An edit ends the group of the rows before it.
                waiting: list[asyncio.Task[Any]] = [in_background(lane, noise(uploads, 1))]
                await asyncio.sleep(0)
                waiting.append(asyncio.create_task(lane.write(bump)))
                await asyncio.sleep(0)
                waiting.append(in_background(lane, batch(uploads, [2])))
                await asyncio.sleep(0)
            return await asyncio.gather(*waiting, return_exceptions=True)

    for error in asyncio.run(run()):
        assert isinstance(error, RowkeepError)
        assert error.code is ErrorCode.UNAVAILABLE
        assert "The disk of the server is full" in error.message
    assert stored(database, uploads.first) == []
    check_counters(database, uploads)
    holder.close()


def test_those_who_left_are_told_nothing(database: SqliteDatabase, tmp_path: Path) -> None:
    """Of a group that fails and of an edit, done or refused; the others hear, and the lane's room is free."""
    uploads = make_uploads(database)
    holder = SqliteDatabase(tmp_path / "rowkeep.db")
    complaints: list[dict[str, Any]] = []

    def change_nothing(_: Connection) -> None:
        pass

    def refuse(_: Connection) -> None:
        raise LookupError("no such thing")

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with open_lane(database) as lane:
            with writer_held_up(holder):
                edits = [asyncio.create_task(lane.write(edit)) for edit in (change_nothing, refuse)]
                await asyncio.sleep(0)
                leave(edits)
            await lane.write(change_nothing)  # those before it are through then
            limit_size(database)
            with writer_held_up(holder):
                group = [in_background(lane, noise(uploads, number)) for number in range(2)]
                await asyncio.sleep(0)
                leave(group[:1])
            with pytest.raises(RowkeepError, match="The disk of the server is full"):
                await group[1]
            assert lane.health().queued_bytes == 0

    asyncio.run(run())
    assert complaints == []
    assert stored(database, uploads.first) == []
    holder.close()


def leave(tasks: "list[asyncio.Task[Any]]") -> None:
    """What becomes of requests whose clients are gone."""
    for task in tasks:
        task.cancel()


def test_closing_comes_after_what_was_queued(database: SqliteDatabase, tmp_path: Path) -> None:
    """A lane that is closed while rows wait in one group with its end writes them, and ends."""
    uploads = make_uploads(database)
    holder = SqliteDatabase(tmp_path / "rowkeep.db")

    async def run() -> list[Any]:
        async with open_lane(database) as lane:
            with writer_held_up(holder):
                edit = asyncio.create_task(lane.write(bump))
                await asyncio.sleep(0)
                # Both wait behind the edit: the end is found while the group is gathered.
                rows = in_background(lane, batch(uploads, [1]))
                await asyncio.sleep(0)
                closing = asyncio.create_task(lane.close())
                await asyncio.sleep(0)
            await closing
            await edit
            return await asyncio.gather(rows, return_exceptions=True)

    [outcome] = asyncio.run(run())
    assert not isinstance(outcome, Receipt | BaseException)  # stale: the edit came before it
    assert stored(database, uploads.first) == []
    holder.close()


def test_a_database_that_another_holds(
    database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and edits that waited too long for the right to write are refused; the lane has not failed."""
    uploads = make_uploads(database)
    holder = SqliteDatabase(tmp_path / "rowkeep.db")
    monkeypatch.setattr("rowkeep.storage.sqlite._BUSY_MS_MAX", 50)
    impatient = SqliteDatabase(tmp_path / "rowkeep.db")

    async def run() -> None:
        async with open_lane(impatient) as lane:
            with writer_held_up(holder):
                for work in (lane.submit(batch(uploads, [1])), lane.write(bump)):
                    with pytest.raises(RowkeepError, match="The database is busy") as error:
                        await work
                    assert error.value.code is ErrorCode.UNAVAILABLE
            assert lane.health().failure is None
            assert plain(await lane.submit(batch(uploads, [2]))) == Receipt(1)

    asyncio.run(run())
    assert stored(database, uploads.first) == [2]
    impatient.close()
    holder.close()
