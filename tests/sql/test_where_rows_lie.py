"""The same queries over rows in the journal, in segments, in both; rows of undone requests lie between."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rowkeep.model.timing import InsertTimes
from rowkeep.services.insert.requests import InsertRequest
from tests.sql.case_files import cases
from tests.sql.small_engine import ROWS, VARIABLES, StoredEngine
from tests.unit.read_world import TABLE, Rows, World

READING = [case for case in cases() if case.rows is not None and " t" in case.sql]
SCHEMA = [{"name": variable.name, "type": variable.type.value} for variable in VARIABLES]
DECOY = {"id": 99, "s": "undone", "n": 99}


def insert_and_undo(world: World, key: str) -> None:
    """Adds a row and takes it back: it stays where it is, and no reader sees it."""
    request = InsertRequest(world.owner, (TABLE, "first"), key)

    async def run() -> None:
        target = await world.inserts.look_up_target(request)
        body = msgspec.json.encode({"rows": [DECOY]})
        await world.inserts.insert(request, target, body, InsertTimes(0.0))
        await world.receipts.undo(world.owner, TABLE, "first", key)

    world.run(run())


def fill(world: World, place: str) -> None:
    """Puts the rows of the cases into two uploads, in the order of the cases."""
    world.create("first", SCHEMA)
    world.create("second", SCHEMA)
    rows: Rows = list(ROWS)
    world.insert("first", rows[:1])
    insert_and_undo(world, "one")
    if place == "both":
        world.seal()
    world.insert("first", rows[1:2])
    insert_and_undo(world, "two")
    if place == "segments":
        world.seal()
    world.insert("second", rows[2:])
    if place == "segments":
        world.seal()


@pytest.fixture(scope="module", params=["journal", "segments", "both"])
def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoredEngine]:
    """The table t as a server keeps it."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    with asyncio.Runner() as runner:
        world = World(folder / "data", runner)
        fill(world, request.param)
        engine = StoredEngine(world, folder)
        yield engine
        world.close()


def test_rows_lie_where_they_should(stored: StoredEngine, request: pytest.FixtureRequest) -> None:
    """The three tables are what they are called."""
    place = request.node.callspec.params["stored"]
    segments = sum(len(upload.segments) for upload in stored.table.uploads)
    entries = sum(upload.entry_count for upload in stored.table.uploads)
    assert {"journal": segments == 0, "segments": entries == 0, "both": bool(segments and entries)}[place]


def test_every_case_has_the_same_rows(stored: StoredEngine) -> None:
    """What a query answers does not depend on where its rows are."""
    assert len(READING) > 60
    for case in READING:
        assert stored.run(case.sql) == case.rows, case.sql
