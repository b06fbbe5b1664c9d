"""`POST /tables/:tableReference/uploads/:uploadName/rows`, the heart. Source: contract 4.5.1, 7.9.

A bare ASGI endpoint: everything a request costs here is paid by every row that streams in, so it
bypasses the router and reads its headers in one pass.
"""

import re
from typing import Any
from urllib.parse import unquote

import msgspec

from rowkeep.api.asgi import Receive, Scope
from rowkeep.api.body import BodyReader
from rowkeep.api.headers import bearer_hash, check_json, idempotency_key
from rowkeep.api.wire import Answer, Headers
from rowkeep.model.errors import RowkeepError
from rowkeep.model.resources import Receipt
from rowkeep.services.ingest import IngestService, InsertRequest

INSERT_ROWS_PATH = "/api/v1/tables/{table}/uploads/{upload}/rows"

_insert_path = re.compile(rb"/api/v1/tables/([^/]+)/uploads/([^/]+)/rows").fullmatch


class InsertRows:
    """The endpoint. `matches` says whether a request is for it."""

    def __init__(self, ingest: IngestService, bodies: BodyReader) -> None:
        self._ingest = ingest
        self._bodies = bodies
        self._paths: dict[bytes, tuple[str, str]] = {}

    def path_of(self, scope: Scope) -> tuple[str, str] | None:
        """The table reference and the upload's name when the request is an insert, else None."""
        if scope["method"] != "POST":
            return None
        raw_path: bytes = scope["raw_path"]
        path = self._paths.get(raw_path)
        if path is None:
            match = _insert_path(raw_path)
            if match is None:
                return None
            path = unquote(match[1].decode("latin-1")), unquote(match[2].decode("latin-1"))
            if len(self._paths) > 100_000:
                self._paths.clear()
            self._paths[raw_path] = path
        return path

    async def answer(self, path: tuple[str, str], scope: Scope, receive: Receive) -> Answer:
        """Inserts the rows of a request and says so."""
        headers = dict(scope["headers"])
        key = headers.get(b"idempotency-key")
        request = InsertRequest(
            bearer_hash(headers.get(b"authorization")), path, None if key is None else idempotency_key(key)
        )
        try:
            target = self._ingest.kept_target(request) or await self._ingest.look_up_target(request)
            check_json(headers.get(b"content-type"), headers.get(b"content-encoding"))
        except RowkeepError:
            await self._bodies.discard(receive, headers.get(b"content-length"))
            raise
        body = await self._bodies.read(receive, headers.get(b"content-length"), self._ingest.spool)
        if isinstance(body, bytes):
            return _answer(await self._ingest.insert(request, target, body))
        try:
            return _answer(await self._ingest.insert_spooled(request, target, body))
        finally:
            await body.close()


def _answer(receipt: Receipt) -> Answer:
    headers: Headers = [(b"content-type", b"application/json")]
    if receipt.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    if receipt.change is None:
        return Answer(201, headers, _PLAIN % receipt.row_count)
    body: dict[str, Any] = {
        "kind": "insertRowsResponse",
        "rowsAdded": receipt.row_count,
        "rowsSkipped": 0,
        "schemaUpdates": _schema_updates(receipt),
    }
    return Answer(201, headers, msgspec.json.encode(body))


_PLAIN = b'{"kind":"insertRowsResponse","rowsAdded":%d,"rowsSkipped":0,"schemaUpdates":[]}'


def _schema_updates(receipt: Receipt) -> list[Any]:
    change = receipt.change
    if change is None or not (change.added_variables or change.updated_variables):
        return []
    return [change]
