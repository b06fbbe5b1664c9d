"""The interfaces of what works beside the database: decoding, reading, sealing, loading and statistics.

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
    """A request body that is too large for memory, while it is written to a file."""

    @property
    def byte_count(self) -> int:
        """Returns how many bytes have been written."""

    async def write(self, chunk: bytes) -> None:
        """Adds to the body. Raises StorageFailedError when the disk does not take it."""

    async def close(self) -> None:
        """Removes the file."""


class KeptSpool(Spool, Protocol):
    """A file that is being written and can be kept."""

    async def keep(self) -> None:
        """Makes the written bytes durable. Closing no longer removes them."""


class ContentFiles(Protocol):
    """The contents of temporary uploads, by identifier."""

    def new(self, identifier: str) -> KeptSpool:
        """Returns an empty file for content."""

    def resumed(self, identifier: str, byte_count: int) -> KeptSpool:
        """Returns a file with the first `byte_count` bytes of its content. Bytes behind them are cut off."""

    async def remove(self, identifier: str) -> None:
        """Removes content that is no longer needed."""

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Removes files that have long had no temporary upload. Returns the number of files."""


class RawContents(Protocol):
    """The contents of raw files, each stored once, by SHA-256 in hex."""

    async def digest(self, temp_upload: str) -> ContentDigest:
        """Returns the digest of a temporary upload's content. Raises not_found_error when it is gone."""

    def kept(self, contents: Mapping[str, str]) -> AbstractAsyncContextManager[None]:
        """Keeps contents while a transaction names them. They are given by temporary upload."""

    def open(self, sha256: str) -> "OpenFile":
        """Opens a content. Raises not_found_error when there is none."""

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Removes contents that no file names. Returns their number."""


class RowAppender(Protocol):
    """Adds rows to an upload, within a transaction that does more."""

    def __call__(self, editor: CatalogEditor, upload: Upload, rows: Sequence[Mapping[str, object]]) -> int:
        """Adds rows that fit the upload's schema. Returns the number of the first row."""


class LargeBody(msgspec.Struct, frozen=True):
    """A spooled request body, its format and its coding."""

    spool: Spool
    format: BodyFormat = BodyFormat.JSON
    coding: ContentCoding | None = None


class LargeRows(msgspec.Struct, frozen=True):
    """The rows of a large body, checked and ready for the journal.

    `body_sha256` is the digest of the inflated body, `rows_sha256` that of its rows (model/chain.py).
    `refused` are the rows that were skipped. `validate_only` and `offset` are set if the body has them.
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
    """Decodes large bodies outside the answering process, so that it is not held up."""

    def spool(self) -> Spool:
        """Returns a file for one large body."""

    async def decode(
        self, body: LargeBody, schema: Schema, *, updates_by_default: bool, skipping: Skipping | None = None
    ) -> LargeRows:
        """Checks a body and returns its rows. `skipping` says which invalid rows may be skipped.

        Raises RowsRefused, invalid_request_error or payload_too_large.
        """

    async def body_sha256(self, body: LargeBody) -> bytes:
        """Returns the SHA-256 of the inflated body. Raises as `decode` does."""


class BodyChecker(Protocol):
    """Checks bodies that are held in memory, without holding up the answering process."""

    async def check(self, body: bytes, schema: Schema, written_as: BodyFormat) -> StrictRows:
        """Checks a body and returns its rows. Raises StrictRefusal or unavailable."""


class RowReading(Protocol):
    """One reading of a read stream. Every step runs on a snapshot of its own."""

    def step(self, view: CatalogView) -> bytes | None:
        """Returns the next part of the body, or None after the last. Raises not_found_error for lost rows."""

    def let_go(self) -> object:
        """Gives up what is held for the next step, and returns it so that the caller can drop it.

        The next step makes it again.
        """


class RowReadings(Protocol):
    """Starts readings."""

    def __call__(self, stream: ReadStream, *, offset: int, with_sentinel: bool) -> RowReading:
        """Starts a reading at an offset."""


class ChainReading(Protocol):
    """One recomputation of an upload's chain; every step runs on a snapshot of its own."""

    def step(self, view: CatalogView) -> ChainOutcome | None:
        """Does some of the work. Returns None until it is done.

        Raises not_found_error when the upload is deleted.
        """


class ChainReadings(Protocol):
    """Starts recomputations."""

    def __call__(self, upload_id: int) -> ChainReading:
        """Starts a recomputation of the chain of an upload."""


