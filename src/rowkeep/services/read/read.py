"""Reading rows: a snapshot of a table or an upload, streamed.

A snapshot is the rows that the uploads show at one moment, by number: rows keep their numbers, so the same
rows stay readable while more arrive and when requests are undone. listRows streams a snapshot at once; a read
session remembers one for some hours, cut into streams of equal size. Source: contract 4.7, 7.10, 7.32.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import msgspec

from rowkeep.model.access import AccessLevel, Principal, Scope
from rowkeep.model.errors import invalid_request, not_found
from rowkeep.model.references import TableReference, parse_table_reference
from rowkeep.model.resources import ReadStream, RowFormat, RowSlice, Table, Upload
from rowkeep.model.schema import Schema, Variable, merged_schema
from rowkeep.services.access import (
    TokenHash,
    find_table,
    find_upload,
    permit,
    principal_of,
    require_scope,
    signed_in,
)
from rowkeep.services.tables import content_uploads
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import RowReadings

STREAMS_MAX = 64
# The Python client keeps each stream in a file named after it and reads the folder in the order of the
# names, leaving out those that begin with _ or a dot: ids are hexadecimal and count up.
SESSION_BYTES = 16
MS_PER_HOUR = 3_600_000


class ReadRequest(msgspec.Struct, frozen=True):
    """Which rows of a table (or of one upload) a reader asks for, and how they are to be sent."""

    table: TableReference
    upload_name: str | None
    format: RowFormat
    selected_variables: tuple[str, ...] | None
    rows_max: int | None


class OpenedSession(msgspec.Struct, frozen=True):
    """A read session just made."""

    identifier: str
    expires_at: int
    row_count: int
    streams: tuple[ReadStream, ...]


class ReadService:
    """Streams rows to readers."""

    def __init__(self, doors: Doors, readings: RowReadings, *, session_hours: int) -> None:
        self._doors = doors
        self._readings = readings
        self._session_ms = session_hours * MS_PER_HOUR

    async def list_rows(self, token_hash: TokenHash | None, request: ReadRequest) -> AsyncIterator[bytes]:
        """The body with the rows as of now. Errors come before its first part."""
        return await self.list_stream(lambda view: whole_stream(view, token_hash, request))

    async def list_stream(self, find: Callable[[CatalogView], ReadStream]) -> AsyncIterator[bytes]:
        """The body with the rows that a function finds."""
        return await self._body(await self._doors.read(find), offset=0, with_sentinel=False)

    async def open_session(
        self, token_hash: TokenHash | None, request: ReadRequest, stream_count: int
    ) -> OpenedSession:
        """Remembers the rows as of now, in at most `stream_count` streams (1 to 64)."""
        return await self.open_session_of(lambda view: whole_stream(view, token_hash, request), stream_count)

    async def open_session_of(
        self, find: Callable[[CatalogView], ReadStream], stream_count: int
    ) -> OpenedSession:
        """Remembers the rows that a function finds."""
        # Whoever is refused, and the lists of large tables, stay off the writer's thread.
        whole = await self._doors.read(find)
        session = self._session(whole, stream_count)
        await self._doors.write(lambda editor: editor.sessions.add(session.streams))
        return session

    def _session(self, whole: ReadStream, stream_count: int) -> OpenedSession:
        expires_at = time.time_ns() // 1_000_000 + self._session_ms
        row_count = sum(slice_.row_end - slice_.first_row for slice_ in whole.slices)
        count = max(1, min(stream_count, STREAMS_MAX, row_count))
        identifier = secrets.token_hex(SESSION_BYTES)
        streams = tuple(
            msgspec.structs.replace(
                whole, identifier=f"{identifier}-{index:03d}", expires_at=expires_at, slices=part
            )
            for index, part in enumerate(_split(whole.slices, row_count, count))
        )
        return OpenedSession(identifier, expires_at, row_count, streams)

    async def read_stream(
        self, token_hash: TokenHash | None, identifier: str, *, offset: int, with_sentinel: bool
    ) -> tuple[RowFormat, AsyncIterator[bytes]]:
        """The body of a session's stream from a row on. Only who made the session may read it.

        A session over public data is anybody's who knows its id, which nobody can guess.
        """

        def find(view: CatalogView) -> ReadStream:
            principal = principal_of(view, token_hash)
            found = view.sessions.stream(identifier, time.time_ns() // 1_000_000)
            if found is None or found.user_id not in (None, principal.user_id):
                signed_in(principal)
                raise not_found("There is no such read stream, or it has expired; create a read session.")
            if found.scope is not Scope.PUBLIC:
                require_scope(principal, found.scope)
            return found

        stream = await self._doors.read(find)
        return stream.format, await self._body(stream, offset=offset, with_sentinel=with_sentinel)

    async def _body(self, stream: ReadStream, *, offset: int, with_sentinel: bool) -> AsyncIterator[bytes]:
        reading = self._readings(stream, offset=offset, with_sentinel=with_sentinel)
        made = [await self._doors.read(reading.step)]

        async def parts() -> AsyncIterator[bytes]:
            while True:
                part = made.pop() if made else await self._doors.read(reading.step)
                if part is None:
                    return
                if part:
                    yield part

        return parts()


class ReadSource(msgspec.Struct, frozen=True):
    """What a reader asks for, found and permitted: a table, or one upload of it."""

    principal: Principal
    scope: Scope
    table: Table
    upload: Upload | None
    is_unreleased: bool

    def uploads(self, view: CatalogView) -> list[Upload]:
        """The uploads that hold the rows, in the order of the rows, as a snapshot shows them."""
        if self.upload is None:
            return list(content_uploads(view, self.table.id))
        upload = view.uploads.find(self.table.id, self.upload.name)
        return [] if upload is None else [upload]

    def schema(self, uploads: Iterable[Upload]) -> Schema:
        """The schema in which rows of these uploads are read."""
        return (
            merged_schema(upload.schema for upload in uploads) if self.upload is None else self.upload.schema
        )


def find_source(view: CatalogView, token_hash: TokenHash | None, request: ReadRequest) -> ReadSource:
    """Looks up what is asked for. Raises invalid_token, not_found_error and 403 errors."""
    principal = principal_of(view, token_hash)
    if request.upload_name is None:
        place, table = find_table(view, principal, request.table, AccessLevel.DATA)
        scope = permit(principal, place, AccessLevel.DATA)
        return ReadSource(principal, scope, table, None, not place.version.is_released)
    place, table, upload = find_upload(view, principal, request.table, request.upload_name)
    scope = permit(principal, place, AccessLevel.EDIT)
    return ReadSource(principal, scope, table, upload, not place.version.is_released)


def whole_stream(view: CatalogView, token_hash: TokenHash | None, request: ReadRequest) -> ReadStream:
    """All that is asked for as one stream without a name."""
    source = find_source(view, token_hash, request)
    uploads = source.uploads(view)
    schema = source.schema(uploads)
    return stream_of(source, request, schema, slices_of(view, uploads, request.rows_max))


def stream_of(
    source: ReadSource, request: ReadRequest, schema: Schema, slices: Iterable[RowSlice]
) -> ReadStream:
    """Some rows of what is asked for as one stream without a name."""
    return ReadStream(
        identifier="",
        user_id=None if source.scope is Scope.PUBLIC else source.principal.user_id,
        scope=source.scope,
        expires_at=0,
        format=request.format,
        schema=selected_schema(schema, request.selected_variables),
        slices=tuple(slices),
    )


def selected_schema(schema: Schema, names: Sequence[str] | None) -> Schema:
    """The named variables in the named order. Raises invalid_request_error for a name that is none."""
    if names is None:
        return schema
    if not names or list(names) == [""]:
        raise invalid_request("`selectedVariables` names no variable; leave it out to get all of them.")
    positions = schema.position_by_key()
    selected: dict[str, Variable] = {}
    for name in names:
        position = positions.get(name.lower())
        if position is None:
            raise invalid_request(f"`selectedVariables` names {name!r}, and there is no such variable.")
        if name.lower() in selected:
            raise invalid_request(f"`selectedVariables` names {name!r} twice.")
        selected[name.lower()] = schema.variables[position]
    return Schema(schema.version, tuple(selected.values()))


def slices_of(view: CatalogView, uploads: Sequence[Upload], rows_max: int | None) -> list[RowSlice]:
    """The rows that uploads show now, the first `rows_max` of them."""
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
    """What is left of an upload's rows."""
    row = 0
    for slice_ in (*removed, RowSlice(upload.id, upload.row_end, upload.row_end)):
        if row < slice_.first_row:
            yield RowSlice(upload.id, row, slice_.first_row)
        row = slice_.row_end


