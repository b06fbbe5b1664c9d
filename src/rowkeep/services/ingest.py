"""insertRows: look up, permit, decode, submit.

Theory
------
A target is everything that one caller needs to insert into one upload: that the token is good, that it
may edit, which schema rows must fit. It is looked up once and kept, stamped with the catalog version of
the snapshot it was read from. A kept target may be out of date; that is found out where it matters,
in the lane's transaction: if the catalog has moved, nothing is written, the target is looked up again
and the request starts over. A request that is refused on a kept target is refused again on a fresh one
before the caller hears of it, so that a revoked token gets 401 and not advice about its rows.
"""

import hashlib
from collections.abc import Awaitable, Callable

import msgspec

from rowkeep.model.decoding import RowDecoder, StrictRefusal, row_decoder
from rowkeep.model.errors import ErrorCode, RowkeepError, invalid_request, unavailable
from rowkeep.model.lenient import decode_leniently
from rowkeep.model.references import parse_table_reference
from rowkeep.model.resources import Batch, Receipt, Upload, UploadType
from rowkeep.services.access import TokenHash, editable_upload, has_expired, principal_of
from rowkeep.storage.base import CatalogView, Doors, KeyReused, LargeBodyDecoder, Spool

TARGETS_MAX = 50_000
ATTEMPTS_MAX = 20
LENIENT_BYTES_MAX = 32 * 1024
RETRY_SECONDS = 1


class InsertTarget(msgspec.Struct, frozen=True):
    """One caller's way into one upload, as of a catalog version."""

    catalog_version: int
    upload: Upload
    decoder: RowDecoder
    expires_at_ms: int | None


class InsertRequest(msgspec.Struct, frozen=True):
    """What one insertRows request says. `path` is the table reference and the upload's name, decoded."""

    token_hash: TokenHash | None
    path: tuple[str, str]
    key: str | None


class IngestService:
    """Takes rows in. One per process; used on the event loop."""

    def __init__(self, doors: Doors, large_bodies: LargeBodyDecoder) -> None:
        self._doors = doors
        self._large_bodies = large_bodies
        self._targets: dict[tuple[TokenHash | None, tuple[str, str]], InsertTarget] = {}

    def kept_target(self, request: InsertRequest) -> InsertTarget | None:
        """The target of an earlier request like this one; it may be out of date (see above)."""
        kept = self._targets.get((request.token_hash, request.path))
        return None if kept is None or has_expired(kept.expires_at_ms) else kept

    async def look_up_target(self, request: InsertRequest) -> InsertTarget:
        """Who calls and where to, before the body is read. Raises 401, 403 and 404 errors."""
        self._targets.pop((request.token_hash, request.path), None)
        target = await self._doors.read(lambda view: _find_target(view, request))
        if len(self._targets) >= TARGETS_MAX:
            self._targets.clear()
        self._targets[request.token_hash, request.path] = target
        return target

    def spool(self) -> Spool:
        """A place for a body that is too large for memory."""
        return self._large_bodies.spool()

    async def insert(self, request: InsertRequest, target: InsertTarget, body: bytes) -> Receipt:
        """Inserts the rows of a body, durably and whole, or raises and inserts nothing."""
        try:
            batch = _strict_batch(request, target, body)
        except StrictRefusal:
            pass
        else:
            outcome = await self._doors.submit(batch)
            if type(outcome) is Receipt:
                return outcome
            if type(outcome) is KeyReused:
                raise _key_reused()
            target = await self.look_up_target(request)
        return await self._insert(request, target, lambda target: self._batch(request, target, body))

    async def insert_spooled(self, request: InsertRequest, target: InsertTarget, spool: Spool) -> Receipt:
        """The same for a body that was spooled."""
        return await self._insert(request, target, lambda target: self._spooled_batch(request, target, spool))

    async def _insert(
        self,
        request: InsertRequest,
        target: InsertTarget,
        decode: Callable[[InsertTarget], Awaitable[Batch]],
    ) -> Receipt:
        """Decodes and submits, from the start again whenever the catalog has moved meanwhile."""
        for _ in range(ATTEMPTS_MAX):
            try:
                batch = await decode(target)
            except RowkeepError as error:
                if error.code is ErrorCode.UNAVAILABLE or await self._is_current(target):
                    raise
            else:
                outcome = await self._doors.submit(batch)
                if isinstance(outcome, Receipt):
                    return outcome
                if isinstance(outcome, KeyReused):
                    raise _key_reused()
            target = await self.look_up_target(request)
        raise unavailable(
            "The schema kept changing while this request waited. Nothing of it was inserted; send it again.",
            retry_after_seconds=RETRY_SECONDS,
        )

    async def _is_current(self, target: InsertTarget) -> bool:
        version = await self._doors.read(lambda view: view.catalog_version())
        return version == target.catalog_version

    async def _batch(self, request: InsertRequest, target: InsertTarget, body: bytes) -> Batch:
        try:
            return _strict_batch(request, target, body)
        except StrictRefusal:
            pass
        if len(body) <= LENIENT_BYTES_MAX:
            return _lenient_batch(request, target, body)
        # The lenient path takes up to 1.4 ms a KiB (measured); a long one must not hold the event loop.
        spool = self._large_bodies.spool()
        try:
            await spool.write(body)
            return await self._spooled_batch(request, target, spool)
        finally:
            await spool.close()

    async def _spooled_batch(self, request: InsertRequest, target: InsertTarget, spool: Spool) -> Batch:
        rows = await self._large_bodies.decode(
            spool, target.upload.schema, updates_by_default=target.upload.updates_by_default
        )
        return Batch(
            upload_id=target.upload.id,
            catalog_version=target.catalog_version,
            schema=rows.schema,
            row_count=rows.row_count,
            frames=rows.frames,
            key=request.key,
            digest=rows.digest if request.key is not None else None,
            change=rows.change,
        )


