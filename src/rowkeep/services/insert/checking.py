"""From a request's body to a checked batch: strictly if it goes, leniently if not, elsewhere if it is large.

All end in a `CheckedBatch`, or raise what the caller is to be told. Nothing here waits for the disk.
"""

import hashlib

import msgspec

from rowkeep.model.chain import digest_of
from rowkeep.model.decoding.lenient import decode_leniently, decode_lines_leniently
from rowkeep.model.decoding.row_lines import split_lines
from rowkeep.model.decoding.strict import RowDecoder, row_decoder
from rowkeep.model.decoding.strict_rows import StrictRows, line_of, strict_rows
from rowkeep.model.inserts import NO_OPTIONS, BodyFormat, InsertOptions
from rowkeep.model.quarantine import QuarantineBounds
from rowkeep.model.resources import Batch, Upload
from rowkeep.model.schema import Schema
from rowkeep.services.access import TokenHash
from rowkeep.storage.engines import BodyChecker, LargeRows


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
    format: BodyFormat = BodyFormat.JSON
    options: InsertOptions = NO_OPTIONS

    def updates(self, target: InsertTarget) -> bool:
        """Whether rows may change the schema when their body does not say."""
        return self.options.updates(by_default=target.upload.updates_by_default)


# Rows that fit, and whether the caller wanted to know no more than that.
CheckedBatch = tuple[Batch, bool]


def strict_batch(request: InsertRequest, target: InsertTarget, body: bytes) -> CheckedBatch:
    """The rows of a body in the strict spelling. Raises StrictRefusal."""
    rows, line = strict_rows(target.decoder, body, request.format)
    return _strict_batch(request, target, body, rows, line)


async def strict_batch_elsewhere(
    request: InsertRequest, target: InsertTarget, body: bytes, checker: BodyChecker
) -> CheckedBatch:
    """The same while the event loop does other things. Raises unavailable too."""
    rows = await checker.check(body, target.upload.schema, request.format)
    return _strict_batch(request, target, body, rows, line_of(body, request.format))


def _strict_batch(
    request: InsertRequest, target: InsertTarget, body: bytes, rows: StrictRows, line: bytes
) -> CheckedBatch:
    options = request.options
    batch = Batch(
        upload_id=target.upload.id,
        catalog_version=target.catalog_version,
        schema=target.upload.schema,
        row_count=rows.row_count,
        sha256=rows.sha256,
        body=line if rows.row_count else b"",
        key=request.key,
        digest=None if request.key is None else _digest(request, body),
        offset=rows.offset or options.offset,
    )
    asks = rows.validate_only is not None or options is not NO_OPTIONS
    return batch, asks and options.validates_only(rows.validate_only)


def lenient_batch(
    request: InsertRequest, target: InsertTarget, schema: Schema, body: bytes, bounds: QuarantineBounds
) -> CheckedBatch:
    """The rows of a body in any spelling there is; those that do not fit are skipped on request.

    `schema` is that of the upload, with what it shares with its table. Raises RowsRefused or
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
        sha256=digest_of(row_decoder(rows.schema).read(rows.body)),
        body=rows.body if rows.row_count else b"",
        key=request.key,
        digest=_digest(request, body),
        change=rows.change,
        offset=rows.offset or request.options.offset,
        refused=rows.refused,
    )
    return (batch, request.options.validates_only(rows.validate_only))


def large_batch(request: InsertRequest, target: InsertTarget, rows: LargeRows) -> CheckedBatch:
    """The rows of a body that was decoded elsewhere."""
    batch = Batch(
        upload_id=target.upload.id,
        catalog_version=target.catalog_version,
        schema=rows.schema.stored(),
        row_count=rows.row_count,
        sha256=rows.sha256,
        frames=rows.frames,
        key=request.key,
        digest=None if request.key is None else request_digest(request, rows.digest),
        change=rows.change,
        offset=rows.offset or request.options.offset,
        refused=rows.refused,
    )
    return (batch, request.options.validates_only(rows.validate_only))


def _digest(request: InsertRequest, body: bytes) -> bytes | None:
    return None if request.key is None else request_digest(request, hashlib.sha256(body).digest())


def request_digest(request: InsertRequest, body_digest: bytes) -> bytes:
    """What a key stands for: the body, and whatever beside it decides what becomes of its rows."""
    options = request.options
    meaning: tuple[object, ...] = (request.format, options.update_schema)
    if options.offset is not None:
        meaning = (*meaning, options.offset)
    if options.skip_invalid_rows is not None:
        meaning = (*meaning, options.skip_invalid_rows)
    if meaning == (BodyFormat.JSON, None):
        return body_digest
    return hashlib.sha256(body_digest + msgspec.json.encode(meaning)).digest()
