"""HTTP without TLS, as all tests talk to servers of this machine.

An httpx client reads every certificate authority of the machine when it is made, 44 ms each time. Those made
here share one empty TLS context, and take no proxy from the environment.
"""

import ssl
from typing import Any

import httpx

_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_PLAIN: dict[str, Any] = {"verify": _NO_AUTHORITIES, "trust_env": False}


def client(**options: Any) -> httpx.Client:
    """Returns a client; the options are those of `httpx.Client`."""
    return httpx.Client(**_PLAIN, **options)


def async_client(**options: Any) -> httpx.AsyncClient:
    """Returns a client for coroutines; the options are those of `httpx.AsyncClient`."""
    return httpx.AsyncClient(**_PLAIN, **options)


def request(method: str, url: str, **options: Any) -> httpx.Response:
    """Sends one request on a connection of its own; the options are those of `httpx.request`."""
    return httpx.request(method, url, **_PLAIN, **options)


def get(url: str, **options: Any) -> httpx.Response:
    """Sends a GET on a connection of its own."""
    return request("GET", url, **options)


def post(url: str, **options: Any) -> httpx.Response:
    """Sends a POST on a connection of its own."""
    return request("POST", url, **options)
