"""All pages of the console, over the services that they show."""

import msgspec

from rowkeep.services.audit import AuditService
from rowkeep.services.datasets import DatasetService
from rowkeep.services.first_start import FirstStart
from rowkeep.services.grants import GrantService
from rowkeep.services.insert.receipts import ReceiptService
from rowkeep.services.quarantine import QuarantineService
from rowkeep.services.queries import QueryService
from rowkeep.services.read.read import ReadService
from rowkeep.services.row_links import RowLinkService
from rowkeep.services.tables import TableService
from rowkeep.services.temp_uploads import TempUploadService
from rowkeep.services.uploads import UploadService
from rowkeep.services.versions import VersionService
from rowkeep.web.console import Console, StatusOf
from rowkeep.web.file_form import FileForms
from rowkeep.web.pages.access import AccessPages
from rowkeep.web.pages.api_document import ApiDocument, ApiDocumentPages
from rowkeep.web.pages.audit import AuditPages
from rowkeep.web.pages.datasets import DatasetPages
from rowkeep.web.pages.first_start import FirstStartPages
from rowkeep.web.pages.home import HomePages
from rowkeep.web.pages.quarantine import QuarantinePages
from rowkeep.web.pages.queries import QueryPages
from rowkeep.web.pages.rows import RowPages
from rowkeep.web.pages.server import FiguresNow, ServerPages
from rowkeep.web.pages.sign_in import SignInPages
from rowkeep.web.pages.tables import TablePages
from rowkeep.web.pages.uploads import UploadPages
from rowkeep.web.routes import PageTable
from rowkeep.web.signing_in import SigningIn, signing_in_at


class ShownServices(msgspec.Struct, frozen=True):
    """The services that the pages use."""

    datasets: DatasetService
    grants: GrantService
    versions: VersionService
    tables: TableService
    reads: ReadService
    queries: QueryService
    uploads: UploadService
    temp_uploads: TempUploadService
    receipts: ReceiptService
    quarantine: QuarantineService
    row_links: RowLinkService
    audit: AuditService
    first_start: FirstStart


class ApiParts(msgspec.Struct, frozen=True):
    """The parts of the API that pages need too:

    its reader of forms with a file, its document, its figures.
    """

    forms: FileForms
    document: ApiDocument
    figures: FiguresNow | None


def console_of(services: ShownServices, api: ApiParts, public_url: str, status_of: StatusOf) -> Console:
    """Returns the console. `public_url` is the address for people, or empty if it is not set."""
    signing_in = signing_in_at(public_url)
    return Console(every_page(services, api, signing_in), signing_in, status_of, services.first_start.offer)


def every_page(services: ShownServices, api: ApiParts, signing_in: SigningIn) -> PageTable:
    """Returns the routes of the console."""
    datasets, tables, uploads = services.datasets, services.tables, services.uploads
    first_start = services.first_start
    return [
        *FirstStartPages(first_start, datasets, tables, uploads, signing_in).table(),
        *SignInPages(datasets, signing_in).table(),
        *HomePages(datasets).table(),
        *DatasetPages(datasets, tables, services.versions, services.grants).table(),
        *AccessPages(services.grants, datasets).table(),
        *RowPages(tables, services.reads, services.queries, services.row_links).table(),
        *TablePages(tables).table(),
        *UploadPages(tables, uploads, services.temp_uploads, services.receipts, api.forms).table(),
        *QuarantinePages(tables, uploads, services.quarantine).table(),
        *AuditPages(services.audit, datasets).table(),
        *ApiDocumentPages(api.document).table(),
        *ServerPages(api.figures).table(),
        *QueryPages(services.queries, services.reads).table(),
    ]
