"""The quarantine holds rows that did not fit: callers look at them, try them again or throw them away.

Theory
------
A replay is an insert with `skipInvalidRows` of what is in the quarantine, some rows at a time. Those that
fit now go into the journal and out of the quarantine in one commit; the others stay as they are. If the
replay ends early, by a crash or because its caller is gone, each row is in one place, and another goes on.

Within that commit all rows that went in must still be in the quarantine: two replays at a time, or one
beside new rows that push old ones out, cannot double a row. Otherwise nothing is written, and the same part
is looked at again.

If the stream goes on in the next version meanwhile, its quarantine goes along, and so does the replay.

Only what was there at the beginning is tried, so a replay ends however fast bad rows arrive. Rows are
decoded in the decoding process, as large bodies are: they may be long, and nobody need wait for them.
"""

from collections.abc import AsyncIterator, Sequence
from functools import partial

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.audit import AuditAction, upload_subject
from rowkeep.model.chain import digest_of
from rowkeep.model.errors import unavailable
from rowkeep.model.growth import SchemaChange, schema_change
from rowkeep.model.inserts import BodyFormat, InsertOptions
from rowkeep.model.quarantine import QuarantineBounds, QuarantinedRow, Skipping
from rowkeep.model.references import parse_table_reference
from rowkeep.model.resources import Batch, Receipt, Table, Upload
from rowkeep.model.schema import Schema
from rowkeep.services.access import Place, editable_stream, principal_of, written_upload
from rowkeep.services.insert.shared_variables import sharing_schema
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import LargeBody, LargeBodyDecoder, LargeRows

LAST_ID = 2**63 - 1
ROWS_PER_COMMIT = 1_000
BYTES_PER_COMMIT = 1024 * 1024
ATTEMPTS_MAX = 20
RETRY_SECONDS = 1
# All that is refused in a part must be known, and a part is bounded.
_UNBOUNDED = Skipping(by_default=True, bounds=QuarantineBounds(2**63 - 1, 2**63 - 1))


class ReplayDraft(msgspec.Struct, frozen=True, rename="camel"):
    """What a caller asks of a replay. `update_schema` means what it means in an insert."""

    update_schema: bool | None = None


class QuarantinePage(msgspec.Struct, frozen=True):
    """Some rows of a quarantine.

    It also counts the rows dropped for lack of room since it was last emptied.
    """

    rows: list[QuarantinedRow]
    dropped_count: int


class ReplayReport(msgspec.Struct, frozen=True):
    """What a replay did with the rows that were in the quarantine when it began."""

    row_count: int
    remaining_count: int
    change: SchemaChange | None


class _Part(msgspec.Struct, frozen=True):
    """Some rows of a quarantine, their upload and the schema they have to fit, from one snapshot."""

    catalog_version: int
    upload: Upload
    schema: Schema
    rows: list[QuarantinedRow]


