"""Temporary uploads: files that a caller sends to a table, to be loaded into an upload. Source: contract 4.8.

The row comes first, then the content into a file of the same name, then the row says that it is complete. The
file is durable by then: a load that waits survives a loss of power with it. What is not complete, or is taken
by no upload, expires; whoever looks for files without a row removes them (`sweep`).
"""

import secrets
import time

import msgspec

from rowkeep.model.errors import invalid_request
from rowkeep.model.references import parse_table_reference
from rowkeep.model.temp_uploads import TempUpload
from rowkeep.services.access import TokenHash, editable_table, principal_of
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.catalog.temp_uploads import NewTempUpload
from rowkeep.storage.engines import ContentFiles, KeptSpool

EXPIRY_MS = 24 * 3_600_000
IDENTIFIER_BYTES = 16


class TempUploadDraft(msgspec.Struct, frozen=True, rename="camel"):
    """What a caller says of a file that it is going to send."""

    name: str | None = None
    size: int | None = None


class TempUploadService:
    """Takes files in."""

    def __init__(self, doors: Doors, files: ContentFiles) -> None:
        self._doors = doors
        self._files = files

    async def create(
        self, token_hash: TokenHash | None, table_reference: str, draft: TempUploadDraft
    ) -> TempUpload:
        """Makes room for a file. Raises what editing the table would."""
        parsed = parse_table_reference(table_reference)

        def write(editor: CatalogEditor) -> TempUpload:
            principal = principal_of(editor, token_hash)
            _, table = editable_table(editor, principal, parsed)
            if principal.user_id is None:
                raise LookupError("a table was edited by nobody")
            new = NewTempUpload(
                identifier=secrets.token_hex(IDENTIFIER_BYTES),
                table_id=table.id,
                user_id=principal.user_id,
                name=draft.name,
                size=draft.size,
                expires_at=time.time_ns() // 1_000_000 + EXPIRY_MS,
            )
            return editor.temp_uploads.add(new)

        return await self._doors.write(write)

    def spool(self, temp_upload: TempUpload) -> KeptSpool:
        """Returns the place for the content. Close it; it stays if `keep` was called."""
        return self._files.new(temp_upload.identifier)

    async def complete(self, temp_upload: TempUpload, spool: KeptSpool) -> None:
        """Makes the content durable and says that all of it is there."""
        await spool.keep()
        size = spool.byte_count
        if temp_upload.size is not None and temp_upload.size != size:
            raise invalid_request(f"The file has {size} bytes, not {temp_upload.size} as was said.")
        await self._doors.write(lambda editor: editor.temp_uploads.complete(temp_upload.identifier, size))

    async def delete(self, temp_upload: TempUpload) -> None:
        """Forgets a file that was not sent whole."""
        await self._doors.write(lambda editor: editor.temp_uploads.delete(temp_upload.identifier))


async def sweep(doors: Doors, files: ContentFiles) -> None:
    """Forgets what has expired, and removes the files that no temporary upload names."""
    await doors.write(lambda editor: editor.temp_uploads.prune())
    await files.sweep(lambda: doors.read(lambda view: view.temp_uploads.identifiers()))
