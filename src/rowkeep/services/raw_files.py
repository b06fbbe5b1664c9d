"""Raw files: files of file index tables are added, listed, sent to readers and removed. Source: contract 4.9.

Theory
------
A file index table is a table whose rows are its files: which it has, what they are called, their sizes and
digests. The rows are in an upload like any others, so versions, reads, queries, exports and `verify` need not
know of files. One transaction adds a file, its row, and takes the temporary upload that brought it, so none
is without the other. The content is kept once, under its SHA-256 (storage/raw_contents.py), and is durable
before that transaction.

A file belongs to the upload that it was added with: it is in that version, and in every later one whose table
keeps the rows of the version before. Whoever may read any of those may read the file. It can be removed as
long as the version that it was added to is not released.

A request that is sent again, because its answer was lost, names the same temporary uploads; it gets the files
that these have become.
"""

import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec

from rowkeep.model.access import AccessLevel, Caller, Principal
from rowkeep.model.audit import AuditAction, raw_file_subject
from rowkeep.model.errors import invalid_request
from rowkeep.model.raw_files import (
    FILES_PER_REQUEST_MAX,
    ContentDigest,
    RawFile,
    checked_file_name,
    file_index_schema,
    md5_text,
    new_file_identifier,
)
from rowkeep.model.references import parse_table_reference
from rowkeep.model.resources import ReadFormat, Table, Upload, UploadType
from rowkeep.model.temp_uploads import TempUpload
from rowkeep.services.access import (
    Place,
    editable_table,
    find_table,
    permit,
    principal_of,
    require_unreleased,
    signed_in,
)
from rowkeep.services.queries import rows_of_query
from rowkeep.services.raw_file_access import found_file, own_place, readable_files, require_reader
from rowkeep.services.read.read import ReadService
from rowkeep.services.temp_uploads import TempUploadService
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.catalog.raw_files import NewRawFile
from rowkeep.storage.catalog.uploads import NewUpload
from rowkeep.storage.engines import OpenFile, RawContents, RowAppender

UPLOAD_NAME = "files"
FILES_PER_PAGE = 10_000


class RawFileDraft(msgspec.Struct, frozen=True, rename="camel"):
    """A file to add, as the caller names it: its temporary upload, and its name in the table."""

    temp_upload_id: str
    name: str | None = None


class FoundFile(msgspec.Struct, frozen=True):
    """An open file that may be sent to the caller."""

    file: RawFile
    content: OpenFile


class FileList(msgspec.Struct, frozen=True):
    """The files of a table, some at a time, and when the list last changed."""

    changed_at: int
    pages: AsyncIterator[list[RawFile]]


