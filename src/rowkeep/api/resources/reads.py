"""Reading rows: listRows, read sessions, read streams. Source: contract 4.7."""

from typing import Annotated

import msgspec

from rowkeep.api.http.endpoint import LiveAnswer, StreamAnswer
from rowkeep.api.http.parameters import (
    EOS_SENTINEL,
    FOLLOW,
    FROM,
    MAX_RESULTS,
    OFFSET,
    ORDER_BY,
    SELECTED_VARIABLES,
    TAIL,
    WHERE,
    QueryParameter,
    one_of,
)
from rowkeep.api.http.request import ApiRequest, whole_number
from rowkeep.api.http.routes import API, ASKED_ERRORS, FILE_TYPE, ROW_TYPES, Facts, Route, RouteTable
from rowkeep.api.http.shapes import Count, Shape, Time
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.api.resources.exports import exported_answer
from rowkeep.api.resources.follow import FollowAnswers
from rowkeep.model.errors import invalid_request
from rowkeep.model.queries import RowFilter
from rowkeep.model.resources import ReadFormat
from rowkeep.services.exports import ExportDraft, ExportService
from rowkeep.services.queries import QueryService
from rowkeep.services.read.read import OpenedSession, ReadService, read_request, row_format

MEDIA_TYPES = {
    ReadFormat.ARROW: b"application/vnd.apache.arrow.stream",
    ReadFormat.CSV: b"text/csv; charset=utf-8",
    ReadFormat.JSON_LINES: b"application/x-ndjson",
}
_FILE_FORMATS = ("parquet", "avro", "xlsx", "dta", "sav")
_LISTED = (
    one_of("format", ["jsonl", "ndjson", "csv", "arrow", "sse", *_FILE_FORMATS], "jsonl"),
    QueryParameter("compression", {"type": "string"}),
    QueryParameter("nullMarker", {"type": "string"}),
    one_of("bom", ["true", "false"]),
    SELECTED_VARIABLES,
    MAX_RESULTS,
    WHERE,
    ORDER_BY,
    OFFSET,
    FOLLOW,
    FROM,
    TAIL,
)
_FOLLOWED_TYPES = (*ROW_TYPES, "text/event-stream", FILE_TYPE)


class ReadSessionDraft(msgspec.Struct, frozen=True, rename="camel"):
    """The properties of a read session to create."""

    format: Annotated[str | None, msgspec.Meta(extra_json_schema={"enum": (*ReadFormat, None)})] = None
    max_results: int | float | str | None = None
    selected_variables: tuple[str, ...] | None = None
    requested_stream_count: int | float | str | None = None
    where: str | None = None
    order_by: str | None = None
    offset: int | float | str | None = None


class ReadStreamResource(Shape, frozen=True, kw_only=True, tag_field="kind", tag="readStream"):
    """One of the streams of a read session."""

    id: str
    estimated_rows: Count


class ReadSession(Shape, frozen=True, kw_only=True, tag_field="kind", tag="readSession"):
    """The rows of a table or an upload as of now, to be read in several streams."""

    id: str
    uri: str
    expires_at: Time
    num_rows: Count
    streams: Annotated[tuple[ReadStreamResource, ...], msgspec.Meta(min_length=1)]


