"""Following over HTTP: server-sent events, and JSON lines.

Both carry positions. As an event each row has its own (`id`), so that a reader resumes behind the last row
that it was sent, by itself if it is an EventSource. Lines have one after each part: a line whose one key is
`@position`, which no row has, for names of variables hold no @.

A part that the reader does not take in time is the last: nothing more is read for this reader, and when
it takes the part after all, it is told so and where to resume. If it never does, the connection is cut, after
the same time once more; it resumes from the last position that it has.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from rowkeep.api.http.asgi import Send
from rowkeep.api.http.endpoint import ReaderStalled, answer_to, client_leaves, send_answer
from rowkeep.api.http.incoming import IncomingBody
from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.wire import Headers, error_resource
from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.line_breaks import with_escaped_breaks
from rowkeep.model.resources import ReadFormat
from rowkeep.services.read.follow import Follower, FollowPart, FollowService, tail_count
from rowkeep.services.read.following import FollowRequest
from rowkeep.services.read.read import read_request

EVENT_STREAM = "text/event-stream"
FOLLOW_FORMATS = ("jsonl", "ndjson", "sse")
RECONNECT_MS = 1_000


class EventFraming:
    """Server-sent events: a row is a message, `position` opens, `end` closes."""

    media_type = EVENT_STREAM.encode()

    def opening(self, position: str) -> bytes:
        """Returns how long to wait before a reconnect, and the position at that time."""
        shown = msgspec.json.encode({"position": position})
        return b"retry: %d\nevent: position\nid: %b\ndata: %b\n\n" % (RECONNECT_MS, position.encode(), shown)

    def rows(self, lines: Sequence[bytes], first_row: int, before: str, after: str) -> bytes:
        """Returns an event for each row."""
        start, rest = f"id: {before}".encode(), f"{after}\ndata: ".encode()
        return b"".join(
            [b"%b%d%b%b\n\n" % (start, row, rest, line) for row, line in enumerate(lines, first_row + 1)]
        )

    def after_rows(self, position: str) -> bytes:
        """Returns nothing: the last row's event has the position."""
        del position
        return b""

    def still_there(self, position: str) -> bytes:
        """Returns a comment, which readers pass over."""
        del position
        return b":\n\n"

    def end(self, position: str, reason: str, error: RowkeepError | None) -> bytes:
        """Returns an event with the reason for the end and the position where to resume."""
        shown = with_escaped_breaks(msgspec.json.encode({"position": position, **_ending(reason, error)}))
        return b"event: end\nid: %b\ndata: %b\n\n" % (position.encode(), shown)


class LineFraming:
    """JSON lines: rows as listRows sends them, and between them lines with a position."""

    media_type = b"application/x-ndjson"

    def opening(self, position: str) -> bytes:
        """Returns a line with the first position."""
        return _line({"@position": position})

    def rows(self, lines: Sequence[bytes], first_row: int, before: str, after: str) -> bytes:
        """Returns the rows."""
        del first_row, before, after
        return b"\n".join(lines) + b"\n"

    def after_rows(self, position: str) -> bytes:
        """Returns a line with the position after these rows."""
        return _line({"@position": position})

    def still_there(self, position: str) -> bytes:
        """Returns a line with the position, while no rows come."""
        return _line({"@position": position})

    def end(self, position: str, reason: str, error: RowkeepError | None) -> bytes:
        """Returns a line with the reason for the end and the position where to resume."""
        return _line({"@position": position, "@end": _ending(reason, error)})


class ReaderLeft(Exception):
    """The reader has closed the connection."""


