"""The catalog, noun by noun: `view.uploads.find(…)` reads, `editor.uploads.add(…)` edits.

Services get a `CatalogView` of one consistent snapshot, or a `CatalogEditor` of one durable transaction,
through a door (doors.py). What can be done with a noun is in the file of the noun;
state.py tells how those files are built. Nothing here knows a database: statements are run by name over a
`Connection`.
"""

import time

from rowkeep.model.audit import THE_SERVER, Origin
from rowkeep.storage.base import Connection
from rowkeep.storage.catalog.audit import Audit, AuditEditor
from rowkeep.storage.catalog.datasets import DatasetEditor, Datasets
from rowkeep.storage.catalog.entries import Entries, EntryEditor
from rowkeep.storage.catalog.exports import ExportEditor, Exports
from rowkeep.storage.catalog.grants import GrantEditor, Grants
from rowkeep.storage.catalog.jobs import JobEditor, Jobs
from rowkeep.storage.catalog.members import MemberEditor, Members
from rowkeep.storage.catalog.owners import OwnerEditor, Owners
from rowkeep.storage.catalog.quarantine import QuarantineEditor, Quarantines
from rowkeep.storage.catalog.queries import Queries, QueryEditor
from rowkeep.storage.catalog.raw_files import RawFileEditor, RawFiles
from rowkeep.storage.catalog.receipts import ReceiptEditor, Receipts
from rowkeep.storage.catalog.segments import SegmentEditor, Segments
from rowkeep.storage.catalog.sessions import SessionEditor, Sessions
from rowkeep.storage.catalog.state import catalog_version
from rowkeep.storage.catalog.tables import TableEditor, Tables
from rowkeep.storage.catalog.temp_uploads import TempUploadEditor, TempUploads
from rowkeep.storage.catalog.tokens import TokenEditor, Tokens
from rowkeep.storage.catalog.uploads import UploadEditor, Uploads
from rowkeep.storage.catalog.variables import VariableEditor, Variables
from rowkeep.storage.catalog.versions import VersionEditor, Versions


class CatalogView:
    """A snapshot of the catalog and the journal. None and empty lists mean absent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.owners = Owners(connection)
        self.members = Members(connection)
        self.tokens = Tokens(connection)
        self.datasets = Datasets(connection)
        self.grants = Grants(connection)
        self.versions = Versions(connection)
        self.tables = Tables(connection)
        self.variables = Variables(connection)
        self.uploads = Uploads(connection)
        self.entries = Entries(connection)
        self.segments = Segments(connection)
        self.receipts = Receipts(connection)
        self.quarantine = Quarantines(connection)
        self.sessions = Sessions(connection)
        self.jobs = Jobs(connection)
        self.queries = Queries(connection)
        self.exports = Exports(connection)
        self.temp_uploads = TempUploads(connection)
        self.audit = Audit(connection)
        self.raw_files = RawFiles(connection)

    def catalog_version(self) -> int:
        """Returns how many transactions have changed the catalog."""
        return catalog_version(self._connection)


class CatalogEditor(CatalogView):
    """A transaction that may change the catalog. Raises DuplicateError where a unique key is taken."""

    owners: OwnerEditor
    members: MemberEditor
    tokens: TokenEditor
    datasets: DatasetEditor
    grants: GrantEditor
    versions: VersionEditor
    tables: TableEditor
    variables: VariableEditor
    uploads: UploadEditor
    entries: EntryEditor
    segments: SegmentEditor
    receipts: ReceiptEditor
    quarantine: QuarantineEditor
    sessions: SessionEditor
    jobs: JobEditor
    queries: QueryEditor
    exports: ExportEditor
    temp_uploads: TempUploadEditor
    audit: AuditEditor
    raw_files: RawFileEditor

    def __init__(self, connection: Connection, origin: Origin = THE_SERVER) -> None:
        super().__init__(connection)
        now = time.time_ns() // 1_000_000
        self.owners = OwnerEditor(connection, now)
        self.members = MemberEditor(connection, now)
        self.tokens = TokenEditor(connection, now)
        self.datasets = DatasetEditor(connection, now)
        self.grants = GrantEditor(connection, now)
        self.versions = VersionEditor(connection, now)
        self.tables = TableEditor(connection, now)
        self.variables = VariableEditor(connection, now)
        self.uploads = UploadEditor(connection, now)
        self.entries = EntryEditor(connection, now)
        self.segments = SegmentEditor(connection, now)
        self.receipts = ReceiptEditor(connection, now)
        self.quarantine = QuarantineEditor(connection, now)
        self.sessions = SessionEditor(connection, now)
        self.jobs = JobEditor(connection, now)
        self.queries = QueryEditor(connection, now)
        self.exports = ExportEditor(connection, now)
        self.temp_uploads = TempUploadEditor(connection, now)
        self.audit = AuditEditor(connection, now, origin)
        self.raw_files = RawFileEditor(connection, now)
