"""Signing in and out, and the style sheet, which is open to everybody."""

from http import HTTPStatus
from pathlib import Path

from rowkeep.model.errors import ErrorCode, RowkeepError, not_found
from rowkeep.services.access import caller_with
from rowkeep.services.datasets import DatasetService
from rowkeep.web.answers import PageAnswer, html_answer, redirect
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import CONSOLE, SIGN_IN, OpenRoute, PageTable
from rowkeep.web.signing_in import SigningIn

ASSET_TYPES = {".css": b"text/css; charset=utf-8", ".svg": b"image/svg+xml"}
_ASSETS = Path(__file__).parents[1] / "assets"
# The same words for a token that never was, was revoked, has expired or is no token at all.
_REFUSED = "This token does not let you in. Check that you pasted all of it, or ask for a new one."


class SignInPages:
    """Signing in with an API token."""

    def __init__(self, datasets: DatasetService, signing_in: SigningIn) -> None:
        self._datasets = datasets
        self._sessions = signing_in.sessions
        self._attempts = signing_in.attempts
        self._cookie = signing_in.cookie
        self._assets = {
            file.name: file.read_bytes() for file in _ASSETS.iterdir() if file.suffix in ASSET_TYPES
        }

    def table(self) -> PageTable:
        """Returns the routes."""
        return [
            OpenRoute("GET", ("sign-in",), self.show),
            OpenRoute("POST", ("sign-in",), self.sign_in),
            OpenRoute("POST", ("sign-out",), self.sign_out),
            OpenRoute("GET", ("assets", "*"), self.asset),
        ]

    async def show(self, request: PageRequest) -> PageAnswer:
        """Shows the form."""
        return _form(request.text("next"))

    async def sign_in(self, request: PageRequest) -> PageAnswer:
        """Takes a token, and begins a session if the token is valid."""
        wait_seconds = self._attempts.wait_seconds(request.address)
        form = await request.form()
        following = form.get("next", "")
        if wait_seconds:
            message = f"There were too many attempts from your address. Try again in {wait_seconds} seconds."
            return _form(following, message, HTTPStatus.TOO_MANY_REQUESTS)
        caller = caller_with(form.get("token", "").strip().encode())
        try:
            principal = await self._datasets.principal(caller)
        except RowkeepError as error:
            if error.code is not ErrorCode.INVALID_TOKEN:
                raise
            return _form(following, _REFUSED, HTTPStatus.FORBIDDEN)
        self._sessions.end(request.cookie(self._cookie.name))
        identifier = self._sessions.begin(caller, principal.user_name or "")
        return redirect(_own_page(following), self._cookie.set_to(identifier))

    async def sign_out(self, request: PageRequest) -> PageAnswer:
        """Ends the session."""
        self._sessions.end(request.cookie(self._cookie.name))
        return redirect(SIGN_IN, self._cookie.gone())

    async def asset(self, request: PageRequest) -> PageAnswer:
        """Sends a file that pages load."""
        (name,) = request.segments
        if name not in self._assets:
            raise not_found("There is no such file.")
        headers = [
            (b"content-type", ASSET_TYPES[Path(name).suffix]),
            (b"cache-control", b"no-cache"),
        ]
        return PageAnswer(HTTPStatus.OK, headers, self._assets[name])


def _form(following: str, message: str = "", status: int = HTTPStatus.OK) -> PageAnswer:
    page = render("sign_in.html", session=None, following=_own_page(following), message=message)
    return html_answer(page, status)


def _own_page(path: str) -> str:
    """Returns the path if it is a page of the console, else that of Home."""
    is_own = path.startswith(f"{CONSOLE}/") and path.isascii() and path.isprintable() and "\\" not in path
    return path if is_own else CONSOLE
