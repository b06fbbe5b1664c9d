"""A request as a page sees it: query, form, cookies, and whether it comes from one of our pages.

Theory
------
A browser adds its cookies to whatever any site has it send, so every request that changes something must show
that it comes from a page of this server. Browsers say so themselves, in `Sec-Fetch-Site` or at least in
`Origin`, and no page can make them say otherwise. `from_own_page` asks for one of the two: a request that
says neither changes nothing. It stands before all handlers, so none can forget it.
"""

import re
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from rowkeep.model.errors import ErrorCode, RowkeepError, invalid_request
from rowkeep.web.file_form import FileForm, FileForms, Receive

Scope = MutableMapping[str, Any]

FORM_BYTES_MAX = 1024 * 1024
_natural = re.compile(r"[0-9]{1,15}").fullmatch


class PageRequest:
    """One request for a page."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._scheme: str = scope.get("scheme", "http")
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        query: bytes = scope["query_string"]
        self._query = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        self.method: str = scope["method"]
        path: bytes = scope["raw_path"]
        self.path = path.decode("latin-1")
        client: tuple[str, int] | None = scope.get("client")
        self.address = client[0] if client else ""
        self.segments: tuple[str, ...] = ()

    @property
    def is_head(self) -> bool:
        """Returns whether only the headers are asked for."""
        return self.method == "HEAD"

    @property
    def host(self) -> str:
        """Returns the host by which the browser found the server."""
        return self._headers.get(b"host", b"localhost").decode("latin-1")

    @property
    def base_url(self) -> str:
        """Returns the scheme and host with which addresses on this server begin."""
        return f"{self._scheme}://{self.host}"

    @property
    def address_here(self) -> str:
        """Returns the path with its query, for a link back."""
        return f"{self.path}?{urlencode(self._query, doseq=True)}" if self._query else self.path

    def text(self, name: str) -> str:
        """Returns a query parameter; empty when it is absent."""
        return self._query.get(name, [""])[-1]

    def natural(self, name: str) -> int:
        """Returns a query parameter that counts from 0; 0 when it is not a number."""
        text = self.text(name)
        return int(text) if _natural(text) else 0

    def cookie(self, name: str) -> str | None:
        """Returns the value of a cookie, or None."""
        try:
            cookies = SimpleCookie(self._headers.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            return None
        return cookies[name].value if name in cookies else None

    def from_own_page(self) -> bool:
        """Returns whether the browser says that a page of this server sent the request."""
        site = self._headers.get(b"sec-fetch-site")
        if site is not None:
            return site == b"same-origin"
        origin = urlsplit(self._headers.get(b"origin", b"").decode("latin-1"))
        return bool(origin.netloc) and origin.netloc == self.host

    def file_form(self, forms: FileForms) -> FileForm:
        """Returns the form with a file in the request. Raises invalid_request_error for another body."""
        content_type = self._headers.get(b"content-type", b"")
        if not content_type.lower().startswith(b"multipart/form-data"):
            raise invalid_request("The form has no file. Choose one, and press Import again.")
        return forms(content_type, self._receive)

    async def form(self) -> dict[str, str]:
        """Returns the fields of a form. Raises payload_too_large and invalid_request_error."""
        body = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise invalid_request("The form did not arrive whole. Send it again.")
            body += message.get("body", b"")
            if len(body) > FORM_BYTES_MAX:
                raise RowkeepError(ErrorCode.PAYLOAD_TOO_LARGE, "The form is too large.")
            if not message.get("more_body", False):
                break
        try:
            fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=100)
        except ValueError as error:
            raise invalid_request("The form cannot be read. Send it again.") from error
        return {name: values[-1] for name, values in fields.items()}


def segments_of(path: str) -> tuple[str, ...]:
    """Returns the segments of a path, without `console`.

    The path is split before it is decoded: %2F stays in a name.
    """
    segments = tuple(unquote(segment) for segment in path.strip("/").split("/"))
    return segments[1:] if segments[0] == "console" else segments