class RawFileService:
    """The operations on raw files."""

    def __init__(
        self,
        doors: Doors,
        temp_uploads: TempUploadService,
        contents: RawContents,
        append_rows: RowAppender,
        reads: ReadService,
    ) -> None:
        self._reads = reads
        self._doors = doors
        self._temp_uploads = temp_uploads
        self._contents = contents
        self._append_rows = append_rows

    async def add(
        self, caller: Caller, table_reference: str, drafts: Sequence[RawFileDraft]
    ) -> list[RawFile]:
        """Adds all the files to a file index table, or none. Returns them in the order of the drafts."""
        find = partial(_sent, caller, table_reference, drafts)
        sent = await self._doors.read(find)
        async with self._temp_uploads.claimed([each.identifier for each in sent]):
            digests = {each.identifier: await self._digest(each) for each in sent}
            contents = {digest.sha256: identifier for identifier, digest in digests.items()}
            async with self._contents.kept(contents):
                added = await self._doors.write(partial(self._add, caller, table_reference, drafts, digests))
        await self._temp_uploads.discard(list(digests))
        return added

    async def _digest(self, sent: TempUpload) -> ContentDigest:
        digest = await self._contents.digest(sent.identifier)
        if digest.size != sent.byte_count:
            raise invalid_request(f"The temporary upload {sent.identifier} is being sent again; wait for it.")
        return digest

    def _add(
        self,
        caller: Caller,
        table_reference: str,
        drafts: Sequence[RawFileDraft],
        digests: dict[str, ContentDigest],
        editor: CatalogEditor,
    ) -> list[RawFile]:
        sent = {each.identifier: each for each in _sent(caller, table_reference, drafts, editor)}
        if not sent.keys() <= digests.keys():
            raise invalid_request("The files have changed while they were added; send the request again.")
        _, table = _file_index(editor, principal_of(editor, caller), table_reference)
        upload = _upload_of(editor, table)
        said = [
            _new(upload, sent[draft.temp_upload_id], draft, digests[draft.temp_upload_id])
            for draft in drafts
            if draft.temp_upload_id in sent
        ]
        there = _already_there(editor, table, said)
        self._add_rows(editor, upload, [each for each in said if each.temp_upload not in there])
        for each in said:
            editor.temp_uploads.delete(each.temp_upload)
        files = editor.raw_files.brought_by(table.id, [draft.temp_upload_id for draft in drafts]) | there
        return [files[draft.temp_upload_id] for draft in drafts]

    def _add_rows(self, editor: CatalogEditor, upload: Upload, new: Sequence[NewRawFile]) -> None:
        if not new:
            return
        first_row = self._append_rows(editor, upload, [_row(each) for each in new])
        for row, each in enumerate(new, first_row):
            editor.raw_files.add(msgspec.structs.replace(each, row=row))

    async def find_list(self, caller: Caller, table_reference: str) -> FileList:
        """Returns the files of a file index table."""
        parsed = parse_table_reference(table_reference)

        def read(view: CatalogView) -> tuple[Table, int]:
            _, table = find_table(view, principal_of(view, caller), parsed, AccessLevel.DATA)
            if not table.is_file_index:
                raise invalid_request(f"{table.name} is no file index table, so it has no files.")
            return table, view.raw_files.changed_at(table.id)

        table, changed_at = await self._doors.read(read)
        return FileList(changed_at, self._pages(table.id))

    async def _pages(self, table_id: int) -> AsyncIterator[list[RawFile]]:
        after_id = 0
        while True:
            find = partial(_page, table_id, after_id)
            files = await self._doors.read(find)
            yield files
            if len(files) < FILES_PER_PAGE:
                return
            after_id = files[-1].id

    async def of_query(
        self, caller: Caller, identifier: str, id_variable: str
    ) -> AsyncIterator[list[RawFile]]:
        """Yields the files whose ids are in a variable of a query's result, each file once, some at a time.

        Ids that name no file, or one that the caller may not read, are passed over.
        """
        find = rows_of_query(caller, identifier, ReadFormat.JSON_LINES, (id_variable,), None)
        return self._named_in(caller, await self._reads.list_stream(find))

    async def _named_in(self, caller: Caller, parts: AsyncIterator[bytes]) -> AsyncIterator[list[RawFile]]:
        async for identifiers in _identifiers(parts):
            yield await self._doors.read(partial(readable_files, caller, identifiers))

    async def open(self, caller: Caller, identifier: str) -> FoundFile:
        """Opens a file for a caller who may read a version that holds it."""

        def read(view: CatalogView) -> RawFile:
            principal = principal_of(view, caller)
            found = found_file(view, principal, identifier)
            require_reader(view, principal, found)
            return found

        file = await self._doors.read(read)
        return FoundFile(file, self._contents.open(file.sha256))

    async def delete(self, caller: Caller, identifier: str) -> None:
        """Removes a file from the unreleased version that it was added to."""

        def write(editor: CatalogEditor) -> None:
            principal = principal_of(editor, caller)
            found = found_file(editor, principal, identifier)
            place = own_place(editor, principal, found)
            permit(principal, place, AccessLevel.EDIT)
            require_unreleased(place)
            editor.raw_files.remove(found.id, signed_in(principal).user_id or 0)
            subject = raw_file_subject(place.dataset, place.version, found.name)
            editor.audit.add(AuditAction.DELETE_RAW_FILE, subject, bytes=str(found.size))

        await self._doors.write_in_reserve(write)


async def _identifiers(parts: AsyncIterator[bytes]) -> AsyncIterator[list[str]]:
    """Yields the different texts in rows of one variable, some at a time."""
    seen: set[str] = set()
    found: list[str] = []
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in filter(None, lines):
            (value,) = msgspec.json.decode(line).values()
            if isinstance(value, str) and value not in seen:
                seen.add(value)
                found.append(value)
        if len(found) >= FILES_PER_PAGE:
            yield found
            found = []
    yield found


