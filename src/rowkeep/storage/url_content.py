"""Content of other servers, fetched over HTTP from hosts that the operator has named.

The name of a host is looked up once, every address that it has must be public, and the connection goes to one
of these: a name that leads elsewhere a moment later does not matter. Redirects are followed within the same
host alone. Nothing is sent but the request: no cookies, no credentials.

Each wait for bytes is bounded, and so is the whole; how much may come is bounded by who takes the parts.
"""

import asyncio
import http.client
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from urllib.parse import urljoin

from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.transfers import Address, UrlParts, checked_url, is_public, refused_address

PART_BYTES = 256 * 1024
STALL_SECONDS_MAX = 30.0
REDIRECTS_MAX = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {"User-Agent": "rowkeep", "Accept": "*/*", "Accept-Encoding": "identity"}


def addresses_of(host: str, port: int) -> list[Address]:
    """Returns the addresses of a host name. Raises OSError when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]


class UrlContents:
    """Fetches content. `look_up` finds a host's addresses, and `permits` tells which may be used."""

    def __init__(
        self,
        hosts: frozenset[tuple[str, int | None]],
        *,
        seconds_max: float,
        look_up: Callable[[str, int], Sequence[Address]] = addresses_of,
        permits: Callable[[Address], bool] = is_public,
    ) -> None:
        self._hosts = hosts
        self._seconds_max = seconds_max
        self._look_up = look_up
        self._permits = permits

    async def parts(self, url: str) -> AsyncIterator[bytes]:
        """Yields the content at a URL. Raises invalid_request_error when it cannot be fetched."""
        parts = checked_url(url, self._hosts)
        connection: http.client.HTTPConnection | None = None
        try:
            async with asyncio.timeout(self._seconds_max):
                connection, response = await self._response(url, parts)
                received = 0
                while part := await asyncio.to_thread(response.read1, PART_BYTES):
                    received += len(part)
                    yield part
            said = response.getheader("Content-Length")
            if said is not None and said != str(received):
                raise invalid_request(f"{parts.host} ended its answer after {received} of {said} bytes.")
        except TimeoutError as error:
            raise invalid_request(f"{parts.host} took longer for its answer than a transfer may.") from error
        except (OSError, http.client.HTTPException) as error:
            raise invalid_request(f"Nothing could be fetched from {parts.host}: {error}.") from error
        finally:
            if connection is not None:
                await asyncio.to_thread(_end, connection)

    async def _response(
        self, url: str, parts: UrlParts
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Returns the connection and the answer with the content, after redirects within the host."""
        for _ in range(REDIRECTS_MAX + 1):
            connection = await asyncio.to_thread(self._connection, parts)
            try:
                response = await asyncio.to_thread(_ask, connection, parts)
                location = response.getheader("Location")
                if response.status not in _REDIRECTS or location is None:
                    _check_status(parts, response.status)
                    return connection, response
                url, parts = self._redirected(url, parts, location)
            except BaseException:
                _end(connection)
                raise
            _end(connection)
        raise invalid_request(f"{parts.host} redirects more than {REDIRECTS_MAX} times.")

    def _redirected(self, url: str, parts: UrlParts, location: str) -> tuple[str, UrlParts]:
        target = urljoin(url, location)
        try:
            followed = checked_url(target, self._hosts)
        except RowkeepError as error:
            raise invalid_request(f"{parts.host} redirects to where this server does not ask.") from error
        if followed.host != parts.host or (parts.scheme, followed.scheme) == ("https", "http"):
            raise invalid_request(
                f"{parts.host} redirects to {followed.scheme}://{followed.host}; redirects to another "
                "host, or away from https, are not followed. Send that URL."
            )
        return target, followed

    def _connection(self, parts: UrlParts) -> http.client.HTTPConnection:
        addresses = self._look_up(parts.host, parts.port)
        if not addresses or not all(self._permits(address) for address in addresses):
            raise refused_address(parts.host)
        plain = socket.create_connection((str(addresses[0]), parts.port), timeout=STALL_SECONDS_MAX)
        connection = http.client.HTTPConnection(parts.host, parts.port, timeout=STALL_SECONDS_MAX)
        try:
            connection.sock = plain if parts.scheme == "http" else _secured(plain, parts.host)
        except BaseException:
            plain.close()
            raise
        return connection


def _secured(plain: socket.socket, host: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _ask(connection: http.client.HTTPConnection, parts: UrlParts) -> http.client.HTTPResponse:
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = parts.host if parts.port == usual else f"{parts.host}:{parts.port}"
    connection.putrequest("GET", parts.target, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": host, **_HEADERS}.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def _check_status(parts: UrlParts, status: int) -> None:
    if status != http.HTTPStatus.OK:
        raise invalid_request(f"{parts.host} answered with status {status} and not with a file.")


def _end(connection: http.client.HTTPConnection) -> None:
    """Closes a connection, also while a thread waits for it."""
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
