"""Uploads. Rows go in through `insert_rows.py`. Source: contract 4.5."""

from typing import Annotated, Literal

import msgspec

from rowkeep.api.http.parameters import PAGED
from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import API, ASKED_ERRORS, SEEN_ERRORS, TEXT_TYPES, Route, RouteTable
from rowkeep.api.http.shapes import Count, ListShape, LocatedShape, Time, located
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.places import upload_uri
from rowkeep.api.resources.tables import ContentHash
from rowkeep.model.resources import UploadType
from rowkeep.services.uploads import UploadDraft, UploadService, UploadView, upload_hash

_OffsetToken = Annotated[
    str | None, msgspec.Meta(description="The offsetToken of the last rows that had one.")
]


class UploadResource(LocatedShape, frozen=True, kw_only=True, tag_field="kind", tag="upload"):
    """An upload, by itself or in a list. A stream is complete from its creation (contract 7.11)."""

    id: int
    name: str
    status: Literal["completed"] = "completed"
    percent_completed: Literal[100] = 100
    hash: ContentHash
    size: Count
    num_rows: Count
    num_bytes: Count
    created_at: Time
    type: UploadType
    has_header_row: None = None
    delimiter: None = None
    quote_character: None = None
    escape_character: None = None
    skip_bad_records: bool = False
    bad_records_count: Count
    has_quoted_newlines: None = None
    null_markers: None = None
    error_message: None = None
    latest_offset_token: _OffsetToken


class UploadList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="uploadList"):
    """A page of the uploads of a table."""

    results: list[UploadResource]


def upload_resource(view: UploadView) -> UploadResource:
    """Returns what is shown of an upload."""
    upload = view.upload
    return UploadResource(
        id=upload.id,
        name=upload.name,
        hash=upload_hash(upload),
        size=upload.byte_count,
        num_rows=upload.row_count,
        num_bytes=upload.byte_count,
        created_at=upload.created_at,
        type=upload.type,
        bad_records_count=view.quarantined_count,
        latest_offset_token=upload.latest_offset_token,
        **located(upload_uri(view)),
    )


class UploadHandlers:
    """Uploads."""

    def __init__(self, uploads: UploadService) -> None:
        self._uploads = uploads

    def table(self) -> RouteTable:
        """Returns the routes."""
        uploads = f"{API}/tables/{{table}}/uploads"
        upload = f"{uploads}/{{upload}}"
        return [
            Route("GET", uploads, self.list, UploadList, ASKED_ERRORS, PAGED),
            Route("POST", uploads, self.create, UploadResource, ASKED_ERRORS, body=UploadDraft, status=201),
            Route("GET", upload, self.get, UploadResource, SEEN_ERRORS),
            Route("DELETE", upload, self.delete, errors=ASKED_ERRORS, media_types=TEXT_TYPES),
        ]

    async def list(self, request: ApiRequest) -> Answer:
        """A page of a table's uploads."""
        page = page_of(request)
        views = await self._uploads.page(
            request.token_hash, request.segment("table"), page.after_id, page.count + 1
        )
        return listed(UploadList, views, page, upload_resource, lambda view: view.upload.id)

    async def create(self, request: ApiRequest) -> Answer:
        """Creates an upload."""
        draft = await request.json(UploadDraft)
        view = await self._uploads.create(request.token_hash, request.segment("table"), draft)
        return json_answer(upload_resource(view), 201)

    async def get(self, request: ApiRequest) -> Answer:
        """An upload."""
        view = await self._uploads.find(
            request.token_hash, request.segment("table"), request.segment("upload")
        )
        return json_answer(upload_resource(view))

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes an upload."""
        await self._uploads.delete(request.token_hash, request.segment("table"), request.segment("upload"))
        return ok_answer()
