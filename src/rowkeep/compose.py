"""The one place that builds everything. Plain construction, from the bottom up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rowkeep.api.app import RowkeepApplication
from rowkeep.api.body import BodyLimits, BodyReader
from rowkeep.api.catalog import DatasetHandlers, TableHandlers, UploadHandlers
from rowkeep.api.routes import RouteTable, routes_of
from rowkeep.api.rows import InsertRows
from rowkeep.config import Settings
from rowkeep.services.datasets import DatasetService
from rowkeep.services.ingest import IngestService
from rowkeep.services.tables import TableService
from rowkeep.services.uploads import UploadService
from rowkeep.storage.decoding_process import DecodingProcess
from rowkeep.storage.doors import StorageDoors
from rowkeep.storage.files import DataDirectory
from rowkeep.storage.lane import Lane
from rowkeep.storage.sqlite import SqliteDatabase


@asynccontextmanager
async def open_application(settings: Settings) -> AsyncIterator[RowkeepApplication]:
    """Opens storage, builds services and the application; closes them in the opposite order."""
    directory = DataDirectory(settings.data_dir)
    directory.sweep()
    database = SqliteDatabase(directory.database)
    lane = Lane(
        database,
        group_bytes_max=settings.group_bytes_max,
        queue_bytes_max=settings.queue_bytes_max,
        wait_seconds_max=settings.queue_wait_seconds_max,
    )
    doors = StorageDoors(database, lane, readers_max=settings.readers_max)
    large_bodies = DecodingProcess(directory.spool)
    await large_bodies.start()
    try:
        ingest = IngestService(doors, large_bodies)
        bodies = BodyReader(BodyLimits(settings.body_bytes_max, settings.body_stall_seconds_max))
        watch = asyncio.create_task(bodies.watch())
        yield RowkeepApplication(InsertRows(ingest, bodies), routes_of(_route_table(doors), bodies))
    finally:
        watch.cancel()
        await lane.close()
        await large_bodies.close()
        doors.close()
        database.close()


def _route_table(doors: StorageDoors) -> RouteTable:
    return [
        *DatasetHandlers(DatasetService(doors)).table(),
        *TableHandlers(TableService(doors)).table(),
        *UploadHandlers(UploadService(doors)).table(),
    ]
