"""`POST /tables/:tableReference/uploads/:uploadName/rows`, the heart. Source: contract 4.5.1, 7.9.

A bare ASGI endpoint: everything a request costs here is paid by every row that streams in, so it
bypasses the router and reads its headers in one pass.
"""

import re
import sys
from time import perf_counter
from typing import Literal
from urllib.parse import unquote

import msgspec

from rowkeep.api.http.asgi import Receive, Scope
from rowkeep.api.http.body import BodyReader
from rowkeep.api.http.headers import caller_of, content_coding, idempotency_key, rows_format
from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.routes import ASKED_ERRORS, Route
from rowkeep.api.http.shapes import Count, RowErrors
from rowkeep.api.http.warnings import warn
from rowkeep.api.http.wire import Answer, Headers
from rowkeep.api.resources.insert_options import insert_options, insert_warnings
from rowkeep.api.resources.rate_limits import rate_limit_headers
from rowkeep.api.resources.receipts import ReceiptProof, RowsVersion, receipt_proof
from rowkeep.model.bounded_cache import BoundedCache
from rowkeep.model.growth import SchemaChange
from rowkeep.model.inserts import NO_OPTIONS
from rowkeep.model.rate_limits import InsertLimits
from rowkeep.model.resources import Receipt
from rowkeep.model.timing import InsertTimes
from rowkeep.services.insert.insert import InsertService
from rowkeep.services.insert.requests import InsertRequest, InsertTarget
from rowkeep.services.insert.routing import HELD_BYTES_MAX
from rowkeep.storage.engines import LargeBody

PATHS_BYTES_MAX = 8 * 1024 * 1024
INSERT_ROWS_PATH = "/api/v1/tables/{table}/uploads/{upload}/rows"

_insert_path = re.compile(rb"/api/v1/tables/([^/]+)/uploads/([^/]+)/rows").fullmatch


class InsertRowsResponse(ReceiptProof, frozen=True, kw_only=True, tag_field="kind", tag="insertRowsResponse"):
    """The answer to an insert; `errors` and `dropped_count` stand there when rows were skipped."""

    rows_added: Count
    rows_skipped: Count
    schema_updates: list[SchemaChange]
    version: RowsVersion
    errors: RowErrors | msgspec.UnsetType = msgspec.UNSET
    dropped_count: Count | msgspec.UnsetType = msgspec.UNSET


class InsertRowsValidation(
    ReceiptProof, frozen=True, kw_only=True, tag_field="kind", tag="insertRowsResponse"
):
    """The answer that an insert would get. Nothing was written."""

    rows_added: Count
    rows_skipped: Count
    schema_updates: list[SchemaChange]
    version: RowsVersion
    errors: RowErrors | msgspec.UnsetType = msgspec.UNSET
    validate_only: Literal[True] = True


class InsertRows:
    """The endpoint. `matches` says whether a request is for it."""

    def __init__(self, inserts: InsertService, bodies: BodyReader, limits: InsertLimits | None) -> None:
        self._inserts = inserts
        self._bodies = bodies
        self._limits = limits
        self._paths: BoundedCache[bytes, tuple[str, str]] = BoundedCache(PATHS_BYTES_MAX)

    def path_of(self, scope: Scope) -> tuple[str, str] | None:
        """Returns the table reference and the upload's name when the request is an insert, else None."""
        if scope["method"] != "POST":
            return None
        raw_path: bytes = scope["raw_path"]
        path = self._paths.get(raw_path)
        if path is None:
            match = _insert_path(raw_path)
            if match is None:
                return None
            path = unquote(match[1].decode("latin-1")), unquote(match[2].decode("latin-1"))
            byte_count = sys.getsizeof(raw_path) + sum(map(sys.getsizeof, path))
            self._paths.keep(raw_path, path, byte_count)
        return path

    async def answer(
        self, path: tuple[str, str], scope: Scope, receive: Receive, times: InsertTimes
    ) -> Answer:
        """Inserts the rows of a request and returns the answer. Notes the time of each step in `times`."""
        headers = dict(scope["headers"])
        length = headers.get(b"content-length")
        request = insert_request(path, headers, scope["query_string"])
        target = self._inserts.kept_target(request) or await self._inserts.look_up_target(request)
        coding = content_coding(scope["headers"]) if b"content-encoding" in headers else None
        said: Headers = []
        if scope["query_string"]:
            warn(said, insert_warnings(scope["query_string"]))
        if self._limits is not None:
            self._bodies.check_length(length, coding)  # what is refused for its length draws nothing
            said += _admit(self._limits, request, target, length)
        content = await self._bodies.read(receive, length, self._inserts.spool, HELD_BYTES_MAX, coding)
        times.read_at = perf_counter()
        if self._limits is not None and length is None:
            byte_count = len(content) if isinstance(content, bytes) else content.byte_count
            self._limits.charge(request.caller, target.upload.id, byte_count)
        body = await self._inserts.take_in(content, request.format, coding)
        try:
            receipt = await self._inserts.insert(request, target, body, times)
        finally:
            if isinstance(body, LargeBody):
                await body.spool.close()
        return _answer(receipt, said)


