"""A bare connection for tens of thousands of requests, opened again when the server has closed it."""

import http.client
import json
import select
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
        if self.was_closed():
            self._connection.close()  # the next request opens it again
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, response.read(), received)

    def done(self, token: str | None, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Sends a request that must succeed; returns its body if that is JSON, else nothing."""
        reply = self.ask(token, method, path, body)
        assert reply.status in (200, 201), (method, path, reply)
        return reply.json() if reply.headers["content-type"] == "application/json" else {}

    def was_closed(self) -> bool:
        """Whether the server has ended the connection, as after a pause: then there is something to read."""
        if self._connection.sock is None:
            return False
        poll = select.poll()
        poll.register(self._connection.sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()
