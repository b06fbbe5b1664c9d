"""Links to rows of tables, and the rows that they lead to. Ours, beside the contract."""

from urllib.parse import quote

from rowkeep.api.http.endpoint import StreamAnswer
from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.routes import API, ASKED_ERRORS, FILE_TYPE, ROW_TYPES, Facts, Route, RouteTable
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.api.resources.downloads import disposition
from rowkeep.api.resources.exports import DownloadLink, exported_answer
from rowkeep.api.resources.reads import MEDIA_TYPES
from rowkeep.model.access import Caller
from rowkeep.model.links import RowLink
from rowkeep.services.exports import ExportDraft, ExportService
from rowkeep.services.read.read import ReadService
from rowkeep.services.row_links import RowLinkDraft, RowLinkService, file_name, is_of_a_file, rows_of


class RowLinkHandlers:
    """Links to rows."""

    def __init__(
        self, links: RowLinkService, reads: ReadService, exports: ExportService, public_url: str
    ) -> None:
        self._links = links
        self._reads = reads
        self._exports = exports
        self._public_url = public_url

    def table(self) -> RouteTable:
        """Returns the routes."""
        table = f"{API}/tables/{{table}}"
        creating: Facts = {"answer": DownloadLink, "errors": ASKED_ERRORS, "body": RowLinkDraft}
        return [
            Route("POST", f"{table}/downloadLinks", self.create_of_table, **creating),
            Route("POST", f"{table}/uploads/{{upload}}/downloadLinks", self.create_of_upload, **creating),
            Route(
                "GET",
                f"{API}/downloads/rows/{{rowLink}}/{{name}}",
                self.follow,
                None,
                (*ASKED_ERRORS, 409, 416, 429, 503),
                media_types=(*ROW_TYPES, FILE_TYPE),
            ),
        ]

    async def create_of_table(self, request: ApiRequest) -> Answer:
        """Makes a link by which the rows of a table can be fetched for an hour, without a token."""
        return await self._create(request, None)

    async def create_of_upload(self, request: ApiRequest) -> Answer:
        """Makes a link by which the rows of an upload can be fetched for an hour, without a token."""
        return await self._create(request, request.segment("upload"))

    async def _create(self, request: ApiRequest, upload_name: str | None) -> Answer:
        draft = await request.json(RowLinkDraft)
        shared = await self._links.create(request.caller, request.segment("table"), upload_name, draft)
        base = self._public_url or request.base_url
        url = f"{base}{API}/downloads/rows/{shared.link}/{quote(shared.name)}"
        return json_answer(DownloadLink(url=url, expires_at=shared.expires_at))

    async def follow(self, request: ApiRequest) -> StreamAnswer:
        """The rows that a link leads to, as they are now."""
        link = await self._links.open(request.segment("rowLink"))
        if is_of_a_file(link):
            return await self._file(request, link)
        asked = rows_of(link)
        parts = await self._reads.list_rows(Caller(link.token_hash), asked)
        headers = [
            (b"content-type", MEDIA_TYPES[asked.format]),
            (b"x-content-type-options", b"nosniff"),
            (b"content-disposition", disposition(file_name(link))),
        ]
        return StreamAnswer(headers, parts)

    async def _file(self, request: ApiRequest, link: RowLink) -> StreamAnswer:
        draft = ExportDraft(
            format=link.format,
            compression=link.compression,
            null_marker=link.null_marker,
            bom=link.bom or None,
            selected_variables=link.selected_variables,
        )
        found = await self._exports.rows_as_file(
            Caller(link.token_hash), link.table, link.upload_name, draft, link.rows_max
        )
        return exported_answer(request, found)
