"""What works beside the database, as promises: decoding large bodies, reading rows, sealing, statistics.

How each promise is kept is said in one file.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from rowkeep.model.decoding.strict_rows import StrictRows
from rowkeep.model.exports import ExportPlan, ExportResult
from rowkeep.model.growth import SchemaChange
from rowkeep.model.inflating import ContentCoding
from rowkeep.model.inserts import BodyFormat, OffsetMove
from rowkeep.model.loads import LoadArguments, LoadedFile
from rowkeep.model.quarantine import RefusedRows, Skipping
from rowkeep.model.queries import NamedTable, QueryAnswer, QueryArguments, QueryPlan
from rowkeep.model.raw_files import ContentDigest
from rowkeep.model.receipts import ChainOutcome
from rowkeep.model.resources import Batch, Entry, Frame, ReadStream, Segment, Upload
from rowkeep.model.schema import Schema
from rowkeep.model.statistics import Statistics
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView


class Spool(Protocol):
    """A request body that is too large to be held in memory, on its way to a file."""

    @property
    def byte_count(self) -> int:
        """How much has been written."""

    async def write(self, chunk: bytes) -> None:
        """Adds to the body. Raises StorageFailedError when the disk does not take it."""

    async def close(self) -> None:
        """Removes the file."""


class KeptSpool(Spool, Protocol):
    """Content on its way to a file that may stay."""

    async def keep(self) -> None:
        """Makes what was written durable; closing it no longer removes it."""


class ContentFiles(Protocol):
    """The content of temporary uploads, by their identifiers."""

    def new(self, identifier: str) -> KeptSpool:
        """Returns a place for content, empty."""

    def resumed(self, identifier: str, byte_count: int) -> KeptSpool:
        """Returns the place of content that is there up to a length; what is behind it is cut off."""

    async def remove(self, identifier: str) -> None:
        """Removes content that is not wanted any more."""

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Removes files that have long been without a temporary upload. Returns how many."""


class RawContents(Protocol):
    """The content of raw files, each once, by its SHA-256 in hex."""

    async def digest(self, temp_upload: str) -> ContentDigest:
        """Reads what was sent as a temporary upload. Raises not_found_error when it is gone."""

    def kept(self, contents: Mapping[str, str]) -> AbstractAsyncContextManager[None]:
        """Keeps contents, by the temporary uploads that have them, while a transaction names them."""

    def open(self, sha256: str) -> "OpenFile":
        """Opens a content. Raises not_found_error when there is none."""

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Removes contents that no file names. Returns how many."""


class RowAppender(Protocol):
    """Adds rows to an upload, within a transaction that does more."""

    def __call__(self, editor: CatalogEditor, upload: Upload, rows: Sequence[Mapping[str, object]]) -> int:
        """Adds rows that fit the upload's schema. Returns the number of the first."""


class LargeBody(msgspec.Struct, frozen=True):
    """A spooled request body and how to read it."""

    spool: Spool
    format: BodyFormat = BodyFormat.JSON
    coding: ContentCoding | None = None


class LargeRows(msgspec.Struct, frozen=True):
    """The rows of a large body, checked and ready for the journal.

    `body_sha256` is the digest of the inflated body, `rows_sha256` that of its rows (model/chain.py);
    `refused` are the rows that were skipped; `validate_only` and `offset` are what the body says, if it does.
    """

    row_count: int
    frames: tuple[Frame, ...]
    schema: Schema
    change: SchemaChange | None
    body_sha256: bytes
    rows_sha256: bytes
    validate_only: bool | None
    offset: OffsetMove | None
    refused: RefusedRows | None = None


class LargeBodyDecoder(Protocol):
    """Decodes large bodies where they cannot hold up the answering process."""

    def spool(self) -> Spool:
        """A place for one large body."""

    async def decode(
        self, body: LargeBody, schema: Schema, *, updates_by_default: bool, skipping: Skipping | None = None
    ) -> LargeRows:
        """Checks a body; `skipping` says what counts when it does not.

        Raises RowsRefused, invalid_request_error or payload_too_large.
        """

    async def body_sha256(self, body: LargeBody) -> bytes:
        """The SHA-256 of a body as it was before any coding. Raises as `decode` does."""


class BodyChecker(Protocol):
    """Checks bodies that are held in memory where that does not hold up the answering process."""

    async def check(self, body: bytes, schema: Schema, written_as: BodyFormat) -> StrictRows:
        """Checks a body. Raises StrictRefusal or unavailable."""


class RowReading(Protocol):
    """One reading of a read stream; every step runs on a snapshot of its own."""

    def step(self, view: CatalogView) -> bytes | None:
        """The next part of the body, or None after the last. Raises not_found_error for lost rows."""

    def let_go(self) -> object:
        """Gives up what is held for the next step, which makes it again. Returns it, to be dropped."""


class RowReadings(Protocol):
    """Starts readings."""

    def __call__(self, stream: ReadStream, *, offset: int, with_sentinel: bool) -> RowReading:
        """A reading from an offset on."""


