"""Reads request headers, each in one place."""

import re
from collections.abc import Iterable, Sequence

from rowkeep.model.access import NOBODY, Caller
from rowkeep.model.bounded_cache import remembered
from rowkeep.model.errors import ErrorCode, RowkeepError, invalid_request, invalid_token
from rowkeep.model.inflating import ContentCoding, EncodingRefused
from rowkeep.model.inserts import BodyFormat
from rowkeep.services.access import caller_with

IDEMPOTENCY_KEY_CHARACTERS_MAX = 255
CACHE_BYTES_MAX = 1024 * 1024
# The longest names there are fit a path, with each of their characters percent-encoded.
PATH_BYTES_MAX = 16 * 1024
# A query may name many variables. The server behind refuses path and query from 64 KiB together.
QUERY_BYTES_MAX = 48 * 1024
HEADERS_BYTES_MAX = 64 * 1024

_request_id = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch
_visible_ascii = re.compile(rb"[\x21-\x7e]+").fullmatch


def caller_of(authorization: bytes | None) -> Caller:
    """Returns the caller that the header Authorization names.

    Raises invalid_token for a scheme other than Bearer.
    """
    return NOBODY if authorization is None else _bearer(authorization)


@remembered(CACHE_BYTES_MAX)  # the same few headers come with every request
def _bearer(authorization: bytes) -> Caller:
    scheme, _, token = authorization.partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token:
        raise invalid_token("Send an API token as `Authorization: Bearer <token>`.")
    return caller_with(token)


def head_problem(
    raw_path: bytes, query_string: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> RowkeepError | None:
    """Returns what is wrong with the size or the transfer of a request, or None."""
    if len(raw_path) > PATH_BYTES_MAX or len(query_string) > QUERY_BYTES_MAX:
        return RowkeepError(
            ErrorCode.URI_TOO_LONG,
            f"A path has at most {PATH_BYTES_MAX:,} bytes, and a query {QUERY_BYTES_MAX:,}. Send long lists "
            "in the body of a request that takes them there, such as POST readSessions.",
        )
    byte_count = 0
    transfer_codings: list[bytes] = []
    keys: list[bytes] = []
    for name, value in headers:
        byte_count += len(name) + len(value)
        if name == b"transfer-encoding":
            transfer_codings.append(value)
        elif name == b"idempotency-key":
            keys.append(value)
    if byte_count > HEADERS_BYTES_MAX:
        return RowkeepError(
            ErrorCode.HEADERS_TOO_LARGE,
            f"The headers of a request have at most {HEADERS_BYTES_MAX:,} bytes together.",
        )
    if len(keys) > 1 and len(set(keys)) > 1:
        return invalid_request("The request has two headers `Idempotency-Key`. Nothing was done; send one.")
    return _transfer_problem(transfer_codings) if transfer_codings else None


def _transfer_problem(codings: Sequence[bytes]) -> RowkeepError | None:
    """Returns an error for a transfer coding other than chunked, or None.

    The HTTP server removes only chunks, so the still coded body would be taken for rows.
    """
    named = b", ".join(codings).decode("latin-1")
    if named.strip().lower() == "chunked":
        return None
    return invalid_request(
        f"The body is sent with `Transfer-Encoding: {named[:60]}`, and only `chunked` is read. Nothing was "
        "done; a compressed body is named by `Content-Encoding`."
    )


def asked_request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Returns the id that the client gave its request. None without an id, or for one unfit for a log."""
    for name, value in headers:
        if name == b"x-request-id":
            return value if _request_id(value) else None
    return None


def idempotency_key(value: bytes) -> str:
    """Returns the key of a request. A quoted key (as the IETF draft writes it) equals a bare one."""
    key = value[1:-1] if len(value) >= 2 and value[:1] == value[-1:] == b'"' else value
    if not _visible_ascii(key) or len(key) > IDEMPOTENCY_KEY_CHARACTERS_MAX:
        raise invalid_request(
            f"An Idempotency-Key has 1 to {IDEMPOTENCY_KEY_CHARACTERS_MAX} visible ASCII characters."
        )
    return key.decode("ascii")


def check_json(content_type: bytes | None) -> None:
    """Raises unsupported_media_type unless the body is, or may be, JSON."""
    if _format_of(content_type) is not BodyFormat.JSON:
        raise _unsupported(content_type, "send JSON with `Content-Type: application/json`.")


def holds_content(content_type: bytes | None) -> bool:
    """Returns whether the body is a file itself, and not JSON that describes one."""
    return content_type is not None and _format_of(content_type) is not BodyFormat.JSON


def is_multipart(content_type: bytes) -> bool:
    """Returns whether the body is a form with a file in it."""
    return content_type.strip().lower().startswith(b"multipart/form-data")


def rows_format(content_type: bytes | None) -> BodyFormat:
    """Returns the format of a body with rows. Raises unsupported_media_type."""
    format_ = _format_of(content_type)
    if format_ is None:
        raise _unsupported(
            content_type,
            "send JSON with `Content-Type: application/json`, a row of JSON a line with "
            "`Content-Type: application/x-ndjson`, or an Arrow stream with "
            "`Content-Type: application/vnd.apache.arrow.stream`.",
        )
    return format_


def _format_of(content_type: bytes | None) -> BodyFormat | None:
    # A spelling that nearly every request has, or one to take apart.
    return _FORMATS.get(content_type) or _FORMATS.get(_media_type(content_type))


def _media_type(content_type: bytes | None) -> bytes:
    return (content_type or b"").split(b";")[0].strip().lower()


_FORMATS = {
    None: BodyFormat.JSON,
    b"application/json": BodyFormat.JSON,
    b"application/json; charset=utf-8": BodyFormat.JSON,
    b"application/x-ndjson": BodyFormat.LINES,
    b"application/ndjson": BodyFormat.LINES,
    b"application/jsonl": BodyFormat.LINES,
    b"application/vnd.apache.arrow.stream": BodyFormat.ARROW,
}


def _unsupported(content_type: bytes | None, advice: str) -> RowkeepError:
    media_type = _media_type(content_type).decode("latin-1")[:100]
    return RowkeepError(
        ErrorCode.UNSUPPORTED_MEDIA_TYPE, f"The body's type is {media_type or '(empty)'}; {advice}"
    )


def content_coding(headers: Sequence[tuple[bytes, bytes]]) -> ContentCoding | None:
    """Returns how the body is compressed, from all the headers as they came. None when it is not.

    The header may come several times, which means the same as one list. Raises EncodingRefused.
    """
    values = b",".join([value for name, value in headers if name == b"content-encoding"])
    names = [part.strip().lower() for part in values.decode("latin-1").split(",")]
    codings = [name for name in names if name not in ("", "identity")]
    if not codings:
        return None
    if len(codings) > 1:
        raise EncodingRefused(
            f"The body is compressed several times ({', '.join(codings)[:60]}); do it once."
        )
    coding = _CODINGS.get(codings[0])
    if coding is None:
        raise EncodingRefused(f"The server cannot inflate {codings[0][:60]}.")
    return coding


# `x-gzip` is the same by RFC 9110, 8.4.1.3.
_CODINGS = {**{coding.value: coding for coding in ContentCoding}, "x-gzip": ContentCoding.GZIP}
