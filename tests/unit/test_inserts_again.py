"""Inserts that start over: targets that were forgotten, a catalog that does not come to rest."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowkeep.model import bounded_cache
from rowkeep.model.decoding.strict import DECODER_BYTES_EACH
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.timing import InsertTimes
from rowkeep.services.insert import insert as insert_module
from rowkeep.services.insert.requests import InsertRequest
from rowkeep.workers.decoding_process import DecodingProcesses
from tests.unit.inserting import insert_service
from tests.unit.moving_doors import MovingDoors
from tests.unit.read_world import TABLE, World

BODY = b'{"rows":[{"id":1}]}'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Two empty uploads."""
    with asyncio.Runner() as runner:
        made = World(tmp_path, runner)
        for name in ("s", "t"):
            made.create(name, [{"name": "id", "type": "integer"}])
        yield made
        made.close()


def test_targets_that_are_forgotten_are_looked_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many are kept; one more, and all are looked up again, which nobody notices."""
    monkeypatch.setattr(bounded_cache, "_SHARE", 1)
    monkeypatch.setattr(world.inserts, "_targets", bounded_cache.BoundedCache(2 * DECODER_BYTES_EACH))
    requests = {name: InsertRequest(world.owner, (TABLE, name), None) for name in ("s", "t")}
    for name in ("s", "t"):
        world.insert(name, [{"id": 1}])
    assert world.inserts.kept_target(requests["s"]) is None
    assert world.inserts.kept_target(requests["t"]) is not None
    world.insert("s", [{"id": 2}])
    assert world.inserts.kept_target(requests["s"]) is not None
    assert world.listed()["id"].to_pylist() == [1, 2, 1]


def test_a_catalog_that_keeps_changing_ends_the_tries(world: World) -> None:
    """After so many the request is refused with 503: nothing of it is in, and it may be sent again."""
    doors = MovingDoors(world)
    doors.moves = 2 * insert_module.ATTEMPTS_MAX
    decoding = DecodingProcesses(world.folder, inflated_bytes_max=2**20)
    service = insert_service(doors, decoding)
    request = InsertRequest(world.owner, (TABLE, "s"), None)

    async def insert() -> None:
        target = await service.look_up_target(request)
        await service.insert(request, target, BODY, InsertTimes(0.0))

    with pytest.raises(RowkeepError, match="The schema kept changing") as error:
        world.run(insert())
    assert (error.value.code, error.value.retry_after_seconds) == (ErrorCode.UNAVAILABLE, 1)
    assert doors.submitted == insert_module.ATTEMPTS_MAX
    assert world.rows_kept() == 0
    world.insert("s", [{"id": 1}])
    assert world.rows_kept() == 1
