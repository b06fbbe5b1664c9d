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

Bodies that are held in memory take turns by upload (`turns.py`) until their commit. Where a body is decoded
is told in `routing.py`.
"""

import sys
import time
from time import perf_counter

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.bounded_cache import BoundedCache
from rowkeep.model.decoding.strict import DECODER_BYTES_EACH, row_decoder
from rowkeep.model.errors import (
    ErrorCode,
    RowkeepError,
    RowsRefused,
    conflict,
    unavailable,
)
from rowkeep.model.inflating import ContentCoding
from rowkeep.model.inserts import BodyFormat
from rowkeep.model.quarantine import SkippedRows
from rowkeep.model.receipts import KeyReused, KeyUndone, OffsetMoved, Outcome, Rejection, StaleBatch
from rowkeep.model.references import parse_table_reference
from rowkeep.model.resources import Batch, Receipt
from rowkeep.model.timing import InsertTimes
from rowkeep.services.access import editable_stream, has_expired, principal_of
from rowkeep.services.insert.looking import CatalogLooks
from rowkeep.services.insert.requests import InsertRequest, InsertTarget
from rowkeep.services.insert.routing import BodyRouting
from rowkeep.services.insert.turns import Turns
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import LargeBody, Spool

TARGETS_BYTES_MAX = 64 * 1024 * 1024
ATTEMPTS_MAX = 20
RETRY_SECONDS = 1


class InsertService:
    """Inserts rows into uploads. One per process; used on the event loop."""

    def __init__(self, doors: Doors, routing: BodyRouting, turns: Turns) -> None:
        self._doors = doors
        self._routing = routing
        self._looks = CatalogLooks(doors)
        self._turns = turns
        self._targets: BoundedCache[tuple[Caller, tuple[str, str]], InsertTarget] = BoundedCache(
            TARGETS_BYTES_MAX
        )

    def kept_target(self, request: InsertRequest) -> InsertTarget | None:
        """Returns the target of an earlier request like this one. It may be out of date (see above)."""
        kept = self._targets.get((request.caller, request.path))
        return None if kept is None or has_expired(kept.expires_at_ms) else kept

    async def look_up_target(self, request: InsertRequest) -> InsertTarget:
        """Returns the caller's target, looked up before the body is read. Raises 401, 403 and 404 errors."""
        self._targets.drop((request.caller, request.path))
        target = await self._doors.read(lambda view: _find_target(view, request))
        byte_count = sum(map(sys.getsizeof, request.path)) + DECODER_BYTES_EACH * len(
            target.upload.schema.variables
        )
        self._targets.keep((request.caller, request.path), target, byte_count)
        return target

    def spool(self) -> Spool:
        """Returns a place for a body that is too large for memory."""
        return self._routing.spool()

    async def take_in(
        self, content: bytes | Spool, body_format: BodyFormat, coding: ContentCoding | None
    ) -> bytes | LargeBody:
        """Returns the body that came in, ready for `insert`. The caller of this closes a LargeBody."""
        return await self._routing.take_in(content, body_format, coding)

    async def insert(
        self, request: InsertRequest, target: InsertTarget, body: bytes | LargeBody, times: InsertTimes
    ) -> Receipt:
        """Inserts the rows of a body, durably and whole, or raises and inserts nothing."""
        if isinstance(body, LargeBody):
            return await self._insert(request, target, body, times)
        upload_id, byte_count = target.upload.id, len(body)
        if not self._turns.enter(upload_id, byte_count, perf_counter()):
            await self._turns.wait(upload_id, byte_count)
        try:
            return await self._insert(request, target, body, times)
        finally:
            self._turns.leave(upload_id, byte_count)

    async def _insert(
        self, request: InsertRequest, target: InsertTarget, body: bytes | LargeBody, times: InsertTimes
    ) -> Receipt:
        """Decodes and submits, from the start again whenever the catalog has moved meanwhile."""
        for _ in range(ATTEMPTS_MAX):
            receipt = await self._attempt(request, target, body, times)
            if receipt is not None:
                return receipt
            target = await self.look_up_target(request)
            times.start_over()
        raise unavailable(
            "The schema kept changing while this request waited. Nothing of it was inserted; send it again.",
            retry_after_seconds=RETRY_SECONDS,
        )

    async def _attempt(
        self, request: InsertRequest, target: InsertTarget, body: bytes | LargeBody, times: InsertTimes
    ) -> Receipt | None:
        """Decodes and submits once. Returns the receipt, or None when the catalog has moved."""
        try:
            batch, validates_only = await self._routing.decode(request, target, body)
        except RowkeepError as error:
            return await self._refused(request, target, body, error)
        if validates_only:
            return await self._foretold(target, batch)
        times.checked_at = perf_counter()
        return _receipt(await self._doors.submit(batch, times))

    async def _refused(
        self, request: InsertRequest, target: InsertTarget, body: bytes | LargeBody, error: RowkeepError
    ) -> Receipt | None:
        """Returns an earlier answer, or None when the catalog has moved; otherwise raises the error."""
        if error.code is ErrorCode.UNAVAILABLE:
            raise error
        if not await self._is_current(target):
            return None
        if error.code is not ErrorCode.INVALID_REQUEST:
            raise error
        receipt = await self._earlier_answer(request, target, body)
        if receipt is None:
            await self._note_rejection(request, target, error)
            raise error
        return receipt

    async def _foretold(self, target: InsertTarget, batch: Batch) -> Receipt | None:
        """Returns the receipt that writing the rows would give, or None when the catalog has moved."""
        if not await self._is_current(target):
            return None
        return Receipt(
            batch.row_count,
            batch.change,
            skipped=_skipped(batch),
            validate_only=True,
            rows_sha256=batch.rows_sha256,
        )

    async def _earlier_answer(
        self, request: InsertRequest, target: InsertTarget, body: bytes | LargeBody
    ) -> Receipt | None:
        """Returns the receipt of an earlier request with this key.

        Raises idempotency_key_reused or conflict.
        """
        key = request.key
        if key is None:
            return None
        known = await self._doors.read(lambda view: view.receipts.find(target.upload.id, key))
        if known is None:
            return None
        if known.request_digest != await self._routing.digest(request, body):
            raise _refusal(KeyReused())
        if known.removed_at is not None:
            raise _refusal(KeyUndone())
        return msgspec.structs.replace(known.receipt, replayed=True)

    async def _note_rejection(
        self, request: InsertRequest, target: InsertTarget, error: RowkeepError
    ) -> None:
        """Notes that the request of a key was refused and why, for later questions about the key."""
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


def _find_target(view: CatalogView, request: InsertRequest) -> InsertTarget:
    principal = principal_of(view, request.caller)
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
    """Returns the receipt of a batch, or None when the catalog has moved.

    Raises the error for the caller when the batch was refused.
    """
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
