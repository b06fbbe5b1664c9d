"""A database with one table, and the services over it: what tests of reading work on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow
from pyarrow import parquet

from rowkeep.compose.storage import open_storage
from rowkeep.config import Settings
from rowkeep.model.access import Caller
from rowkeep.model.chain import digest_of
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.resources import Batch, OwnerKind, ReadStream, Receipt, Segment, Upload
from rowkeep.model.timing import InsertTimes
from rowkeep.services.access import caller_with
from rowkeep.services.accounts import create_token, create_user
from rowkeep.services.datasets import DatasetDraft, DatasetService
from rowkeep.services.insert.receipts import ReceiptService
from rowkeep.services.insert.requests import InsertRequest
from rowkeep.services.maintenance import Maintenance, SealingPolicy
from rowkeep.services.read.read import OpenedSession, ReadService, SessionLimits, read_request
from rowkeep.services.tables import TableDraft, TableService
from rowkeep.services.upkeep import forget_deleted
from rowkeep.services.uploads import UploadDraft, UploadService
from rowkeep.services.versions import ReleaseDraft, VersionService
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.doors import edit_catalog
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.chaining import ChainReading
from rowkeep.storage.sqlite import SqliteDatabase
from rowkeep.workers.decoding_process import DecodingProcesses
from tests.arrow_streams import table_of
from tests.direct_loads import DirectLoads
from tests.sealing import POLICY, DirectSealer, seal_all
from tests.unit.inserting import insert_service

Result = TypeVar("Result")
Rows = list[dict[str, Any]]
TABLE = "ada.survey.answers"


class World:
    """A database with a user, a dataset and an empty table, and the services over it.

    With `seals` every row is in a segment as soon as it is inserted. A folder that holds a database is
    opened as a server that starts again opens it; `disk` and `database` are what files and SQLite go through.
    """

    def __init__(
        self,
        folder: Path,
        runner: "asyncio.Runner",
        *,
        seals: bool = False,
        disk: Disk | None = None,
        database: Callable[[Path], SqliteDatabase] = SqliteDatabase,
    ) -> None:
        self._runner = runner
        self._seals = seals
        self.folder = folder
        self.directory = DataDirectory(folder)
        self.directory.sweep()
        is_new = not self.directory.database.exists()
        self.database = database(self.directory.database)
        self._stack = AsyncExitStack()
        self.owner = self.token("ada")
        self.run(self._open(folder, disk))
        if is_new:
            self.run(self._create_table())
        else:
            self.run(self.maintenance.recover())

    async def _open(self, folder: Path, disk: Disk | None) -> None:
        segments = LocalSegments(self.directory.segments, disk or Disk())
        settings = Settings(data_dir=folder, readers_max=2, disk_reserve_bytes_min=1)
        storage = await open_storage(self.database, self.directory, segments, settings, self._stack)
        self.doors, self._lane, self.readings = storage.doors, storage.lane, storage.readings
        self.reads = ReadService(self.doors, self.readings, limits=SessionLimits(hours=6))
        self.sealer = DirectSealer(self.database, self.directory, disk or Disk())
        self.maintenance = self.maintenance_under(POLICY)
        self.loads = DirectLoads(self.doors, self.directory, disk or Disk())
        self.uploads = UploadService(self.doors, self.loads.jobs)
        self.receipts = ReceiptService(self.doors, partial(ChainReading, storage.segments))
        decoding = DecodingProcesses(folder, inflated_bytes_max=2**20)
        self.inserts = insert_service(self.doors, decoding)

    def maintenance_under(self, policy: SealingPolicy) -> Maintenance:
        """Another maintenance of the same data, with bounds of its own."""
        return Maintenance(self.doors, self.sealer, policy, self._lane.slow_down)

    async def _create_table(self) -> None:
        await DatasetService(self.doors).create(self.owner, OwnerKind.USER, "ada", DatasetDraft("survey"))
        await TableService(self.doors).create(self.owner, "ada.survey", TableDraft("answers"))

    def close(self) -> None:
        self.run(self._lane.close())
        self.run(self._stack.aclose())
        self.database.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    def token(self, user: str, *scopes: str) -> Caller:
        """A new token of a user, who is created when there is none."""

        def edit(editor: CatalogEditor) -> str:
            if editor.owners.find(user) is None:
                create_user(editor, user)
            return create_token(editor, user, scopes, None)

        return caller_with(edit_catalog(self.database, edit).encode())

    def create(self, upload: str, schema: list[dict[str, str]] | None = None) -> None:
        draft = msgspec.convert({"name": upload, "type": "stream", "schema": schema}, UploadDraft)
        self.run(self.uploads.create(self.owner, TABLE, draft))

    def insert(self, upload: str, rows: Rows, **flags: bool) -> None:
        request = InsertRequest(self.owner, (TABLE, upload), None)

        async def insert() -> None:
            target = await self.inserts.look_up_target(request)
            await self.inserts.insert(
                request, target, msgspec.json.encode({"rows": rows, **flags}), InsertTimes(0.0)
            )

        self.run(insert())
        if self._seals:
            self.seal()

    def load(self, upload: str, content: bytes, type_: str = "csv") -> None:
        """Makes an upload of a file."""
        sent = self.run(self.loads.send(self.owner, TABLE, content))
        draft = UploadDraft(name=upload, type=type_, temp_upload_id=sent)
        self.run(self.uploads.create(self.owner, TABLE, draft))
        self.finish_jobs()

    def failed_uploads(self) -> list[str]:
        """The uploads that could not be loaded, with the reasons."""
        views = self.run(self.uploads.page(self.owner, TABLE, 0, 100))
        return [f"{view.upload.name}: {view.load.error}" for view in views if view.load and view.load.error]

    def finish_jobs(self) -> None:
        """Does what there is to do."""
        self.run(self.loads.finish())

    def insert_empty(self, upload: str, row_count: int) -> None:
        """Adds rows without keys to an upload without variables, as they were taken once."""
        found = self._upload(upload)
        upload_id, schema = found.id, found.schema
        body = msgspec.json.encode({"rows": [{}] * row_count})

        async def insert() -> None:
            version = await self.doors.read(lambda view: view.catalog_version())
            digest = digest_of(row_decoder(schema).read(body))
            batch = Batch(upload_id, version, schema, row_count, digest, body)
            assert isinstance(await self.doors.submit(batch), Receipt)

        self.run(insert())

    def seal(self) -> None:
        """Puts all rows that are in the journal into segments."""
        self.run(seal_all(self.doors, self.maintenance))

    def compact(self, upload: str) -> None:
        """Makes larger segments of an upload's small ones, as many as are worth it."""
        self.run(self.maintenance.compact(self._upload(upload).id))

    def sweep(self) -> int:
        """Removes every file that nothing names; how many."""
        return self.run(self.sealer.sweep(lambda: self.doors.read(lambda view: view.segments.file_names())))

    def _upload(self, name: str) -> Upload:
        return self.run(self.uploads.find(self.owner, TABLE, name)).upload

    def unnamed_segment(self, upload: str, first_row: int = 0) -> Segment:
        """A segment that was written and not yet named."""
        made = self.run(self.sealer.seal(self._upload(upload).id, first_row))
        assert made is not None
        return made

    def name_sealed(self, segment: Segment) -> bool:
        """Names a segment; whether there was anything to name."""
        return self.run(self.doors.write(lambda editor: editor.segments.name_sealed(segment)))

    def row_group_sizes(self, segment: Segment) -> list[int]:
        """How many rows each row group of a segment's file has, as Parquet's own reader sees it."""
        metadata = parquet.read_metadata(self.directory.segments / segment.file_name)
        return [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]

    def make_old(self) -> None:
        """Makes the rows in the journal an hour older."""
        with self.database.writing() as connection:
            connection.raw.execute("UPDATE entries SET committed_at = committed_at - 3600000")

    def release(self, *, continue_streams: bool = False) -> None:
        """Releases the dataset's next version; its streams may go on in a new one."""
        draft = ReleaseDraft(continue_streams=continue_streams)
        self.run(VersionService(self.doors).release(self.owner, "ada.survey", "next", draft))

    def forget_deleted(self) -> None:
        """What upkeep does with the rows of deleted uploads."""
        self.run(forget_deleted(self.doors))

    def expire_sessions(self) -> None:
        """Makes all read sessions too old."""
        with self.database.writing() as connection:
            connection.raw.execute("UPDATE read_sessions SET expires_at = 0")

    def rows_kept(self) -> int:
        """How many rows there are in the journal and in segments, of deleted uploads too."""
        counted = (
            "SELECT (SELECT coalesce(sum(row_count), 0) FROM entries)"
            " + (SELECT coalesce(sum(row_count), 0) FROM segments)"
        )
        with self.database.reading() as connection:
            [(count,)] = connection.raw.execute(counted)
        return int(count)

    def delete(self, upload: str) -> None:
        self.run(self.uploads.delete(self.owner, TABLE, upload))

    def parts(
        self, names: list[str] | None = None, rows_max: int | None = None, format_name: str = "arrow"
    ) -> AsyncIterator[bytes]:
        """The body of a listRows, not yet read."""
        request = read_request(TABLE, None, format_name, names, rows_max)
        return self.run(self.reads.list_rows(self.owner, request))

    def next_part(self, parts: AsyncIterator[bytes]) -> bytes | None:
        """The next part of a body; None after the last."""

        async def step() -> bytes | None:
            return await anext(parts, None)

        return self.run(step())

    def rest(self, parts: AsyncIterator[bytes]) -> list[bytes]:
        async def collect() -> list[bytes]:
            return [part async for part in parts]

        return self.run(collect())

    def table(self, stream: ReadStream, *, offset: int = 0) -> pyarrow.Table:
        """The rows of a read stream."""
        return table_of(self.streamed(stream, offset=offset))

    def listed(self, names: list[str] | None = None, rows_max: int | None = None) -> pyarrow.Table:
        """The table as listRows gives it."""
        return table_of(b"".join(self.rest(self.parts(names, rows_max))))

    def session(
        self,
        upload: str | None = None,
        stream_count: int = 1,
        names: list[str] | None = None,
        rows_max: int | None = None,
        format_name: str = "arrow",
    ) -> OpenedSession:
        request = read_request(TABLE, upload, format_name, names, rows_max)
        return self.run(self.reads.open_session(self.owner, request, stream_count))

    def open_stream(self, stream: ReadStream, caller: Caller | None = None) -> AsyncIterator[bytes]:
        reading = self.reads.read_stream(
            caller or self.owner, stream.identifier, offset=0, with_sentinel=False
        )
        return self.run(reading)[1]

    def streamed(self, stream: ReadStream, *, offset: int = 0, with_sentinel: bool = False) -> bytes:
        """The whole body of a read stream."""
        reading = self.reads.read_stream(
            self.owner, stream.identifier, offset=offset, with_sentinel=with_sentinel
        )
        return b"".join(self.rest(self.run(reading)[1]))
