"""Doors whose catalog moves while inserts are under way, so that they have to start over."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from rowkeep.model.receipts import Outcome
from rowkeep.model.resources import Batch
from rowkeep.model.timing import InsertTimes
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.doors import StorageDoors, edit_catalog
from tests.unit.read_world import World

Result = TypeVar("Result")


class MovingDoors:
    """The doors of a catalog that moves before each of the next `moves` batches is written."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._doors: StorageDoors = world.doors
        self.moves = 0
        self.submitted = 0

    async def read(self, function: Callable[[CatalogView], Result]) -> Result:
        return await self._doors.read(function)

    async def write(self, function: Callable[[CatalogEditor], Result]) -> Result:
        return await self._doors.write(function)

    async def write_in_reserve(self, function: Callable[[CatalogEditor], Result]) -> Result:
        return await self._doors.write_in_reserve(function)

    def submit(self, batch: Batch, times: InsertTimes | None = None) -> Awaitable[Outcome]:
        self.submitted += 1
        if self.moves:
            self.moves -= 1
            edit_catalog(self._world.database, lambda editor: editor.tokens.revoke(0))
        return self._doors.submit(batch, times)
