"""The kinds of jobs, and how many of each run at a time."""

from rowkeep.compose.processes import Workers
from rowkeep.compose.storage import Storage
from rowkeep.config import Settings
from rowkeep.limits import export_limits, load_limits, quarantine_bounds, query_limits
from rowkeep.model.jobs import JobKind
from rowkeep.model.transfers import permitted_hosts
from rowkeep.services.exports import ExportRunner
from rowkeep.services.jobs import JobRunner, JobService
from rowkeep.services.loads import LoadRunner
from rowkeep.services.queries import QueryLimits, QueryRunner
from rowkeep.services.transfers import TransferService
from rowkeep.storage.content_files import ContentFolder
from rowkeep.storage.export_files import ExportFolder
from rowkeep.storage.url_content import UrlContents
from rowkeep.workers.export_process import ExportProcesses
from rowkeep.workers.load_process import LoadProcesses
from rowkeep.workers.query.process import QueryProcesses


def jobs_over(
    storage: Storage, workers: Workers, files: ContentFolder, exports: ExportFolder, settings: Settings
) -> JobService:
    """Returns the jobs that a caller may start, each kind with its runner and its places."""
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
        JobKind.LOAD: LoadRunner(loader, files, _transfers(storage, files, exports, exporting, settings)),
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


def _transfers(
    storage: Storage,
    files: ContentFolder,
    exports: ExportFolder,
    exporting: ExportProcesses,
    settings: Settings,
) -> TransferService:
    """Returns the service that fetches the content of loads without a file."""
    hosts = permitted_hosts(settings.transfer_hosts)
    urls = UrlContents(hosts, seconds_max=settings.transfer_seconds_max)
    bytes_max = settings.temp_upload_bytes_max
    return TransferService(storage.doors, files, exporting, exports, urls, bytes_max=bytes_max)
