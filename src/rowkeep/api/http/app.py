"""The application: the outermost layer of every request.

It gives each request an id (the client's own if it sent one) and hands insertRows straight to its
endpoint, everything else to the router, over the path as it was sent (split before it is decoded).
"""

import itertools
import re
import secrets
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, Protocol

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route, Router

from rowkeep.api.http.asgi import Message, Receive, Scope, Send
from rowkeep.api.http.cors import CorsPolicy
from rowkeep.api.http.endpoint import answer_to, send_answer, send_complete
from rowkeep.api.http.headers import asked_request_id, head_problem
from rowkeep.api.http.hints import hint_of, near_path
from rowkeep.api.http.incoming import IncomingBody, Lingering
from rowkeep.api.http.server_timing import server_timing
from rowkeep.api.http.traffic import Traffic
from rowkeep.api.http.wire import Answer, MethodRefused, head_answer
from rowkeep.api.resources.insert_rows import INSERT_ROWS_PATH, InsertRows
from rowkeep.api.resources.long_insert import LongInserts, is_long_insert
from rowkeep.api.resources.rate_limits import rate_limit_headers
from rowkeep.model.errors import RowkeepError, not_found
from rowkeep.model.rate_limits import RateLimited
from rowkeep.model.timing import InsertTimes

# What stands for a route where there is no path of one.
CONSOLE_ROUTE = "/console"
LONG_INSERT_ROUTE = f"{INSERT_ROWS_PATH}?acks=true"

_slashes = re.compile(rb"/{2,}")


