"""Where a body is decoded: the one table, and the road that follows it.

| body | its upload sends alone | others send too | refused by the strict decoder |
| --- | --- | --- | --- |
| JSON or lines, up to 16 KiB | here | here | here |
| JSON or lines, up to 32 KiB | here | checking process | here |
| JSON or lines, up to 1 MiB | here | checking process | decoding process |
| JSON or lines, above 1 MiB | decoding process | decoding process | it decodes both ways |
| Arrow stream, of any size | decoding process | decoding process | it decodes both ways |

The sizes are those of the plain body. A compressed body is inflated here while that is quick (up to 256 KiB
that inflate to at most 1 MiB), and is decoded like a plain one then. Any other compressed body goes to a
decoding process.

*Here* is the event loop, which everyone waits for. The checking process (`workers/checking_process.py`) knows
only the strict spelling, but leaves the body in this process. A decoding process
(`workers/decoding_process.py`) takes the body as a file and knows every spelling, two bodies at a time.

A row takes a place for each variable of its upload, also for those that it does not name: 32 KiB of empty
rows of 10,000 variables are 110 million cells. So the strict decoder refuses more than so many (`CELLS_MAX`),
and such a body is none for the event loop, however short it is.

Each body is decoded strictly once for a target. What the strict decoder refuses, wherever that was, is then
decoded leniently: it takes up to 1.4 ms a KiB (measured), so only what is short is decoded so here.

All roads end in a `CheckedBatch`, or raise what the caller is to be told. Nothing here waits for the disk.
"""

import hashlib
from enum import Enum, auto

from rowkeep.model.chain import digest_of
from rowkeep.model.decoding.lenient import decode_leniently, decode_lines_leniently
from rowkeep.model.decoding.row_lines import split_lines
from rowkeep.model.decoding.strict import StrictRefusal, row_decoder
from rowkeep.model.decoding.strict_rows import StrictRows, line_of, strict_rows
from rowkeep.model.inflating import ContentCoding, InflatedTooMuch, inflated
from rowkeep.model.inserts import NO_OPTIONS, BodyFormat
from rowkeep.model.quarantine import QuarantineBounds
from rowkeep.model.resources import Batch
from rowkeep.model.schema import Schema
from rowkeep.services.insert.requests import InsertRequest, InsertTarget, request_digest
from rowkeep.services.insert.shared_variables import sharing_schema
from rowkeep.services.insert.turns import Turns
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import BodyChecker, LargeBody, LargeBodyDecoder, LargeRows, Spool

# A body up to this size is held in memory; a larger one lies in a file.
HELD_BYTES_MAX = 1024 * 1024
# A body above this size is checked elsewhere while others send too.
SHARED_HERE_BYTES_MAX = 16 * 1024
# A body up to this size is decoded leniently here.
LENIENT_HERE_BYTES_MAX = 32 * 1024
LENIENT_HERE_CELLS_MAX = 256 * 1024
# A compressed body up to this size is inflated here: 8 ms at the worst, usually less than 2 (measured).
INFLATED_HERE_BYTES_MAX = 256 * 1024
INFLATING_STEPS_MAX = 4096

# Rows that fit, and whether the caller wanted to know no more than that.
CheckedBatch = tuple[Batch, bool]


class Place(Enum):
    """The place where a body is decoded."""

    HERE = auto()
    CHECKER = auto()
    DECODER = auto()


def place_of(body_format: BodyFormat, byte_count: int, *, is_shared: bool) -> Place:
    """Returns where a plain body is decoded first; `is_shared` says that other uploads send too."""
    if body_format is BodyFormat.ARROW or byte_count > HELD_BYTES_MAX:
        return Place.DECODER
    return Place.CHECKER if is_shared and byte_count > SHARED_HERE_BYTES_MAX else Place.HERE


def place_of_refused(body: bytes, width: int) -> Place:
    """Returns where a body is decoded leniently after the strict decoder has refused it."""
    if len(body) > LENIENT_HERE_BYTES_MAX:
        return Place.DECODER
    # Each row has a bracket of its own.
    return Place.HERE if body.count(b"{") * width <= LENIENT_HERE_CELLS_MAX else Place.DECODER


