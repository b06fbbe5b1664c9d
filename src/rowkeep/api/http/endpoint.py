"""Between the router and a handler: makes the request, sends the answer, maps errors, serves HEAD."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import msgspec
import structlog

from rowkeep.api.http.asgi import Receive, Scope, Send
from rowkeep.api.http.body import BodyReader
from rowkeep.api.http.incoming import IncomingBody
from rowkeep.api.http.request import ApiRequest, CheckToken
from rowkeep.api.http.warnings import warn
from rowkeep.api.http.wire import Answer, Headers, error_answer, head_answer
from rowkeep.model.errors import ErrorCode, RowkeepError

_log = structlog.get_logger("rowkeep.api")


class StreamAnswer(msgspec.Struct, frozen=True):
    """A response whose body is made while it is sent. The first part is made before the status is."""

    headers: Headers
    parts: AsyncIterator[bytes]
    status: int = 200


class LiveAnswer(Protocol):
    """A response that lasts until its reader leaves, and sends itself."""

    headers: Headers

    async def send(self, receive: IncomingBody, send: Send, request_id: bytes) -> None:
        """Sends all of it."""


Handler = Callable[[ApiRequest], Awaitable[Answer | StreamAnswer | LiveAnswer]]


class Endpoint:
    """One handler as an ASGI application."""

    def __init__(self, handler: Handler, bodies: BodyReader, check_token: CheckToken) -> None:
        self._handler = handler
        self._bodies = bodies
        self._check_token = check_token

    async def __call__(self, scope: Scope, receive: IncomingBody, send: Send) -> None:
        """Answers one request."""
        request_id: bytes = scope["request_id"]
        request = ApiRequest(scope, receive, self._bodies, self._check_token)
        try:
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
            await send_stream(receive, send, answer, request_id)
        else:
            await answer.send(receive, send, request_id)


def answer_to(error: Exception, request_id: bytes) -> Answer:
    """The one place where an exception becomes an answer; what nobody expected is logged and bland."""
    if isinstance(error, RowkeepError):
        if error.detail is not None:
            _log.warning("refused", request_id=request_id.decode(), code=error.code, detail=error.detail)
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
    """Sends a complete response, after a body that it did not wait for (`incoming.py`)."""
    body = answer.body
    headers = [*answer.headers, (b"x-request-id", request_id)]
    if all(name != b"content-length" for name, _ in headers):  # HEAD tells the length of what GET sends
        headers.append((b"content-length", b"%d" % len(body)))
    await receive.drain()
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_stream(receive: Receive, send: Send, answer: StreamAnswer, request_id: bytes) -> None:
    """Sends a response part by part, until the client leaves.

    A failure midway breaks the connection, so that the response cannot look whole.
    """
    headers = [*answer.headers, (b"x-request-id", request_id)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    # Sending to a client that has left does not fail; nobody would notice.
    departure = asyncio.create_task(client_leaves(receive))
    try:
        async for part in answer.parts:
            if departure.done():
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        departure.cancel()


async def client_leaves(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
