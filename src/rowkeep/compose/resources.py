"""The resources of the API: their handlers, and the services that these use."""

from functools import partial

from rowkeep.api.http.openapi import DocumentHandlers
from rowkeep.api.http.routes import RouteTable
from rowkeep.api.resources.access import GrantHandlers
from rowkeep.api.resources.audit import AuditHandlers
from rowkeep.api.resources.datasets import DatasetHandlers
from rowkeep.api.resources.exports import ExportHandlers
from rowkeep.api.resources.follow import FollowAnswers
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
from rowkeep.compose.figures import Figures
from rowkeep.compose.services import Services
from rowkeep.compose.storage import Storage
from rowkeep.config import Settings
from rowkeep.formats.raw_file_list import raw_file_stream
from rowkeep.services.audit import AuditService
from rowkeep.services.datasets import DatasetService
from rowkeep.services.grants import GrantService
from rowkeep.services.insert.receipts import ReceiptService
from rowkeep.services.organizations import OrganizationService
from rowkeep.services.row_links import RowLinkService
from rowkeep.services.tables import TableService
from rowkeep.services.variables import VariableService
from rowkeep.services.versions import VersionService
from rowkeep.storage.segments.chaining import ChainReading


def route_table(storage: Storage, services: Services, figures: Figures, settings: Settings) -> RouteTable:
    """Returns every route of the API except insertRows, each with its handler."""
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
        *figures.operations(settings).table(),
    ]
    return [*table, *DocumentHandlers(table).table()]
