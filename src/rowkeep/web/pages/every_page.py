"""All pages for who is signed in, over the services that they show."""

import msgspec

from rowkeep.services.datasets import DatasetService
from rowkeep.services.first_start import FirstStart
from rowkeep.services.grants import GrantService
from rowkeep.services.queries import QueryService
from rowkeep.services.read.read import ReadService
from rowkeep.services.tables import TableService
from rowkeep.services.uploads import UploadService
from rowkeep.services.versions import VersionService
from rowkeep.web.console import Console, StatusOf
from rowkeep.web.pages.datasets import DatasetPages
from rowkeep.web.pages.first_start import FirstStartPages
from rowkeep.web.pages.home import HomePages
from rowkeep.web.pages.queries import QueryPages
from rowkeep.web.pages.sign_in import SignInPages
from rowkeep.web.pages.tables import TablePages
from rowkeep.web.routes import PageTable
from rowkeep.web.signing_in import SigningIn, signing_in_at


class ShownServices(msgspec.Struct, frozen=True):
    """What the pages ask."""

    datasets: DatasetService
    grants: GrantService
    versions: VersionService
    tables: TableService
    reads: ReadService
    queries: QueryService
    uploads: UploadService
    first_start: FirstStart


def console_of(services: ShownServices, public_url: str, status_of: StatusOf) -> Console:
    """Returns the console of a server that people reach at `public_url`, empty when nobody said."""
    signing_in = signing_in_at(public_url)
    return Console(every_page(services, signing_in), signing_in, status_of, services.first_start.offer)


def every_page(services: ShownServices, signing_in: SigningIn) -> PageTable:
    """Returns the routes of the console."""
    datasets, tables = services.datasets, services.tables
    first_start = services.first_start
    return [
        *FirstStartPages(first_start, datasets, tables, services.uploads, signing_in).table(),
        *SignInPages(datasets, signing_in).table(),
        *HomePages(datasets).table(),
        *DatasetPages(datasets, tables, services.versions, services.grants).table(),
        *TablePages(tables, services.reads).table(),
        *QueryPages(services.queries, services.reads).table(),
    ]
