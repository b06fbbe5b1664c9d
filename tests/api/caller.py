"""A bare keep-alive connection: tens of thousands of requests of many callers in little time."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import msgspec


class Reply(msgspec.Struct, frozen=True):
    """What was answered; header names are in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> dict[str, Any]:
        """The body, which is JSON."""
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded


class Caller:
    """Sends requests to one server over one connection, with whatever token."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)

    def ask(self, token: str | None, method: str, path: str, body: object = None, **more: str) -> Reply:
        """One request; `path` is the whole path, `body` becomes JSON, `more` are headers."""
        headers = {"Content-Type": "application/json", **more}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, response.read(), received)

    def done(self, token: str | None, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The same for a request that must succeed; the body when it is JSON."""
        reply = self.ask(token, method, path, body)
        assert reply.status in (200, 201), (method, path, reply)
        return reply.json() if reply.headers["content-type"] == "application/json" else {}

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()
