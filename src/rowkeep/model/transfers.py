"""Transfers: content that the server fetches, from one of its own tables or from another server.

Other servers are those that the operator names, and no other: what a caller writes would else make the server
ask whatever it can reach. Source: contract 4.5, `transferSpecification`.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.resources import ReadStream

TABLE, URL = "redivis", "url"
URL_CHARACTERS_MAX = 4096
_PORTS = {"https": 443, "http": 80}
# Addresses that stand for others, which a gateway would translate.
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TableTransfer(msgspec.Struct, frozen=True, tag=TABLE):
    """The rows of a table on this server, as they were when the transfer was asked for."""

    stream: ReadStream


class UrlTransfer(msgspec.Struct, frozen=True, tag=URL):
    """The content at a URL of another server."""

    url: str


Transfer = TableTransfer | UrlTransfer


class Source(msgspec.Struct, frozen=True):
    """Where the content is, as the caller says: the kind of source, and its place."""

    kind: str
    path: str


class UrlParts(msgspec.Struct, frozen=True):
    """The parts of a URL. `target` is what the request asks the host for."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def file_name(self) -> str:
        """Returns the last step of the path."""
        return unquote(urlsplit(self.target).path.rpartition("/")[2])


def source_of(specification: Mapping[str, Any]) -> Source:
    """Returns the source that a specification names. Raises invalid_request_error."""
    kind = specification.get("sourceType") or specification.get("kind")
    path = specification.get("sourcePath") or specification.get("url")
    if kind not in (TABLE, URL):
        raise invalid_request(
            f"Transfers from {str(kind)[:60]!r} are not served. A `transferSpecification` has the sourceType "
            '"redivis", with a table of this server as its sourcePath, or "url". Or send the file itself.'
        )
    if not isinstance(path, str) or not path:
        raise invalid_request(
            "`transferSpecification` needs a `sourcePath`: a reference of a table, or a URL."
        )
    return Source(kind, path)


def permitted_hosts(text: str) -> frozenset[tuple[str, int | None]]:
    """Returns the hosts in a comma-separated list, with a port or None for the usual one.

    Raises ValueError.
    """
    hosts: set[tuple[str, int | None]] = set()
    for item in filter(None, (part.strip().lower() for part in text.split(","))):
        name, _, port = item.partition(":")
        if not name or "/" in name or (port and not port.isdecimal()):
            raise ValueError(f"transfer_hosts: {item!r} is no host like data.example.org or example.org:8443")
        hosts.add((name, int(port) if port else None))
    return frozenset(hosts)


def checked_url(url: str, hosts: frozenset[tuple[str, int | None]]) -> UrlParts:
    """Returns the parts of a URL that may be fetched. Raises invalid_request_error for any other."""
    if not hosts:
        raise invalid_request(
            "This server fetches nothing from other servers; its operator can name some in `transfer_hosts`. "
            "Send the file itself instead."
        )
    parts = _parts(url)
    if (parts.host, None if parts.port == _PORTS[parts.scheme] else parts.port) not in hosts:
        raise invalid_request(
            f"This server does not fetch from {parts.host}:{parts.port}. Its operator names the hosts that "
            "it may ask, in `transfer_hosts`. Send the file itself instead."
        )
    return parts


def _parts(url: str) -> UrlParts:
    problem = invalid_request("`sourcePath` is no URL like https://data.example.org/file.csv.")
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise problem
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError:
        raise problem from None
    host = (found.hostname or "").rstrip(".").lower()
    if found.scheme not in _PORTS or not host:
        raise problem
    if found.username is not None or found.password is not None:
        raise invalid_request("A URL to fetch from has no user and no password in it.")
    target = (found.path or "/") + (f"?{found.query}" if found.query else "")
    return UrlParts(found.scheme, host, port or _PORTS[found.scheme], target)


def is_public(address: Address) -> bool:
    """Returns whether an address is one of the public internet, and stands for no other."""
    if isinstance(address, ipaddress.IPv6Address):
        is_translated = any(address in network for network in _TRANSLATED)
        if is_translated or address.ipv4_mapped or address.sixtofour or address.teredo:
            return False
    return address.is_global and not address.is_multicast


def refused_address(host: str) -> RowkeepError:
    """Returns the error for a host whose address the server must not ask."""
    return invalid_request(f"{host} has an address that is not public, so nothing is fetched from there.")
