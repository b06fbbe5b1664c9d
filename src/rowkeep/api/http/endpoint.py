"""Between the router and a handler: makes the request, sends the answer, maps errors, serves HEAD."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from typing import Protocol

import msgspec
import structlog

from rowkeep.api.http.asgi import Receive, Scope, Send
from rowkeep.api.http.body import BodyReader
from rowkeep.api.http.incoming import IncomingBody
from rowkeep.api.http.request import ApiRequest, CheckToken
from rowkeep.api.http.traffic import REFUSALS
from rowkeep.api.http.warnings import warn
from rowkeep.api.http.wire import Answer, Headers, error_answer, head_answer
from rowkeep.model.audit import origin_of_call
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.places import Places
from rowkeep.model.request_limits import RequestLimits

# A reader takes parts in pieces, so that a slow one is told from one that stalls.
PIECE_BYTES = 256 * 1024
# Whoever watches the server is answered also beside a crowd.
ALWAYS_ANSWERED = ("/healthz", "/readyz", "/metrics")

_log = structlog.get_logger("rowkeep.api")


class StreamAnswer(msgspec.Struct, frozen=True):
    """A response whose body is made while it is sent. The first part is made before the status is."""

    headers: Headers
    parts: AsyncIterator[bytes]
    status: int = 200


class ReaderStalled(Exception):
    """The reader no longer takes anything. Its connection is cut."""


class Bounds(msgspec.Struct, frozen=True):
    """The bounds of a caller's requests. A streamed body takes a place, and each part has a time limit."""

    limits: RequestLimits
    places: Places
    stall_seconds_max: float


class LiveAnswer(Protocol):
    """A response that lasts until its reader leaves. It sends itself."""

    headers: Headers

    async def send(self, receive: IncomingBody, send: Send, request_id: bytes) -> None:
        """Sends all of it."""


Handler = Callable[[ApiRequest], Awaitable[Answer | StreamAnswer | LiveAnswer]]


class Endpoint:
    """One handler as an ASGI application."""

    def __init__(
        self,
        route: str,
        handler: Handler,
        bodies: BodyReader,
        check_token: CheckToken,
        bounds: Bounds,
    ) -> None:
        self.route = route
        self._handler = handler
        self._bodies = bodies
        self._check_token = check_token
        self._bounds = bounds

    async def __call__(self, scope: Scope, receive: IncomingBody, send: Send) -> None:
        """Answers one request."""
        request_id: bytes = scope["request_id"]
        request = ApiRequest(scope, receive, self._bodies, self._check_token)
        origin_of_call.set(request.origin)
        try:
            if self.route not in ALWAYS_ANSWERED:
                self._bounds.limits.admit(request.origin)
            answer = await self._handler(request)
            warn(answer.headers, request.all_warnings())
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets an answer
            answer = answer_to(error, request_id)
        is_head = scope["method"] == "HEAD"
        if isinstance(answer, Answer):
            await send_answer(receive, send, head_answer(answer) if is_head else answer, request_id)
        elif is_head:
            status = answer.status if isinstance(answer, StreamAnswer) else 200
            await send_answer(receive, send, Answer(status, answer.headers, b""), request_id)
        elif isinstance(answer, StreamAnswer):
            await self._send_stream(request, receive, send, answer, request_id)
        else:
            await answer.send(receive, send, request_id)

    async def _send_stream(
        self, request: ApiRequest, receive: IncomingBody, send: Send, answer: StreamAnswer, request_id: bytes
    ) -> None:
        with ExitStack() as stack:
            try:
                stack.enter_context(self._bounds.places.take(request.caller))
            except RowkeepError as error:
                refusal = answer_to(error, request_id)
            else:
                stall_seconds_max = self._bounds.stall_seconds_max
                charged = StreamAnswer(answer.headers, self._charged(request, answer.parts), answer.status)
                await send_stream(receive, send, charged, request_id, stall_seconds_max=stall_seconds_max)
                return
        await send_answer(receive, send, refusal, request_id)

    async def _charged(self, request: ApiRequest, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yields the parts of a body, and charges each to the reader's limits."""
        origin = request.origin
        async for part in parts:
            self._bounds.limits.charge(origin, len(part))
            yield part


def answer_to(error: Exception, request_id: bytes) -> Answer:
    """Returns the answer to an exception; the only place that does.

    An unexpected exception is logged, and its answer gives no details.
    """
    REFUSALS[error.code if isinstance(error, RowkeepError) else ErrorCode.INTERNAL] += 1
    if isinstance(error, RowkeepError):
        if error.detail is not None:
            _log.warning("refused", request_id=request_id.decode(), code=error.code, detail=error.detail)
        else:
            _log.debug("refused", request_id=request_id.decode(), code=error.code, reason=error.message)
        return error_answer(error)
    shown_id = request_id.decode()
    _log.error("internal error", request_id=shown_id, exc_info=error)
    return error_answer(
        RowkeepError(
            ErrorCode.INTERNAL,
            f"Something went wrong in the server; its log says what, under request {shown_id}.",
        )
    )


async def send_answer(receive: IncomingBody, send: Send, answer: Answer, request_id: bytes) -> None:
    """Sends a complete response. Drains the request's body first if nobody reads it (`incoming.py`)."""
    await receive.drain()
    await send_complete(send, answer, request_id)


async def send_complete(send: Send, answer: Answer, request_id: bytes) -> None:
    """Sends a complete response to a request whose body was read, or is drained."""
    body = answer.body
    headers = [*answer.headers, (b"x-request-id", request_id)]
    if b"content-length" not in dict(headers):  # HEAD tells the length of what GET sends
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_stream(
    receive: Receive, send: Send, answer: StreamAnswer, request_id: bytes, *, stall_seconds_max: float
) -> None:
    """Sends a response part by part, until the client leaves or takes nothing for too long.

    A failure midway breaks the connection, so that the response cannot look complete.
    """
    headers = [*answer.headers, (b"x-request-id", request_id)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    # Sending to a client that has left does not fail; nobody would notice.
    departure = asyncio.create_task(client_leaves(receive))
    try:
        async for part in answer.parts:
            if departure.done():
                return
            for start in range(0, len(part), PIECE_BYTES):
                await _deliver(send, part[start : start + PIECE_BYTES], departure, stall_seconds_max)
        await send({"type": "http.response.body", "body": b""})
    finally:
        departure.cancel()


async def _deliver(
    send: Send, piece: bytes, departure: "asyncio.Task[None]", stall_seconds_max: float
) -> None:
    """Sends a piece. Raises ReaderStalled, which cuts the connection, when it is not taken in time."""
    # Not within a timeout: the server's `send` does not end when it is cancelled.
    sending = asyncio.ensure_future(send({"type": "http.response.body", "body": piece, "more_body": True}))
    await asyncio.wait({sending, departure}, timeout=stall_seconds_max, return_when=asyncio.FIRST_COMPLETED)
    if sending.done():
        sending.result()
        return
    sending.cancel()
    if not departure.done():
        raise ReaderStalled


async def client_leaves(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
