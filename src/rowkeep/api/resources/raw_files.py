"""Raw files: the files of file index tables. Source: contract 4.9."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from mimetypes import MimeTypes
from pathlib import PurePosixPath
from typing import Annotated, Protocol

import msgspec

from rowkeep.api.http.endpoint import StreamAnswer
from rowkeep.api.http.parameters import QueryParameter, one_of
from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.routes import (
    API,
    ASKED_ERRORS,
    FILE_TYPE,
    SEEN_ERRORS,
    TEXT_TYPES,
    Route,
    RouteTable,
)
from rowkeep.api.http.shapes import Count, LocatedShape, Shape, Time, located
from rowkeep.api.http.wire import Answer, Headers, json_answer, ok_answer
from rowkeep.api.resources.downloads import SentFile, file_answer
from rowkeep.model.errors import invalid_request
from rowkeep.model.raw_files import FILE_ID, FILE_NAME, RawFile
from rowkeep.services.raw_files import RawFileDraft, RawFileService

ARROW_TYPE = "application/vnd.apache.arrow.stream"
NOT_MODIFIED = 304
_UNKNOWN_TYPE = "application/octet-stream"
# Without what this machine knows besides, so that a file has the same type everywhere.
_media_types = MimeTypes()
_LISTED = (
    one_of("format", ["arrow"], "arrow"),
    QueryParameter("fileIdVariable", {"type": "string", "default": FILE_ID}),
    QueryParameter("fileNameVariable", {"type": "string", "default": FILE_NAME}),
)


class RawFileDrafts(msgspec.Struct, frozen=True):
    """The files that a caller wants to add."""

    files: tuple[RawFileDraft, ...]


class RawFileResource(LocatedShape, frozen=True, kw_only=True, tag_field="kind", tag="rawFile"):
    """A file of a file index table."""

    id: str
    name: str
    md5_hash: Annotated[str, msgspec.Meta(description="The MD5 of its content, as Base64.")]
    size: Count
    added_at: Time


class RawFileList(Shape, frozen=True, kw_only=True, tag_field="kind", tag="rawFileList"):
    """The files that were added, in the order in which they were named."""

    results: list[RawFileResource]


Pages = AsyncIterator[list[RawFile]]


class ArrowLister(Protocol):
    """Makes an Arrow stream of files (formats/raw_file_list.py)."""

    def __call__(self, pages: Pages, *, file_name: str) -> AsyncIterator[bytes]:
        """Yields the stream, with the names in a column of this name."""


class RawFileHandlers:
    """Files of file index tables."""

    def __init__(self, raw_files: RawFileService, as_arrow: ArrowLister) -> None:
        self._raw_files = raw_files
        self._as_arrow = as_arrow

    def table(self) -> RouteTable:
        """Returns the routes."""
        of_table, one = f"{API}/tables/{{table}}/rawFiles", f"{API}/rawFiles/{{file}}"
        errors = (*ASKED_ERRORS, 409, 503)
        return [
            Route("GET", of_table, self.list, None, ASKED_ERRORS, _LISTED, media_types=(ARROW_TYPE,)),
            Route("POST", of_table, self.add, RawFileList, errors, body=RawFileDrafts, status=201),
            Route(
                "GET",
                f"{API}/queries/{{query}}/rawFiles",
                self.list_of_query,
                None,
                (*ASKED_ERRORS, 409),
                _LISTED,
                media_types=(ARROW_TYPE,),
            ),
            Route("GET", one, self.download, None, (*SEEN_ERRORS, 416), media_types=(FILE_TYPE,)),
            Route("DELETE", one, self.delete, None, ASKED_ERRORS, media_types=TEXT_TYPES),
        ]

    async def add(self, request: ApiRequest) -> Answer:
        """Adds files that were sent as temporary uploads."""
        drafts = (await request.json(RawFileDrafts)).files
        added = await self._raw_files.add(request.caller, request.segment("table"), drafts)
        return json_answer(RawFileList(results=[_resource(file) for file in added]), 201)

    async def list(self, request: ApiRequest) -> StreamAnswer | Answer:
        """The files of a table; 304 where the list is as it was at the time of If-Modified-Since."""
        _check_format(request)
        found = await self._raw_files.find_list(request.caller, request.segment("table"))
        changed_at = datetime.fromtimestamp(found.changed_at // 1000, UTC)
        headers: Headers = [(b"last-modified", format_datetime(changed_at, usegmt=True).encode())]
        if _is_as_it_was(request.headers.get(b"if-modified-since"), found.changed_at):
            return Answer(NOT_MODIFIED, headers, b"")
        return self._list_answer(request, found.pages, headers)

    async def list_of_query(self, request: ApiRequest) -> StreamAnswer:
        """The files whose ids are in a result, those that the caller may read."""
        _check_format(request)
        variable = request.text("fileIdVariable") or FILE_ID
        pages = await self._raw_files.of_query(request.caller, request.segment("query"), variable)
        return self._list_answer(request, pages, [])

    def _list_answer(self, request: ApiRequest, pages: Pages, headers: Headers) -> StreamAnswer:
        parts = self._as_arrow(pages, file_name=request.text("fileNameVariable") or FILE_NAME)
        return StreamAnswer([*headers, (b"content-type", ARROW_TYPE.encode())], parts)

    async def download(self, request: ApiRequest) -> StreamAnswer:
        """The content of a file, or a range of it."""
        found = await self._raw_files.open(request.caller, request.segment("file"))
        file = found.file
        name = PurePosixPath(file.name).name
        media_type = _media_type(name)
        return file_answer(request, SentFile(name, media_type, file.size, file.md5_text, found.content))

    async def delete(self, request: ApiRequest) -> Answer:
        """Removes a file from the unreleased version that it was added to."""
        await self._raw_files.delete(request.caller, request.segment("file"))
        return ok_answer()


def _check_format(request: ApiRequest) -> None:
    if (request.text("format") or "arrow") != "arrow":
        raise invalid_request("Files are listed with `format=arrow`; the rows of the table say the same.")


def _media_type(name: str) -> str:
    """Returns the media type that a file's name suggests.

    Texts get a charset, because clients would otherwise take them for Latin-1.
    """
    media_type = _media_types.guess_type(name)[0] or _UNKNOWN_TYPE
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _resource(file: RawFile) -> RawFileResource:
    return RawFileResource(
        **located(f"/rawFiles/{file.identifier}"),
        id=file.identifier,
        name=file.name,
        md5_hash=file.md5_text,
        size=file.size,
        added_at=file.added_at,
    )


def _is_as_it_was(condition: bytes | None, changed_at: int) -> bool:
    """Returns whether nothing has changed since a time.

    The time is exact to the second, so changes within that second count as later.
    """
    if condition is None:
        return False
    try:
        since = parsedate_to_datetime(condition.decode("latin-1"))
    except ValueError:
        return False
    if since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return changed_at < since.timestamp() * 1000
