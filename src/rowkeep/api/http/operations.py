"""The separate address for operators: it serves their tools, and nothing else.

It stands around the application, as the one at the other address does, and marks what comes through it.
"""

from rowkeep.api.http.asgi import Application, Receive, Scope, Send
from rowkeep.api.http.request import BY_OPERATORS_ADDRESS

PATHS = (b"/healthz", b"/readyz", b"/metrics")


class OperatorsEntrance:
    """An application that passes on requests for health and metrics, and answers 404 to all others."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        if scope["raw_path"] in PATHS:
            await self._application({**scope, BY_OPERATORS_ADDRESS: True}, receive, send)
            return
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
