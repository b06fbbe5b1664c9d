"""A database with one table, and the services over it: what tests of reading work on."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow

from rowkeep.model.resources import OwnerKind, ReadStream
from rowkeep.services.access import TokenHash, token_hash
from rowkeep.services.accounts import create_token, create_user
from rowkeep.services.datasets import DatasetDraft, DatasetService
from rowkeep.services.ingest import IngestService, InsertRequest
from rowkeep.services.read import OpenedSession, ReadService, read_request
from rowkeep.services.tables import TableDraft, TableService
from rowkeep.services.uploads import UploadDraft, UploadService
from rowkeep.storage.base import CatalogEditor
from rowkeep.storage.decoding_process import DecodingProcess
from rowkeep.storage.doors import StorageDoors, edit_catalog
from rowkeep.storage.lane import Lane
from rowkeep.storage.reader import StreamReader
from rowkeep.storage.sqlite import SqliteDatabase
from tests.arrowstreams import table_of

Result = TypeVar("Result")
Rows = list[dict[str, Any]]
TABLE = "ada.survey.answers"


class World:
    """A database with a user, a dataset and an empty table, and the services over it."""

    def __init__(self, folder: Path, runner: "asyncio.Runner") -> None:
        self._runner = runner
        self.folder = folder
        self.database = SqliteDatabase(folder / "rowkeep.db")
        self.owner = self.token("ada")
        self.run(self._open(folder))

    async def _open(self, folder: Path) -> None:
        self._lane = Lane(self.database, group_bytes_max=2**23, queue_bytes_max=2**26, wait_seconds_max=5.0)
        self.doors = StorageDoors(self.database, self._lane, readers_max=2)
        self.reads = ReadService(self.doors, StreamReader, session_hours=6)
        self.uploads = UploadService(self.doors)
        self.ingest = IngestService(self.doors, DecodingProcess(folder))
        await DatasetService(self.doors).create(self.owner, OwnerKind.USER, "ada", DatasetDraft("survey"))
        await TableService(self.doors).create(self.owner, "ada.survey", TableDraft("answers"))

    def close(self) -> None:
        self.run(self._lane.close())
        self.doors.close()
        self.database.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    def token(self, user: str, *scopes: str) -> TokenHash:
        """A new token of a user, who is created when there is none."""

        def edit(editor: CatalogEditor) -> str:
            if editor.owner(user) is None:
                create_user(editor, user)
            return create_token(editor, user, scopes, None)

        return token_hash(edit_catalog(self.database, edit).encode())

    def create(self, upload: str, schema: list[dict[str, str]] | None = None) -> None:
        draft = msgspec.convert({"name": upload, "type": "stream", "schema": schema}, UploadDraft)
        self.run(self.uploads.create(self.owner, TABLE, draft))

    def insert(self, upload: str, rows: Rows, **flags: bool) -> None:
        request = InsertRequest(self.owner, (TABLE, upload), None)

        async def insert() -> None:
            target = await self.ingest.look_up_target(request)
            await self.ingest.insert(request, target, msgspec.json.encode({"rows": rows, **flags}))

        self.run(insert())

    def delete(self, upload: str) -> None:
        self.run(self.uploads.delete(self.owner, TABLE, upload))

    def parts(
        self, names: list[str] | None = None, rows_max: int | None = None, format_name: str = "arrow"
    ) -> AsyncIterator[bytes]:
        """The body of a listRows, not yet read."""
        request = read_request(TABLE, None, format_name, names, rows_max)
        return self.run(self.reads.list_rows(self.owner, request))

    def rest(self, parts: AsyncIterator[bytes]) -> list[bytes]:
        async def collect() -> list[bytes]:
            return [part async for part in parts]

        return self.run(collect())

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

    def open_stream(self, stream: ReadStream, **caller: TokenHash | None) -> AsyncIterator[bytes]:
        reading = self.reads.read_stream(
            caller.get("token", self.owner), stream.identifier, offset=0, with_sentinel=False
        )
        return self.run(reading)[1]

    def streamed(self, stream: ReadStream, *, offset: int = 0, with_sentinel: bool = False) -> bytes:
        """The whole body of a read stream."""
        reading = self.reads.read_stream(
            self.owner, stream.identifier, offset=offset, with_sentinel=with_sentinel
        )
        return b"".join(self.rest(self.run(reading)[1]))