class ReadHandlers:
    """Reads rows."""

    def __init__(
        self, reads: ReadService, following: FollowAnswers, queries: QueryService, exports: ExportService
    ) -> None:
        self._exports = exports
        self._reads = reads
        self._queries = queries
        self._following = following

    def table(self) -> RouteTable:
        """Returns the routes."""
        table = f"{API}/tables/{{table}}"
        upload = f"{table}/uploads/{{upload}}"
        listing: Facts = {
            "errors": (*ASKED_ERRORS, 409, 416, 429, 503),
            "query": _LISTED,
            "media_types": _FOLLOWED_TYPES,
        }
        opening: Facts = {"answer": ReadSession, "errors": (*ASKED_ERRORS, 429), "body": ReadSessionDraft}
        reading: Facts = {
            "errors": (*ASKED_ERRORS, 429, 503),
            "query": (OFFSET, EOS_SENTINEL),
            "media_types": ROW_TYPES,
        }
        return [
            Route("GET", f"{table}/rows", self.list_rows, **listing),
            Route("GET", f"{upload}/rows", self.list_upload_rows, **listing),
            Route("POST", f"{table}/readSessions", self.open_table_session, **opening),
            Route("POST", f"{upload}/readSessions", self.open_upload_session, **opening),
            Route("GET", f"{API}/readStreams/{{stream}}", self.read_stream, **reading),
        ]

    async def list_rows(self, request: ApiRequest) -> StreamAnswer | LiveAnswer:
        """The rows of a table as of now, or from now on."""
        return await self._list_rows(request, None)

    async def list_upload_rows(self, request: ApiRequest) -> StreamAnswer | LiveAnswer:
        """The rows of an upload as of now, or from now on."""
        return await self._list_rows(request, request.segment("upload"))

    async def _list_rows(self, request: ApiRequest, upload_name: str | None) -> StreamAnswer | LiveAnswer:
        if request.truth("follow"):
            return await self._following.answer(request, upload_name)
        if request.text("format") not in _FILE_FORMATS:
            row_format(request.text("format") or ReadFormat.JSON_LINES, _FILE_FORMATS)
        if _is_of_a_file(request):
            return await self._list_as_file(request, upload_name)
        if any(request.text(name) for name in ("where", "orderBy", "offset")):
            return await self._list_filtered(request, upload_name)
        asked = read_request(
            request.segment("table"),
            upload_name,
            request.text("format") or ReadFormat.JSON_LINES,
            request.names("selectedVariables"),
            request.natural("maxResults"),
        )
        parts = await self._reads.list_rows(request.caller, asked)
        return StreamAnswer([(b"content-type", MEDIA_TYPES[asked.format])], parts)

    async def _list_as_file(self, request: ApiRequest, upload_name: str | None) -> StreamAnswer:
        names = request.names("selectedVariables")
        draft = ExportDraft(
            format=request.text("format"),
            compression=request.text("compression"),
            null_marker=request.text("nullMarker"),
            bom=request.truth("bom") or None,
            selected_variables=None if names is None else tuple(names),
        )
        if any(request.text(name) for name in ("where", "orderBy", "offset")):
            raise invalid_request("A file of filtered rows is the export of a query: send POST /queries.")
        rows_max = request.natural("maxResults")
        table = request.segment("table")
        found = await self._exports.rows_as_file(request.caller, table, upload_name, draft, rows_max)
        return exported_answer(request, found)

    async def _list_filtered(self, request: ApiRequest, upload_name: str | None) -> StreamAnswer:
        format_ = row_format(request.text("format") or ReadFormat.JSON_LINES)
        names = request.names("selectedVariables")
        asked = RowFilter(
            table=request.segment("table"),
            upload_name=upload_name,
            selected_variables=None if names is None else tuple(names),
            where=request.text("where"),
            order_by=request.text("orderBy"),
            offset=request.natural("offset") or 0,
            rows_max=request.natural("maxResults"),
        )
        rows = await self._queries.filter(request.caller, asked)
        parts = await self._reads.list_stream(lambda _: rows.stream(format_))
        return StreamAnswer([(b"content-type", MEDIA_TYPES[format_])], parts)

    async def open_table_session(self, request: ApiRequest) -> Answer:
        """Creates a read session of a table."""
        return await self._open_session(request, None)

    async def open_upload_session(self, request: ApiRequest) -> Answer:
        """Creates a read session of an upload."""
        return await self._open_session(request, request.segment("upload"))

    async def _open_session(self, request: ApiRequest, upload_name: str | None) -> Answer:
        draft = await request.json(ReadSessionDraft)
        stream_count = session_count("requestedStreamCount", draft.requested_stream_count)
        stream_count = 1 if stream_count is None else stream_count
        if draft.where or draft.order_by or draft.offset:
            return await self._open_filtered(request, upload_name, draft, stream_count)
        asked = read_request(
            request.segment("table"),
            upload_name,
            draft.format or ReadFormat.ARROW,
            draft.selected_variables,
            session_count("maxResults", draft.max_results),
        )
        session = await self._reads.open_session(request.caller, asked, stream_count)
        return json_answer(session_resource(session))

    async def _open_filtered(
        self, request: ApiRequest, upload_name: str | None, draft: ReadSessionDraft, stream_count: int
    ) -> Answer:
        format_ = row_format(draft.format or ReadFormat.ARROW)
        asked = RowFilter(
            table=request.segment("table"),
            upload_name=upload_name,
            selected_variables=draft.selected_variables,
            where=draft.where or None,
            order_by=draft.order_by or None,
            offset=session_count("offset", draft.offset) or 0,
            rows_max=session_count("maxResults", draft.max_results),
        )
        rows = await self._queries.filter(request.caller, asked)
        session = await self._reads.open_session_of(
            request.caller, lambda _: rows.stream(format_), stream_count
        )
        return json_answer(session_resource(session))

    async def read_stream(self, request: ApiRequest) -> StreamAnswer:
        """The rows of a read stream, from an offset on."""
        format_, parts = await self._reads.read_stream(
            request.caller,
            request.segment("stream"),
            offset=request.natural("offset") or 0,
            with_sentinel=(request.text("eosSentinel") or "").lower() == "true",
        )
        return StreamAnswer([(b"content-type", MEDIA_TYPES[format_])], parts)


def _is_of_a_file(request: ApiRequest) -> bool:
    """Returns whether the request asks for a file in a format, or with options, that only exports have."""
    is_plain = (request.text("format") or "jsonl") not in _FILE_FORMATS
    return not is_plain or any(request.text(name) for name in ("nullMarker", "bom", "compression"))


def session_count(name: str, value: float | str | None) -> int | None:
    """Returns a count for a read session, as clients write it. Raises invalid_request_error."""
    if value is None:
        return None
    number = whole_number(str(value))
    if number is None:
        raise invalid_request(f"`{name}` must be a whole number, not {str(value)[:60]!r}.")
    return number


def session_resource(session: OpenedSession) -> ReadSession:
    """Returns what is shown of a read session."""
    return ReadSession(
        id=session.identifier,
        uri=f"/readSessions/{session.identifier}",
        expires_at=session.expires_at,
        num_rows=session.row_count,
        streams=tuple(
            ReadStreamResource(
                id=stream.identifier,
                estimated_rows=sum(slice_.row_end - slice_.first_row for slice_ in stream.slices),
            )
            for stream in session.streams
        ),
    )
