"""The endpoints that read rows: listRows, read sessions, read streams. Source: contract 4.7."""

from typing import Annotated, Any

import msgspec

from rowkeep.api.http.endpoint import LiveAnswer, StreamAnswer
from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.routes import API, RouteTable
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.api.resources.follow import FollowAnswers
from rowkeep.model.errors import invalid_request
from rowkeep.model.resources import RowFormat
from rowkeep.services.read.read import OpenedSession, ReadService, read_request

MEDIA_TYPES = {
    RowFormat.ARROW: b"application/vnd.apache.arrow.stream",
    RowFormat.CSV: b"text/csv; charset=utf-8",
    RowFormat.JSON_LINES: b"application/x-ndjson",
}
# More digits than any count of rows has, and few enough for every integer type.
COUNT_DIGITS_MAX = 18


class ReadSessionDraft(msgspec.Struct, frozen=True, rename="camel"):
    """What a caller says of a read session to create."""

    format: Annotated[str | None, msgspec.Meta(extra_json_schema={"enum": (*RowFormat, None)})] = None
    max_results: int | str | None = None
    selected_variables: tuple[str, ...] | None = None
    requested_stream_count: int | None = None


class ReadHandlers:
    """Rows out."""

    def __init__(self, reads: ReadService, following: FollowAnswers) -> None:
        self._reads = reads
        self._following = following

    def table(self) -> RouteTable:
        """The routes."""
        return [
            ("GET", f"{API}/tables/{{table}}/rows", self.list_rows),
            ("GET", f"{API}/tables/{{table}}/uploads/{{upload}}/rows", self.list_upload_rows),
            ("POST", f"{API}/tables/{{table}}/readSessions", self.open_table_session),
            ("POST", f"{API}/tables/{{table}}/uploads/{{upload}}/readSessions", self.open_upload_session),
            ("GET", f"{API}/readStreams/{{stream}}", self.read_stream),
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
        asked = read_request(
            request.segment("table"),
            upload_name,
            request.text("format") or RowFormat.JSON_LINES,
            request.names("selectedVariables"),
            request.natural("maxResults"),
        )
        parts = await self._reads.list_rows(request.token_hash, asked)
        return StreamAnswer([(b"content-type", MEDIA_TYPES[asked.format])], parts)

    async def open_table_session(self, request: ApiRequest) -> Answer:
        """Creates a read session of a table."""
        return await self._open_session(request, None)

    async def open_upload_session(self, request: ApiRequest) -> Answer:
        """Creates a read session of an upload."""
        return await self._open_session(request, request.segment("upload"))

    async def _open_session(self, request: ApiRequest, upload_name: str | None) -> Answer:
        draft = await request.json(ReadSessionDraft)
        asked = read_request(
            request.segment("table"),
            upload_name,
            draft.format or RowFormat.ARROW,
            draft.selected_variables,
            _rows_max(draft.max_results),
        )
        stream_count = 1 if draft.requested_stream_count is None else draft.requested_stream_count
        session = await self._reads.open_session(request.token_hash, asked, stream_count)
        return json_answer(_session_resource(session))

    async def read_stream(self, request: ApiRequest) -> StreamAnswer:
        """The rows of a read stream, from an offset on."""
        format_, parts = await self._reads.read_stream(
            request.token_hash,
            request.segment("stream"),
            offset=request.natural("offset") or 0,
            with_sentinel=(request.text("eosSentinel") or "").lower() == "true",
        )
        return StreamAnswer([(b"content-type", MEDIA_TYPES[format_])], parts)


def _rows_max(value: int | str | None) -> int | None:
    if value is None:
        return None
    text = str(value)
    if not text.isascii() or not text.isdigit() or len(text) > COUNT_DIGITS_MAX:
        raise invalid_request(f"`maxResults` must be a whole number, not {text[:60]!r}.")
    return int(text)


def _session_resource(session: OpenedSession) -> dict[str, Any]:
    return {
        "kind": "readSession",
        "id": session.identifier,
        "uri": f"/readSessions/{session.identifier}",
        "expiresAt": session.expires_at,
        "numRows": session.row_count,
        "streams": [
            {
                "kind": "readStream",
                "id": stream.identifier,
                "estimatedRows": sum(slice_.row_end - slice_.first_row for slice_ in stream.slices),
            }
            for stream in session.streams
        ],
    }
