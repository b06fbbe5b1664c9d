"""The cookie that holds a session's id. No script reads it, and no other site's request carries it."""

from rowkeep.web.sessions import SESSION_SECONDS_MAX


class SessionCookie:
    """The cookie's name and attributes. Over HTTPS it is bound to this host and to HTTPS."""

    def __init__(self, *, is_secure: bool) -> None:
        self.name = "__Host-rowkeep_session" if is_secure else "rowkeep_session"
        self._marks = "; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if is_secure else "")

    def set_to(self, identifier: str) -> bytes:
        """Returns the header that gives the browser a session."""
        return f"{self.name}={identifier}; Max-Age={SESSION_SECONDS_MAX}{self._marks}".encode()

    def gone(self) -> bytes:
        """Returns the header that removes the session from the browser."""
        return f"{self.name}=; Max-Age=0{self._marks}".encode()
