"""The closed set of errors.

    RowkeepError                 code + message for the caller; `detail` is for the log only
    ├── RowsRefused              invalid_request_error with one entry per bad row
    └── (every other error is a plain RowkeepError made by one of the functions below)

An error is raised where its cause is known and mapped to HTTP in one place, `api/http/wire.py`.
The message says what was wrong and, where it helps, what to do next. Anything that is not a
RowkeepError reaches the caller as a bland `internal_error`.
Source: contract 1.4 and 7.19.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

# How many errors of one request are named; the others are counted.
ROW_ERRORS_MAX = 100


class ErrorCode(StrEnum):
    """The codes that a caller can find in the key `error`."""

    INVALID_REQUEST = "invalid_request_error"
    INVALID_TOKEN = "invalid_token"  # a code, not a token
    INSUFFICIENT_SCOPE = "insufficient_scope"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found_error"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    CONFLICT = "conflict"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    URI_TOO_LONG = "uri_too_long"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    HEADERS_TOO_LARGE = "headers_too_large"
    INTERNAL = "internal_error"
    UNAVAILABLE = "unavailable"


class RowError(msgspec.Struct, frozen=True):
    """One refused cell: `row` counts from 0 within the request; `variable` is null for a whole row."""

    row: int
    variable: str | None
    message: str


class RowkeepError(Exception):
    """An expected failure with a code from the closed set."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        scope: str | None = None,
        retry_after_seconds: int | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.scope = scope
        self.retry_after_seconds = retry_after_seconds
        self.detail = detail


class RowsRefused(RowkeepError):
    """The error for a request whose rows do not fit the schema. Nothing of the request was written.

    `row_errors` holds the first errors (bounded by the decoder), and `row_error_count` counts all.
    `validate_only` is set if the body has it. `consequence` ends the message.
    """

    def __init__(
        self,
        row_errors: Sequence[RowError],
        row_error_count: int,
        *,
        validate_only: bool | None = None,
        consequence: str = "No row of this request was inserted.",
    ) -> None:
        first = row_errors[0]
        more = f" (and {row_error_count - 1} more, see `errors`)" if row_error_count > 1 else ""
        super().__init__(ErrorCode.INVALID_REQUEST, f"Row {first.row}: {first.message}{more}. {consequence}")
        self.row_errors = row_errors
        self.row_error_count = row_error_count
        self.validate_only = validate_only


def invalid_request(message: str) -> RowkeepError:
    """Returns 400: the request can never succeed as it is."""
    return RowkeepError(ErrorCode.INVALID_REQUEST, message)


def invalid_token(message: str) -> RowkeepError:
    """Returns 401: the credentials are missing or not valid (any more)."""
    return RowkeepError(ErrorCode.INVALID_TOKEN, message)


def insufficient_scope(scope: str) -> RowkeepError:
    """Returns 403: the token lacks a scope that its user could grant it."""
    return RowkeepError(
        ErrorCode.INSUFFICIENT_SCOPE,
        f"This token lacks the scope {scope}. Use a token that was created with it.",
        scope=scope,
    )


def forbidden(message: str) -> RowkeepError:
    """Returns 403: the caller sees the resource, but may not do this to it."""
    return RowkeepError(ErrorCode.FORBIDDEN, message)


def not_found(message: str) -> RowkeepError:
    """Returns 404: missing, or not visible to the caller. The two are never told apart."""
    return RowkeepError(ErrorCode.NOT_FOUND, message)


def conflict(message: str) -> RowkeepError:
    """Returns 409: the request is correct, but the current state does not allow it."""
    return RowkeepError(ErrorCode.CONFLICT, message)


def damaged(message: str) -> RowkeepError:
    """Returns 500: stored data differs from what was written. None of it is served."""
    return RowkeepError(
        ErrorCode.INTERNAL, f"{message} Run `rowkeep verify`, and restore a backup.", detail=message
    )


def unavailable(message: str, *, retry_after_seconds: int, detail: str | None = None) -> RowkeepError:
    """Returns 503: nothing of the request was applied. The same request may succeed later."""
    return RowkeepError(
        ErrorCode.UNAVAILABLE, message, retry_after_seconds=retry_after_seconds, detail=detail
    )


def too_slow() -> RowkeepError:
    """Returns 503: the request has waited too long for room or for its turn."""
    return unavailable(
        "The server takes in rows more slowly than they arrive. Nothing of this request was inserted; "
        "send it again later.",
        retry_after_seconds=1,
    )
