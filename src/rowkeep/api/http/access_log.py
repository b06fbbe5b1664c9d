"""The access log: a line for each request with the caller, the path, the status and the time it took.

It stands around the application and sees what goes in and out. It is off by default, and then it costs
nothing: the server is not put behind it. A query may hold what is nobody's business (conditions, signatures
of links), so only its names are told. Tokens are in headers, which are not told at all.
"""

import time
from urllib.parse import parse_qsl

import structlog

from rowkeep.api.http.asgi import Application, Message, Receive, Scope, Send

AGENT_CHARACTERS_MAX = 200
PATH_CHARACTERS_MAX = 2_000

_log = structlog.get_logger("rowkeep.access")


class AccessLog:
    """An application that writes down each request that it hands on."""

    def __init__(self, application: Application, *, is_debugging: bool) -> None:
        self._application = application
        self._is_debugging = is_debugging

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, and writes a line when the answer has ended."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        answer = _Answer(send)
        began_at = time.perf_counter()
        try:
            await self._application(scope, receive, answer.send)
        finally:
            milliseconds = round((time.perf_counter() - began_at) * 1000, 1)
            facts = {**_facts(scope), **answer.facts(), "ms": milliseconds}
            if self._is_debugging:
                _log.debug("request", **facts)
            else:
                _log.info("request", **facts)


class _Answer:
    """The answer to one request, as far as it was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status: int | None = None
        self._request_id = ""
        self._byte_count = 0
        self._is_whole = False

    async def send(self, message: Message) -> None:
        """Sends a part of the answer and notes what it was."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            found = dict(message.get("headers", ())).get(b"x-request-id", b"")
            self._request_id = found.decode("latin-1")
        elif message["type"] == "http.response.body":
            self._byte_count += len(message.get("body", b""))
            self._is_whole = not message.get("more_body", False)
        await self._send(message)

    def facts(self) -> dict[str, object]:
        """Returns the log line's fields about the answer. `whole` is false when the answer was broken off."""
        return {
            "status": self._status,
            "bytes": self._byte_count,
            "whole": self._is_whole,
            "request_id": self._request_id,
        }


def _facts(scope: Scope) -> dict[str, object]:
    """Returns the log line's fields about the request."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    client: tuple[str, int] | None = scope.get("client")
    path: bytes = scope["raw_path"]
    facts: dict[str, object] = {
        "method": scope["method"],
        "path": path.decode("latin-1")[:PATH_CHARACTERS_MAX],
        "address": client[0] if client else None,
        "agent": headers.get(b"user-agent", b"").decode("latin-1")[:AGENT_CHARACTERS_MAX],
        "received": headers.get(b"content-length", b"").decode("latin-1") or None,
        "key": b"idempotency-key" in headers,
    }
    if scope["query_string"]:
        facts["parameters"] = _parameter_names(scope["query_string"])
    return facts


def _parameter_names(query_string: bytes) -> list[str]:
    pairs = parse_qsl(query_string[:PATH_CHARACTERS_MAX].decode("latin-1"), keep_blank_values=True)
    return sorted({name for name, _ in pairs})