def _split(slices: Sequence[RowSlice], row_count: int, stream_count: int) -> list[tuple[RowSlice, ...]]:
    bounds = [row_count * index // stream_count for index in range(stream_count + 1)]
    return [_between(slices, start, end) for start, end in pairwise(bounds)]


def _between(slices: Sequence[RowSlice], start: int, end: int) -> tuple[RowSlice, ...]:
    part: list[RowSlice] = []
    position = 0
    for slice_ in slices:
        size = slice_.row_end - slice_.first_row
        first = max(start - position, 0)
        last = min(end - position, size)
        if first < last:
            part.append(RowSlice(slice_.upload_id, slice_.first_row + first, slice_.first_row + last))
        position += size
    return tuple(part)


def row_format(name: str) -> RowFormat:
    """A format that a caller spelled. Raises invalid_request_error."""
    names = {"ndjson": RowFormat.JSON_LINES, **{format_.value: format_ for format_ in RowFormat}}
    if name not in names:
        raise invalid_request(f"`format` must be arrow, csv or jsonl, not {name!r}.")
    return names[name]


def read_request(
    table_reference: str,
    upload_name: str | None,
    format_name: str,
    selected_variables: Sequence[str] | None,
    rows_max: int | None,
) -> ReadRequest:
    """A read request from what a caller spelled. Raises invalid_request_error, not_found_error."""
    return ReadRequest(
        table=parse_table_reference(table_reference),
        upload_name=upload_name,
        format=row_format(format_name),
        selected_variables=None if selected_variables is None else tuple(selected_variables),
        rows_max=rows_max,
    )