class Console(Protocol):
    """The pages for people, beside the API."""

    async def first_start_path(self) -> str | None:
        """Returns the path where the first user is made, or None when there already is one."""

    def takes(self, scope: Scope) -> bool:
        """Returns whether a request is for a page."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""


class RowkeepApplication:
    """The ASGI application that the HTTP server calls."""

    def __init__(
        self,
        insert_rows: InsertRows,
        long_inserts: LongInserts,
        routes: Iterable[BaseRoute],
        lingering: Lingering,
        cors: CorsPolicy,
        traffic: Traffic,
        enders: Iterable[Callable[[], None]],
        console: Console,
    ) -> None:
        self._console = console
        self._enders = tuple(enders)
        self._insert_rows = insert_rows
        self._long_inserts = long_inserts
        self._lingering = lingering
        self._cors = cors
        self._traffic = traffic
        # A POST to this path never reaches the router; any other method must hear that it is the wrong one.
        inserts = Route(INSERT_ROWS_PATH, _no_route, methods=["POST"])
        self._router = Router([*routes, inserts], redirect_slashes=False, default=_no_route)
        self._request_prefix = secrets.token_hex(4).encode()
        self._request_numbers = itertools.count(1)

    async def first_start_path(self) -> str | None:
        """Returns the path where the first user is made, or None when there already is one."""
        return await self._console.first_start_path()

    def end_live_answers(self) -> None:
        """Ends the answers that last, and opens no more of them."""
        for end in (*self._enders, self._lingering.stop):
            end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        if self._console.takes(scope):
            await self._show_page(scope, receive, self._traffic.counted(send, scope, CONSOLE_ROUTE))
            return
        send = self._cors.sending(scope, send)
        request_id = asked_request_id(scope["headers"]) or self._new_request_id()
        problem = head_problem(scope["raw_path"], scope["query_string"], scope["headers"])
        if problem is not None:
            await self._refuse(problem, scope, receive, self._traffic.counted(send, scope), request_id)
            return
        path = self._insert_rows.path_of(scope)
        if path is None and _is_untidy(scope):
            scope = _tidied(scope)
            path = self._insert_rows.path_of(scope)
        body = IncomingBody(scope, receive, self._lingering)
        if path is None:
            await self._route(scope, body, send, request_id)
            return
        if scope["query_string"] and is_long_insert(scope["query_string"]):
            counted = self._traffic.counted(send, scope, LONG_INSERT_ROUTE)
            await self._insert_long(path, scope, body, counted, request_id)
            return
        times = InsertTimes(perf_counter())
        try:
            answer = await self._insert_rows.answer(path, scope, body, times)
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets an answer
            answer = _refused(error, request_id)
            await body.drain()
        self._traffic.note(answer.status, "POST", INSERT_ROWS_PATH, perf_counter() - times.began_at)
        self._traffic.note_phases(times)
        answer.headers.append((b"server-timing", server_timing(times)))
        await send_complete(send, answer, request_id)

    async def _show_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Shows a page of the console. Drains the request's body first if nobody reads it (`incoming.py`)."""
        body = IncomingBody(scope, receive, self._lingering)
        request_id = asked_request_id(scope["headers"]) or self._new_request_id()

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                await body.drain()
                message["headers"].append((b"x-request-id", request_id))
            await send(message)

        await self._console({**scope, "request_id": request_id}, body, send_after_body)

    async def _refuse(
        self, problem: RowkeepError, scope: Scope, receive: Receive, send: Send, request_id: bytes
    ) -> None:
        answer = answer_to(problem, request_id)
        body = IncomingBody(scope, receive, self._lingering)
        await send_answer(
            body, send, head_answer(answer) if scope["method"] == "HEAD" else answer, request_id
        )

    async def _insert_long(
        self, path: tuple[str, str], scope: Scope, body: IncomingBody, send: Send, request_id: bytes
    ) -> None:
        try:
            answer = await self._long_inserts.open(path, scope)
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets an answer
            await send_answer(body, send, _refused(error, request_id), request_id)
        else:
            await answer.send(body, send, request_id)

    def _new_request_id(self) -> bytes:
        return b"%b-%x" % (self._request_prefix, next(self._request_numbers))

    async def _route(self, scope: Scope, body: IncomingBody, send: Send, request_id: bytes) -> None:
        preflight = self._cors.preflight(scope)
        if preflight is not None:
            await send_answer(body, self._traffic.counted(send, scope), preflight, request_id)
            return
        raw_path: bytes = scope["raw_path"]
        routed: dict[str, Any] = {
            **scope,
            "path": raw_path.decode("latin-1"),
            "request_id": request_id,
            "endpoint": None,
            "app": self,  # makes the router raise for a wrong method instead of answering by itself
        }
        send = self._traffic.counted(send, routed)
        try:
            await self._router(routed, body, send)
        except HTTPException as error:
            refusal = _refusal(error.status_code, scope, self._methods_at(routed), self._paths())
            answer = answer_to(refusal, request_id)
            await send_answer(
                body, send, head_answer(answer) if scope["method"] == "HEAD" else answer, request_id
            )

    def _paths(self) -> list[str]:
        return [route.path for route in self._router.routes if isinstance(route, Route)]

    def _methods_at(self, scope: Scope) -> list[str]:
        """Returns every method that a path knows, in any route."""
        methods: set[str] = set()
        for route in self._router.routes:
            if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
                methods |= route.methods or set()
        return sorted(methods)


def _refused(error: Exception, request_id: bytes) -> Answer:
    answer = answer_to(error, request_id)
    if isinstance(error, RateLimited):
        answer.headers.extend(rate_limit_headers(error.states))
    return answer


def _is_untidy(scope: Scope) -> bool:
    # Older R clients send `post` and `//datasets/...`.
    return b"//" in scope["raw_path"] or not scope["method"].isupper()


def _tidied(scope: Scope) -> Scope:
    return {**scope, "method": scope["method"].upper(), "raw_path": _slashes.sub(b"/", scope["raw_path"])}


async def _no_route(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive, send
    raise HTTPException(404)


def _refusal(status: int, scope: Scope, methods: list[str], paths: list[str]) -> RowkeepError:
    path = scope["raw_path"].decode("latin-1")
    if status == 405:
        return MethodRefused(scope["method"], methods, hint_of(scope["method"], path))
    return not_found(
        hint_of(scope["method"], path) or f"There is nothing at this path.{near_path(path, paths)}"
    )
