"""Temporary uploads: files that a caller sends to a table, to be loaded into an upload. Source: contract
4.8.

Theory
------
The row comes first, then the content into a file of that name, then the row says that it is complete.
The file is durable by then: a load that waits survives a loss of power with it. What is not complete,
or is taken by no upload, expires; whoever looks for files without a row removes them (`sweep`).

A file may come in pieces, over days and restarts. The row says how much of it is there, durable; a piece
that begins elsewhere is not taken, and its sender is told where to go on. What was written behind that
length by a request that died is cut off by the next one. While a piece comes, the row follows every
PROGRESS_BYTES, so that a server that is killed costs no more than that. One request writes to a file at a
time: a new one ends the one before, whose connection is dead or whose sender has given it up.

The files together are bounded, and so is what they leave of the disk: files are refused before inserts
are.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.errors import conflict, invalid_request, not_found, unavailable
from rowkeep.model.references import parse_table_reference
from rowkeep.model.temp_uploads import ContentPiece, TempUpload
from rowkeep.services.access import editable_table, principal_of, signed_in
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.catalog.temp_uploads import NewTempUpload
from rowkeep.storage.engines import ContentFiles, KeptSpool

EXPIRY_MS = 24 * 3_600_000
IDENTIFIER_BYTES = 16
TEMP_UPLOADS_MAX = 1000
PROGRESS_BYTES = 64 * 1024 * 1024
WRITTEN_BYTES = 256 * 1024
RETRY_SECONDS = 60


class TempUploadDraft(msgspec.Struct, frozen=True, rename="camel"):
    """A file that a caller is going to send, as the caller describes it."""

    name: str | None = None
    size: int | None = None
    resumable: bool | None = None


class TempUploadService:
    """Receives files. One per process; used on the event loop."""

    def __init__(self, doors: Doors, files: ContentFiles, *, bytes_max: int) -> None:
        self._doors = doors
        self._files = files
        self._bytes_max = bytes_max
        self._writers: dict[str, asyncio.Task[object]] = {}
        self._claimed: set[str] = set()

    async def create(
        self, caller: Caller, table_reference: str, drafts: Sequence[TempUploadDraft]
    ) -> list[TempUpload]:
        """Creates temporary uploads.

        Raises what editing the table would, and `unavailable` when there is no room.
        """
        parsed = parse_table_reference(table_reference)

        def write(editor: CatalogEditor) -> list[TempUpload]:
            principal = principal_of(editor, caller)
            _, table = editable_table(editor, principal, parsed)
            if principal.user_id is None:
                raise LookupError("a table was edited by nobody")
            _check_drafts(drafts)
            self._check_space(editor, sum(draft.size or 0 for draft in drafts))
            return [
                editor.temp_uploads.add(new_temp_upload(table.id, principal.user_id, draft))
                for draft in drafts
            ]

        return await self._doors.write(write)

    async def find(self, caller: Caller, identifier: str) -> TempUpload:
        """Returns a temporary upload of the caller. Raises not_found_error when it is missing or expired."""

        def read(view: CatalogView) -> TempUpload:
            principal = signed_in(principal_of(view, caller))
            found = view.temp_uploads.find(identifier)
            if found is None or found.user_id != principal.user_id or _has_expired(found):
                raise not_found("There is no such temporary upload, or it has expired; create another.")
            return found

        return await self._doors.read(read)

    async def receive(self, temp_upload: TempUpload, parts: AsyncIterator[bytes]) -> TempUpload:
        """Receives the whole content, in place of any content received before."""
        self._check_open(temp_upload)
        async with _Writing(self._writers, temp_upload.identifier):
            spool = self._files.new(temp_upload.identifier)
            try:
                await self._write(spool, parts)
                return await self._complete(temp_upload, spool)
            finally:
                await spool.close()

    async def receive_piece(
        self, temp_upload: TempUpload, piece: ContentPiece, parts: AsyncIterator[bytes]
    ) -> TempUpload:
        """Receives a piece.

        The bytes that follow on those already there are kept; the others are read and thrown away.
        """
        self._check_open(temp_upload)
        async with _Writing(self._writers, temp_upload.identifier):
            there = await self._current(temp_upload)
            total = _total(there, piece)
            skipped = there.received_byte_count - piece.first_byte
            if skipped < 0:
                await _throw_away(parts)
                return there
            spool = self._files.resumed(temp_upload.identifier, there.received_byte_count)
            try:
                await self._go_on(there, total, spool, _after(parts, skipped))
                if spool.byte_count == total:
                    return await self._complete(msgspec.structs.replace(there, size=total), spool)
            finally:
                await spool.close()
            return await self._current(temp_upload)

    async def _go_on(
        self, there: TempUpload, total: int | None, spool: KeptSpool, parts: AsyncIterator[bytes]
    ) -> None:
        """Writes a piece and notes how far it came, even if its sender leaves in the middle."""
        try:
            noted = spool.byte_count
            async for _ in self._written(spool, parts):
                if total is not None and spool.byte_count > total:
                    raise invalid_request(f"More came than the {total} bytes that were said.")
                if spool.byte_count - noted >= PROGRESS_BYTES:
                    await self._note(there, total, spool)
                    noted = spool.byte_count
        finally:
            if total is None or spool.byte_count <= total:
                await asyncio.shield(self._note(there, total, spool))

    async def _note(self, there: TempUpload, total: int | None, spool: KeptSpool) -> None:
        await spool.keep()
        count = spool.byte_count
        await self._doors.write_in_reserve(
            lambda editor: editor.temp_uploads.receive(there.identifier, count, total)
        )

    async def _write(self, spool: KeptSpool, parts: AsyncIterator[bytes]) -> None:
        async for _ in self._written(spool, parts):
            pass

    async def _written(self, spool: KeptSpool, parts: AsyncIterator[bytes]) -> AsyncIterator[None]:
        """Writes parts, several at a time, and yields after each write."""
        held = bytearray()
        async for part in parts:
            held += part
            if len(held) >= WRITTEN_BYTES:
                await self._put(spool, held)
                yield
        await self._put(spool, held)
        yield

    async def _put(self, spool: KeptSpool, held: bytearray) -> None:
        if spool.byte_count + len(held) > self._bytes_max:
            raise invalid_request(f"A file has at most {self._bytes_max} bytes on this server.")
        await spool.write(bytes(held))
        held.clear()

    async def _complete(self, temp_upload: TempUpload, spool: KeptSpool) -> TempUpload:
        """Makes the content durable and marks it as complete."""
        size = spool.byte_count
        if temp_upload.size is not None and temp_upload.size != size:
            raise invalid_request(f"The file has {size} bytes, not {temp_upload.size} as was said.")
        await spool.keep()
        await self._doors.write_in_reserve(
            lambda editor: editor.temp_uploads.complete(temp_upload.identifier, size)
        )
        return await self._current(temp_upload)

    @asynccontextmanager
    async def claimed(self, identifiers: Sequence[str]) -> AsyncIterator[None]:
        """Keeps requests from writing to files while they are being used.

        A request that was writing is ended.
        """
        if self._claimed.intersection(identifiers):
            raise conflict("Another request is making something of these files; ask again in a moment.")
        self._claimed.update(identifiers)
        try:
            writing = {self._writers[each] for each in identifiers if each in self._writers}
            for task in writing:
                task.cancel()
            if writing:
                await asyncio.wait(writing)
            yield
        finally:
            self._claimed.difference_update(identifiers)

    async def discard(self, identifiers: Sequence[str]) -> None:
        """Removes the files of temporary uploads that no longer exist."""
        for identifier in identifiers:
            await self._files.remove(identifier)

    async def delete(self, temp_upload: TempUpload) -> None:
        """Deletes a temporary upload that was not sent whole."""
        await self._doors.write_in_reserve(lambda editor: editor.temp_uploads.delete(temp_upload.identifier))

    async def _current(self, temp_upload: TempUpload) -> TempUpload:
        found = await self._doors.read(lambda view: view.temp_uploads.find(temp_upload.identifier))
        if found is None:
            raise not_found("This temporary upload has expired or was deleted meanwhile; create another.")
        return found

    def _check_space(self, view: CatalogView, byte_count: int) -> None:
        if view.temp_uploads.byte_count() + byte_count > self._bytes_max:
            raise unavailable(
                f"Files that wait to be loaded take {self._bytes_max} bytes at the most together. Nothing "
                "was done; send this one when others are loaded.",
                retry_after_seconds=RETRY_SECONDS,
            )

    def _check_open(self, temp_upload: TempUpload) -> None:
        if temp_upload.upload_id is not None or temp_upload.identifier in self._claimed:
            raise conflict("An upload has taken this file; create another temporary upload.")


class _Writing:
    """The right to write to a file: a new request ends the one before."""

    def __init__(self, writers: dict[str, asyncio.Task[object]], identifier: str) -> None:
        self._writers = writers
        self._identifier = identifier

    async def __aenter__(self) -> None:
        before = self._writers.get(self._identifier)
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a file is written within a task")
        self._writers[self._identifier] = task
        if before is not None:
            before.cancel()
            await asyncio.wait({before})

    async def __aexit__(self, *exception: object) -> None:
        if self._writers.get(self._identifier) is asyncio.current_task():
            del self._writers[self._identifier]


def _check_drafts(drafts: Sequence[TempUploadDraft]) -> None:
    if len(drafts) > TEMP_UPLOADS_MAX:
        raise invalid_request(f"At most {TEMP_UPLOADS_MAX} temporary uploads are made at a time.")
    for draft in drafts:
        if draft.size is not None and draft.size < 0:
            raise invalid_request(f"The `size` of a file is not negative: {draft.size}.")


def new_temp_upload(table_id: int, user_id: int, draft: TempUploadDraft) -> NewTempUpload:
    """Returns a temporary upload to add, for a file with these properties."""
    return NewTempUpload(
        identifier=secrets.token_hex(IDENTIFIER_BYTES),
        table_id=table_id,
        user_id=user_id,
        name=draft.name,
        size=draft.size,
        expires_at=time.time_ns() // 1_000_000 + EXPIRY_MS,
    )


def _has_expired(temp_upload: TempUpload) -> bool:
    return temp_upload.upload_id is None and temp_upload.expires_at <= time.time_ns() // 1_000_000


def _total(there: TempUpload, piece: ContentPiece) -> int | None:
    """Returns the size of the whole file.

    Raises invalid_request_error where the piece and the draft differ.
    """
    if piece.total is not None and there.size is not None and piece.total != there.size:
        raise invalid_request(f"The file was said to have {there.size} bytes, and now {piece.total}.")
    return there.size if piece.total is None else piece.total


async def _after(parts: AsyncIterator[bytes], byte_count: int) -> AsyncIterator[bytes]:
    """Yields the parts without their first bytes, which the server already has."""
    left = byte_count
    async for part in parts:
        yield part[left:]
        left = max(left - len(part), 0)


async def _throw_away(parts: AsyncIterator[bytes]) -> None:
    async for _ in parts:
        pass


async def sweep(doors: Doors, files: ContentFiles) -> None:
    """Deletes expired temporary uploads, and removes the files that no temporary upload names."""
    await doors.write_in_reserve(lambda editor: editor.temp_uploads.prune())
    await files.sweep(lambda: doors.read(lambda view: view.temp_uploads.identifiers()))