class FollowAnswers:
    """Makes the answers to requests that follow."""

    def __init__(self, follows: FollowService, *, stall_seconds_max: float) -> None:
        self._follows = follows
        self._stall_seconds_max = stall_seconds_max

    async def answer(self, request: ApiRequest, upload_name: str | None) -> "FollowAnswer":
        """Returns an answer that lasts.

        Raises what listRows would raise, and invalid_request_error for a request that cannot be followed.
        """
        framing = _framing(request)
        asked = FollowRequest(
            rows=read_request(
                request.segment("table"),
                upload_name,
                ReadFormat.JSON_LINES,
                request.names("selectedVariables"),
                request.natural("maxResults"),
            ),
            position=_position(request),
            tail=tail_count(request.text("tail")),
        )
        follower = await self._follows.open(request.caller, asked, framing)
        headers = [
            (b"content-type", framing.media_type),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # nginx passes on what it gets, at once
        ]
        return FollowAnswer(headers, self._follows, follower, self._stall_seconds_max)


class FollowAnswer:
    """Sends a follower its parts, until the reader leaves or the follower ends."""

    def __init__(
        self, headers: Headers, follows: FollowService, follower: Follower, stall_seconds_max: float
    ) -> None:
        self.headers = headers
        self._follows = follows
        self._follower = follower
        self._stall_seconds_max = stall_seconds_max

    async def send(self, receive: IncomingBody, send: Send, request_id: bytes) -> None:
        """Sends all of it, or 503 when all places are taken. Raises ReaderStalled to cut the connection."""
        departure = asyncio.create_task(client_leaves(receive))
        try:
            with self._follows.place(self._follower):
                headers = [*self.headers, (b"x-request-id", request_id)]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await self._send_parts(send, departure)
                await send({"type": "http.response.body", "body": b""})
        except RowkeepError as error:
            await send_answer(receive, send, answer_to(error, request_id), request_id)
        except ReaderLeft:
            return
        finally:
            departure.cancel()

    async def _send_parts(self, send: Send, departure: "asyncio.Task[None]") -> None:
        part = self._follower.opening()
        while True:
            is_in_time = await self._deliver(send, part.body, departure)
            if part.is_last:
                return
            part = await self._next(departure) if is_in_time else self._follower.ending("slow")

    async def _deliver(self, send: Send, body: bytes, departure: "asyncio.Task[None]") -> bool:
        """Returns whether the reader took the part in time. If not, it may take as long again."""
        sending = asyncio.ensure_future(send({"type": "http.response.body", "body": body, "more_body": True}))
        for is_in_time in (True, False):
            await asyncio.wait(
                {sending, departure}, timeout=self._stall_seconds_max, return_when=asyncio.FIRST_COMPLETED
            )
            if departure.done():
                sending.cancel()
                raise ReaderLeft
            if sending.done():
                sending.result()
                return is_in_time
            self._follower.release()
        sending.cancel()
        raise ReaderStalled

    async def _next(self, departure: "asyncio.Task[None]") -> FollowPart:
        coming = asyncio.ensure_future(self._follower.next())
        await asyncio.wait({coming, departure}, return_when=asyncio.FIRST_COMPLETED)
        if departure.done():
            coming.cancel()
            raise ReaderLeft
        return coming.result()


def _framing(request: ApiRequest) -> "EventFraming | LineFraming":
    accepted = request.headers.get(b"accept", b"").decode("latin-1").lower()
    format_ = request.text("format") or ("sse" if EVENT_STREAM in accepted else "jsonl")
    if format_ not in FOLLOW_FORMATS:
        raise invalid_request(f"With `follow`, `format` must be jsonl or sse, not {format_[:60]!r}.")
    return EventFraming() if format_ == "sse" else LineFraming()


def _position(request: ApiRequest) -> str | None:
    """Returns where to resume.

    An EventSource repeats its first query when it reconnects, so the position that it learned counts first.
    """
    last = request.headers.get(b"last-event-id", b"").decode("latin-1").strip()
    first = request.text("from")
    return last or first


def _ending(reason: str, error: RowkeepError | None) -> dict[str, object]:
    return {"reason": reason} if error is None else {"reason": reason, "error": error_resource(error)}


def _line(value: dict[str, object]) -> bytes:
    return with_escaped_breaks(msgspec.json.encode(value)) + b"\n"
