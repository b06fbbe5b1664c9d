"""What signing in is made of: the sessions, the count of attempts, the cookie."""

import msgspec

from rowkeep.web.cookie import SessionCookie
from rowkeep.web.sessions import Attempts, Sessions


class SigningIn(msgspec.Struct, frozen=True):
    """One for each server."""

    sessions: Sessions
    attempts: Attempts
    cookie: SessionCookie


def signing_in_at(public_url: str) -> SigningIn:
    """Returns it for a server that people reach at this address, empty when nobody said."""
    return SigningIn(Sessions(), Attempts(), SessionCookie(is_secure=public_url.startswith("https://")))
