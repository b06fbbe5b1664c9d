"""The pages for people. They use the same services as the API."""

from functools import partial

from rowkeep.api.http.wire import STATUS_OF_CODE
from rowkeep.compose.services import Services
from rowkeep.compose.storage import Storage
from rowkeep.config import Settings
from rowkeep.services.audit import AuditService
from rowkeep.services.datasets import DatasetService
from rowkeep.services.first_start import FirstStart
from rowkeep.services.grants import GrantService
from rowkeep.services.insert.receipts import ReceiptService
from rowkeep.services.row_links import RowLinkService
from rowkeep.services.tables import TableService
from rowkeep.services.versions import VersionService
from rowkeep.storage.segments.chaining import ChainReading
from rowkeep.web.console import Console
from rowkeep.web.pages.every_page import ApiParts, ShownServices, console_of


def console_over(storage: Storage, services: Services, api: ApiParts, settings: Settings) -> Console:
    """Returns the console."""
    doors = storage.doors
    shown = ShownServices(
        datasets=DatasetService(doors),
        grants=GrantService(doors),
        versions=VersionService(doors),
        tables=TableService(doors),
        reads=services.reads,
        queries=services.queries,
        uploads=services.uploads,
        temp_uploads=services.temp_uploads,
        receipts=ReceiptService(doors, partial(ChainReading, storage.segments)),
        quarantine=services.quarantine,
        row_links=RowLinkService(doors),
        audit=AuditService(doors),
        first_start=FirstStart(doors),
    )
    url = settings.public_url or ("https://" if settings.tls_certificate else "")
    return console_of(shown, api, url, lambda error: STATUS_OF_CODE[error.code])
