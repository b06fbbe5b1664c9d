"""Builds the services over the storage."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

import msgspec

from rowkeep.compose.jobs import jobs_over
from rowkeep.compose.processes import Workers
from rowkeep.compose.storage import Storage, exported_files
from rowkeep.config import Settings
from rowkeep.limits import (
    follow_places,
    insert_rate_limits,
    long_insert_places,
    quarantine_bounds,
    read_places,
)
from rowkeep.model.places import Places
from rowkeep.model.rate_limits import InsertLimits
from rowkeep.model.transfers import permitted_hosts
from rowkeep.services.exports import ExportService
from rowkeep.services.insert.insert import InsertService
from rowkeep.services.insert.long_insert import LongInsertService
from rowkeep.services.insert.routing import BodyRouting
from rowkeep.services.insert.turns import Turns
from rowkeep.services.jobs import JobService
from rowkeep.services.maintenance import Maintenance, SealingPolicy
from rowkeep.services.quarantine import QuarantineService
from rowkeep.services.queries import QueryService
from rowkeep.services.raw_files import RawFileService
from rowkeep.services.read.follow import FollowService
from rowkeep.services.read.read import ReadService, SessionLimits
from rowkeep.services.statistics import StatisticsService
from rowkeep.services.temp_uploads import TempUploadService
from rowkeep.services.transfers import TransferPermits
from rowkeep.services.uploads import UploadService
from rowkeep.storage.content_files import ContentFolder
from rowkeep.storage.duck import DuckStatistics
from rowkeep.storage.export_files import ExportFolder
from rowkeep.storage.journal.appending import append_rows
from rowkeep.storage.local_files import Disk
from rowkeep.storage.raw_contents import RawContentFolder


class Services(msgspec.Struct, frozen=True):
    """The services that resources and pages share. One that needs only the doors is made where it is used."""

    maintenance: Maintenance
    jobs: JobService
    inserts: InsertService
    long_inserts: LongInsertService
    insert_limits: InsertLimits | None
    follows: FollowService
    reads: ReadService
    quarantine: QuarantineService
    statistics: StatisticsService
    queries: QueryService
    uploads: UploadService
    temp_uploads: TempUploadService
    exports: ExportService
    raw_files: RawFileService
    content_files: ContentFolder
    exported_files: ExportFolder
    raw_contents: RawContentFolder
    places: Mapping[str, Places]


def services_over(storage: Storage, workers: Workers, settings: Settings, stack: AsyncExitStack) -> Services:
    """Builds the services over the storage."""
    doors, readings = storage.doors, storage.readings
    files = ContentFolder(storage.directory.temp_uploads, Disk(), storage.reserve)
    exported = exported_files(storage.directory)
    temp_uploads = TempUploadService(doors, files, bytes_max=settings.temp_upload_bytes_max)
    raw_contents = RawContentFolder(storage.directory.raw_files, storage.directory.temp_uploads, Disk())
    jobs = jobs_over(storage, workers, files, exported, settings)
    stack.push_async_callback(jobs.stop)
    inserts = _inserts(storage, workers, settings)
    places = {
        "reads": read_places(settings),
        "followers": follow_places(settings),
        "long_inserts": long_insert_places(settings),
    }
    limits = insert_rate_limits(settings)
    statistics = DuckStatistics(storage.database, storage.directory.spool, readings)
    stack.callback(statistics.close)
    reads = ReadService(doors, readings, limits=_session_limits(settings))
    return Services(
        maintenance=Maintenance(doors, workers.sealing, _sealing_policy(settings), storage.lane.slow_down),
        jobs=jobs,
        inserts=inserts,
        long_inserts=LongInsertService(doors, inserts, limits, places=places["long_inserts"]),
        insert_limits=limits,
        follows=FollowService(doors, readings, storage.lane.commits, places=places["followers"]),
        reads=reads,
        quarantine=QuarantineService(doors, workers.large_bodies),
        statistics=StatisticsService(doors, statistics),
        queries=QueryService(doors, jobs),
        uploads=UploadService(doors, jobs, TransferPermits(permitted_hosts(settings.transfer_hosts))),
        temp_uploads=temp_uploads,
        exports=ExportService(doors, jobs, exported),
        raw_files=RawFileService(doors, temp_uploads, raw_contents, append_rows, reads),
        content_files=files,
        exported_files=exported,
        raw_contents=raw_contents,
        places=places,
    )


def _inserts(storage: Storage, workers: Workers, settings: Settings) -> InsertService:
    turns = Turns(wait_seconds_max=settings.queue_wait_seconds_max)
    routing = BodyRouting(
        storage.doors,
        workers.checker,
        workers.large_bodies,
        turns,
        quarantine_bounds(settings),
        inflated_bytes_max=settings.body_bytes_max,
    )
    return InsertService(storage.doors, routing, turns)


def _session_limits(settings: Settings) -> SessionLimits:
    sessions_max, bytes_max = settings.read_sessions_max, settings.read_session_bytes_max
    return SessionLimits(settings.read_session_hours, sessions_max, bytes_max)


def _sealing_policy(settings: Settings) -> SealingPolicy:
    return SealingPolicy(settings.seal_bytes_min, settings.seal_minutes_max, settings.journal_bytes_max)
