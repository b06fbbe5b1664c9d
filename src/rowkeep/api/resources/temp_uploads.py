"""Temporary uploads: files on their way to an upload, whole or in pieces. Source: contract 4.8.

A file in pieces follows the protocol of Google Cloud Storage's resumable uploads, which the clients
speak: a POST opens a session and names its address in `Location`; each PUT brings a piece with its
`Content-Range`; 308 says with `Range` how much is there; a PUT without content and with `bytes */TOTAL`
asks for that.
"""

import re
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec

from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.routes import API, ASKED_ERRORS, TEXT_TYPES, Facts, Route, RouteTable
from rowkeep.api.http.shapes import Count, Shape
from rowkeep.api.http.wire import Answer, Headers, json_answer, ok_answer
from rowkeep.model.errors import invalid_request
from rowkeep.model.temp_uploads import ContentPiece, TempUpload
from rowkeep.services.temp_uploads import TempUploadDraft, TempUploadService

_content_range = re.compile(r"bytes\s+(?:(\d{1,18})-(-?\d{1,18})|\*)/(\d{1,18}|\*)").fullmatch
RESUME_INCOMPLETE = 308


class TempUploadDrafts(msgspec.Struct, frozen=True, rename="camel"):
    """The files that a caller is going to send."""

    temp_uploads: tuple[TempUploadDraft, ...]


class ResumableUploadDraft(msgspec.Struct, frozen=True, rename="camel"):
    """The file that a caller is going to send in pieces; older clients say so."""

    size: int | None = None
    name: str | None = None


class TempUploadResource(Shape, frozen=True, kw_only=True, tag_field="kind", tag="tempUpload"):
    """A file that is to be sent to an address; `resumable` says whether pieces are taken."""

    id: str
    url: Annotated[str, msgspec.Meta(description="Where to send the file, with the token.")]
    name: str | None
    size: Count | None
    resumable: bool


class TempUploadList(Shape, frozen=True, kw_only=True, tag_field="kind", tag="tempUploadList"):
    """The files that were asked for, in that order."""

    results: list[TempUploadResource]


class ResumableUpload(Shape, frozen=True, kw_only=True, tag_field="kind", tag="resumableUpload"):
    """A file that is to be sent in pieces to an address."""

    id: str
    url: str


class TempUploadHandlers:
    """Files on their way. `public_url` is the server's address for clients, or empty."""

    def __init__(self, temp_uploads: TempUploadService, public_url: str) -> None:
        self._temp_uploads = temp_uploads
        self._public_url = public_url.rstrip("/")

    def table(self) -> RouteTable:
        """Returns the routes."""
        table, one = f"{API}/tables/{{table}}", f"{API}/tempUploads/{{tempUpload}}"
        legacy: Facts = {"answer": ResumableUpload, "errors": ASKED_ERRORS, "body": ResumableUploadDraft}
        sending: Facts = {"errors": (*ASKED_ERRORS, 409), "media_types": TEXT_TYPES}
        return [
            Route(
                "POST",
                f"{table}/tempUploads",
                self.create,
                TempUploadList,
                ASKED_ERRORS,
                body=TempUploadDrafts,
            ),
            Route("POST", f"{table}/resumableUpload", self.create_resumable, **legacy),
            Route("POST", one, self.open_session, **sending),
            Route("PUT", one, self.receive, **sending),
        ]

    async def create(self, request: ApiRequest) -> Answer:
        """Makes temporary uploads, to which files are sent."""
        drafts = (await request.json(TempUploadDrafts)).temp_uploads
        made = await self._temp_uploads.create(request.caller, request.segment("table"), drafts)
        results = [
            TempUploadResource(
                id=temp_upload.identifier,
                url=self._url(request, temp_upload),
                name=temp_upload.name,
                size=temp_upload.size,
                resumable=bool(draft.resumable),
            )
            for temp_upload, draft in zip(made, drafts, strict=True)
        ]
        return json_answer(TempUploadList(results=results))

    async def create_resumable(self, request: ApiRequest) -> Answer:
        """Makes a temporary upload for a file that is sent in pieces."""
        draft = await request.json(ResumableUploadDraft)
        size = request.natural("size") if draft.size is None else draft.size
        new = TempUploadDraft(name=draft.name, size=size, resumable=True)
        made = await self._temp_uploads.create(request.caller, request.segment("table"), [new])
        return json_answer(ResumableUpload(id=made[0].identifier, url=self._url(request, made[0])))

    async def open_session(self, request: ApiRequest) -> Answer:
        """Opens the session in which a file comes in pieces; `Location` says where."""
        temp_upload = await self._find(request)
        answer = ok_answer()
        answer.headers.append((b"location", self._url(request, temp_upload).encode("latin-1", "replace")))
        return answer

    async def receive(self, request: ApiRequest) -> Answer:
        """Takes in a file, or a piece of one."""
        temp_upload = await self._find(request)
        text = request.headers.get(b"content-range")
        if text is None:
            await self._temp_uploads.receive(temp_upload, request.parts())
            return ok_answer()
        if temp_upload.byte_count is not None:
            return ok_answer()  # a repeat, whose first answer was lost
        return _progress(await self._receive_piece(temp_upload, text.decode("latin-1"), request.parts()))

    async def _receive_piece(
        self, temp_upload: TempUpload, text: str, parts: AsyncIterator[bytes]
    ) -> TempUpload:
        match = _content_range(text.strip())
        if match is None:
            raise invalid_request(
                f"The Content-Range {text[:60]!r} is none: send `bytes FIRST-LAST/TOTAL`, `*` for a total "
                "that is not known yet, or `bytes */TOTAL` to ask how much is there."
            )
        total = None if match[3] == "*" else int(match[3])
        if match[1] is None and total != 0:
            return temp_upload
        return await self._temp_uploads.receive_piece(
            temp_upload, ContentPiece(int(match[1] or 0), total), parts
        )

    async def _find(self, request: ApiRequest) -> TempUpload:
        return await self._temp_uploads.find(request.caller, request.segment("tempUpload"))

    def _url(self, request: ApiRequest, temp_upload: TempUpload) -> str:
        origin = self._public_url or request.base_url
        return f"{origin}{API}/tempUploads/{temp_upload.identifier}"


def _progress(temp_upload: TempUpload) -> Answer:
    """Returns the answer to the sender of a piece: all has arrived, or where to continue."""
    if temp_upload.byte_count is not None:
        return ok_answer()
    headers: Headers = []
    if temp_upload.received_byte_count:
        headers.append((b"range", b"bytes=0-%d" % (temp_upload.received_byte_count - 1)))
    return Answer(RESUME_INCOMPLETE, headers, b"")