def _page(table_id: int, after_id: int, view: CatalogView) -> list[RawFile]:
    return view.raw_files.page(table_id, after_id, FILES_PER_PAGE)


def _file_index(view: CatalogView, principal: Principal, reference: str) -> tuple[Place, Table]:
    """Returns a file index table that may be written to. Raises invalid_request_error for any other table."""
    place, table = editable_table(view, principal, parse_table_reference(reference))
    if not table.is_file_index:
        raise invalid_request(
            f"{table.name} is no file index table, so it takes no files as they are. Create a table with "
            '`"isFileIndex": true` for them, or create an upload to have a file read as rows.'
        )
    return place, table


def _sent(
    caller: Caller, reference: str, drafts: Sequence[RawFileDraft], view: CatalogView
) -> list[TempUpload]:
    """Returns the temporary uploads that are to become files.

    Those that an earlier request used are left out.
    """
    principal = principal_of(view, caller)
    _, table = _file_index(view, principal, reference)
    if len(drafts) > FILES_PER_REQUEST_MAX:
        raise invalid_request(f"At most {FILES_PER_REQUEST_MAX:,} files are added at a time.")
    identifiers = [draft.temp_upload_id for draft in drafts]
    if len(set(identifiers)) < len(identifiers):
        raise invalid_request("`files` names a temporary upload twice; each becomes one file.")
    brought = view.raw_files.brought_by(table.id, identifiers)
    sent: list[TempUpload] = []
    for identifier in identifiers:
        if identifier in brought:
            continue
        found = view.temp_uploads.find(identifier)
        if found is None or found.user_id != principal.user_id or found.table_id != table.id:
            raise invalid_request(
                f"This table has no temporary upload {identifier[:100]!r}, or it has expired."
            )
        if found.byte_count is None or found.upload_id is not None:
            problem = "is not complete: send its content first" if found.byte_count is None else "is taken"
            raise invalid_request(f"The temporary upload {identifier} {problem}.")
        sent.append(found)
    return sent


def _upload_of(editor: CatalogEditor, table: Table) -> Upload:
    """Returns the upload that holds the rows of a table's files. Creates it when it is missing."""
    found = editor.uploads.find(table.id, UPLOAD_NAME)
    if found is not None:
        return found
    schema = file_index_schema()
    return editor.uploads.add(
        NewUpload(table.id, UPLOAD_NAME, UploadType.RAW_FILES, schema, updates_by_default=False)
    )


def _new(upload: Upload, sent: TempUpload, draft: RawFileDraft, digest: ContentDigest) -> NewRawFile:
    name = checked_file_name(draft.name or sent.name or "")
    return NewRawFile(
        identifier=new_file_identifier(),
        upload_id=upload.id,
        row=0,
        name=name,
        size=digest.size,
        md5=digest.md5,
        sha256=digest.sha256,
        temp_upload=sent.identifier,
        added_at=time.time_ns() // 1_000_000,
    )


def _row(new: NewRawFile) -> dict[str, object]:
    added_at = datetime.fromtimestamp(new.added_at / 1000, UTC).replace(tzinfo=None)
    return {
        "file_id": new.identifier,
        "file_name": new.name,
        "size": new.size,
        "md5_hash": md5_text(new.md5),
        "added_at": added_at.isoformat(timespec="milliseconds"),
    }


def _already_there(view: CatalogView, table: Table, said: Sequence[NewRawFile]) -> dict[str, RawFile]:
    """Returns the files that the table already has with this name and content, by temporary upload.

    Raises invalid_request_error when the name is taken by a file with other content.
    """
    named = view.raw_files.named(table.id, [each.name for each in said])
    seen: set[str] = set()
    there: dict[str, RawFile] = {}
    for each in said:
        if each.name in seen:
            raise invalid_request(f"Nothing was added: `files` has two files named {each.name!r}.")
        seen.add(each.name)
        found = named.get(each.name)
        if found is not None and found.sha256 != each.sha256:
            raise invalid_request(
                f"Nothing was added: the table has another file named {each.name!r}. Delete that one "
                "first, or add this one under another name."
            )
        if found is not None:
            there[each.temp_upload] = found
    return there