class Sealer(Protocol):
    """Writes segments outside the answering process. A SealingError leaves everything as before."""

    async def seal(self, upload_id: int, first_row: int) -> Segment | None:
        """Writes the entries from a row on into a durable, unnamed segment.

        Returns None when they cannot be sealed.
        """

    async def compact(self, upload_id: int, first_row: int, row_end: int) -> Segment:
        """Writes the rows of several segments into a durable segment that nothing names yet."""

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Removes files that have long been unnamed. Returns the number of files.

        `named` reads the names in the catalog.
        """


class FileLoader(Protocol):
    """Reads files into segments, away from the answering process."""

    async def load(
        self, upload_id: int, arguments: LoadArguments, listener: Callable[[float], None]
    ) -> LoadedFile:
        """Reads a file into durable segments that nothing names yet. Cancelling ends the work at once.

        Raises RowkeepError for a faulty file, and WorkerFailedError.
        """

    async def discard(self, loaded: LoadedFile) -> None:
        """Removes the segments of a load that could not be named."""


class ExportSink(Protocol):
    """Takes the entries that a worker is to read, and gives the paths of segments."""

    def add_entry(self, entry: Entry) -> None:
        """Adds an entry of the journal."""

    def segment_path(self, name: str) -> str:
        """Returns where a segment's file can be read."""


class EntrySink(ExportSink, Protocol):
    """Takes the segments and entries that a query reads."""

    def is_checked(self, name: str) -> bool:
        """Returns whether every block of a segment has been checked in this process."""

    def close(self) -> Path:
        """Finishes the folder. Returns its path."""


class QueryRunning(Protocol):
    """Parses and runs queries outside the answering process. Cancelling ends the work at once.

    Raises RowkeepError for a faulty query, and WorkerFailedError.
    """

    async def name_tables(self, arguments: QueryArguments) -> list[NamedTable]:
        """Returns the tables that a query names."""

    def folder(self) -> AbstractAsyncContextManager[EntrySink]:
        """Yields a folder for a query's input, which is removed afterwards."""

    async def run(self, plan: QueryPlan, folder: EntrySink, listener: Callable[[float], None]) -> QueryAnswer:
        """Returns the durable result of a query, which nothing names yet."""

    async def discard(self, answer: QueryAnswer) -> None:
        """Removes a result that could not be named."""


class ExportRunning(Protocol):
    """Writes the files of exports outside the answering process. Cancelling ends the work at once.

    Raises RowkeepError for a value that a format cannot hold, and WorkerFailedError.
    """

    def folder(self) -> AbstractAsyncContextManager[Any]:
        """Yields an ExportSink with a folder for an export, which is removed afterwards."""

    async def run(
        self, plan: ExportPlan, identifier: str, folder: Any, listener: Callable[[float], None]
    ) -> ExportResult:
        """Writes durable files that nothing names yet; their names begin with `identifier`.

        Returns their facts.
        """

    async def discard(self, result: ExportResult) -> None:
        """Removes files that could not be named."""


class OpenFile(Protocol):
    """A file that is being sent."""

    def parts(self, first: int, end: int) -> AsyncIterator[bytes]:
        """Yields the bytes from one place to another, then closes the file."""

    def close(self) -> None:
        """Closes the file. Closing again does nothing."""


class UrlFetching(Protocol):
    """Fetches content from other servers, from permitted hosts only."""

    def parts(self, url: str) -> AsyncIterator[bytes]:
        """Yields the content at a URL. Raises invalid_request_error when it cannot be fetched."""


class ExportedFiles(Protocol):
    """The files of exports, by their names."""

    def open(self, name: str) -> OpenFile:
        """Opens a file. Raises not_found_error."""

    async def remove(self, name: str) -> None:
        """Removes a file. A reader that has it open can read it to its end."""

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Removes files that no export has named for a while. Returns the number of files."""


class StatisticsEngine(Protocol):
    """Computes statistics away from the event loop."""

    async def compute(self, stream: ReadStream) -> Statistics:
        """Returns the statistics of a stream of one variable.

        Raises not_found_error when its rows are gone.
        """


class CommitNotices(Protocol):
    """Tells, on the event loop, of each commit of rows (storage/journal/commits.py)."""

    def listen(self, listener: Callable[[Sequence[Batch]], None]) -> None:
        """Registers a function that is called with the batches of each committed group."""

    def forget(self, listener: Callable[[Sequence[Batch]], None]) -> None:
        """Removes a registered function."""
