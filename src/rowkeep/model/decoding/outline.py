"""The frame of a request body: its flags, and its rows before they are decoded.

Every body that the strict path refuses goes through here. A body that holds a value which is no JSON is cut
into rows all the same (`frame.py`), so that only what breaks the frame refuses the body as a whole.
"""

import re

import msgspec

from rowkeep.model.decoding.envelope import doubled, doubled_key, first_doubled
from rowkeep.model.decoding.frame import FrameBroken, keys_of, split_body
from rowkeep.model.decoding.row_lines import BYTE_ORDER_MARK
from rowkeep.model.decoding.strict import OFFSET_TOKEN_CHARACTERS_MAX, OffsetToken
from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.inserts import OffsetMove, offset_move
from rowkeep.model.quarantine import QuarantineBounds, Skipping

LINE_BYTES_LOOKED_AT = 64 * 1024


class BodyOutline(msgspec.Struct):
    """The frame of a request body, with its rows not yet decoded."""

    rows: list[msgspec.Raw]
    updateSchema: bool | None = None  # noqa: N815  # as on the wire
    updateVariables: bool | None = None  # noqa: N815  # as on the wire
    validateOnly: bool | None = None  # noqa: N815  # as on the wire
    offsetToken: OffsetToken | None = None  # noqa: N815  # as on the wire
    expectedOffsetToken: OffsetToken | msgspec.UnsetType | None = msgspec.UNSET  # noqa: N815  # as on the wire
    skipInvalidRows: bool | None = None  # noqa: N815  # as on the wire

    @property
    def offset(self) -> OffsetMove | None:
        """Returns what the body says of the producer's offset, or None."""
        return offset_move(self.offsetToken, self.expectedOffsetToken)

    def may_update(self, *, by_default: bool) -> bool:
        """Returns whether the rows may change the schema: as the body says, else the default."""
        asked = self.updateVariables if self.updateSchema is None else self.updateSchema
        return by_default if asked is None else asked

    @property
    def asks_for_updates(self) -> bool:
        """Returns whether the body itself says that the rows may change the schema."""
        return self.may_update(by_default=False)

    def skipping(self, default: Skipping | None) -> QuarantineBounds | None:
        """Returns what is kept of rows that do not fit when they are skipped.

        None when they refuse the request.
        """
        if default is None:
            return None
        asked = default.by_default if self.skipInvalidRows is None else self.skipInvalidRows
        return default.bounds if asked else None


def read_outline(body: bytes | memoryview) -> BodyOutline:
    """Reads the frame of a body. Raises invalid_request_error with the reason when it is faulty."""
    if body[: len(BYTE_ORDER_MARK)] == BYTE_ORDER_MARK:
        body = body[len(BYTE_ORDER_MARK) :]
    try:
        outline = msgspec.json.decode(body, type=BodyOutline)
        key = doubled_key(body)
    except msgspec.ValidationError as error:
        problem = _ONE_ROW_A_LINE if _is_lines(body) else _outline_problem(str(error))
        raise invalid_request(problem) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = _outline_around_values(body)
        if found is None:
            raise _unreadable(error, body) from error
        return found
    if key is not None:
        raise doubled(key)
    return outline


def _outline_around_values(body: bytes | memoryview) -> BodyOutline | None:
    """Returns the frame of a body with values that are not JSON, or None when the frame is broken too."""
    try:
        frame, rows = split_body(body)
        outline = msgspec.json.decode(frame, type=BodyOutline)
        key = first_doubled(keys_of(frame))
    except msgspec.ValidationError as error:
        raise invalid_request(_outline_problem(str(error))) from error
    except (FrameBroken, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if key is not None:
        raise doubled(key)
    return msgspec.structs.replace(outline, rows=rows)


def _unreadable(error: Exception, body: bytes | memoryview) -> RowkeepError:
    if isinstance(error, RecursionError):
        return invalid_request("The body is nested too deeply to be read.")
    if isinstance(error, UnicodeDecodeError):
        return invalid_request(f"The body is not valid UTF-8: {error.reason}.")
    if _is_lines(body):
        return invalid_request(_ONE_ROW_A_LINE)
    return invalid_request(syntax_problem(str(error), body, "The body"))


_ONE_ROW_A_LINE = (
    "This looks like one row a line, not one JSON object with `rows`: send it with "
    "`Content-Type: application/x-ndjson`."
)


def _is_lines(body: bytes | memoryview) -> bool:
    """Returns whether a faulty body consists of rows of JSON, one a line."""
    first, feed, second = bytes(body[:LINE_BYTES_LOOKED_AT]).strip().partition(b"\n")
    return bool(feed) and _is_object(first) and second.lstrip()[:1] == b"{"


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False


def _outline_problem(reason: str) -> str:
    for flag in ("updateSchema", "updateVariables", "validateOnly", "skipInvalidRows"):
        if f"$.{flag}" in reason:
            return f"`{flag}` must be true or false: {reason}."
    for token in ("offsetToken", "expectedOffsetToken"):
        if f"$.{token}" in reason:
            return f"`{token}` must be a text of 1 to {OFFSET_TOKEN_CHARACTERS_MAX} characters: {reason}."
    if reason == "Expected `object`, got `array`":
        return (
            'The body is a list. Put it into an object, as the value of `rows`: {"rows": [{"name": "Jane"}]}.'
        )
    if "missing required field" in reason:
        reason = "`rows` is missing; one row a line is sent with `Content-Type: application/x-ndjson`"
    return f'The body must be a JSON object such as {{"rows": [{{"name": "Jane", "age": 30}}]}}: {reason}.'


_position_of = re.compile(r"\(byte (\d+)\)").search
_lone_surrogate = re.compile(
    rb"(?<!\\)(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?:(?!\\u[dD][c-fC-F])|$)"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2})"
).search


def syntax_problem(reason: str, body: bytes | memoryview, subject: str) -> str:
    """Returns why a text is not JSON. The message begins with `subject`; `reason` is the decoder's."""
    if not len(body):
        return f"{subject} is empty; send a JSON object with `rows`."
    match = _position_of(reason)
    position = int(match[1]) if match else len(body)
    token = bytes(body[max(position - 1, 0) : position + 9])
    if b"NaN" in token or b"Infinity" in token:
        return (
            f"{subject} holds NaN or Infinity at byte {position}, and JSON has neither. "
            "Send null for a missing number."
        )
    if "escape" in reason or "surrogate" in reason or "truncated" in reason:
        half = _lone_surrogate(body)
        if half is not None:
            return (
                f"{subject} holds half a surrogate pair ({half[0].decode()}) at byte {half.start()}, "
                "which is not a character. Send both halves, or the character as UTF-8."
            )
    if "truncated" in reason:
        return f"{subject} is not valid JSON: it ends before the object does."
    return f"{subject} is not valid JSON: {reason.removeprefix('JSON is malformed: ')}."
