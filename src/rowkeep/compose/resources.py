"""The resources of the API: which handlers answer, and which services they ask."""

from collections.abc import Iterator
from functools import partial

from rowkeep.api.http.openapi import DocumentHandlers
from rowkeep.api.http.routes import RouteTable
from rowkeep.api.http.traffic import Traffic
from rowkeep.api.resources.access import GrantHandlers
from rowkeep.api.resources.audit import AuditHandlers
from rowkeep.api.resources.datasets import DatasetHandlers
from rowkeep.api.resources.exports import ExportHandlers
from rowkeep.api.resources.follow import FollowAnswers
from rowkeep.api.resources.operations import LiveFigures, OperationHandlers, OperationsGate
from rowkeep.api.resources.owners import OwnerHandlers
from rowkeep.api.resources.quarantine import QuarantineHandlers
from rowkeep.api.resources.queries import QueryHandlers
from rowkeep.api.resources.raw_files import RawFileHandlers
from rowkeep.api.resources.reads import ReadHandlers
from rowkeep.api.resources.receipts import ReceiptHandlers
from rowkeep.api.resources.row_links import RowLinkHandlers
from rowkeep.api.resources.statistics import StatisticsHandlers
from rowkeep.api.resources.tables import TableHandlers
from rowkeep.api.resources.temp_uploads import TempUploadHandlers
from rowkeep.api.resources.uploads import UploadHandlers
from rowkeep.api.resources.variables import VariableHandlers
from rowkeep.api.resources.versions import VersionHandlers
from rowkeep.compose.services import Services
from rowkeep.compose.storage import Storage, durability_of
from rowkeep.config import Settings
from rowkeep.formats.raw_file_list import raw_file_stream
from rowkeep.model.health import PlaceFigures
from rowkeep.services.audit import AuditService
from rowkeep.services.datasets import DatasetService
from rowkeep.services.grants import GrantService
from rowkeep.services.insert.receipts import ReceiptService
from rowkeep.services.organizations import OrganizationService
from rowkeep.services.row_links import RowLinkService
from rowkeep.services.tables import TableService
from rowkeep.services.variables import VariableService
from rowkeep.services.versions import VersionService
from rowkeep.storage.local_files import disk_figures
from rowkeep.storage.segments.chaining import ChainReading


def route_table(storage: Storage, services: Services, traffic: Traffic, settings: Settings) -> RouteTable:
    """Returns every route of the API but the heart, with what answers it."""
    doors, url = storage.doors, settings.public_url
    datasets = DatasetService(doors)
    answers = FollowAnswers(services.follows, stall_seconds_max=settings.follow_stall_seconds_max)
    table = [
        *OwnerHandlers(datasets, OrganizationService(doors)).table(),
        *DatasetHandlers(datasets).table(),
        *GrantHandlers(GrantService(doors)).table(),
        *AuditHandlers(AuditService(doors)).table(),
        *VersionHandlers(VersionService(doors)).table(),
        *TableHandlers(TableService(doors)).table(),
        *VariableHandlers(VariableService(doors)).table(),
        *ReadHandlers(services.reads, answers, services.queries, services.exports).table(),
        *ReceiptHandlers(ReceiptService(doors, partial(ChainReading, storage.segments))).table(),
        *QuarantineHandlers(services.quarantine).table(),
        *StatisticsHandlers(services.statistics).table(),
        *ExportHandlers(services.exports, url).table(),
        *RowLinkHandlers(RowLinkService(doors), services.reads, services.exports, url).table(),
        *QueryHandlers(services.queries, services.reads, services.statistics).table(),
        *UploadHandlers(services.uploads, services.temp_uploads).table(),
        *TempUploadHandlers(services.temp_uploads, url).table(),
        *RawFileHandlers(services.raw_files, raw_file_stream).table(),
        *_operations(storage, services, traffic, settings).table(),
    ]
    return [*table, *DocumentHandlers(table).table()]


def _operations(
    storage: Storage, services: Services, traffic: Traffic, settings: Settings
) -> OperationHandlers:
    live = partial(_live_figures, storage, services)
    durability = durability_of(storage.directory)
    gate = OperationsGate(settings.metrics_token, is_apart=bool(settings.metrics_address))
    return OperationHandlers(
        storage.lane.health, services.maintenance.health, traffic, live, durability, gate
    )


def _live_figures(storage: Storage, services: Services) -> LiveFigures:
    return LiveFigures(
        services.follows.follower_count,
        services.follows.dropped_count,
        services.long_inserts.count,
        services.jobs.running_count,
        services.jobs.completed_count,
        services.jobs.failed_count,
        storage.sweep.set_aside_count,
        tuple(_place_figures(services)),
        disk_figures(storage.directory),
    )


def _place_figures(services: Services) -> Iterator[PlaceFigures]:
    for kind, places in services.places.items():
        yield PlaceFigures(kind, places.places_max, places.taken_count)
    for job_kind, places_max in services.jobs.places.items():
        yield PlaceFigures(job_kind.value, places_max, services.jobs.running_of(job_kind))
