"""The doors between asynchronous services and synchronous storage (interface: catalog/doors.py)."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rowkeep.model.audit import THE_SERVER, Origin, origin_of_call
from rowkeep.model.receipts import Outcome
from rowkeep.model.resources import Batch
from rowkeep.model.timing import InsertTimes
from rowkeep.storage.base import Connection, Database
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.disk_reserve import DiskReserve
from rowkeep.storage.journal.lane import Lane

Result = TypeVar("Result")


class StorageDoors:
    """Reader threads over snapshots, and the lane for everything that is written."""

    def __init__(self, database: Database, lane: Lane, reserve: DiskReserve, *, readers_max: int) -> None:
        self._database = database
        self._lane = lane
        self._reserve = reserve
        self._readers = ThreadPoolExecutor(readers_max, thread_name_prefix="rowkeep-reader")

    async def read(self, function: Callable[[CatalogView], Result]) -> Result:
        """Runs a function on one consistent snapshot, in a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, read_snapshot, self._database, function
        )

    async def write(self, function: Callable[[CatalogEditor], Result]) -> Result:
        """Runs a function in one durable transaction. Raises `unavailable` at the disk's reserve."""
        origin = origin_of_call.get()

        def edit(connection: Connection) -> Result:
            self._reserve.check()
            return function(CatalogEditor(connection, origin))

        return await self._lane.write(edit)

    async def write_in_reserve(self, function: Callable[[CatalogEditor], Result]) -> Result:
        """Runs a function in one durable transaction, however little room is left."""
        origin = origin_of_call.get()
        return await self._lane.write(lambda connection: function(CatalogEditor(connection, origin)))

    def submit(self, batch: Batch, times: InsertTimes | None = None) -> Awaitable[Outcome]:
        """Writes the rows of one request to the journal."""
        return self._lane.submit(batch, times)

    def close(self) -> None:
        """Ends the reader threads."""
        self._readers.shutdown()


def read_snapshot(database: Database, function: Callable[[CatalogView], Result]) -> Result:
    """Runs a function on one consistent snapshot, in the calling thread."""
    with database.reading() as connection:
        return function(CatalogView(connection))


def edit_catalog(
    database: Database, function: Callable[[CatalogEditor], Result], origin: Origin = THE_SERVER
) -> Result:
    """Runs a function in one durable transaction, in the calling thread, as the command line does."""
    with database.writing() as connection:
        return function(CatalogEditor(connection, origin))
