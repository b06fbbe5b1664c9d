"""Signed links by which a file can be fetched without a token.

A link says which file or which rows, for which token, and until when; nobody can change that without the
server's secret.
It is worth what its token is worth: a token that is revoked, or whose user has lost access, takes its links
with it, and a new secret all links of the server. A token stands in a link as its hash, which opens nothing.
"""

import base64
import binascii
import hashlib
import hmac
from typing import TypeVar

import msgspec

from rowkeep.model.errors import RowkeepError, not_found

LINK_SECONDS = 3_600
_DIGEST_BYTES = 32


class DownloadLink(msgspec.Struct, frozen=True, array_like=True):
    """A link to a file of an export, and who gave it out. `expires_at` is in epoch milliseconds."""

    export: str
    part: int
    token_hash: bytes | None
    expires_at: int


class RowLink(msgspec.Struct, frozen=True, array_like=True):
    """A link to the rows of a table or an upload, as they are when the link is followed, and their format."""

    table: str
    upload_name: str | None
    format: str
    compression: str | None
    null_marker: str | None
    bom: bool
    selected_variables: tuple[str, ...] | None
    rows_max: int | None
    token_hash: bytes | None
    expires_at: int


Link = TypeVar("Link", DownloadLink, RowLink)
# What is signed as one kind of link is not one of the other.
_PURPOSES: dict[type[DownloadLink | RowLink], bytes] = {
    DownloadLink: b"download link",
    RowLink: b"row link",
}


def signed(link: DownloadLink | RowLink, secret: bytes) -> str:
    """Returns a link as signed text that fits into a path."""
    said = msgspec.msgpack.encode(link)
    digest = _digest(_PURPOSES[type(link)], said, secret)
    return base64.urlsafe_b64encode(digest + said).rstrip(b"=").decode()


def checked(text: str, secret: bytes, now: int, type_: type[Link]) -> Link:
    """Returns the link in a signed text. Raises not_found_error for a wrong signature or an expired link."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise _no_link() from None
    digest, said = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if not hmac.compare_digest(digest, _digest(_PURPOSES[type_], said, secret)):
        raise _no_link()
    link = msgspec.msgpack.decode(said, type=type_)
    if link.expires_at <= now:
        raise _no_link()
    return link


def _digest(purpose: bytes, said: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, purpose + said, hashlib.sha256)


def _no_link() -> RowkeepError:
    return not_found("This link is not one of this server's, or it has expired. Ask for a new one.")