def insert_request(path: tuple[str, str], headers: dict[bytes, bytes], query: bytes) -> InsertRequest:
    """Returns the request without its body. Raises 400, 401 and 415 errors."""
    key = headers.get(b"idempotency-key")
    return InsertRequest(
        caller_of(headers.get(b"authorization")),
        path,
        None if key is None else idempotency_key(key),
        rows_format(headers.get(b"content-type")),
        insert_options(query) if query else NO_OPTIONS,
    )


def _admit(
    limits: InsertLimits, request: InsertRequest, target: InsertTarget, length: bytes | None
) -> Headers:
    """Draws on the limits. Returns the headers about them for the answer. Raises RateLimited."""
    states = limits.admit(request.caller, target.upload.id, 0 if length is None else int(length))
    return rate_limit_headers(states)


def _answer(receipt: Receipt, said: Headers) -> Answer:
    headers: Headers = [(b"content-type", b"application/json"), *said]
    if receipt.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    if receipt.change is None and receipt.skipped is None and receipt.first_row is not None:
        return Answer(201, headers, _plain(receipt, receipt.first_row))
    if receipt.validate_only:
        return Answer(200, headers, msgspec.json.encode(_validation(receipt)))
    return Answer(201, headers, msgspec.json.encode(inserted(receipt)))


def inserted(receipt: Receipt) -> InsertRowsResponse:
    """Returns the answer for a receipt."""
    skipped = receipt.skipped
    return InsertRowsResponse(
        rows_added=receipt.row_count,
        rows_skipped=0 if skipped is None else skipped.row_count,
        schema_updates=schema_updates(receipt.change),
        version=receipt.version_tag,
        errors=msgspec.UNSET if skipped is None else tuple(skipped.errors),
        dropped_count=skipped.dropped_count or msgspec.UNSET if skipped is not None else msgspec.UNSET,
        **receipt_proof(receipt),
    )


def _validation(receipt: Receipt) -> InsertRowsValidation:
    fields = msgspec.structs.asdict(inserted(receipt))
    del fields["dropped_count"]
    return InsertRowsValidation(**fields)


def _plain(receipt: Receipt, first_row: int) -> bytes:
    """Returns the most common answer, without making a dictionary of it."""
    count, proof = receipt.row_count, ((receipt.rows_sha256 or b"").hex(), (receipt.chain or b"").hex())
    return (
        _PLAIN % (count, receipt.version_tag, receipt.commit or 0, first_row, first_row + count - 1, *proof)
    ).encode()


_PLAIN = (
    '{"kind":"insertRowsResponse","rowsAdded":%d,"rowsSkipped":0,"schemaUpdates":[],"version":"%s",'
    '"commit":%d,"firstRow":%d,"lastRow":%d,"sha256":"%s","chain":"%s"}'
)


def schema_updates(change: SchemaChange | None) -> list[SchemaChange]:
    """Returns the changes that the rows made to the schema, as `schemaUpdates` reports them."""
    if change is None or not (change.added_variables or change.updated_variables):
        return []
    return [change]


async def _undocumented(request: ApiRequest) -> Answer:
    """Inserts rows."""
    raise NotImplementedError(request)


def insert_rows_route() -> Route:
    """Returns what insertRows answers, for the OpenAPI document; it is not reached through the router."""
    return Route(
        "POST",
        INSERT_ROWS_PATH,
        _undocumented,
        InsertRowsResponse,
        (*ASKED_ERRORS, 408, 409, 413, 415, 422, 429),
        status=201,
    )