class BodyRouting:
    """Takes in and decodes bodies by the table above. One per process; used on the event loop.

    A body is either bytes or a LargeBody. Whoever holds a LargeBody closes it.
    """

    def __init__(
        self,
        doors: Doors,
        checker: BodyChecker,
        decoder: LargeBodyDecoder,
        turns: Turns,
        quarantine: QuarantineBounds,
        *,
        inflated_bytes_max: int,
    ) -> None:
        self._doors = doors
        self._checker = checker
        self._decoder = decoder
        self._turns = turns
        self._quarantine = quarantine
        self._inflated_bytes_max = min(HELD_BYTES_MAX, inflated_bytes_max)

    def spool(self) -> Spool:
        """Returns a place for a body that is not held in memory."""
        return self._decoder.spool()

    async def take_in(
        self, content: bytes | Spool, body_format: BodyFormat, coding: ContentCoding | None
    ) -> bytes | LargeBody:
        """Returns the body in the form in which it will be decoded: bytes or a LargeBody.

        Raises invalid_request_error for a body that is cut off.
        """
        if not isinstance(content, bytes):
            return LargeBody(content, body_format, coding)
        if place_of(body_format, len(content), is_shared=False) is Place.HERE:
            plain = content if coding is None else self._inflated(content, coding)
            if plain is not None:
                return plain
        return await self._spooled(content, body_format, coding)

    def _inflated(self, content: bytes, coding: ContentCoding) -> bytes | None:
        """Returns the inflated body, or None when inflating it would take long."""
        if len(content) > INFLATED_HERE_BYTES_MAX:
            return None
        bytes_max = self._inflated_bytes_max
        try:
            return inflated(content, coding, bytes_max=bytes_max, steps_max=INFLATING_STEPS_MAX)
        except InflatedTooMuch:
            return None

    async def _spooled(
        self, content: bytes, body_format: BodyFormat, coding: ContentCoding | None = None
    ) -> LargeBody:
        spool = self._decoder.spool()
        try:
            await spool.write(content)
        except BaseException:
            await spool.close()
            raise
        return LargeBody(spool, body_format, coding)

    async def decode(
        self, request: InsertRequest, target: InsertTarget, body: bytes | LargeBody
    ) -> CheckedBatch:
        """Returns the rows of a body, checked for a target. Raises the error for the caller."""
        if isinstance(body, LargeBody):
            return await self._decode_large(request, target, body)
        is_shared = self._turns.is_shared(target.upload.id)
        try:
            if place_of(request.format, len(body), is_shared=is_shared) is Place.HERE:
                rows, line = strict_rows(target.decoder, body, request.format)
            else:
                rows = await self._checker.check(body, target.upload.schema, request.format)
                line = line_of(body, request.format)
        except StrictRefusal:
            return await self._decode_refused(request, target, body)
        return _strict_batch(request, target, body, rows, line)

    async def _decode_refused(
        self, request: InsertRequest, target: InsertTarget, body: bytes
    ) -> CheckedBatch:
        if place_of_refused(body, len(target.upload.schema.variables)) is Place.HERE:
            schema = await self._schema(request, target)
            return _lenient_batch(request, target, schema, body, self._quarantine)
        large = await self._spooled(body, request.format)
        try:
            return await self._decode_large(request, target, large)
        finally:
            await large.spool.close()

    async def _decode_large(
        self, request: InsertRequest, target: InsertTarget, body: LargeBody
    ) -> CheckedBatch:
        rows = await self._decoder.decode(
            body,
            await self._schema(request, target),
            updates_by_default=request.updates(target),
            skipping=request.options.skipping(self._quarantine),
        )
        return _large_batch(request, target, rows)

    async def _schema(self, request: InsertRequest, target: InsertTarget) -> Schema:
        """Returns the upload's schema.

        Where rows may add variables, it has those shared with the table too.
        """
        if not target.upload.updates_by_default:
            return target.upload.schema
        return await self._doors.read(
            lambda view: sharing_schema(
                view,
                request.caller,
                request.path,
                target.upload,
                asks_for_updates=bool(request.options.update_schema),
            )
        )

    async def digest(self, request: InsertRequest, body: bytes | LargeBody) -> bytes:
        """Returns the digest that the key of a request stands for (`request_digest`)."""
        if isinstance(body, LargeBody):
            return request_digest(request, await self._decoder.body_sha256(body))
        return request_digest(request, hashlib.sha256(body).digest())


def _strict_batch(
    request: InsertRequest, target: InsertTarget, body: bytes, rows: StrictRows, line: bytes
) -> CheckedBatch:
    """Returns the rows of a body in the strict spelling. `line` is what the journal keeps of the body."""
    options = request.options
    batch = Batch(
        upload_id=target.upload.id,
        catalog_version=target.catalog_version,
        schema=target.upload.schema,
        row_count=rows.row_count,
        rows_sha256=rows.rows_sha256,
        body=line if rows.row_count else b"",
        key=request.key,
        request_digest=None if request.key is None else _digest(request, body),
        offset=rows.offset or options.offset,
    )
    asks = rows.validate_only is not None or options is not NO_OPTIONS
    return batch, asks and options.validates_only(rows.validate_only)


def _lenient_batch(
    request: InsertRequest, target: InsertTarget, schema: Schema, body: bytes, bounds: QuarantineBounds
) -> CheckedBatch:
    """Returns the rows of a body in any accepted spelling. Rows that do not fit are skipped on request.

    `schema` is the upload's, with the variables that it shares with its table. Raises RowsRefused or
    invalid_request_error.
    """
    updates = request.updates(target)
    skipping = request.options.skipping(bounds)
    if request.format is BodyFormat.JSON:
        rows = decode_leniently(body, schema, updates_by_default=updates, skipping=skipping)
    else:
        kept = bounds if skipping.by_default else None
        rows = decode_lines_leniently(split_lines(body), schema, may_update=updates, bounds=kept)
    batch = Batch(
        upload_id=target.upload.id,
        catalog_version=target.catalog_version,
        schema=rows.schema.stored(),
        row_count=rows.row_count,
        rows_sha256=digest_of(row_decoder(rows.schema).read(rows.body)),
        body=rows.body if rows.row_count else b"",
        key=request.key,
        request_digest=_digest(request, body),
        change=rows.change,
        offset=rows.offset or request.options.offset,
        refused=rows.refused,
    )
    return (batch, request.options.validates_only(rows.validate_only))


def _large_batch(request: InsertRequest, target: InsertTarget, rows: LargeRows) -> CheckedBatch:
    """Returns the batch of rows that a decoding process has decoded."""
    batch = Batch(
        upload_id=target.upload.id,
        catalog_version=target.catalog_version,
        schema=rows.schema.stored(),
        row_count=rows.row_count,
        rows_sha256=rows.rows_sha256,
        frames=rows.frames,
        key=request.key,
        request_digest=None if request.key is None else request_digest(request, rows.body_sha256),
        change=rows.change,
        offset=rows.offset or request.options.offset,
        refused=rows.refused,
    )
    return (batch, request.options.validates_only(rows.validate_only))


def _digest(request: InsertRequest, body: bytes) -> bytes | None:
    return None if request.key is None else request_digest(request, hashlib.sha256(body).digest())
