"""Uploads. Rows go in through `insert_rows.py`. Source: contract 4.5."""

from typing import Annotated, Literal

import msgspec

from rowkeep.api.http.headers import holds_content, is_multipart
from rowkeep.api.http.multipart import MultipartForm
from rowkeep.api.http.parameters import PAGED
from rowkeep.api.http.request import ApiRequest, listed, page_of, read_json
from rowkeep.api.http.routes import API, ASKED_ERRORS, SEEN_ERRORS, TEXT_TYPES, Facts, Route, RouteTable
from rowkeep.api.http.shapes import Count, ListShape, LocatedShape, Shape, Time, located
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.places import upload_uri
from rowkeep.api.resources.tables import ContentHash
from rowkeep.model.errors import invalid_request
from rowkeep.model.files import BadRecord, Detected, FileType
from rowkeep.model.jobs import Job
from rowkeep.model.loads import LoadArguments, LoadResult
from rowkeep.services.temp_uploads import TempUploadDraft, TempUploadService
from rowkeep.services.upload_drafts import UploadDraft, draft_of_query, renaming_warning
from rowkeep.services.uploads import UploadService, UploadView, upload_hash

UploadStatus = Literal["queued", "running", "completed", "failed"]
UploadTypeName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["stream", "rawFiles", *FileType]})]
_OffsetToken = Annotated[
    str | None, msgspec.Meta(description="The offsetToken of the last rows that had one.")
]


class BadRecordShape(Shape, frozen=True, kw_only=True):
    """A record of a file that cannot be read as a row: where it is, and what was expected there."""

    row: Count
    line: Count | None
    column: str | None
    value: str | None
    expected: str


_StreamId = Annotated[
    int,
    msgspec.Meta(description="The id of the upload in which the stream began, in this version or before."),
]


class UploadResource(LocatedShape, frozen=True, kw_only=True, tag_field="kind", tag="upload"):
    """An upload, by itself or in a list. A stream is complete from its creation (contract 7.11).

    Of a file it shows what the file was read as. `badRecords` are the first of those that are bad.
    """

    id: int
    stream_id: _StreamId
    name: str
    status: UploadStatus
    percent_completed: Annotated[int, msgspec.Meta(ge=0, le=100)]
    hash: ContentHash
    size: Count
    num_rows: Count
    num_bytes: Count
    created_at: Time
    type: UploadTypeName | None
    has_header_row: bool | None
    delimiter: str | None
    quote_character: str | None
    escape_character: str | None
    skip_bad_records: bool
    bad_records_count: Count
    bad_records: list[BadRecordShape]
    has_quoted_newlines: bool | None
    null_markers: list[str] | None
    encoding: str | None
    error_message: str | None
    warnings: list[str]
    latest_offset_token: _OffsetToken


class UploadList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="uploadList"):
    """A page of the uploads of a table."""

    results: list[UploadResource]


def upload_resource(view: UploadView) -> UploadResource:
    """Returns what is shown of an upload."""
    upload = view.upload
    return UploadResource(
        id=upload.id,
        stream_id=upload.origin_id,
        name=upload.name,
        hash=upload_hash(upload),
        num_rows=upload.row_count,
        num_bytes=upload.byte_count,
        created_at=upload.created_at,
        latest_offset_token=upload.latest_offset_token,
        **(_stream_facts(view) if view.load is None else _load_facts(view.load)),
        **located(upload_uri(view)),
    )


def _stream_facts(view: UploadView) -> Facts:
    nothing = dict.fromkeys((*Detected.__struct_fields__, "null_markers", "error_message"))
    return {
        **_shown(nothing),
        "status": "completed",
        "percent_completed": 100,
        "size": view.upload.byte_count,
        "type": view.upload.type.value,
        "skip_bad_records": False,
        "bad_records_count": view.quarantined_count,
        "bad_records": [],
        "warnings": [] if (warning := renaming_warning(view.upload.schema)) is None else [warning],
    }


