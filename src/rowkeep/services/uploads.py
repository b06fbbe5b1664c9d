"""Uploads: list, create, find, delete. Rows go into streams through `insert/`; `loads.py` loads files."""

import hashlib
from collections.abc import Sequence
from pathlib import PurePath

import msgspec

from rowkeep.model.access import AccessLevel, Principal
from rowkeep.model.audit import AuditAction, upload_subject
from rowkeep.model.errors import invalid_request
from rowkeep.model.jobs import Job, JobKind
from rowkeep.model.references import UPLOAD_NAME_CHARACTERS_MAX, checked_name, parse_table_reference
from rowkeep.model.resources import Table, Upload, UploadType
from rowkeep.model.schema import declared_schema
from rowkeep.services.access import (
    Place,
    TokenHash,
    editable_table,
    editable_upload,
    existing_upload,
    find_table,
    find_upload,
    principal_of,
)
from rowkeep.services.jobs import JobService
from rowkeep.services.upload_drafts import UploadDraft, check_file_draft, load_arguments, stream_schema
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.catalog.jobs import NewJob
from rowkeep.storage.catalog.records import json_text
from rowkeep.storage.catalog.uploads import NewUpload

UNTITLED = "untitled_upload"


class UploadView(msgspec.Struct, frozen=True):
    """An upload and where it is.

    `quarantined_count` is how many rows are in its quarantine; `load` is the job that fills it from a file.
    """

    place: Place
    table: Table
    upload: Upload
    quarantined_count: int = 0
    load: Job | None = None


class UploadService:
    """What can be done with uploads."""

    def __init__(self, doors: Doors, jobs: JobService) -> None:
        self._doors = doors
        self._jobs = jobs

    async def page(
        self, token_hash: TokenHash | None, table_reference: str, after_id: int, count: int
    ) -> list[UploadView]:
        """The uploads that a table got in its version."""
        parsed = parse_table_reference(table_reference)

        def read(view: CatalogView) -> list[UploadView]:
            principal = principal_of(view, token_hash)
            place, table = find_table(view, principal, parsed, AccessLevel.EDIT)
            return _views(view, place, table, view.uploads.page(table.id, after_id, count))

        return await self._doors.read(read)

    async def create(
        self, token_hash: TokenHash | None, table_reference: str, draft: UploadDraft
    ) -> UploadView:
        """Creates an upload, under a free name when its own is taken. Source: contract 4.5, 7.12, 7.14."""
        parsed = parse_table_reference(table_reference)

        def write(editor: CatalogEditor) -> UploadView:
            principal = principal_of(editor, token_hash)
            place, table = editable_table(editor, principal, parsed)
            if draft.type == UploadType.STREAM:
                return UploadView(place, table, _create_stream(editor, table, draft))
            return _create_load(editor, principal, place, table, draft)

        view = await self._doors.write(write)
        if view.load is not None:
            self._jobs.wake()
        return view

    async def find(self, token_hash: TokenHash | None, table_reference: str, name: str) -> UploadView:
        """The upload of this name."""
        parsed = parse_table_reference(table_reference)

        def read(view: CatalogView) -> UploadView:
            place, table, upload = find_upload(view, principal_of(view, token_hash), parsed, name)
            return _views(view, place, table, [upload])[0]

        return await self._doors.read(read)

    async def existing(self, token_hash: TokenHash | None, table_reference: str, name: str) -> UploadView:
        """The upload of this name, for who asks whether it exists: absent for who may not edit."""
        parsed = parse_table_reference(table_reference)

        def read(view: CatalogView) -> UploadView:
            place, table, upload = existing_upload(view, principal_of(view, token_hash), parsed, name)
            return _views(view, place, table, [upload])[0]

        return await self._doors.read(read)

    async def delete(self, token_hash: TokenHash | None, table_reference: str, name: str) -> None:
        """Deletes an upload with all its rows; a load that fills it ends."""
        parsed = parse_table_reference(table_reference)

        def write(editor: CatalogEditor) -> list[int]:
            place, table, upload = editable_upload(editor, principal_of(editor, token_hash), parsed, name)
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
    """32 hex digits that change if and only if the upload's content does; rows are added or removed, once."""
    key = f"{upload.id}:{upload.schema.version}:{upload.row_count}/{upload.row_end}"
    return hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()


def _create_stream(editor: CatalogEditor, table: Table, draft: UploadDraft) -> Upload:
    """Creates a stream. By the name of one in an earlier version it goes on: its keys and tokens stay known.

    A producer knows nothing of versions: what it repeats after a release must not be inserted again.
    """
    name = checked_name("upload", draft.name or f"{UNTITLED}.{draft.type}")
    schema = stream_schema(draft)
    free_name = _free_name(editor, table.id, name)
    earlier = editor.uploads.earlier_stream(table.id, free_name)
    updates_by_default = not draft.schema
    added = editor.uploads.add(
        NewUpload(table.id, free_name, UploadType.STREAM, schema, updates_by_default, earlier)
    )
    if earlier is not None:
        editor.quarantine.move(earlier.id, added.id)
        editor.receipts.move_rejections(earlier.id, added.id)
    return added


def _create_load(
    editor: CatalogEditor, principal: Principal, place: Place, table: Table, draft: UploadDraft
) -> UploadView:
    """An upload without rows, and the job that fills it from the file that was sent."""
    check_file_draft(draft)
    if draft.content is None:
        raise invalid_request(
            "An upload of a file needs the file: create a temporary upload, send the content there, and name "
            "it in `tempUploadId`. For rows that come one by one, create an upload of type 'stream'."
        )
    content = editor.temp_uploads.find(draft.content)
    if content is None or content.user_id != principal.user_id or content.table_id != table.id:
        raise invalid_request(f"This table has no temporary upload {draft.content!r}, or it has expired.")
    name = checked_name("upload", draft.name or content.name or _untitled(draft))
    arguments = load_arguments(draft, name, content)
    upload = editor.uploads.add(
        NewUpload(
            table.id,
            _free_name(editor, table.id, name),
            UploadType.FILE,
            declared_schema(()),
            updates_by_default=False,
        )
    )
    if not editor.temp_uploads.take(content.identifier, upload.id):
        problem = "is in another upload" if content.upload_id is not None else "is not complete"
        raise invalid_request(f"The file of the temporary upload {draft.content!r} {problem}.")
    arguments = msgspec.structs.replace(arguments, place=editor.uploads.place(upload.id))
    job = editor.jobs.add(NewJob(JobKind.LOAD, content.user_id, json_text(arguments), upload.id))
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
