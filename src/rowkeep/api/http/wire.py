"""The form of answers: the error body, the one map from error codes to HTTP, JSON responses.

Source: contract 1.3, 1.4. Every error answers with `status`, `error` and `error_description`; a HEAD
carries the same percent-encoded in X-REDIVIS-ERROR-PAYLOAD.
"""

from typing import Annotated, Any
from urllib.parse import quote

import msgspec

from rowkeep.api.http.shapes import Count, RowErrors, Shape
from rowkeep.model.errors import ErrorCode, RowkeepError, RowsRefused
from rowkeep.model.inflating import ContentCoding, EncodingRefused

STATUS_OF_CODE = {
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.INVALID_TOKEN: 401,
    ErrorCode.INSUFFICIENT_SCOPE: 403,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.REQUEST_TIMEOUT: 408,
    ErrorCode.CONFLICT: 409,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.URI_TOO_LONG: 414,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.RANGE_NOT_SATISFIABLE: 416,
    ErrorCode.IDEMPOTENCY_KEY_REUSED: 422,
    ErrorCode.RATE_LIMIT_EXCEEDED: 429,
    ErrorCode.HEADERS_TOO_LARGE: 431,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNAVAILABLE: 503,
}

Headers = list[tuple[bytes, bytes]]
_Status = Annotated[int, msgspec.Meta(extra_json_schema={"enum": sorted(set(STATUS_OF_CODE.values()))})]
_Scope = Annotated[str, msgspec.Meta(description="The scope that the token lacks.")]


class ErrorResource(Shape, frozen=True, kw_only=True):
    """The body of an error."""

    status: _Status
    error: ErrorCode
    error_description: str = msgspec.field(name="error_description")
    scope: _Scope | msgspec.UnsetType = msgspec.UNSET
    errors: RowErrors | msgspec.UnsetType = msgspec.UNSET
    error_count: Count | msgspec.UnsetType = msgspec.UNSET


class Answer(msgspec.Struct, frozen=True):
    """A complete response."""

    status: int
    headers: Headers
    body: bytes


class MethodRefused(RowkeepError):
    """The error for a path that exists, asked with an unknown method. `methods` are the known ones."""

    def __init__(self, method: str, methods: list[str], hint: str | None) -> None:
        known = f"{method} is not possible here; the methods are {', '.join(methods)}."
        super().__init__(ErrorCode.METHOD_NOT_ALLOWED, f"{known} {hint}" if hint else known)
        self.methods = methods


def json_answer(value: Any, status: int = 200) -> Answer:
    """Returns a JSON response."""
    return Answer(status, [(b"content-type", b"application/json")], msgspec.json.encode(value))


def ok_answer() -> Answer:
    """Returns the answer to a DELETE: clients take the literal text OK (contract 8.1)."""
    return Answer(200, [(b"content-type", b"text/plain; charset=utf-8")], b"OK")


def error_answer(error: RowkeepError) -> Answer:
    """Returns the response to an error."""
    answer = json_answer(error_resource(error), STATUS_OF_CODE[error.code])
    if error.retry_after_seconds is not None:
        answer.headers.append((b"retry-after", str(error.retry_after_seconds).encode()))
    if error.code is ErrorCode.INVALID_TOKEN:
        answer.headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, EncodingRefused):  # and on no other 415 (RFC 9110, 12.5.3)
        answer.headers.append((b"accept-encoding", ", ".join(ContentCoding).encode()))
    if isinstance(error, MethodRefused):
        answer.headers.append((b"allow", ", ".join(error.methods).encode()))
    return answer


def head_answer(answer: Answer) -> Answer:
    """Returns a response for HEAD: without a body, and with an error's payload in a header."""
    headers = answer.headers
    if answer.status >= 400:
        headers = [*headers, (b"x-redivis-error-payload", quote(answer.body).encode())]
    return Answer(answer.status, headers, b"")


def error_resource(error: RowkeepError) -> ErrorResource:
    """Returns the error body of an error."""
    refused = error if isinstance(error, RowsRefused) else None
    return ErrorResource(
        status=STATUS_OF_CODE[error.code],
        error=error.code,
        error_description=error.message,
        scope=msgspec.UNSET if error.scope is None else error.scope,
        errors=msgspec.UNSET if refused is None else tuple(refused.row_errors),
        error_count=msgspec.UNSET if refused is None else refused.row_error_count,
    )
