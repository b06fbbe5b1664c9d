"""Long inserts: one request whose rows are inserted as they come, group by group, each with its receipt.

Theory
------
A group is the rows that have arrived when the group before is committed. Each is inserted like a request
of its own (services/insert/insert.py): durable and visible when it is acknowledged, refused whole when a row
does not fit.

The rows of a long insert are numbered. With an Idempotency-Key a group is kept under that key and the
number of its first row, so how far the insert has come is where its last group ends: read from the
receipts, and stored nowhere else. Who comes back with the key is told, and what it sends once more from
before there is passed over.

Two connections with one key, of which one may be a dead client's last rows: each group begins where a
group ended, and of two that begin at the same row the second is a repeat, if it has the same rows, or
refused. So the groups of a key are one line without gaps or overlaps, whoever sent them.

Rejected: a table of positions (a second truth beside the receipts), and one receipt for the whole (what
is committed must be known when the rest never comes).
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import perf_counter

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.errors import RowsRefused, conflict, unavailable
from rowkeep.model.long_inserts import first_row_of, group_key
from rowkeep.model.places import Places
from rowkeep.model.quarantine import numbered_from
from rowkeep.model.rate_limits import InsertLimits, RateLimited
from rowkeep.model.resources import Receipt
from rowkeep.model.timing import InsertTimes
from rowkeep.services.insert.insert import InsertService
from rowkeep.services.insert.requests import InsertRequest
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors

RETRY_SECONDS = 5


class LongInsertService:
    """The service for long inserts. One per process; used on the event loop."""

    def __init__(
        self, doors: Doors, inserts: InsertService, limits: InsertLimits | None, *, places: Places
    ) -> None:
        self._doors = doors
        self._inserts = inserts
        self._limits = limits
        self._places = places
        self._enders: set[Callable[[], None]] = set()
        self._stopping = asyncio.Event()

    @property
    def is_stopping(self) -> bool:
        """Returns whether the server is shutting down."""
        return self._stopping.is_set()

    @property
    def count(self) -> int:
        """Returns how many long inserts are open now."""
        return len(self._enders)

    async def open(self, request: InsertRequest, first_row: int | None) -> "LongInsert":
        """Opens a long insert. `first_row` is the number of the first row that the client will send.

        The result knows how many rows are settled. Raises what insertRows would raise before it reads a row,
        and conflict when the rows would leave a gap.
        """
        target = await self._inserts.look_up_target(request)
        if self._limits is not None:
            self._limits.admit(request.caller, target.upload.id, 0)
        key, row_count = request.key, 0
        if key is not None:
            row_count = await self._doors.read(lambda view: _settled_count(view, target.upload.id, key))
        if first_row is not None and first_row > row_count:
            raise conflict(
                f"The first {row_count} rows of this Idempotency-Key are in, and this request begins behind "
                f"{first_row}. Nothing was inserted; send the rows behind the first {row_count}."
            )
        return LongInsert(self, self._inserts, request, row_count, 0 if first_row is None else first_row)

    @contextmanager
    def place(self, insert: "LongInsert", end: Callable[[], None]) -> Iterator[None]:
        """Keeps one of the places; `end` is called when the server stops. Raises what `Places.take` does."""
        if self.is_stopping:
            raise unavailable(
                "The server is shutting down. Nothing was inserted.", retry_after_seconds=RETRY_SECONDS
            )
        with self._places.take(insert.caller):
            self._enders.add(end)
            try:
                yield
            finally:
                self._enders.remove(end)

    async def admit(self, request: InsertRequest, byte_count: int) -> bool:
        """Waits until the limits let a group in. Returns False when the server stops before that."""
        target = self._inserts.kept_target(request) or await self._inserts.look_up_target(request)
        while self._limits is not None and not self.is_stopping:
            try:
                self._limits.admit(request.caller, target.upload.id, byte_count)
                break
            except RateLimited as error:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), error.retry_after_seconds)
        return not self.is_stopping

    def stop(self) -> None:
        """Ends every long insert after the group it is inserting, and opens no more."""
        self._stopping.set()
        for end in self._enders:
            end()


class LongInsert:
    """One long insert. The first `row_count` of its rows are settled: committed, or skipped on request."""

    def __init__(
        self,
        service: LongInsertService,
        inserts: InsertService,
        request: InsertRequest,
        row_count: int,
        first_row: int,
    ) -> None:
        self._service = service
        self._inserts = inserts
        self._request = request
        self.row_count = row_count
        self._known_count = row_count - first_row

    @property
    def caller(self) -> Caller:
        """Returns who makes the long insert."""
        return self._request.caller

    async def insert(self, lines: Sequence[bytes]) -> Receipt | None:
        """Inserts the next rows, one a line. Returns None when all are in already, or the server stops.

        Raises what insertRows would raise. None of these rows is inserted then.
        """
        known = min(self._known_count, len(lines))
        self._known_count -= known
        lines = lines[known:]
        body = b"\n".join(lines)
        if not lines or not await self._service.admit(self._request, len(body)):
            return None
        receipt = await self._insert(body)
        self.row_count += len(lines)
        return receipt

    async def _insert(self, body: bytes) -> Receipt:
        request, times = self._group_request(), InsertTimes(perf_counter())
        target = self._inserts.kept_target(request) or await self._inserts.look_up_target(request)
        try:
            receipt = await self._inserts.insert(request, target, body, times)
        except RowsRefused as error:
            raise self._renumbered(error) from error
        if receipt.skipped is None:
            return receipt
        errors = numbered_from(receipt.skipped.errors, self.row_count)
        return msgspec.structs.replace(
            receipt, skipped=msgspec.structs.replace(receipt.skipped, errors=errors)
        )

    def _group_request(self) -> InsertRequest:
        key = self._request.key
        if key is None:
            return self._request
        return msgspec.structs.replace(self._request, key=group_key(key, self.row_count))

    def _renumbered(self, error: RowsRefused) -> RowsRefused:
        return RowsRefused(
            numbered_from(error.row_errors, self.row_count),
            error.row_error_count,
            consequence=f"No row from {self.row_count} on was inserted; those before are in.",
        )


def _settled_count(view: CatalogView, upload_id: int, key: str) -> int:
    """Returns how many rows of a long insert were committed or skipped."""
    found = view.receipts.last_group(upload_id, key)
    if found is None:
        return 0
    last_key, known = found
    skipped = known.receipt.skipped
    return first_row_of(last_key) + known.receipt.row_count + (0 if skipped is None else skipped.row_count)
