"""insertRows with `acks=true`: a body of lines that may last for hours, answered line by line meanwhile.

The answer begins at once, with a line that says how many rows of this key are settled. Then comes an ack
for each group that was committed, in order, and a line that says why it ended: `complete` when the body
did, `refused` with the error, `stopping` with the server. `sequence` counts the rows of the insert that
are settled; what a client sent beyond it is not in. An answer without its last line was cut off.

A client that does not read its acks is not read from either, and is cut off in the end.
"""

import asyncio
from typing import Any
from urllib.parse import parse_qs

import msgspec

from rowkeep.api.http.asgi import Scope, Send
from rowkeep.api.http.body import BodyBroken
from rowkeep.api.http.body_lines import BodyLines
from rowkeep.api.http.endpoint import answer_to, send_answer
from rowkeep.api.http.headers import CACHE_BYTES_MAX
from rowkeep.api.http.incoming import IncomingBody
from rowkeep.api.http.warnings import warn
from rowkeep.api.http.wire import Headers
from rowkeep.api.resources.insert_options import ACKS_OPTION, SEQUENCE_OPTION, flag, insert_warnings
from rowkeep.api.resources.insert_rows import insert_request, inserted
from rowkeep.model.bounded_cache import remembered
from rowkeep.model.errors import ErrorCode, RowkeepError, invalid_request
from rowkeep.model.inserts import BodyFormat
from rowkeep.model.line_breaks import with_escaped_breaks
from rowkeep.model.long_inserts import KEY_CHARACTERS_MAX, ROW_DIGITS
from rowkeep.services.insert.long_insert import LongInsert, LongInsertService
from rowkeep.services.insert.requests import InsertRequest


class AcksNotTaken(Exception):
    """The client does not take its acks. Raised through the HTTP server, which ends the connection."""


class LongInserts:
    """Opens long inserts."""

    def __init__(
        self, inserts: LongInsertService, *, idle_seconds_max: float, stall_seconds_max: float
    ) -> None:
        self._inserts = inserts
        self._idle_seconds_max = idle_seconds_max
        self._stall_seconds_max = stall_seconds_max

    async def open(self, path: tuple[str, str], scope: Scope) -> "LongInsertAnswer":
        """Returns an answer that lasts as long as the body.

        Raises what insertRows would raise before it reads a body.
        """
        headers = dict(scope["headers"])
        request = insert_request(path, headers, scope["query_string"])
        flag(parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True), ACKS_OPTION)
        _check(request, headers)
        insert = await self._inserts.open(request, _sequence(scope["query_string"], request.key))
        headers_sent: Headers = []
        warn(headers_sent, insert_warnings(scope["query_string"], is_long=True))
        return LongInsertAnswer(
            self._inserts, insert, self._idle_seconds_max, self._stall_seconds_max, headers_sent
        )


