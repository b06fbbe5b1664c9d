"""Pages of other origins that may call the API from a browser (CORS). Source: contract 7.31.

Off unless the setting `cors_origins` names origins, or `*` for all. Tokens travel in a header and never in a
cookie, so no answer allows credentials.
"""

from rowkeep.api.http.asgi import Message, Scope, Send
from rowkeep.api.http.wire import Answer, Headers

ANY_ORIGIN = "*"
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_ASKED_HEADERS = (
    b"authorization, content-type, content-encoding, content-range, idempotency-key, if-modified-since, "
    b"range, last-event-id, x-redivis-client, x-redivis-client-version, x-request-id"
)
_SHOWN_HEADERS = (
    b"content-disposition, content-range, etag, idempotency-replayed, location, ratelimit, ratelimit-policy, "
    b"retry-after, server-timing, x-redivis-error-payload, x-redivis-warning, x-request-id, "
    b"x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset"
)
_PREFLIGHT_SECONDS = b"7200"


class CorsPolicy:
    """The origins that may call, and the headers for their browsers."""

    def __init__(self, origins: str) -> None:
        names = {name.strip().rstrip("/") for name in origins.split(",")}
        self._origins = frozenset(name.encode("latin-1") for name in names if name)
        self._allows_any = ANY_ORIGIN.encode() in self._origins

    def origin_of(self, scope: Scope) -> bytes | None:
        """Returns the origin of a request when its page may call, else None."""
        if not self._origins:
            return None
        origin: bytes | None = dict(scope["headers"]).get(b"origin")
        return origin if self._allows_any or origin in self._origins else None

    def preflight(self, scope: Scope) -> Answer | None:
        """Returns the answer to a browser that asks what a page may send; None for every other request."""
        if scope["method"] != "OPTIONS" or self.origin_of(scope) is None:
            return None
        if b"access-control-request-method" not in dict(scope["headers"]):
            return None
        headers = [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _ASKED_HEADERS),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ]
        return Answer(200, headers, b"")

    def sending(self, scope: Scope, send: Send) -> Send:
        """Returns a `send` that lets the calling page read the response."""
        origin = self.origin_of(scope)
        if origin is None:
            return send
        shared: Headers = [
            (b"access-control-allow-origin", origin),
            (b"vary", b"origin"),
            (b"access-control-expose-headers", _SHOWN_HEADERS),
        ]

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *shared]}
            await send(message)

        return send_shared
