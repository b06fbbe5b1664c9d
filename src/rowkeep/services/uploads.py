"""Uploads: list, create, find, delete. Rows go into streams through `insert/`; `loads.py` loads files."""

import hashlib
from collections.abc import Sequence
from pathlib import PurePath

import msgspec

from rowkeep.model.access import AccessLevel, Caller, Principal
from rowkeep.model.audit import AuditAction, upload_subject
from rowkeep.model.errors import invalid_request
from rowkeep.model.jobs import Job, JobKind
from rowkeep.model.references import UPLOAD_NAME_CHARACTERS_MAX, checked_name, parse_table_reference
from rowkeep.model.resources import Table, Upload, UploadType
from rowkeep.model.schema import declared_schema
from rowkeep.model.temp_uploads import TempUpload
from rowkeep.model.transfers import Transfer, source_of
from rowkeep.services.access import (
    Place,
    editable_table,
    editable_upload,
    existing_upload,
    find_table,
    find_upload,
    principal_of,
)
from rowkeep.services.jobs import JobService
from rowkeep.services.temp_uploads import TempUploadDraft, new_temp_upload
from rowkeep.services.transfers import NO_HOSTS, TransferPermits
from rowkeep.services.upload_drafts import UploadDraft, check_file_draft, load_arguments, stream_schema
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.catalog.jobs import NewJob
from rowkeep.storage.catalog.records import json_text
from rowkeep.storage.catalog.uploads import NewUpload

UNTITLED = "untitled_upload"


class UploadView(msgspec.Struct, frozen=True):
    """An upload and its place.

    `quarantined_count` is how many rows are in its quarantine; `load` is the job that fills it from a file.
    """

    place: Place
    table: Table
    upload: Upload
    quarantined_count: int = 0
    load: Job | None = None


class _Content(msgspec.Struct, frozen=True):
    """The file of an upload:

    a temporary upload that has the content, or that will have it once it is fetched.
    """

    temp_upload: TempUpload
    file_name: str | None
    transfer: Transfer | None = None


class UploadService:
    """The operations on uploads."""

    def __init__(self, doors: Doors, jobs: JobService, transfers: TransferPermits = NO_HOSTS) -> None:
        self._doors = doors
        self._jobs = jobs
        self._transfers = transfers

    async def page(self, caller: Caller, table_reference: str, after_id: int, count: int) -> list[UploadView]:
        """Returns a page of the uploads that a table got in its version."""
        parsed = parse_table_reference(table_reference)

        def read(view: CatalogView) -> list[UploadView]:
            principal = principal_of(view, caller)
            place, table = find_table(view, principal, parsed, AccessLevel.EDIT)
            return _views(view, place, table, view.uploads.page(table.id, after_id, count))

        return await self._doors.read(read)

    async def create(self, caller: Caller, table_reference: str, draft: UploadDraft) -> UploadView:
        """Creates an upload, under a free name when its own is taken. Source: contract 4.5, 7.12, 7.14."""
        parsed = parse_table_reference(table_reference)

        def write(editor: CatalogEditor) -> UploadView:
            principal = principal_of(editor, caller)
            place, table = editable_table(editor, principal, parsed)
            if table.is_file_index:
                raise invalid_request(
                    f"{table.name} is a file index table: it takes files as they are, by POST "
                    ".../rawFiles. Create the upload in another table to have rows."
                )
            if draft.type == UploadType.STREAM:
                return UploadView(place, table, _create_stream(editor, table, draft))
            check_file_draft(draft)
            content = self._content(editor, caller, principal, table, draft)
            return _create_load(editor, place, table, draft, content)

        view = await self._doors.write(write)
        if view.load is not None:
            self._jobs.wake()
        return view

    def _content(
        self,
        editor: CatalogEditor,
        caller: Caller,
        principal: Principal,
        table: Table,
        draft: UploadDraft,
    ) -> _Content:
        """Returns the file that was sent, or an empty temporary upload for one to be fetched."""
        if draft.transfer_specification is None:
            return _sent_content(editor, principal, table, draft)
        if draft.content is not None:
            raise invalid_request("Send `tempUploadId` or `transferSpecification`, not both.")
        source = source_of(draft.transfer_specification)
        transfer = self._transfers.transfer(editor, caller, source)
        place = new_temp_upload(table.id, principal.user_id or 0, TempUploadDraft())
        made = editor.temp_uploads.add(place)
        editor.temp_uploads.complete(made.identifier, 0)
        return _Content(made, self._transfers.file_name(source), transfer)

    async def find(self, caller: Caller, table_reference: str, name: str) -> UploadView:
        """Returns the upload of this name."""
        parsed = parse_table_reference(table_reference)

        def read(view: CatalogView) -> UploadView:
            place, table, upload = find_upload(view, principal_of(view, caller), parsed, name)
            return _views(view, place, table, [upload])[0]

        return await self._doors.read(read)

    async def existing(self, caller: Caller, table_reference: str, name: str) -> UploadView:
        """Returns the upload of this name, to tell whether it exists.

        For a caller who may not edit, it does not.
        """
        parsed = parse_table_reference(table_reference)

        def read(view: CatalogView) -> UploadView:
            place, table, upload = existing_upload(view, principal_of(view, caller), parsed, name)
            return _views(view, place, table, [upload])[0]

        return await self._doors.read(read)

    async def delete(self, caller: Caller, table_reference: str, name: str) -> None:
        """Deletes an upload with all its rows, and ends the load that fills it."""
        parsed = parse_table_reference(table_reference)

        def write(editor: CatalogEditor) -> list[int]:
            place, table, upload = editable_upload(editor, principal_of(editor, caller), parsed, name)
            loads = editor.jobs.of_uploads([upload.id]).values()
            editor.uploads.delete(upload.id)
            subject = upload_subject(place.dataset, place.version, table, upload)
            editor.audit.add(AuditAction.DELETE_UPLOAD, subject, rows=str(upload.row_count))
            return [job.id for job in loads]

        await self._jobs.forget(await self._doors.write_in_reserve(write))