class ChainReading(Protocol):
    """One recomputation of an upload's chain; every step runs on a snapshot of its own."""

    def step(self, view: CatalogView) -> ChainOutcome | None:
        """Does some of the work. Returns None until it is done.

        Raises not_found_error when the upload is deleted.
        """


class ChainReadings(Protocol):
    """Starts recomputations."""

    def __call__(self, upload_id: int) -> ChainReading:
        """A recomputation of the chain of an upload."""


class Sealer(Protocol):
    """Writes segments outside the answering process. After a SealingError everything is as before."""

    async def seal(self, upload_id: int, first_row: int) -> Segment | None:
        """Writes the entries from a row on into a durable, unnamed segment.

        Returns None when they cannot be sealed.
        """

    async def compact(self, upload_id: int, first_row: int, row_end: int) -> Segment:
        """A durable, unnamed segment of the rows of several."""

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Removes files that have long been unnamed. Returns how many.

        `named` reads the names that the catalog has.
        """


class FileLoader(Protocol):
    """Reads files into segments, away from the answering process."""

    async def load(
        self, upload_id: int, arguments: LoadArguments, listener: Callable[[float], None]
    ) -> LoadedFile:
        """Returns durable segments with the rows of a file, which nothing names yet.

        Raises RowkeepError for what is wrong with the file, WorkerFailedError. Cancelling it ends it at once.
        """

    async def discard(self, loaded: LoadedFile) -> None:
        """Removes the segments of a load that came to nothing after all."""


class ExportSink(Protocol):
    """Takes what a worker is to read of the journal, and says where it can read segments."""

    def add_entry(self, entry: Entry) -> None:
        """Adds rows of the journal."""

    def segment_path(self, name: str) -> str:
        """Returns where a segment's file can be read."""


class EntrySink(ExportSink, Protocol):
    """Takes the segments and the entries that a query reads."""

    def is_checked(self, name: str) -> bool:
        """Returns whether this process has had every block of a segment checked."""

    def close(self) -> Path:
        """Takes no more. Returns the folder that what was taken is in."""


class QueryRunning(Protocol):
    """Parses and runs queries, away from the answering process. Cancelling what it does ends it at once.

    Raises RowkeepError for what is wrong with a query, WorkerFailedError.
    """

    async def name_tables(self, arguments: QueryArguments) -> list[NamedTable]:
        """Returns the tables that a query names."""

    def folder(self) -> AbstractAsyncContextManager[EntrySink]:
        """Returns a place for what a query needs; it is gone afterwards."""

    async def run(self, plan: QueryPlan, folder: EntrySink, listener: Callable[[float], None]) -> QueryAnswer:
        """Returns the durable result of a query, which nothing names yet."""

    async def discard(self, answer: QueryAnswer) -> None:
        """Removes a result that came to nothing after all."""


class ExportRunning(Protocol):
    """Writes the files of exports, away from the answering process. Cancelling it ends it at once.

    Raises RowkeepError for a value that a format cannot hold, WorkerFailedError.
    """

    def folder(self) -> AbstractAsyncContextManager[Any]:
        """Returns a place, an ExportSink, for what an export needs; it is gone afterwards."""

    async def run(
        self, plan: ExportPlan, identifier: str, folder: Any, listener: Callable[[float], None]
    ) -> ExportResult:
        """Returns what is said of durable files, which nothing names yet; their names begin with a word."""

    async def discard(self, result: ExportResult) -> None:
        """Removes files that came to nothing after all."""


class OpenFile(Protocol):
    """A file that is being sent."""

    def parts(self, first: int, end: int) -> AsyncIterator[bytes]:
        """Yields the bytes from one place to another; the file is closed then."""

    def close(self) -> None:
        """Closes the file. Again, it does nothing."""


class UrlFetching(Protocol):
    """Fetches what other servers have, from hosts that were permitted."""

    def parts(self, url: str) -> AsyncIterator[bytes]:
        """Yields what is at an address. Raises invalid_request_error where that is not to be had."""


class ExportedFiles(Protocol):
    """The files of exports, by their names."""

    def open(self, name: str) -> OpenFile:
        """Opens a file. Raises not_found_error."""

    async def remove(self, name: str) -> None:
        """Removes a file; who has it open can read it to its end."""

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Removes files that no export has named for a while. Returns how many."""


class StatisticsEngine(Protocol):
    """Computes statistics away from the event loop."""

    async def compute(self, stream: ReadStream) -> Statistics:
        """The statistics of a stream of one variable. Raises not_found_error when its rows are gone."""


class CommitNotices(Protocol):
    """Tells, on the event loop, of each commit of rows (storage/journal/commits.py)."""

    def listen(self, listener: Callable[[Sequence[Batch]], None]) -> None:
        """From now on, calls a function with the batches of each group that was committed."""

    def forget(self, listener: Callable[[Sequence[Batch]], None]) -> None:
        """From now on, does not call this function."""