class LongInsertAnswer:
    """Inserts the rows of a body as they come, and sends an ack for each group."""

    def __init__(
        self,
        inserts: LongInsertService,
        insert: LongInsert,
        idle_seconds_max: float,
        stall_seconds_max: float,
        headers: Headers,
    ) -> None:
        self._inserts = inserts
        self._insert = insert
        self._headers = headers
        self._idle_seconds_max = idle_seconds_max
        self._stall_seconds_max = stall_seconds_max

    async def send(self, receive: IncomingBody, send: Send, request_id: bytes) -> None:
        """Sends all of it, or 503 when all places are taken. Raises AcksNotTaken to cut the connection."""
        lines = BodyLines(receive, idle_seconds_max=self._idle_seconds_max)
        try:
            with self._inserts.place(self._insert, lines.end):
                await self._start(send, request_id)
                await self._run(lines, send, request_id)
        except BodyBroken:
            return  # after the answer has begun: the client left, or cannot be understood any more
        except RowkeepError as error:
            await send_answer(receive, send, answer_to(error, request_id), request_id)
        else:
            await receive.drain()
            await send({"type": "http.response.body", "body": b""})

    async def _start(self, send: Send, request_id: bytes) -> None:
        headers = [
            (b"content-type", b"application/x-ndjson"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # nginx passes on what it gets, at once
            (b"x-request-id", request_id),
            *self._headers,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._say(send, {"kind": "insertRowsOpened", **self._position()})

    async def _run(self, lines: BodyLines, send: Send, request_id: bytes) -> None:
        filling = asyncio.create_task(lines.fill())
        try:
            await self._insert_groups(lines, send)
        except (BodyBroken, AcksNotTaken):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told where it stands
            await self._say(send, self._ended("refused", msgspec.Raw(answer_to(error, request_id).body)))
        else:
            await self._say(send, self._ended("stopping" if self._inserts.is_stopping else "complete"))
        finally:
            filling.cancel()

    async def _insert_groups(self, lines: BodyLines, send: Send) -> None:
        while group := await lines.next():
            receipt = await self._insert.insert(group)
            if receipt is not None:
                await self._say(send, {**msgspec.to_builtins(inserted(receipt)), **self._position()})
            elif self._inserts.is_stopping:
                return

    def _position(self) -> dict[str, Any]:
        return {SEQUENCE_OPTION: self._insert.row_count}

    def _ended(self, reason: str, error: msgspec.Raw | None = None) -> dict[str, Any]:
        ended = {"kind": "insertRowsEnded", "reason": reason, **self._position()}
        return ended if error is None else {**ended, "error": error}

    async def _say(self, send: Send, line: dict[str, Any]) -> None:
        body = with_escaped_breaks(msgspec.json.encode(line)) + b"\n"
        # Not within a timeout: the server's `send` does not end when it is cancelled.
        sending = asyncio.ensure_future(send({"type": "http.response.body", "body": body, "more_body": True}))
        await asyncio.wait({sending}, timeout=self._stall_seconds_max)
        if not sending.done():
            sending.cancel()
            raise AcksNotTaken
        sending.result()


@remembered(CACHE_BYTES_MAX)  # the same few come with every request
def is_long_insert(query_string: bytes) -> bool:
    """Returns whether a query asks for acks.

    A value that is neither true nor false counts too, to be refused.
    """
    query = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    return query.get(ACKS_OPTION, ["false"])[-1] != "false"


def _check(request: InsertRequest, headers: dict[bytes, bytes]) -> None:
    """Raises invalid_request_error or unsupported_media_type for a request that cannot be a long insert."""
    if request.format is not BodyFormat.LINES:
        raise RowkeepError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            "With acks=true the body is a row of JSON a line; send it with "
            "`Content-Type: application/x-ndjson`.",
        )
    if b"content-encoding" in headers:
        raise invalid_request("With acks=true the body is sent as it is, without a Content-Encoding.")
    if request.options.validate_only or request.options.offset is not None:
        raise invalid_request(
            "acks=true goes with updateSchema and skipInvalidRows alone: validateOnly, offsetToken and "
            "expectedOffsetToken are for one batch of rows."
        )
    if request.key is not None and len(request.key) > KEY_CHARACTERS_MAX:
        raise invalid_request(
            f"With acks=true an Idempotency-Key has at most {KEY_CHARACTERS_MAX} characters."
        )


def _sequence(query_string: bytes, key: str | None) -> int | None:
    """Returns the number of the first row that the body brings, or None when the query does not say."""
    query = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    if SEQUENCE_OPTION not in query:
        return None
    text = query[SEQUENCE_OPTION][-1]
    if not text.isascii() or not text.isdigit() or len(text) > ROW_DIGITS:
        raise invalid_request(
            f"The query parameter sequence is the number of a row, from 0 on, not {text[:60]!r}."
        )
    if key is None:
        raise invalid_request("The query parameter sequence needs an Idempotency-Key, whose rows it counts.")
    return int(text)
