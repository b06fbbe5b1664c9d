"""Reading rows: a snapshot of a table or an upload, streamed.

A snapshot is the rows that the uploads show at one moment, by number: rows keep their numbers, so the same
rows stay readable while more arrive and when requests are undone. listRows streams a snapshot at once; a read
session remembers one for some hours, cut into streams of equal size. Source: contract 4.7, 7.10, 7.32.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

import msgspec

from rowkeep.model.access import AccessLevel, Caller, Principal, Scope
from rowkeep.model.errors import ErrorCode, RowkeepError, invalid_request, not_found
from rowkeep.model.nearness import listing, shortened, suggestion
from rowkeep.model.read_sessions import ReadSession, session_identifier
from rowkeep.model.references import TableReference, parse_table_reference
from rowkeep.model.resources import ReadFormat, ReadGround, ReadStream, RowSlice, Table, Upload
from rowkeep.model.schema import Schema, Variable, merged_schema
from rowkeep.services.access import (
    find_table,
    find_upload,
    permit,
    principal_of,
    require_scope,
    signed_in,
)
from rowkeep.services.read.grounds import ground_of, require_grounds
from rowkeep.services.read.held import HeldReadings
from rowkeep.services.tables import content_uploads
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import RowReadings

STREAMS_MAX = 64
RETRY_SECONDS = 60
SESSION_BYTES = 16
MS_PER_HOUR = 3_600_000


class ReadRequest(msgspec.Struct, frozen=True):
    """Which rows of a table or of one upload a reader asks for, and in which format."""

    table: TableReference
    upload_name: str | None
    format: ReadFormat
    selected_variables: tuple[str, ...] | None
    rows_max: int | None


class SessionLimits(msgspec.Struct, frozen=True):
    """How long read sessions are kept, and how many one caller may have."""

    hours: int
    sessions_max: int = 10_000
    bytes_max: int = 64 * 1024 * 1024


class OpenedSession(msgspec.Struct, frozen=True):
    """A read session just made."""

    identifier: str
    expires_at: int
    row_count: int
    streams: tuple[ReadStream, ...]


class ReadService:
    """Streams rows to readers."""

    def __init__(self, doors: Doors, readings: RowReadings, *, limits: SessionLimits) -> None:
        self._doors = doors
        self._readings = readings
        self._limits = limits
        self._held = HeldReadings()

    async def list_rows(
        self, caller: Caller, request: ReadRequest, *, offset: int = 0
    ) -> AsyncIterator[bytes]:
        """Yields the body with the rows as of now, without the first `offset`.

        Errors come before its first part.
        """
        stream = await self._doors.read(lambda view: whole_stream(view, caller, request))
        return await self._body(stream, offset=offset, with_sentinel=False)

    async def list_stream(self, find: Callable[[CatalogView], ReadStream]) -> AsyncIterator[bytes]:
        """Yields the body with the rows that a function finds."""
        return await self._body(await self._doors.read(find), offset=0, with_sentinel=False)

    async def open_session(self, caller: Caller, request: ReadRequest, stream_count: int) -> OpenedSession:
        """Opens a read session on the rows as of now, in at most `stream_count` streams (1 to 64)."""
        return await self.open_session_of(
            caller, lambda view: whole_stream(view, caller, request), stream_count
        )

    async def open_session_of(
        self, caller: Caller, find: Callable[[CatalogView], ReadStream], stream_count: int
    ) -> OpenedSession:
        """Opens a read session on the rows that a function finds.

        Raises rate_limit_exceeded for too many sessions.
        """

        def look(view: CatalogView) -> ReadSession:
            return self._session(find(view), stream_count, principal_of(view, caller).user_id or 0)

        def add(editor: CatalogEditor) -> None:
            self._require_room(editor, session.opener_id)
            editor.sessions.add(session)

        # Whoever is refused, and the lists of large tables, stay off the writer's thread.
        session = await self._doors.read(look)
        await self._doors.write(add)
        whole = session.whole
        return OpenedSession(whole.identifier, whole.expires_at, session.row_count, session.streams())

    def _session(self, found: ReadStream, stream_count: int, opener_id: int) -> ReadSession:
        expires_at = _now() + self._limits.hours * MS_PER_HOUR
        identifier = secrets.token_hex(SESSION_BYTES)
        whole = msgspec.structs.replace(found, identifier=identifier, expires_at=expires_at)
        asked = ReadSession(whole, 1, opener_id)
        count = max(1, min(stream_count, STREAMS_MAX, asked.row_count))
        return msgspec.structs.replace(asked, stream_count=count)

    def _require_room(self, view: CatalogView, opener_id: int) -> None:
        use = view.sessions.use(opener_id, _now())
        if use.session_count >= self._limits.sessions_max or use.byte_count >= self._limits.bytes_max:
            whose = "You have" if opener_id else "Callers without a token have"
            raise RowkeepError(
                ErrorCode.RATE_LIMIT_EXCEEDED,
                f"{whose} {use.session_count} read sessions open, as many as the server keeps. Read them "
                "again instead of opening new ones, use listRows, or wait until some have expired.",
                retry_after_seconds=RETRY_SECONDS,
            )

    async def read_stream(
        self, caller: Caller, identifier: str, *, offset: int, with_sentinel: bool
    ) -> tuple[ReadFormat, AsyncIterator[bytes]]:
        """Returns the body of a session's stream from row `offset` on.

        Only the caller who made the session may read it. A session over public data may be read by anybody
        who knows its id, which nobody can guess, and who may see the data.
        """
        stream = await self._doors.read(lambda view: find_stream(view, caller, identifier))
        return stream.format, await self._body(stream, offset=offset, with_sentinel=with_sentinel)

    async def _body(self, stream: ReadStream, *, offset: int, with_sentinel: bool) -> AsyncIterator[bytes]:
        reading = self._readings(stream, offset=offset, with_sentinel=with_sentinel)
        made = [await self._doors.read(reading.step)]
        self._held.wait(reading)

        async def parts() -> AsyncIterator[bytes]:
            while True:
                self._held.resume(reading)
                part = made.pop() if made else await self._doors.read(reading.step)
                if part is None:
                    return
                if part:
                    self._held.wait(reading)
                    yield part

        return parts()


def find_stream(view: CatalogView, caller: Caller, identifier: str) -> ReadStream:
    """Returns a stream that the caller may read now. Raises not_found_error for any other stream."""
    absent = not_found("There is no such read stream, or it has expired; create a read session.")
    principal = principal_of(view, caller)
    session = view.sessions.find(session_identifier(identifier), _now())
    found = None if session is None else session.stream(identifier)
    if found is None or found.user_id not in (None, principal.user_id):
        signed_in(principal)
        raise absent
    if found.scope is not Scope.PUBLIC:
        require_scope(principal, found.scope)
    require_grounds(view, principal, found.grounds, absent)
    return found


def _now() -> int:
    return time.time_ns() // 1_000_000


class ReadSource(msgspec.Struct, frozen=True):
    """The source of the rows that a permitted reader asks for: a table, or one upload of it."""

    principal: Principal
    scope: Scope
    ground: ReadGround
    table: Table
    upload: Upload | None
    is_unreleased: bool

    def uploads(self, view: CatalogView) -> list[Upload]:
        """Returns the uploads that hold the rows, in the order of the rows, as a snapshot shows them."""
        if self.upload is None:
            return list(content_uploads(view, self.table.id))
        upload = view.uploads.find(self.table.id, self.upload.name)
        return [] if upload is None else [upload]

    def schema(self, uploads: Iterable[Upload]) -> Schema:
        """Returns the schema in which rows of these uploads are read."""
        return (
            merged_schema(upload.schema for upload in uploads) if self.upload is None else self.upload.schema
        )


def find_source(view: CatalogView, caller: Caller, request: ReadRequest) -> ReadSource:
    """Returns the source of the rows that are asked for.

    Raises invalid_token, not_found_error and 403 errors.
    """
    principal = principal_of(view, caller)
    if request.upload_name is None:
        place, table = find_table(view, principal, request.table, AccessLevel.DATA)
        scope = permit(principal, place, AccessLevel.DATA)
        return ReadSource(
            principal, scope, ground_of(place, AccessLevel.DATA), table, None, not place.version.is_released
        )
    place, table, upload = find_upload(view, principal, request.table, request.upload_name)
    scope = permit(principal, place, AccessLevel.EDIT)
    return ReadSource(
        principal, scope, ground_of(place, AccessLevel.EDIT), table, upload, not place.version.is_released
    )


def whole_stream(view: CatalogView, caller: Caller, request: ReadRequest) -> ReadStream:
    """Returns all rows that are asked for as one stream without a name."""
    source = find_source(view, caller, request)
    uploads = source.uploads(view)
    schema = source.schema(uploads)
    return stream_of(source, request, schema, slices_of(view, uploads, request.rows_max))


def stream_of(
    source: ReadSource, request: ReadRequest, schema: Schema, slices: Iterable[RowSlice]
) -> ReadStream:
    """Returns slices of a source as one stream without a name."""
    return ReadStream(
        identifier="",
        user_id=None if source.scope is Scope.PUBLIC else source.principal.user_id,
        scope=source.scope,
        expires_at=0,
        format=request.format,
        schema=selected_schema(schema, request.selected_variables),
        slices=tuple(slices),
        grounds=(source.ground,),
    )


def selected_schema(schema: Schema, names: Sequence[str] | None) -> Schema:
    """Returns the named variables in the named order. Raises invalid_request_error for an unknown name."""
    if names is None:
        return schema
    if not names or list(names) == [""]:
        raise invalid_request("`selectedVariables` names no variable; leave it out to get all of them.")
    positions = schema.position_by_key()
    selected: dict[str, Variable] = {}
    for name in names:
        position = positions.get(name.lower())
        if position is None:
            raise no_such_variable("`selectedVariables`", name, schema)
        if name.lower() in selected:
            raise invalid_request(f"`selectedVariables` names {name!r} twice.")
        selected[name.lower()] = schema.variables[position]
    return Schema(schema.version, tuple(selected.values()))


def slices_of(view: CatalogView, uploads: Sequence[Upload], rows_max: int | None) -> list[RowSlice]:
    """Returns the rows that uploads show now, the first `rows_max` of them."""
    undone = [upload.id for upload in uploads if upload.row_count < upload.row_end]
    removed = view.receipts.removed_rows(undone) if undone else {}
    slices: list[RowSlice] = []
    left = sum(upload.row_count for upload in uploads) if rows_max is None else rows_max
    for upload in uploads:
        for slice_ in _kept(upload, removed.get(upload.id, ())):
            count = min(slice_.row_end - slice_.first_row, left)
            if count:
                slices.append(RowSlice(upload.id, slice_.first_row, slice_.first_row + count))
            left -= count
    return slices


def _kept(upload: Upload, removed: Sequence[RowSlice]) -> Iterator[RowSlice]:
    """Yields the slices of an upload without its removed rows."""
    row = 0
    for slice_ in (*removed, RowSlice(upload.id, upload.row_end, upload.row_end)):
        if row < slice_.first_row:
            yield RowSlice(upload.id, row, slice_.first_row)
        row = slice_.row_end


def no_such_variable(what: str, name: str, schema: Schema) -> RowkeepError:
    """Returns the error for a name that names no variable."""
    names = [variable.name for variable in schema.variables]
    return invalid_request(
        f"{what} names {shortened(name)!r}, and there is no such variable."
        f"{suggestion(name, names) or f' There are: {listing(names)}.'}"
    )


def row_format(name: str, others: Sequence[str] = ()) -> ReadFormat:
    """Returns the format that a caller named. `others` are the formats allowed beside those for rows.

    Raises invalid_request_error.
    """
    names = {"ndjson": ReadFormat.JSON_LINES, **{format_.value: format_ for format_ in ReadFormat}}
    if name not in names:
        raise invalid_request(
            f"`format` must be one of {', '.join([*names, *others])}, not {shortened(name)!r}."
            f"{suggestion(name, [*names, *others])}"
        )
    return names[name]


def read_request(
    table_reference: str,
    upload_name: str | None,
    format_name: str,
    selected_variables: Sequence[str] | None,
    rows_max: int | None,
) -> ReadRequest:
    """Returns the read request that a caller spelled. Raises invalid_request_error, not_found_error."""
    return ReadRequest(
        table=parse_table_reference(table_reference),
        upload_name=upload_name,
        format=row_format(format_name),
        selected_variables=None if selected_variables is None else tuple(selected_variables),
        rows_max=rows_max,
    )
