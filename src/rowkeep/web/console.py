"""The console: pages for people in a browser, at `/console`; a browser that asks for `/` is sent there.

Theory
------
A page is made by a handler that calls the same services as the API, with the token of who is signed in. So
nothing can be seen or done here that a program with that token cannot, and rights are decided in one place.

Three things stand before every handler: a request that changes something must come from a page of this
server (requests.py), a page that is not open to everybody takes a session (sessions.py), and whatever goes
wrong becomes a page that says what to do next.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import quote

import structlog

from rowkeep.model.access import NOBODY
from rowkeep.model.audit import Origin, origin_of_call
from rowkeep.model.errors import ErrorCode, RowkeepError, forbidden, not_found
from rowkeep.web.answers import PageAnswer, Send, html_answer, redirect
from rowkeep.web.file_form import Receive
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest, Scope, segments_of
from rowkeep.web.routes import API_DOCUMENT, CONSOLE, SIGN_IN, OpenRoute, PageRoute, PageTable, matched
from rowkeep.web.sessions import Session
from rowkeep.web.signing_in import SigningIn

StatusOf = Callable[[RowkeepError], int]
OfferFirstStart = Callable[[], Awaitable[str | None]]

_log = structlog.get_logger("rowkeep.console")
_READING = ("GET", "HEAD")
_CONSOLE_PATH = CONSOLE.encode()
_API_DOCUMENT_PATH = API_DOCUMENT.encode()


class Console:
    """The pages as one application."""

    def __init__(
        self, table: PageTable, signing_in: SigningIn, status_of: StatusOf, offer_first_start: OfferFirstStart
    ) -> None:
        self._offer_first_start = offer_first_start
        self._table = table
        self._sessions = signing_in.sessions
        self._cookie = signing_in.cookie
        self._status_of = status_of

    async def first_start_path(self) -> str | None:
        """Returns the path where the first user is made, or None when there already is one."""
        code = await self._offer_first_start()
        return None if code is None else f"{CONSOLE}/first-start?code={code}"

    def takes(self, scope: Scope) -> bool:
        """Returns whether a request is for a page: programs that ask for `/` are not sent here."""
        path: bytes = scope["raw_path"]
        if path == b"/":
            return scope["method"] in _READING and b"text/html" in dict(scope["headers"]).get(b"accept", b"")
        if path == _API_DOCUMENT_PATH:
            return scope["method"] in _READING
        return path.startswith(_CONSOLE_PATH) and path[len(_CONSOLE_PATH) :][:1] in (b"", b"/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = PageRequest(scope, receive)
        session = self._sessions.find(request.cookie(self._cookie.name))
        caller = NOBODY if session is None else session.caller
        origin_of_call.set(Origin(caller.token_hash, request.address, scope["request_id"].decode()))
        try:
            answer = await self._answer(request, session)
        except RowkeepError as error:
            answer = self._refusal(request, session, error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the person is shown a page
            shown_id = scope["request_id"].decode()
            _log.error("internal error", request_id=shown_id, exc_info=error)
            message = f"The server's log says what, under request {shown_id}."
            answer = _error_page(session, message, HTTPStatus.INTERNAL_SERVER_ERROR)
        await answer.send(receive, send, is_head=request.is_head)

    async def _answer(self, request: PageRequest, session: Session | None) -> PageAnswer:
        if request.path == "/":
            return redirect(CONSOLE)
        route = self._route(request)
        if request.method not in _READING and not request.from_own_page():
            raise forbidden("No page of this console sent this. Open the page, and try again there.")
        if isinstance(route, OpenRoute):
            return await route.handler(request)
        if session is None:
            return _to_sign_in(request)
        return await route.handler(request, session)

    def _route(self, request: PageRequest) -> PageRoute | OpenRoute:
        method = "GET" if request.is_head else request.method
        segments = segments_of(request.path)
        for route in self._table:
            found = matched(route.pattern, segments)
            if found is not None and route.method == method:
                request.segments = found
                return route
        raise not_found("There is no such page.")

    def _refusal(self, request: PageRequest, session: Session | None, error: RowkeepError) -> PageAnswer:
        """Returns the page for an error.

        A person whose token is no longer good is asked to sign in again.
        """
        if error.code is ErrorCode.INVALID_TOKEN:
            self._sessions.end(request.cookie(self._cookie.name))
            return _to_sign_in(request)
        return _error_page(session, error.message, self._status_of(error))


def _to_sign_in(request: PageRequest) -> PageAnswer:
    if request.method not in _READING or request.path == CONSOLE:
        return redirect(SIGN_IN)
    return redirect(f"{SIGN_IN}?next={quote(request.address_here, safe='')}")


def _error_page(session: Session | None, message: str, status: int) -> PageAnswer:
    title = "There is nothing here" if status == HTTPStatus.NOT_FOUND else "That did not work"
    return html_answer(render("error.html", session=session, title=title, message=message), status)