def _find_target(view: CatalogView, request: InsertRequest) -> InsertTarget:
    principal = principal_of(view, request.token_hash)
    table_reference, upload_name = request.path
    _, _, upload = editable_upload(view, principal, parse_table_reference(table_reference), upload_name)
    if upload.type is not UploadType.STREAM:
        raise invalid_request(
            f"Upload {upload.name} is of type {upload.type}; rows can be inserted only into a stream."
        )
    return InsertTarget(
        catalog_version=view.catalog_version(),
        upload=upload,
        decoder=row_decoder(upload.schema, widens=upload.updates_by_default),
        expires_at_ms=principal.expires_at_ms,
    )


def _strict_batch(request: InsertRequest, target: InsertTarget, body: bytes) -> Batch:
    row_count = len(target.decoder.accept(body).rows)
    return Batch(
        upload_id=target.upload.id,
        catalog_version=target.catalog_version,
        schema=target.upload.schema,
        row_count=row_count,
        body=_one_line(body) if row_count else b"",
        key=request.key,
        digest=_digest(body, request.key),
    )


def _lenient_batch(request: InsertRequest, target: InsertTarget, body: bytes) -> Batch:
    rows = decode_leniently(body, target.upload.schema, updates_by_default=target.upload.updates_by_default)
    return Batch(
        upload_id=target.upload.id,
        catalog_version=target.catalog_version,
        schema=rows.schema,
        row_count=rows.row_count,
        body=rows.body if rows.row_count else b"",
        key=request.key,
        digest=_digest(body, request.key),
        change=rows.change,
    )


def _one_line(body: bytes) -> bytes:
    # A line feed is only white space in JSON (within a string it must be escaped).
    return body.replace(b"\n", b" ") if b"\n" in body else body


def _digest(body: bytes, key: str | None) -> bytes | None:
    return None if key is None else hashlib.sha256(body).digest()


def _key_reused() -> RowkeepError:
    return RowkeepError(
        ErrorCode.IDEMPOTENCY_KEY_REUSED,
        "This Idempotency-Key was used for a request with another body. Nothing was inserted; "
        "use a new key for new rows.",
    )
