"""insertRows: look up, permit, decode, submit.

Theory
------
A target is everything that one caller needs to insert into one upload: that the token is good, that it
may edit, which schema rows must fit. It is looked up once and kept, stamped with the catalog version of
the snapshot it was read from. A kept target may be out of date; that is found out where it matters,
in the lane's transaction: if the catalog has moved, nothing is written, the target is looked up again
and the request starts over. A request that is refused on a kept target is refused again on a fresh one
before the caller hears of it, so that a revoked token gets 401 and not advice about its rows.

A repeat under a key is answered as the first was, even if the schema has been widened meanwhile and would
refuse its rows now: a caller that is told so of rows that are in would send them once more, corrected.

Bodies up to a megabyte take turns by upload (`turns.py`) until their commit. They are decoded here, on the
event loop, as long as that takes no other upload's time: those of some size go to another process while
others send too (`checking_process.py` says why). Larger ones are decoded elsewhere always, two at a time.
"""

import hashlib
import sys
import time
from collections.abc import Awaitable, Callable
from time import perf_counter

import msgspec

from rowkeep.model.bounded_cache import BoundedCache
from rowkeep.model.decoding.strict import DECODER_BYTES_EACH, StrictRefusal, row_decoder
from rowkeep.model.errors import (
    ErrorCode,
    RowkeepError,
    RowsRefused,
    conflict,
    unavailable,
)
from rowkeep.model.quarantine import QuarantineBounds, SkippedRows
from rowkeep.model.receipts import KeyReused, KeyUndone, OffsetMoved, Outcome, Rejection, StaleBatch
from rowkeep.model.references import parse_table_reference
from rowkeep.model.resources import Batch, Receipt
from rowkeep.model.schema import Schema
from rowkeep.model.timing import InsertTimes
from rowkeep.services.access import TokenHash, editable_stream, has_expired, principal_of
from rowkeep.services.insert.checking import (
    CheckedBatch,
    InsertRequest,
    InsertTarget,
    large_batch,
    lenient_batch,
    request_digest,
    strict_batch,
    strict_batch_elsewhere,
)
from rowkeep.services.insert.looking import CatalogLooks
from rowkeep.services.insert.shared_variables import sharing_schema
from rowkeep.services.insert.turns import Turns
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import BodyChecker, LargeBody, LargeBodyDecoder, Spool

TARGETS_BYTES_MAX = 64 * 1024 * 1024
ATTEMPTS_MAX = 20
LENIENT_BYTES_MAX = 32 * 1024
CHECKED_ELSEWHERE_BYTES_MIN = 16 * 1024
RETRY_SECONDS = 1


class BodyRows(msgspec.Struct, frozen=True):
    """A body, as what can be had of it: its rows for a target, and the SHA-256 of its plain bytes."""

    decode: Callable[[InsertTarget], Awaitable[CheckedBatch]]
    digest: Callable[[], Awaitable[bytes]]


