"""The client's address and the server's public address, as trusted proxies report them.

Theory
------
Anybody can send these headers, so they count only from proxies that the operator named. `X-Forwarded-For` is
a list to which each proxy adds who talked to it, at the end: read from there, the first address that is no
trusted proxy is the client's. Whatever stands before it may be made up. `X-Forwarded-Proto` and
`X-Forwarded-Host` are the proxy's own, and replace the scheme and the `Host` of the request.

It stands around the application and changes what the application sees. Without a trusted proxy it is not
there, and the headers mean nothing.
"""

import ipaddress
import re

from rowkeep.api.http.asgi import Application, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_host = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}").fullmatch


def trusted_networks(text: str) -> tuple[Network, ...]:
    """Returns the addresses and networks in a comma-separated list. Raises ValueError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return tuple(ipaddress.ip_network(name) for name in names)


class ForwardedRequests:
    """An application that uses what trusted proxies report about the client."""

    def __init__(self, application: Application, networks: tuple[Network, ...]) -> None:
        self._application = application
        self._networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        client: tuple[str, int] | None = scope.get("client")
        if scope["type"] == "http" and client is not None and self._is_trusted(client[0]):
            scope = self._as_the_client_sent_it(scope)
        await self._application(scope, receive, send)

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def _as_the_client_sent_it(self, scope: Scope) -> Scope:
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        said = dict(headers)
        changed = dict(scope)
        address = self._client_address(headers)
        if address is not None:
            changed["client"] = (address, 0)
        scheme = said.get(b"x-forwarded-proto", b"").strip().lower()
        if scheme in (b"http", b"https"):
            changed["scheme"] = scheme.decode()
        host = said.get(b"x-forwarded-host", b"").strip()
        if _host(host):
            changed["headers"] = [*((name, value) for name, value in headers if name != b"host")]
            changed["headers"].append((b"host", host))
        return changed

    def _client_address(self, headers: list[tuple[bytes, bytes]]) -> str | None:
        """Returns the last address of the list that is not a trusted proxy, or the first when all are."""
        listed = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        addresses = [_address(part) for part in listed.decode("latin-1").split(",")]
        known: str | None = None
        for address in reversed(addresses):
            if address is None:
                break  # whatever stands before it was not written by a proxy that can be believed
            known = address
            if not self._is_trusted(address):
                break
        return known


def _address(text: str) -> str | None:
    """Returns an address as proxies write it, without its port. None for anything else."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return None
