"""What request headers say, each read in one place."""

import re
from functools import lru_cache

from rowkeep.model.errors import ErrorCode, RowkeepError, invalid_request, invalid_token
from rowkeep.services.access import TokenHash, token_hash

IDEMPOTENCY_KEY_CHARACTERS_MAX = 255

_visible_ascii = re.compile(rb"[\x21-\x7e]+").fullmatch


@lru_cache(maxsize=10_000)  # the same few headers come with every request
def bearer_hash(authorization: bytes | None) -> TokenHash | None:
    """The hash of the bearer token; None without credentials. Raises invalid_token for another scheme."""
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token:
        raise invalid_token("Send an API token as `Authorization: Bearer <token>`.")
    return token_hash(token)


def idempotency_key(value: bytes) -> str:
    """The key of a request; a quoted one (as the IETF draft writes it) is the same as a bare one."""
    key = value[1:-1] if len(value) >= 2 and value[:1] == value[-1:] == b'"' else value
    if not _visible_ascii(key) or len(key) > IDEMPOTENCY_KEY_CHARACTERS_MAX:
        raise invalid_request(
            f"An Idempotency-Key has 1 to {IDEMPOTENCY_KEY_CHARACTERS_MAX} visible ASCII characters."
        )
    return key.decode("ascii")


def check_json(content_type: bytes | None, content_encoding: bytes | None) -> None:
    """Raises unsupported_media_type unless the body is (or may be) plain JSON."""
    if content_type not in _JSON_TYPES:
        _check_media_type(content_type or b"")
    if content_encoding is not None and content_encoding.strip().lower() not in (b"", b"identity"):
        raise RowkeepError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE, "The body is compressed; send it without Content-Encoding."
        )


# The spellings that nearly every request has; the rest are taken apart.
_JSON_TYPES = frozenset({None, b"application/json", b"application/json; charset=utf-8"})


def _check_media_type(content_type: bytes) -> None:
    media_type = content_type.split(b";")[0].strip().lower()
    if media_type != b"application/json":
        raise RowkeepError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            f"The body's type is {media_type.decode('latin-1')}; send JSON with "
            "`Content-Type: application/json`.",
        )