class InsertService:
    """Takes rows in. One per process; used on the event loop."""

    def __init__(
        self,
        doors: Doors,
        large_bodies: LargeBodyDecoder,
        checker: BodyChecker,
        quarantine: QuarantineBounds,
        turns: Turns,
    ) -> None:
        self._doors = doors
        self._large_bodies = large_bodies
        self._checker = checker
        self._looks = CatalogLooks(doors)
        self._quarantine = quarantine
        self._turns = turns
        self._targets: BoundedCache[tuple[TokenHash | None, tuple[str, str]], InsertTarget] = BoundedCache(
            TARGETS_BYTES_MAX
        )

    def kept_target(self, request: InsertRequest) -> InsertTarget | None:
        """The target of an earlier request like this one; it may be out of date (see above)."""
        kept = self._targets.get((request.token_hash, request.path))
        return None if kept is None or has_expired(kept.expires_at_ms) else kept

    async def look_up_target(self, request: InsertRequest) -> InsertTarget:
        """Who calls and where to, before the body is read. Raises 401, 403 and 404 errors."""
        self._targets.drop((request.token_hash, request.path))
        target = await self._doors.read(lambda view: _find_target(view, request))
        byte_count = sum(map(sys.getsizeof, request.path)) + DECODER_BYTES_EACH * len(
            target.upload.schema.variables
        )
        self._targets.keep((request.token_hash, request.path), target, byte_count)
        return target

    def spool(self) -> Spool:
        """A place for a body that is too large for memory."""
        return self._large_bodies.spool()

    async def insert(
        self, request: InsertRequest, target: InsertTarget, body: bytes, times: InsertTimes
    ) -> Receipt:
        """Inserts the rows of a body, durably and whole, or raises and inserts nothing."""
        upload_id, byte_count = target.upload.id, len(body)
        if not self._turns.enter(upload_id, byte_count, perf_counter()):
            await self._turns.wait(upload_id, byte_count)
        try:
            return await self._insert_small(request, target, body, times)
        finally:
            self._turns.leave(upload_id, byte_count)

    async def _insert_small(
        self, request: InsertRequest, target: InsertTarget, body: bytes, times: InsertTimes
    ) -> Receipt:
        try:
            if len(body) >= CHECKED_ELSEWHERE_BYTES_MIN and self._turns.is_shared(target.upload.id):
                batch, validates_only = await strict_batch_elsewhere(request, target, body, self._checker)
            else:
                batch, validates_only = strict_batch(request, target, body)
        except StrictRefusal:
            pass
        else:
            if not validates_only:
                times.checked_at = perf_counter()
                receipt = _receipt(await self._doors.submit(batch, times))
                if receipt is not None:
                    return receipt
                target = await self.look_up_target(request)

        async def digest() -> bytes:
            return hashlib.sha256(body).digest()

        rows = BodyRows(lambda target: self._batch(request, target, body), digest)
        return await self._insert(request, target, rows, times)

    async def insert_large(
        self, request: InsertRequest, target: InsertTarget, body: LargeBody, times: InsertTimes
    ) -> Receipt:
        """The same for a body that was spooled."""
        rows = BodyRows(
            lambda target: self._large_batch(request, target, body), lambda: self._large_bodies.digest(body)
        )
        return await self._insert(request, target, rows, times)

    async def _insert(
        self,
        request: InsertRequest,
        target: InsertTarget,
        rows: BodyRows,
        times: InsertTimes,
    ) -> Receipt:
        """Decodes and submits, from the start again whenever the catalog has moved meanwhile."""
        for _ in range(ATTEMPTS_MAX):
            times.start_over()
            try:
                checked = await rows.decode(target)
            except RowkeepError as error:
                if error.code is ErrorCode.UNAVAILABLE:
                    raise
                if await self._is_current(target):
                    if error.code is not ErrorCode.INVALID_REQUEST:
                        raise
                    receipt = await self._earlier_answer(request, target, rows)
                    if receipt is None:
                        await self._note_rejection(request, target, error)
                        raise
                    return receipt
            else:
                receipt = await self._settle(target, checked, times)
                if receipt is not None:
                    return receipt
            target = await self.look_up_target(request)
        raise unavailable(
            "The schema kept changing while this request waited. Nothing of it was inserted; send it again.",
            retry_after_seconds=RETRY_SECONDS,
        )

    async def _settle(
        self, target: InsertTarget, checked: CheckedBatch, times: InsertTimes
    ) -> Receipt | None:
        """Writes the rows, or tells what writing them would do; None when the catalog has moved."""
        batch, validates_only = checked
        if validates_only:
            is_current = await self._is_current(target)
            told = Receipt(
                batch.row_count,
                batch.change,
                skipped=_skipped(batch),
                validate_only=True,
                sha256=batch.sha256,
            )
            return told if is_current else None
        times.checked_at = perf_counter()
        return _receipt(await self._doors.submit(batch, times))

    async def _earlier_answer(
        self, request: InsertRequest, target: InsertTarget, rows: BodyRows
    ) -> Receipt | None:
        """What a request with this key was answered before. Raises idempotency_key_reused or conflict."""
        key = request.key
        if key is None:
            return None
        known = await self._doors.read(lambda view: view.receipts.find(target.upload.id, key))
        if known is None:
            return None
        if known.digest != request_digest(request, await rows.digest()):
            raise _refusal(KeyReused())
        if known.removed_at is not None:
            raise _refusal(KeyUndone())
        return msgspec.structs.replace(known.receipt, replayed=True)

    async def _note_rejection(
        self, request: InsertRequest, target: InsertTarget, error: RowkeepError
    ) -> None:
        """Keeps, for who asks later, that the request of a key was refused and why."""
        key = request.key
        row_errors = tuple(error.row_errors) if isinstance(error, RowsRefused) else ()
        asked = error.validate_only if isinstance(error, RowsRefused) else None
        if key is None or request.options.validates_only(asked):
            return
        count = error.row_error_count if isinstance(error, RowsRefused) else 0
        rejection = Rejection(time.time_ns() // 1_000_000, error.message, row_errors, count)
        await self._doors.write_in_reserve(
            lambda editor: editor.receipts.add_rejection(target.upload.id, key, rejection)
        )

    async def _is_current(self, target: InsertTarget) -> bool:
        return await self._looks.version() == target.catalog_version

    async def _batch(self, request: InsertRequest, target: InsertTarget, body: bytes) -> CheckedBatch:
        try:
            return strict_batch(request, target, body)
        except StrictRefusal:
            pass
        if len(body) <= LENIENT_BYTES_MAX:
            schema = await self._schema(request, target)
            return lenient_batch(request, target, schema, body, self._quarantine)
        # The lenient path takes up to 1.4 ms a KiB (measured); a long one must not hold the event loop.
        spool = self._large_bodies.spool()
        try:
            await spool.write(body)
            return await self._large_batch(request, target, LargeBody(spool, request.format))
        finally:
            await spool.close()

    async def _schema(self, request: InsertRequest, target: InsertTarget) -> Schema:
        """The upload's schema, with what it shares with its table where rows may add variables."""
        if not target.upload.updates_by_default:
            return target.upload.schema
        return await self._doors.read(
            lambda view: sharing_schema(
                view,
                request.token_hash,
                request.path,
                target.upload,
                asks_for_updates=bool(request.options.update_schema),
            )
        )

    async def _large_batch(
        self, request: InsertRequest, target: InsertTarget, body: LargeBody
    ) -> CheckedBatch:
        rows = await self._large_bodies.decode(
            body,
            await self._schema(request, target),
            updates_by_default=request.updates(target),
            skipping=request.options.skipping(self._quarantine),
        )
        return large_batch(request, target, rows)


def _find_target(view: CatalogView, request: InsertRequest) -> InsertTarget:
    principal = principal_of(view, request.token_hash)
    table_reference, upload_name = request.path
    upload = editable_stream(view, principal, parse_table_reference(table_reference), upload_name)
    return InsertTarget(
        catalog_version=view.catalog_version(),
        upload=upload,
        decoder=row_decoder(upload.schema),
        expires_at_ms=principal.expires_at_ms,
    )


def _skipped(batch: Batch) -> SkippedRows | None:
    refused = batch.refused
    return None if refused is None else SkippedRows(refused.row_count, refused.errors)


def _receipt(outcome: Outcome) -> Receipt | None:
    """What a batch came to; None when the catalog has moved. Raises what the caller is to be told."""
    if isinstance(outcome, Receipt):
        return outcome
    if isinstance(outcome, StaleBatch):
        return None
    raise _refusal(outcome)


def _refusal(outcome: KeyReused | KeyUndone | OffsetMoved) -> RowkeepError:
    if isinstance(outcome, OffsetMoved):
        latest = msgspec.json.encode(outcome.latest).decode()
        return conflict(
            f"The upload's latestOffsetToken is {latest}, and the request expects another. "
            "Nothing was inserted; go on from the token that is there."
        )
    if isinstance(outcome, KeyUndone):
        return conflict(
            "The request with this Idempotency-Key was undone, and its rows stay removed. Nothing was "
            "inserted; use a new key to insert them again."
        )
    return RowkeepError(
        ErrorCode.IDEMPOTENCY_KEY_REUSED,
        "This Idempotency-Key was used for a request with another body. Nothing was inserted; "
        "use a new key for new rows.",
    )