def _views(view: CatalogView, place: Place, table: Table, uploads: Sequence[Upload]) -> list[UploadView]:
    ids = [upload.id for upload in uploads]
    counts, loads = view.quarantine.row_counts(ids), view.jobs.of_uploads(ids)
    return [
        UploadView(place, table, upload, counts.get(upload.id, 0), loads.get(upload.id)) for upload in uploads
    ]


def upload_hash(upload: Upload) -> str:
    """Returns 32 hex digits that change exactly when the upload's rows do."""
    key = f"{upload.id}:{upload.schema.version}:{upload.row_count}/{upload.row_end}"
    return hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()


def _create_stream(editor: CatalogEditor, table: Table, draft: UploadDraft) -> Upload:
    """Creates a stream.

    If an earlier version has a stream of that name, the new one continues it: its keys and tokens stay known.
    A producer knows nothing of versions, so a request that it repeats after a release must not be inserted
    again.
    """
    name = checked_name("upload", draft.name or f"{UNTITLED}.{draft.type}")
    schema = stream_schema(draft)
    free_name = _free_name(editor, table.id, name)
    earlier = editor.uploads.earlier_stream(table.id, free_name) if draft.name else None
    updates_by_default = not draft.schema
    added = editor.uploads.add(
        NewUpload(table.id, free_name, UploadType.STREAM, schema, updates_by_default, earlier)
    )
    if earlier is not None:
        editor.quarantine.move(earlier.id, added.id)
        editor.receipts.move_rejections(earlier.id, added.id)
    return added


def _sent_content(view: CatalogView, principal: Principal, table: Table, draft: UploadDraft) -> _Content:
    if draft.content is None:
        raise invalid_request(
            "An upload of a file needs the file: create a temporary upload, send the content there, and name "
            'it in `tempUploadId`. For rows that come one by one, create a stream: say `"type": "stream"`.'
        )
    content = view.temp_uploads.find(draft.content)
    if content is None or content.user_id != principal.user_id or content.table_id != table.id:
        raise invalid_request(f"This table has no temporary upload {draft.content!r}, or it has expired.")
    return _Content(content, content.name)


def _create_load(
    editor: CatalogEditor, place: Place, table: Table, draft: UploadDraft, content: _Content
) -> UploadView:
    """Creates an upload without rows, and the job that fills it from its file. Returns the upload."""
    sent = content.temp_upload
    name = checked_name("upload", draft.name or content.file_name or _untitled(draft))
    arguments = load_arguments(draft, content.file_name or name, sent, content.transfer)
    upload = editor.uploads.add(
        NewUpload(
            table.id,
            _free_name(editor, table.id, name),
            UploadType.FILE,
            declared_schema(()),
            updates_by_default=False,
        )
    )
    if not editor.temp_uploads.take(sent.identifier, upload.id):
        problem = "is in another upload" if sent.upload_id is not None else "is not complete"
        raise invalid_request(f"The file of the temporary upload {draft.content!r} {problem}.")
    arguments = msgspec.structs.replace(arguments, place=editor.uploads.place(upload.id))
    job = editor.jobs.add(NewJob(JobKind.LOAD, sent.user_id, json_text(arguments), upload.id))
    return UploadView(place, table, upload, load=job)


def _untitled(draft: UploadDraft) -> str:
    return UNTITLED if draft.type is None else f"{UNTITLED}.{draft.type}"


def _free_name(view: CatalogView, table_id: int, name: str) -> str:
    path = PurePath(name)
    stem, suffix = (name[: -len(path.suffix)], path.suffix) if path.suffix else (name, "")
    candidate, number = name, 0
    while view.uploads.find(table_id, candidate) is not None:
        number += 1
        ending = f"_{number}{suffix}"
        candidate = f"{stem[: UPLOAD_NAME_CHARACTERS_MAX - len(ending)]}{ending}"
    return candidate
