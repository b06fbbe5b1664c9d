"""The parts of signing in: the sessions, the count of attempts, the cookie."""

import msgspec

from rowkeep.web.cookie import SessionCookie
from rowkeep.web.sessions import Attempts, Sessions


class SigningIn(msgspec.Struct, frozen=True):
    """The parts of signing in. One for each server."""

    sessions: Sessions
    attempts: Attempts
    cookie: SessionCookie


def signing_in_at(public_url: str) -> SigningIn:
    """Returns the parts for a server that people reach at this address; empty if it is not set."""
    return SigningIn(Sessions(), Attempts(), SessionCookie(is_secure=public_url.startswith("https://")))
