"""The one place that builds everything. Plain construction, from the bottom up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import msgspec
import structlog

from rowkeep.api.http.app import RowkeepApplication
from rowkeep.api.http.body import BodyLimits, BodyReader
from rowkeep.api.http.cors import CorsPolicy
from rowkeep.api.http.endpoint import Streaming
from rowkeep.api.http.incoming import Lingering
from rowkeep.api.http.openapi import DocumentHandlers
from rowkeep.api.http.routes import RouteTable, routes_of
from rowkeep.api.http.traffic import Traffic
from rowkeep.api.http.wire import STATUS_OF_CODE
from rowkeep.api.resources.access import GrantHandlers
from rowkeep.api.resources.audit import AuditHandlers
from rowkeep.api.resources.datasets import DatasetHandlers
from rowkeep.api.resources.exports import ExportHandlers
from rowkeep.api.resources.follow import FollowAnswers
from rowkeep.api.resources.insert_rows import InsertRows
from rowkeep.api.resources.long_insert import LongInserts
from rowkeep.api.resources.operations import LiveFigures, OperationHandlers
from rowkeep.api.resources.owners import OwnerHandlers
from rowkeep.api.resources.quarantine import QuarantineHandlers
from rowkeep.api.resources.queries import QueryHandlers
from rowkeep.api.resources.reads import ReadHandlers
from rowkeep.api.resources.receipts import ReceiptHandlers
from rowkeep.api.resources.statistics import StatisticsHandlers
from rowkeep.api.resources.tables import TableHandlers
from rowkeep.api.resources.temp_uploads import TempUploadHandlers
from rowkeep.api.resources.uploads import UploadHandlers
from rowkeep.api.resources.variables import VariableHandlers
from rowkeep.api.resources.versions import VersionHandlers
from rowkeep.config import Settings
from rowkeep.limits import (
    export_limits,
    follow_places,
    insert_rate_limits,
    load_limits,
    long_insert_places,
    quarantine_bounds,
    query_limits,
    read_places,
    workers_max,
)
from rowkeep.model.health import Durability, DurabilityClass
from rowkeep.model.jobs import JobKind
from rowkeep.services.audit import AuditService
from rowkeep.services.datasets import DatasetService
from rowkeep.services.exports import ExportRunner, ExportService
from rowkeep.services.first_start import FirstStart
from rowkeep.services.grants import GrantService
from rowkeep.services.insert.insert import InsertService
from rowkeep.services.insert.long_insert import LongInsertService
from rowkeep.services.insert.receipts import ReceiptService
from rowkeep.services.insert.turns import Turns
from rowkeep.services.jobs import JobRunner, JobService
from rowkeep.services.loads import LoadRunner
from rowkeep.services.maintenance import Maintenance, SealingPolicy
from rowkeep.services.organizations import OrganizationService
from rowkeep.services.quarantine import QuarantineService
from rowkeep.services.queries import QueryLimits, QueryRunner, QueryService
from rowkeep.services.read.follow import FollowService
from rowkeep.services.read.read import ReadService, SessionLimits
from rowkeep.services.statistics import StatisticsService
from rowkeep.services.tables import TableService
from rowkeep.services.temp_uploads import TempUploadService
from rowkeep.services.upkeep import Retention, keep_up
from rowkeep.services.uploads import UploadService
from rowkeep.services.variables import VariableService
from rowkeep.services.versions import VersionService
from rowkeep.storage.base import Database, SegmentStore, StorageError
from rowkeep.storage.content_files import ContentFolder
from rowkeep.storage.disk_reserve import DiskReserve
from rowkeep.storage.doors import StorageDoors
from rowkeep.storage.duck import DuckStatistics
from rowkeep.storage.durability import measure_durability
from rowkeep.storage.export_files import ExportFolder
from rowkeep.storage.journal.lane import Lane
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.modes import close_to_others
from rowkeep.storage.opening import open_database, open_segments
from rowkeep.storage.segments.chaining import ChainReading
from rowkeep.storage.segments.reader import StreamReader
from rowkeep.storage.segments.sweep import GRACE_SECONDS, SegmentSweep
from rowkeep.web.console import Console
from rowkeep.web.pages.every_page import ShownServices, console_of
from rowkeep.workers.checking_process import CheckingProcess
from rowkeep.workers.decoding_process import DecodingProcesses
from rowkeep.workers.export_process import ExportProcesses
from rowkeep.workers.load_process import LoadProcesses
from rowkeep.workers.pool import WorkerPool
from rowkeep.workers.query.process import QueryProcesses
from rowkeep.workers.sealing_process import SealingProcess

_Handlers = (
    ExportHandlers
    | QueryHandlers
    | QuarantineHandlers
    | ReceiptHandlers
    | StatisticsHandlers
    | OperationHandlers
    | UploadHandlers
    | TempUploadHandlers
)
# What the template of the workers imports before it forks.
WORKER_MODULES = ("rowkeep.workers.load", "rowkeep.workers.export", "rowkeep.workers.query.running")

_log = structlog.get_logger("rowkeep.start")


@asynccontextmanager
async def open_application(settings: Settings) -> AsyncIterator[RowkeepApplication]:
    """Opens the data directory and the application over it; closes them in the opposite order."""
    directory = DataDirectory(settings.data_dir)
    database = open_database(directory)  # before anything is removed: it refuses what is not rowkeep's
    directory.sweep()
    close_to_others(directory)
    try:
        async with application_over(database, directory, settings) as application:
            yield application
    finally:
        database.close()


class Storage(msgspec.Struct, frozen=True):
    """The journal and the segments of a data directory, and the doors to them."""

    database: Database
    directory: DataDirectory
    lane: Lane
    doors: StorageDoors
    segments: SegmentStore
    sweep: SegmentSweep
    reserve: DiskReserve

    @property
    def readings(self) -> partial[StreamReader]:
        """Starts readings of rows."""
        return partial(StreamReader, self.segments)


class Workers(msgspec.Struct, frozen=True):
    """What runs in processes of its own."""

    sealing: SealingProcess
    large_bodies: DecodingProcesses
    checker: CheckingProcess
    jailed: WorkerPool


@asynccontextmanager
async def application_over(
    database: Database, directory: DataDirectory, settings: Settings
) -> AsyncIterator[RowkeepApplication]:
    """Builds services and the application over an open database; the database stays open.

    Each part says how it is closed when it is made; they are closed in the opposite order.
    """
    async with AsyncExitStack() as stack:
        storage = await open_storage(database, directory, settings, stack)
        workers = await start_workers(storage, settings, stack)
        yield _application(storage, workers, settings, stack)


async def open_storage(
    database: Database, directory: DataDirectory, settings: Settings, stack: AsyncExitStack
) -> Storage:
    """Opens what keeps rows, and sweeps what an earlier process left unnamed."""
    lane = _lane(database, settings)
    reserve = DiskReserve(directory.path, bytes_min=settings.disk_reserve_bytes_min)
    doors = StorageDoors(database, lane, reserve, readers_max=settings.readers_max)
    stack.callback(doors.close)
    segments = open_segments(directory)
    storage = Storage(database, directory, lane, doors, segments, SegmentSweep(segments), reserve)
    await _sweep(storage, storage.sweep.sweep_at_start)
    return storage


async def start_workers(storage: Storage, settings: Settings, stack: AsyncExitStack) -> Workers:
    """Starts the processes beside this one. The lane closes before they do: it is closed here."""
    directory = storage.directory
    sealing = SealingProcess(directory, storage.segments, storage.sweep, grace_seconds=GRACE_SECONDS)
    stack.push_async_callback(_sweep_at_end, storage)
    stack.push_async_callback(sealing.close)
    large_bodies = DecodingProcesses(directory.spool, inflated_bytes_max=settings.body_bytes_max)
    await large_bodies.start()
    checker = CheckingProcess()
    await checker.start()
    jailed = WorkerPool(*WORKER_MODULES, workers_max=workers_max(settings))
    stack.push_async_callback(jailed.close)
    stack.push_async_callback(checker.close)
    stack.push_async_callback(large_bodies.close)
    stack.push_async_callback(storage.lane.close)
    return Workers(sealing, large_bodies, checker, jailed)


def _application(
    storage: Storage, workers: Workers, settings: Settings, stack: AsyncExitStack
) -> RowkeepApplication:
    doors, lane, readings = storage.doors, storage.lane, storage.readings
    maintenance = Maintenance(doors, workers.sealing, _sealing_policy(settings), lane.slow_down)
    bodies = BodyReader(_body_limits(settings))
    content_files = ContentFolder(storage.directory.temp_uploads, Disk(), storage.reserve)
    temp_uploads = TempUploadService(doors, content_files, bytes_max=settings.temp_upload_bytes_max)
    exported_files = _exported_files(storage.directory)
    jobs = _jobs(storage, workers, content_files, exported_files, settings)
    stack.push_async_callback(jobs.stop)
    ingest = _ingest(storage, workers, settings)
    limits = insert_rate_limits(settings)
    long_inserts = LongInsertService(doors, ingest, limits, places=long_insert_places(settings))
    traffic = Traffic()
    follows = FollowService(doors, readings, lane.commits, places=follow_places(settings))
    statistics = DuckStatistics(storage.database, storage.directory.spool, readings)
    stack.callback(statistics.close)
    queries, uploads = QueryService(doors, jobs), UploadService(doors, jobs)
    statistics_service = StatisticsService(doors, statistics)
    reads = ReadService(doors, readings, limits=_session_limits(settings))
    live = partial(_live_figures, follows, long_inserts, jobs, storage.sweep)
    exports = ExportService(doors, jobs, exported_files)
    handlers: list[_Handlers] = [
        ReceiptHandlers(ReceiptService(doors, partial(ChainReading, storage.segments))),
        QuarantineHandlers(QuarantineService(doors, workers.large_bodies)),
        StatisticsHandlers(statistics_service),
        ExportHandlers(exports, settings.public_url),
        QueryHandlers(queries, reads, statistics_service),
        UploadHandlers(uploads, temp_uploads),
        TempUploadHandlers(temp_uploads, settings.public_url),
        OperationHandlers(lane.health, maintenance.health, traffic, live, _durability(storage.directory)),
    ]
    answers = FollowAnswers(follows, stall_seconds_max=settings.follow_stall_seconds_max)
    table = _route_table(doors, ReadHandlers(reads, answers, queries, exports), handlers)
    retention = Retention(settings.query_result_hours, settings.export_hours, settings.audit_days)
    for work in (
        bodies.watch(),
        maintenance.run(),
        keep_up(doors, workers.sealing, content_files, exported_files, retention),
        follows.watch(),
        jobs.run(),
    ):
        stack.callback(asyncio.create_task(work).cancel)
    return RowkeepApplication(
        InsertRows(ingest, bodies, limits),
        _long_inserts(long_inserts, settings),
        routes_of(table, bodies, DatasetService(doors).check_token, _streaming(settings)),
        _lingering(settings),
        CorsPolicy(settings.cors_origins),
        traffic,
        (follows.stop, long_inserts.stop),
        _console(doors, reads, queries, uploads, settings),
    )


def _console(
    doors: StorageDoors, reads: ReadService, queries: QueryService, uploads: UploadService, settings: Settings
) -> Console:
    """The pages for people. They reach what programs reach, through the same services."""
    resources = DatasetService(doors), GrantService(doors), VersionService(doors), TableService(doors)
    services = ShownServices(*resources, reads, queries, uploads, FirstStart(doors))
    return console_of(services, settings.public_url, lambda error: STATUS_OF_CODE[error.code])


def _lane(database: Database, settings: Settings) -> Lane:
    return Lane(
        database,
        group_bytes_max=settings.group_bytes_max,
        queue_bytes_max=settings.queue_bytes_max,
        wait_seconds_max=settings.queue_wait_seconds_max,
    )


def _ingest(storage: Storage, workers: Workers, settings: Settings) -> InsertService:
    bounds = quarantine_bounds(settings)
    turns = Turns(wait_seconds_max=settings.queue_wait_seconds_max)
    return InsertService(storage.doors, workers.large_bodies, workers.checker, bounds, turns)


def _jobs(
    storage: Storage, workers: Workers, files: ContentFolder, exports: ExportFolder, settings: Settings
) -> JobService:
    loader = LoadProcesses(
        workers.jailed,
        storage.directory,
        storage.segments,
        quarantine_bounds(settings),
        load_limits(settings),
    )
    limits = QueryLimits(
        settings.query_memory_bytes_max, settings.query_result_bytes_max, settings.query_threads_max
    )
    engine = QueryProcesses(workers.jailed, storage.directory, storage.segments, query_limits(settings))
    exporting = ExportProcesses(workers.jailed, storage.directory, exports, export_limits(settings))
    runners: dict[JobKind, JobRunner] = {
        JobKind.LOAD: LoadRunner(loader, files),
        JobKind.QUERY: QueryRunner(storage.doors, engine, limits),
        JobKind.FILTER: QueryRunner(storage.doors, engine, limits),
        JobKind.EXPORT: ExportRunner(storage.doors, exporting),
    }
    places = {
        JobKind.LOAD: settings.loads_max,
        JobKind.QUERY: settings.queries_max,
        JobKind.FILTER: settings.queries_max,
        JobKind.EXPORT: settings.exports_max,
    }
    return JobService(storage.doors, runners, places)


def _streaming(settings: Settings) -> Streaming:
    return Streaming(read_places(settings), settings.read_stall_seconds_max)


def _session_limits(settings: Settings) -> SessionLimits:
    sessions_max, bytes_max = settings.read_sessions_max, settings.read_session_bytes_max
    return SessionLimits(settings.read_session_hours, sessions_max, bytes_max)


def _exported_files(directory: DataDirectory) -> ExportFolder:
    return ExportFolder(directory.exports, Disk())


def _body_limits(settings: Settings) -> BodyLimits:
    return BodyLimits(
        settings.body_bytes_max, settings.compressed_body_bytes_max, settings.body_stall_seconds_max
    )


def _lingering(settings: Settings) -> Lingering:
    bytes_max = max(settings.body_bytes_max, settings.compressed_body_bytes_max)
    return Lingering(body_bytes_max=bytes_max)


def _long_inserts(inserts: LongInsertService, settings: Settings) -> LongInserts:
    return LongInserts(
        inserts,
        idle_seconds_max=settings.long_insert_idle_seconds_max,
        stall_seconds_max=settings.body_stall_seconds_max,
    )


def _live_figures(
    follows: FollowService, inserts: LongInsertService, jobs: JobService, sweep: SegmentSweep
) -> LiveFigures:
    return LiveFigures(
        follows.follower_count,
        follows.dropped_count,
        inserts.count,
        jobs.running_count,
        jobs.completed_count,
        jobs.failed_count,
        sweep.set_aside_count,
    )


async def _sweep(storage: Storage, sweep: Callable[[set[str], set[str]], object]) -> None:
    """Sweeps what the sealing process left unnamed. It does not run now."""
    present = storage.segments.names()
    named = await storage.doors.read(lambda view: view.segments.file_names())
    sweep(present, named)


async def _sweep_at_end(storage: Storage) -> None:
    with suppress(StorageError, OSError):  # the next start does it
        await _sweep(storage, storage.sweep.sweep_alone)


def _sealing_policy(settings: Settings) -> SealingPolicy:
    return SealingPolicy(settings.seal_bytes_min, settings.seal_minutes_max, settings.journal_bytes_max)


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
        *AuditHandlers(AuditService(doors)).table(),
        *VersionHandlers(VersionService(doors)).table(),
        *TableHandlers(TableService(doors)).table(),
        *VariableHandlers(VariableService(doors)).table(),
        *reads.table(),
        *(route for handlers in others for route in handlers.table()),
    ]
    return [*table, *DocumentHandlers(table).table()]
