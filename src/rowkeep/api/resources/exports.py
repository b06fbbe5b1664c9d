"""Exports: rows as files to download. Source: contract 4.10."""

from typing import Annotated, Literal
from urllib.parse import quote

import msgspec

from rowkeep.api.http.endpoint import StreamAnswer
from rowkeep.api.http.parameters import PAGED, QueryParameter
from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import (
    API,
    ASKED_ERRORS,
    CALLER_ERRORS,
    FILE_TYPE,
    SEEN_ERRORS,
    Facts,
    Route,
    RouteTable,
)
from rowkeep.api.http.shapes import Count, ListShape, LocatedShape, Shape, Time, located
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.downloads import SentFile, file_answer
from rowkeep.model.errors import invalid_request
from rowkeep.model.exports import ExportFormat
from rowkeep.model.jobs import JobStatus
from rowkeep.services.exports import Download, ExportDraft, ExportService, ExportView

EXPORTS_PER_PAGE_MAX = 1_000
_FILE_PART = QueryParameter("filePart", {"type": "integer", "minimum": 0, "default": 0})


class ExportedTable(Shape, frozen=True, kw_only=True, tag_field="kind", tag="table"):
    """The table that was exported, or whose upload was."""

    name: str


class Export(LocatedShape, frozen=True, kw_only=True, tag_field="kind", tag="export"):
    """An export; `size`, `fileCount` and `numRows` are null until it is completed."""

    id: str
    format: ExportFormat
    compression: str
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    percent_completed: Annotated[float, msgspec.Meta(ge=0, le=100)]
    error_message: str | None
    warnings: tuple[str, ...]
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    size: Count | None
    file_count: Count | None
    num_rows: Count | None
    table: ExportedTable | None


class ExportList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="exportList"):
    """A page of the caller's exports, newest first."""

    results: list[Export]


class DownloadLinkDraft(msgspec.Struct, frozen=True, rename="camel"):
    """The file for which a link is to be created."""

    file_part: int = 0


class DownloadLink(Shape, frozen=True, kw_only=True, tag_field="kind", tag="downloadLink"):
    """A link by which anybody can fetch a file, until it expires."""

    url: str
    expires_at: Time


class ExportHandlers:
    """Exports and their files."""

    def __init__(self, exports: ExportService, public_url: str) -> None:
        self._exports = exports
        self._public_url = public_url

    def table(self) -> RouteTable:
        """Returns the routes."""
        table = f"{API}/tables/{{table}}"
        export = f"{API}/exports/{{export}}"
        creating: Facts = {"answer": Export, "errors": (*ASKED_ERRORS, 429), "body": ExportDraft}
        return [
            Route("POST", f"{table}/exports", self.create_of_table, **creating),
            Route("POST", f"{table}/uploads/{{upload}}/exports", self.create_of_upload, **creating),
            Route("POST", f"{API}/queries/{{query}}/exports", self.create_of_query, **creating),
            Route("GET", f"{API}/exports", self.list_own, ExportList, (400, *CALLER_ERRORS), PAGED),
            Route("GET", export, self.get, Export, SEEN_ERRORS),
            Route("DELETE", export, self.delete, None, SEEN_ERRORS, media_types=("text/plain",)),
            Route(
                "GET",
                f"{export}/download",
                self.download,
                None,
                (*ASKED_ERRORS, 409, 416),
                (_FILE_PART,),
                media_types=(FILE_TYPE,),
            ),
            Route(
                "POST",
                f"{export}/downloadLinks",
                self.create_link,
                DownloadLink,
                (*ASKED_ERRORS, 409),
                body=DownloadLinkDraft,
            ),
            Route(
                "GET",
                f"{API}/downloads/{{link}}/{{name}}",
                self.download_linked,
                None,
                (*ASKED_ERRORS, 409, 416),
                media_types=(FILE_TYPE,),
            ),
        ]

    async def create_of_table(self, request: ApiRequest) -> Answer:
        """Begins an export of a table."""
        return await self._create(request, None)

    async def create_of_upload(self, request: ApiRequest) -> Answer:
        """Begins an export of an upload."""
        return await self._create(request, request.segment("upload"))

    async def _create(self, request: ApiRequest, upload_name: str | None) -> Answer:
        draft = await request.json(ExportDraft)
        table = request.segment("table")
        return json_answer(_resource(await self._exports.create(request.caller, table, upload_name, draft)))

    async def create_of_query(self, request: ApiRequest) -> Answer:
        """Begins an export of a query's result."""
        draft = await request.json(ExportDraft)
        found = await self._exports.create_of_query(request.caller, request.segment("query"), draft)
        return json_answer(_resource(found))

    async def list_own(self, request: ApiRequest) -> Answer:
        """A page of the caller's exports, newest first."""
        page = page_of(request, EXPORTS_PER_PAGE_MAX)
        found = await self._exports.page(request.caller, page.after_id or None, page.count + 1)
        return listed(ExportList, found, page, _resource, lambda view: view.job.id)

    async def get(self, request: ApiRequest) -> Answer:
        """An export of the caller's."""
        return json_answer(_resource(await self._exports.find(request.caller, request.segment("export"))))

    async def delete(self, request: ApiRequest) -> Answer:
        """Cancels an export that is not finished, deletes one that is with its files."""
        await self._exports.delete(request.caller, request.segment("export"))
        return ok_answer()

    async def download(self, request: ApiRequest) -> StreamAnswer:
        """A file of a completed export, or a range of its bytes."""
        part = request.natural("filePart") or 0
        found = await self._exports.download(request.caller, request.segment("export"), part)
        return exported_answer(request, found)

    async def create_link(self, request: ApiRequest) -> Answer:
        """Makes a link by which a file can be fetched for an hour, without a token."""
        draft = await request.json(DownloadLinkDraft)
        if draft.file_part < 0:
            raise invalid_request("`filePart` counts from 0.")
        shared = await self._exports.link(request.caller, request.segment("export"), draft.file_part)
        base = self._public_url or request.base_url
        url = f"{base}{API}/downloads/{shared.link}/{quote(shared.name)}"
        return json_answer(DownloadLink(url=url, expires_at=shared.expires_at))

    async def download_linked(self, request: ApiRequest) -> StreamAnswer:
        """The file that a link says, or a range of its bytes."""
        return exported_answer(request, await self._exports.download_linked(request.segment("link")))


def exported_answer(request: ApiRequest, found: Download) -> StreamAnswer:
    """Returns the answer with a file of an export, or with the part that is asked for."""
    file = SentFile(found.name, found.media_type, found.file.byte_count, found.file.md5, found.content)
    return file_answer(request, file)


def _resource(view: ExportView) -> Export:
    job, result = view.job, view.result
    table_name, options = view.arguments.table_name, view.arguments.options
    return Export(
        **located(f"/exports/{job.identifier}"),
        id=job.identifier,
        format=options.format,
        compression=options.compression,
        status=job.status.value,
        percent_completed=100 if job.status is JobStatus.COMPLETED else round(job.fraction * 100, 1),
        error_message=job.error,
        warnings=() if result is None else result.warnings,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        size=None if result is None else result.byte_count,
        file_count=None if result is None else len(result.files),
        num_rows=None if result is None else result.row_count,
        table=None if table_name is None else ExportedTable(name=table_name),
    )