class QuarantineService:
    """The operations on the quarantine of an upload."""

    def __init__(self, doors: Doors, large_bodies: LargeBodyDecoder) -> None:
        self._doors = doors
        self._large_bodies = large_bodies

    async def page(self, caller: Caller, path: tuple[str, str], after_id: int, count: int) -> QuarantinePage:
        """Returns rows with ids above `after_id`, oldest first.

        `path` is the table reference and the upload's name.
        """

        def read(view: CatalogView) -> QuarantinePage:
            upload_id = _visible_upload(view, caller, path)[2].id
            rows = view.quarantine.rows(upload_id, after_id, count)
            return QuarantinePage(rows, view.quarantine.find(upload_id).dropped_count)

        return await self._doors.read(read)

    async def rows(
        self, caller: Caller, path: tuple[str, str], after_id: int
    ) -> AsyncIterator[list[QuarantinedRow]]:
        """Yields all rows with ids above `after_id`, oldest first, some at a time."""
        upload_id = await self._doors.read(lambda view: _visible_upload(view, caller, path)[2].id)
        return self._parts(upload_id, after_id)

    async def _parts(self, upload_id: int, after_id: int) -> AsyncIterator[list[QuarantinedRow]]:
        while rows := await self._doors.read(partial(_rows, upload_id=upload_id, after_id=after_id)):
            yield rows
            after_id = rows[-1].id

    async def empty(self, caller: Caller, path: tuple[str, str]) -> None:
        """Throws the rows away. In a released version too, whose own rows stay as they are."""

        def write(editor: CatalogEditor) -> None:
            place, table, upload = _visible_upload(editor, caller, path)
            row_count = editor.quarantine.find(upload.id).row_count
            editor.quarantine.empty(upload.id)
            subject = upload_subject(place.dataset, place.version, table, upload)
            editor.audit.add(AuditAction.EMPTY_QUARANTINE, subject, rows=str(row_count))

        await self._doors.write_in_reserve(write)

    async def replay(self, caller: Caller, path: tuple[str, str], draft: ReplayDraft) -> ReplayReport:
        """Tries the rows again: those that fit become rows of the upload and leave the quarantine."""
        options = InsertOptions(update_schema=draft.update_schema)
        upload, last_id = await self._doors.write(lambda editor: _begin(editor, caller, path))
        row_count = remaining_count = after_id = 0
        schema = upload.schema
        while after_id < last_id:
            part, batch = await self._replay_part(caller, path, options, after_id, last_id)
            if part.upload.origin_id != upload.origin_id or not part.rows:
                break
            after_id = part.rows[-1].id
            row_count += batch.row_count
            remaining_count += len(part.rows) - batch.row_count
            schema = batch.schema
        return ReplayReport(row_count, remaining_count, _change(upload.schema, schema))

    async def _replay_part(
        self,
        caller: Caller,
        path: tuple[str, str],
        options: InsertOptions,
        after_id: int,
        last_id: int,
    ) -> tuple[_Part, Batch]:
        """Inserts those of the next rows that fit, and starts over when the catalog has moved.

        Returns the part that was looked at, and the batch that went in.
        """
        for _ in range(ATTEMPTS_MAX):
            part = await self._doors.read(
                lambda view: _part(view, caller, path, options, (after_id, last_id))
            )
            batch = await self._fitting(part, options)
            if not batch.row_count or isinstance(await self._doors.submit(batch), Receipt):
                return part, batch
        raise unavailable(
            "The upload kept changing during this replay. Nothing is lost or doubled; replay again.",
            retry_after_seconds=RETRY_SECONDS,
        )

    async def _fitting(self, part: _Part, options: InsertOptions) -> Batch:
        """Returns the rows of a part that fit, as a batch."""
        upload = part.upload
        batch = Batch(upload.id, part.catalog_version, upload.schema, 0, rows_sha256=digest_of(()))
        if not part.rows:
            return batch
        updates = options.updates(by_default=upload.updates_by_default)
        rows = await self._decoded(part.rows, part.schema, updates=updates)
        refused = set() if rows.refused is None else {row.position for row in rows.refused.rows}
        return msgspec.structs.replace(
            batch,
            schema=rows.schema.stored(),
            row_count=rows.row_count,
            frames=rows.frames,
            rows_sha256=rows.rows_sha256,
            change=rows.change,
            replayed=tuple(row.id for index, row in enumerate(part.rows) if index not in refused),
        )

    async def _decoded(self, rows: Sequence[QuarantinedRow], schema: Schema, *, updates: bool) -> LargeRows:
        spool = self._large_bodies.spool()
        try:
            # A line each. A carriage return is white space like a line feed between the values of a row, and
            # within one it is no JSON either.
            await spool.write(b"".join(row.content.replace(b"\n", b"\r") + b"\n" for row in rows))
            body = LargeBody(spool, BodyFormat.LINES)
            return await self._large_bodies.decode(
                body, schema, updates_by_default=updates, skipping=_UNBOUNDED
            )
        finally:
            await spool.close()


def _rows(
    view: CatalogView, *, upload_id: int, after_id: int, last_id: int = LAST_ID
) -> list[QuarantinedRow]:
    return view.quarantine.rows(
        upload_id, after_id, ROWS_PER_COMMIT, last_id=last_id, bytes_max=BYTES_PER_COMMIT
    )


def _visible_upload(view: CatalogView, caller: Caller, path: tuple[str, str]) -> tuple[Place, Table, Upload]:
    table_reference, name = path
    principal = principal_of(view, caller)
    return written_upload(view, principal, parse_table_reference(table_reference), name)


def _begin(editor: CatalogEditor, caller: Caller, path: tuple[str, str]) -> tuple[Upload, int]:
    """Writes the replay to the audit log. Returns the upload and the id of the last row in quarantine."""
    upload = _changeable_upload(editor, caller, path)
    place, table, _ = _visible_upload(editor, caller, path)
    subject = upload_subject(place.dataset, place.version, table, upload)
    row_count = editor.quarantine.find(upload.id).row_count
    editor.audit.add(AuditAction.REPLAY_QUARANTINE, subject, rows=str(row_count))
    return upload, editor.quarantine.last_id(upload.id)


def _part(
    view: CatalogView,
    caller: Caller,
    path: tuple[str, str],
    options: InsertOptions,
    between: tuple[int, int],
) -> _Part:
    """Returns the next rows of a quarantine, those with ids between two bounds."""
    after_id, last_id = between
    upload = _changeable_upload(view, caller, path)
    rows = _rows(view, upload_id=upload.id, after_id=after_id, last_id=last_id)
    schema = sharing_schema(view, caller, path, upload, asks_for_updates=bool(options.update_schema))
    return _Part(view.catalog_version(), upload, schema, rows)


def _changeable_upload(view: CatalogView, caller: Caller, path: tuple[str, str]) -> Upload:
    table_reference, name = path
    return editable_stream(view, principal_of(view, caller), parse_table_reference(table_reference), name)


def _change(before: Schema, after: Schema) -> SchemaChange | None:
    return None if after.variables == before.variables else schema_change(before, after)