def _load_facts(load: Job) -> Facts:
    """Returns an upload's properties that come from the job which fills it."""
    asked = msgspec.json.decode(load.arguments, type=LoadArguments)
    result = msgspec.json.decode(load.result or "{}", type=LoadResult)
    found: Facts = msgspec.structs.asdict(asked.options if result.detected is None else result.detected)
    return {
        **_shown(found),
        "status": load.status.value,
        "percent_completed": int(100 * load.fraction),
        "size": asked.content_bytes if result.fetched_bytes is None else result.fetched_bytes,
        "skip_bad_records": asked.options.skip_bad_records,
        "bad_records_count": result.bad_record_count,
        "bad_records": [_bad_record(record) for record in result.bad_records],
        "null_markers": list(asked.options.null_markers),
        "error_message": load.error,
        "warnings": list(result.warnings),
    }


def _shown(facts: Facts) -> Facts:
    """Returns the properties of a file that an upload shows."""
    return {name: facts[name] for name in UploadResource.__struct_fields__ if name in facts}


def _bad_record(record: BadRecord) -> BadRecordShape:
    return BadRecordShape(
        row=record.row,
        line=record.line,
        column=record.column,
        value=record.value,
        expected=record.expected,
    )


class UploadHandlers:
    """Uploads."""

    def __init__(self, uploads: UploadService, temp_uploads: TempUploadService) -> None:
        self._uploads = uploads
        self._temp_uploads = temp_uploads

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
            request.caller, request.segment("table"), page.after_id, page.count + 1
        )
        return listed(UploadList, views, page, upload_resource, lambda view: view.upload.id)

    async def create(self, request: ApiRequest) -> Answer:
        """Creates an upload: a stream, or one of a file that was sent before or is the body."""
        content_type = request.headers.get(b"content-type")
        if content_type is not None and holds_content(content_type):
            draft = await self._received(request, content_type)
        else:
            draft = await request.json(UploadDraft)
            draft = msgspec.structs.replace(draft, name=request.text("name") or draft.name)
        view = await self._uploads.create(request.caller, request.segment("table"), draft)
        warning = renaming_warning(view.upload.schema)
        if warning is not None:
            request.warnings.append(warning)
        return json_answer(upload_resource(view), 201)

    async def _received(self, request: ApiRequest, content_type: bytes) -> UploadDraft:
        """Receives the file in the body. Its properties are in the query, or beside it in a form."""
        names = [field.encode_name for field in msgspec.structs.fields(UploadDraft)]
        in_query = draft_of_query(request.parameters(names))
        form = MultipartForm(content_type, request.parts()) if is_multipart(content_type) else None
        parts = request.parts() if form is None else form.file_parts()
        new = TempUploadDraft(name=in_query.name)
        made = await self._temp_uploads.create(request.caller, request.segment("table"), [new])
        try:
            await self._temp_uploads.receive(made[0], parts)
            draft = in_query if form is None else _draft_of_form(form, in_query)
        except BaseException:
            await self._temp_uploads.delete(made[0])
            raise
        return msgspec.structs.replace(draft, temp_upload_id=made[0].identifier)

    async def get(self, request: ApiRequest) -> Answer:
        """An upload."""
        find = self._uploads.existing if request.is_head else self._uploads.find
        view = await find(request.caller, request.segment("table"), request.segment("upload"))
        return json_answer(upload_resource(view))

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes an upload."""
        await self._uploads.delete(request.caller, request.segment("table"), request.segment("upload"))
        return ok_answer()


def _draft_of_form(form: MultipartForm, in_query: UploadDraft) -> UploadDraft:
    """Returns the draft in a form:

    in its field `metadata`, or in a field for each property (older clients).
    """
    if not form.has_file:
        raise invalid_request("The multipart body has no part `data`, which is the file.")
    metadata = form.fields.get("metadata", b"").strip()
    if metadata.startswith(b"{"):
        draft = read_json(metadata, UploadDraft)
    else:
        draft = draft_of_query({name: [text.decode()] for name, text in form.fields.items()})
    name = in_query.name or draft.name or form.file_name
    return msgspec.structs.replace(draft, name=name)
