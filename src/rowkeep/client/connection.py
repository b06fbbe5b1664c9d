"""One connection to the server: sends a request and reads its answer. The only file that knows http.client.

Theory
------
On a connection that is kept alive, answers belong to requests only by their order. A network that
repeats a request or an answer breaks that: the answer to one batch would be taken for that of the next,
and rows be lost. So an answer counts only when it is certain whose it is: it bears the id that its request
was sent with (X-Request-Id), or it is the first on its connection. Anything else closes the connection
and is no answer. Behind a proxy that changes these ids every request has a connection of its own: slower,
and just as safe.
"""

import http.client
import itertools
import secrets
import select
import socket
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

import msgspec

CHUNK_BYTES = 256 * 1024
# Why TLS fails where an HTTP server answers.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")


class NoAnswer(Exception):
    """No whole answer came. Whether the request was carried out is unknown."""


API_PREFIX = "/api/v1"


class Answer(msgspec.Struct, frozen=True):
    """An answer of the server, or of something in front of it. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Address(msgspec.Struct, frozen=True):
    """The address of the API."""

    is_secure: bool
    host: str
    port: int | None
    prefix: str


def whole_url(url: str) -> str:
    """Returns the URL of an API. A server's URL without a path gets the API's path."""
    plain = url.rstrip("/")
    return plain if urlsplit(plain).path else plain + API_PREFIX


def parse_address(url: str) -> Address:
    """Returns the address in a URL of an API or of its server. Raises ValueError."""
    parts = urlsplit(whole_url(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url} is not the URL of an API; it looks like http://127.0.0.1:8080/api/v1")
    return Address(parts.scheme == "https", parts.hostname, parts.port, parts.path.rstrip("/"))


def table_path(table: str) -> str:
    """Returns the path of a table below the API's prefix."""
    return f"/tables/{quote(table, safe='')}"


def upload_path(table: str, upload: str) -> str:
    """Returns the path of an upload below the API's prefix."""
    return f"{table_path(table)}/uploads/{quote(upload, safe='')}"


class Streamed:
    """An answer whose body is read as it comes. The connection ends with it."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.status = response.status

    def chunks(self) -> Iterator[bytes]:
        """Yields the body. Raises NoAnswer when it breaks off."""
        try:
            while chunk := self._response.read1(CHUNK_BYTES):
                yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"it broke off ({type(error).__name__}: {error})") from error
        if self._response.length:
            raise NoAnswer(f"it broke off, {self._response.length} bytes before its end")

    def __enter__(self) -> "Streamed":
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()
        self._connection.close()


def check_token(token: str) -> None:
    """Raises ValueError for a text that cannot be a token. The message does not hold the text."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(
            "the token holds a space, or a character that no token has; was the end of a line read with it?"
        )


class Connection:
    """Sends one request at a time, over a connection that it opens when it needs one."""

    def __init__(self, address: Address, token: str, timeout_seconds: float) -> None:
        check_token(token)
        self._address = address
        self._authorization = f"Bearer {token}"
        self._timeout_seconds = timeout_seconds
        self._kept: http.client.HTTPConnection | None = None
        self._id_prefix = secrets.token_hex(8)
        self._id_numbers = itertools.count(1)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Returns the answer to a request. Raises NoAnswer."""
        is_fresh = self._kept is None or _has_input(self._kept)
        if is_fresh:
            self.close()
        request_id = f"{self._id_prefix}-{next(self._id_numbers)}"
        try:
            answer = self._exchange(method, path, body, {**(headers or {}), "X-Request-Id": request_id})
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoAnswer(self._problem(error)) from error
        if answer.headers.get("x-request-id") != request_id:
            self.close()
            if not is_fresh:
                raise NoAnswer("an answer that belongs to another request came")
        return answer

    def stream(self, path: str) -> Streamed:
        """Returns the content at a path as it comes, over a connection of its own. Raises NoAnswer."""
        connection = self._open()
        headers = {"Authorization": self._authorization, "X-Request-Id": secrets.token_hex(8)}
        try:
            connection.request("GET", self._address.prefix + path, None, headers)
            return Streamed(connection, connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise NoAnswer(self._problem(error)) from error

    def close(self) -> None:
        """Closes the connection. The next request opens another."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        if self._kept is None:
            self._kept = self._open()
        base = {"Authorization": self._authorization, "Content-Type": "application/json"}
        self._kept.request(method, self._address.prefix + path, body, {**base, **headers})
        response = self._kept.getresponse()
        received = response.read()
        answer = Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, received
        )
        if response.will_close:
            self.close()
        return answer

    def _problem(self, error: Exception) -> str:
        address = self._address
        place = address.host if address.port is None else f"{address.host}:{address.port}"
        if isinstance(error, ConnectionRefusedError):
            return f"nothing listens at {place} (connection refused)"
        if isinstance(error, socket.gaierror):
            return f"no machine by the name {address.host} is known"
        if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
            return f"{place} does not speak HTTPS; try http://{place}"
        if isinstance(error, TimeoutError):
            return f"{place} gave no answer within {self._timeout_seconds:g} seconds"
        return f"the connection to {place} broke ({type(error).__name__}: {error})"

    def _open(self) -> http.client.HTTPConnection:
        make = http.client.HTTPSConnection if self._address.is_secure else http.client.HTTPConnection
        return make(self._address.host, self._address.port, timeout=self._timeout_seconds)


def _has_input(connection: http.client.HTTPConnection) -> bool:
    # Nothing was asked: it is the end of the connection, or an answer that nobody waits for.
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
