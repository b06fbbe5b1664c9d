"""The API as the commands for people use it: JSON in and out, lists page by page, rows as they come.

What only reads is repeated for a while when no answer comes. What changes something is asked once: whether
it was done is unknown without an answer, and the error says so.
"""

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec

from rowkeep.client.asking import Asker
from rowkeep.client.connection import Address, Answer, Connection, NoAnswer, Streamed, parse_address
from rowkeep.client.errors import RequestRefused, ServerUnreachable
from rowkeep.client.patience import Notice, RetryPolicy
from rowkeep.client.retrying import refusal_of

Json = dict[str, Any]
TIMEOUT_SECONDS = 330.0  # longer than a query may hold its request
PAGE_SIZE = 1_000
DONE = frozenset({200, 201, 202})
# A person waits at the terminal: a server that is away is told within seconds, a missing version at once.
READING = RetryPolicy(seconds_max=4.0, version_seconds_max=0.0)


class Api:
    """Sends requests to one server with one person's token."""

    def __init__(self, url: str, token: str, notice: Notice, policy: RetryPolicy = READING) -> None:
        self.url = url
        self._address = parse_address(url)
        self._token = token
        self.connection = Connection(self._address, token, TIMEOUT_SECONDS)
        self._asker = Asker(self.connection, policy, threading.Event(), notice)

    def read(self, path: str, **query: object) -> Json:
        """Returns the JSON at a path. Raises an InsertError."""
        return _json(self._asker.read(_with_query(path, query)))

    def find(self, path: str, **query: object) -> Json | None:
        """Returns the JSON at a path, or None for 404. Raises an InsertError."""
        found = self._asker.find(_with_query(path, query))
        return None if found is None else _json(found)

    def pages(self, path: str, **query: object) -> Iterator[Json]:
        """Yields the items of a list, page after page. Raises an InsertError."""
        token: str | None = None
        while True:
            page = self.read(path, **{"maxResults": PAGE_SIZE, **query, "pageToken": token})
            yield from page["results"]
            token = page.get("nextPageToken")
            if not token:
                return

    def change(self, method: str, path: str, body: Json | None = None) -> Json:
        """Returns the answer to a request that changes something. Raises an InsertError."""
        encoded = None if body is None else msgspec.json.encode(body)
        try:
            answer = self.connection.ask(method, path, encoded)
        except NoAnswer as error:
            raise ServerUnreachable(
                f"no answer from {self.url} ({error}). It may be done or not: look before you try again."
            ) from error
        if answer.status not in DONE:
            raise refusal_of(answer)
        return _json(answer.body) if answer.body.lstrip().startswith(b"{") else {}

    def chunks(self, path: str, **query: object) -> Iterator[bytes]:
        """Yields the body at a path as it comes. Raises an InsertError, also when it is cut off."""
        try:
            with self._streamed(_with_query(path, query)) as streamed:
                yield from streamed.chunks()
        except NoAnswer as error:
            raise ServerUnreachable(f"no whole answer from {self.url}: {error}") from error

    def lines(self, path: str, **query: object) -> Iterator[Json]:
        """Yields the JSON objects at a path, a line each. Raises an InsertError."""
        kept = b""
        for chunk in self.chunks(path, **query):
            *lines, kept = (kept + chunk).split(b"\n")
            yield from (_json(line) for line in lines if line.strip())
        if kept.strip():
            yield _json(kept)

    def ping(self, path: str) -> Answer:
        """Returns the answer of a path outside the API. Raises NoAnswer."""
        root = Address(self._address.is_secure, self._address.host, self._address.port, "")
        connection = Connection(root, self._token, READING.seconds_max)
        try:
            return connection.ask("GET", path)
        finally:
            connection.close()

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()

    def _streamed(self, path: str) -> Streamed:
        streamed = Connection(self._address, self._token, TIMEOUT_SECONDS).stream(path)
        if streamed.status not in DONE:
            with streamed:
                raise refusal_of(Answer(streamed.status, {}, b"".join(streamed.chunks())))
        return streamed


def _with_query(path: str, query: Json) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _json(body: bytes) -> Json:
    try:
        return msgspec.json.decode(body, type=Json)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        shown = " ".join(body[:200].decode("utf-8", "replace").split())
        raise RequestRefused(200, "", f"this is not a rowkeep server's answer: {shown!r}") from error
