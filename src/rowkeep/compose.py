"""The one place that builds everything. Plain construction, from the bottom up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import msgspec
import structlog

from rowkeep.api.http.app import RowkeepApplication
from rowkeep.api.http.body import BodyLimits, BodyReader
from rowkeep.api.http.openapi import DocumentHandlers
from rowkeep.api.http.routes import RouteTable, routes_of
from rowkeep.api.http.traffic import Traffic
from rowkeep.api.resources.access import GrantHandlers
from rowkeep.api.resources.datasets import DatasetHandlers
from rowkeep.api.resources.follow import FollowAnswers
from rowkeep.api.resources.insert_rows import InsertRows
from rowkeep.api.resources.long_insert import LongInserts
from rowkeep.api.resources.operations import LiveFigures, OperationHandlers
from rowkeep.api.resources.owners import OwnerHandlers
from rowkeep.api.resources.quarantine import QuarantineHandlers
from rowkeep.api.resources.reads import ReadHandlers
from rowkeep.api.resources.receipts import ReceiptHandlers
from rowkeep.api.resources.statistics import StatisticsHandlers
from rowkeep.api.resources.tables import TableHandlers
from rowkeep.api.resources.uploads import UploadHandlers
from rowkeep.api.resources.variables import VariableHandlers
from rowkeep.api.resources.versions import VersionHandlers
from rowkeep.config import Settings
from rowkeep.model.quarantine import QuarantineBounds
from rowkeep.model.rate_limits import InsertLimits, RateUnit, insert_limits
from rowkeep.model.resources import Durability, DurabilityClass
from rowkeep.services.datasets import DatasetService
from rowkeep.services.grants import GrantService
from rowkeep.services.insert.insert import InsertService
from rowkeep.services.insert.long_insert import LongInsertService
from rowkeep.services.insert.receipts import ReceiptService
from rowkeep.services.insert.turns import Turns
from rowkeep.services.maintenance import Maintenance, SealingPolicy
from rowkeep.services.organizations import OrganizationService
from rowkeep.services.quarantine import QuarantineService
from rowkeep.services.read.follow import FollowService
from rowkeep.services.read.read import ReadService
from rowkeep.services.statistics import StatisticsService
from rowkeep.services.tables import TableService
from rowkeep.services.upkeep import keep_up
from rowkeep.services.uploads import UploadService
from rowkeep.services.variables import VariableService
from rowkeep.services.versions import VersionService
from rowkeep.storage.base import Database, StorageError
from rowkeep.storage.doors import StorageDoors
from rowkeep.storage.duck import DuckStatistics
from rowkeep.storage.durability import measure_durability
from rowkeep.storage.journal.chaining import ChainReading
from rowkeep.storage.journal.lane import Lane
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.segments.folder import GRACE_SECONDS, SegmentFolder
from rowkeep.storage.segments.reader import StreamReader
from rowkeep.storage.sqlite import SqliteDatabase
from rowkeep.workers.checking_process import CheckingProcess
from rowkeep.workers.decoding_process import DecodingProcesses
from rowkeep.workers.sealing_process import SealingProcess

_Handlers = QuarantineHandlers | ReceiptHandlers | StatisticsHandlers | OperationHandlers

_log = structlog.get_logger("rowkeep.start")


@asynccontextmanager
async def open_application(settings: Settings) -> AsyncIterator[RowkeepApplication]:
    """Opens the data directory and the application over it; closes them in the opposite order."""
    directory = DataDirectory(settings.data_dir)
    directory.sweep()
    database = SqliteDatabase(directory.database)
    try:
        async with application_over(database, directory, settings) as application:
            yield application
    finally:
        database.close()


@asynccontextmanager
async def application_over(
    database: Database, directory: DataDirectory, settings: Settings
) -> AsyncIterator[RowkeepApplication]:
    """Builds services and the application over an open database; the database stays open."""
    lane = _lane(database, settings)
    doors = StorageDoors(database, lane, readers_max=settings.readers_max)
    folder = SegmentFolder(directory.segments, Disk())
    await _sweep(folder, doors)
    sealing = SealingProcess(directory, folder, grace_seconds=GRACE_SECONDS)
    maintenance = Maintenance(doors, sealing, _sealing_policy(settings), lane.slow_down)
    large_bodies = DecodingProcesses(directory.spool, inflated_bytes_max=settings.body_bytes_max)
    await large_bodies.start()
    checker = CheckingProcess()
    await checker.start()
    bodies = BodyReader(_body_limits(settings))
    background = [
        asyncio.create_task(bodies.watch()),
        asyncio.create_task(maintenance.run()),
        asyncio.create_task(keep_up(doors, sealing)),
    ]
    ingest = _ingest(doors, large_bodies, checker, settings)
    limits = _insert_limits(settings)
    long_inserts = LongInsertService(doors, ingest, limits, long_inserts_max=settings.long_inserts_max)
    traffic = Traffic()
    readings = partial(StreamReader, directory.segments)
    statistics = DuckStatistics(database, directory.spool, readings)
    follows = FollowService(doors, readings, lane.commits, followers_max=settings.followers_max)
    live = partial(_live_figures, follows, long_inserts)
    receipts = ReceiptService(doors, partial(ChainReading, directory.segments))
    handlers: list[_Handlers] = [
        ReceiptHandlers(receipts),
        QuarantineHandlers(QuarantineService(doors, large_bodies)),
        StatisticsHandlers(StatisticsService(doors, statistics)),
        OperationHandlers(lane.health, maintenance.health, traffic, live, _durability(directory)),
    ]
    background.append(asyncio.create_task(follows.watch()))
    reads = ReadService(doors, readings, session_hours=settings.read_session_hours)
    answers = FollowAnswers(follows, stall_seconds_max=settings.follow_stall_seconds_max)
    table = _route_table(doors, ReadHandlers(reads, answers), handlers)
    try:
        yield RowkeepApplication(
            InsertRows(ingest, bodies, limits),
            _long_inserts(long_inserts, settings),
            routes_of(table, bodies),
            bodies,
            traffic,
            (follows.stop, long_inserts.stop),
        )
    finally:
        for task in background:
            task.cancel()
        await lane.close()
        await large_bodies.close()
        await checker.close()
        await sealing.close()
        with suppress(StorageError, OSError):  # the next start does it
            await _sweep(folder, doors)
        statistics.close()
        doors.close()


def _lane(database: Database, settings: Settings) -> Lane:
    return Lane(
        database,
        group_bytes_max=settings.group_bytes_max,
        queue_bytes_max=settings.queue_bytes_max,
        wait_seconds_max=settings.queue_wait_seconds_max,
    )


def _ingest(
    doors: StorageDoors, large_bodies: DecodingProcesses, checker: CheckingProcess, settings: Settings
) -> InsertService:
    bounds = QuarantineBounds(settings.quarantine_rows_max, settings.quarantine_bytes_max)
    turns = Turns(wait_seconds_max=settings.queue_wait_seconds_max)
    return InsertService(doors, large_bodies, checker, bounds, turns)


def _body_limits(settings: Settings) -> BodyLimits:
    return BodyLimits(
        settings.body_bytes_max, settings.compressed_body_bytes_max, settings.body_stall_seconds_max
    )


def _long_inserts(inserts: LongInsertService, settings: Settings) -> LongInserts:
    return LongInserts(
        inserts,
        idle_seconds_max=settings.long_insert_idle_seconds_max,
        stall_seconds_max=settings.body_stall_seconds_max,
    )


def _live_figures(follows: FollowService, inserts: LongInsertService) -> LiveFigures:
    return LiveFigures(follows.follower_count, follows.dropped_count, inserts.count)


async def _sweep(folder: SegmentFolder, doors: StorageDoors) -> None:
    """Removes what the sealing process left unnamed; while it does not run, nobody else wants it."""
    present = folder.files()
    folder.sweep(present, await doors.read(lambda view: view.segment_files()))


def _sealing_policy(settings: Settings) -> SealingPolicy:
    return SealingPolicy(settings.seal_bytes_min, settings.seal_minutes_max, settings.journal_bytes_max)


def _insert_limits(settings: Settings) -> InsertLimits | None:
    return insert_limits(
        [
            ("token", RateUnit.REQUESTS, settings.token_requests_per_second_max),
            ("token", RateUnit.CONTENT_BYTES, settings.token_bytes_per_second_max),
            ("upload", RateUnit.REQUESTS, settings.upload_requests_per_second_max),
            ("upload", RateUnit.CONTENT_BYTES, settings.upload_bytes_per_second_max),
        ],
        settings.rate_burst_seconds,
    )


def _durability(directory: DataDirectory) -> Durability:
    found = measure_durability(directory.path)
    if found.class_ is not DurabilityClass.DURABLE:
        _log.warning("the disk may lose what was acknowledged", **msgspec.to_builtins(found))
    return found


def _route_table(doors: StorageDoors, reads: ReadHandlers, others: list[_Handlers]) -> RouteTable:
    datasets = DatasetService(doors)
    table = [
        *OwnerHandlers(datasets, OrganizationService(doors)).table(),
        *DatasetHandlers(datasets).table(),
        *GrantHandlers(GrantService(doors)).table(),
        *VersionHandlers(VersionService(doors)).table(),
        *TableHandlers(TableService(doors)).table(),
        *VariableHandlers(VariableService(doors)).table(),
        *UploadHandlers(UploadService(doors)).table(),
        *reads.table(),
        *(route for handlers in others for route in handlers.table()),
    ]
    return [*table, *DocumentHandlers(table).table()]
