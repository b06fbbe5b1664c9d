"""The answers of the console: pages, redirects, files. Every answer has headers that restrict the page.

A page runs no script and loads nothing but the console's own style sheet: so HTML in a name, a label or a
cell could do nothing even if it were not escaped.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_EVERYWHERE: Headers = [
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class PageAnswer(msgspec.Struct, frozen=True):
    """A response: its body at once, or in parts while they are made."""

    status: int
    headers: Headers
    body: bytes | AsyncIterator[bytes] = b""

    async def send(self, receive: Receive, send: Send, *, is_head: bool) -> None:
        """Sends the whole response; for HEAD only the headers."""
        headers = [*self.headers, *_EVERYWHERE]
        if isinstance(self.body, bytes):
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if is_head:
            await send({"type": "http.response.body", "body": b""})
        elif isinstance(self.body, bytes):
            await send({"type": "http.response.body", "body": self.body})
        else:
            await _send_parts(self.body, receive, send)


async def _send_parts(parts: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Sends a body part by part, until the browser leaves."""
    departure = asyncio.create_task(_leaves(receive))
    try:
        async for part in parts:
            if departure.done():
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        departure.cancel()


async def _leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def html_answer(html: str, status: int = HTTPStatus.OK) -> PageAnswer:
    """Returns a page. No cache keeps it, since it shows what one person may see."""
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
    return PageAnswer(status, headers, html.encode())


def csv_answer(file_name: str, parts: AsyncIterator[bytes]) -> PageAnswer:
    """Returns rows as a file to download."""
    name = quote(file_name, safe="")
    headers = [
        (b"content-type", b"text/csv; charset=utf-8"),
        (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode()),
        (b"cache-control", b"no-store"),
    ]
    return PageAnswer(HTTPStatus.OK, headers, parts)


def redirect(path: str, *cookies: bytes) -> PageAnswer:
    """Returns a redirect to another page, to be fetched with GET."""
    headers = [(b"location", path.encode("latin-1")), (b"cache-control", b"no-store")]
    headers.extend((b"set-cookie", cookie) for cookie in cookies)
    return PageAnswer(HTTPStatus.SEE_OTHER, headers)
