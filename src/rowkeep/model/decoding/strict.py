"""From request bytes to typed rows: the strict path.

Theory
------
A body is decoded once, at the door, by a msgspec decoder compiled from the schema. There are two
compiled decoders per schema version, both cached:

* the *accepting* decoder checks a request. Strict JSON types, RFC 3339 text, known names in their
  exact spelling, nothing beside rows and flags (what is ignored would be stored unchecked, and reading
  could fail on it: how deep a value may nest depends on the stack). What it refuses is not yet an
  error: `model/decoding/lenient.py` looks again with the whole documented grammar and either rewrites the
  rows so that the strict decoder takes them or names every bad row.
* the *reading* decoder reads a journal entry back. It takes what any accepting decoder of this
  schema version took, so it has no bound on integers but int64.

Invariant: whatever is stored decodes with the reading decoder of the schema version stored beside
it. That is why the journal keeps request bytes and not a second encoding: typed decoding is faster
than any re-encoding would be.

The compiled decoder alone is laxer than the contract in three places, all checked here: a 7th
fraction digit of a second is rounded by msgspec (we refuse it), a geography is only a string to it (we
parse the WKT), and it rounds an integer to the double of a float variable. The last is right unless the
schema may change: then such an integer widens the variable to string (`widens`).

Rejected: decoding into dicts and checking by hand (4 times slower); pydantic (20 times slower);
one decoder per upload (schemas repeat, versions do not change).
"""

import datetime
import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from operator import attrgetter
from typing import Annotated, Any, Protocol, cast

import msgspec

from rowkeep.model.decoding.row_lines import rows_body
from rowkeep.model.errors import invalid_request
from rowkeep.model.geography import are_plain_points, geographies_are_valid
from rowkeep.model.inserts import OffsetMove, offset_move
from rowkeep.model.quarantine import QuarantineBounds, Skipping
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import INTEGER_MAX, INTEGER_MIN, VariableType

CELL_BYTES_MAX = 16 * 1024 * 1024
# How much of what only GEOS can read is read at once: it takes up to 0.25 ms a KiB.
PARSED_BYTES_MAX = 64 * 1024
# What one decoded request may take in memory: 8 bytes a cell, so 32 MiB of empty rows.
CELLS_MAX = 4 * 1024 * 1024
EXACT_INTEGER_MAX = 2**53

Row = msgspec.Struct
_GeographyCheck = Callable[[Sequence[str | None]], bool]


class RowsBody(Protocol):
    """What a compiled decoder returns: the rows and the flags of one request body."""

    rows: list[Row]
    updateSchema: bool | None  # noqa: N815  # as on the wire
    updateVariables: bool | None  # noqa: N815  # as on the wire
    validateOnly: bool | None  # noqa: N815  # as on the wire
    offsetToken: str | None  # noqa: N815  # as on the wire
    expectedOffsetToken: str | msgspec.UnsetType | None  # noqa: N815  # as on the wire
    skipInvalidRows: bool | None  # noqa: N815  # as on the wire


OFFSET_TOKEN_CHARACTERS_MAX = 128
OffsetToken = Annotated[str, msgspec.Meta(min_length=1, max_length=OFFSET_TOKEN_CHARACTERS_MAX)]

_Int64 = Annotated[int, msgspec.Meta(ge=INTEGER_MIN, le=INTEGER_MAX)]
_ExactInteger = Annotated[int, msgspec.Meta(ge=-EXACT_INTEGER_MAX, le=EXACT_INTEGER_MAX)]
_JSON_TYPES: dict[VariableType, Any] = {
    VariableType.STRING: str,
    VariableType.INTEGER: _Int64,
    VariableType.FLOAT: float,
    VariableType.BOOLEAN: bool,
    VariableType.DATE: datetime.date,
    VariableType.DATE_TIME: Annotated[datetime.datetime, msgspec.Meta(tz=False)],
    VariableType.TIME: Annotated[datetime.time, msgspec.Meta(tz=False)],
    VariableType.GEOGRAPHY: str,
}

_ExactFloat = Annotated[float, msgspec.Meta(gt=-EXACT_INTEGER_MAX, lt=EXACT_INTEGER_MAX)]

# A text that ends in a 7th fraction digit: a time that msgspec would round, or an innocent string.
_long_fraction = re.compile(rb'\.\d{7,}+"').search
# The same, spelled with escapes.
_escaped_long_fraction = re.compile(rb'(?:\.|\\u002[eE])(?:\d|\\u003\d){7,}+"').search


class StrictRefusal(Exception):
    """The strict path does not take this body; the lenient path decides what is wrong, if anything."""


class RowDecoder:
    """The compiled decoders of one schema version.

    `widens` says whether rows may change the schema when their body does not say.
    """

    def __init__(self, schema: Schema, *, widens: bool = False) -> None:
        self.schema = schema
        self._widens = widens
        self._width = len(schema.variables)
        types = {variable.type for variable in schema.variables}
        self._has_fraction = bool(types & {VariableType.DATE_TIME, VariableType.TIME})
        self._geographies = tuple(
            attrgetter(field_name(index))
            for index, variable in enumerate(schema.variables)
            if variable.type is VariableType.GEOGRAPHY
        )
        accepted_row = _row_type(schema, partial(accepted_type, widens=widens))
        self._accept_row = msgspec.json.Decoder(accepted_row)
        self._accept = _body_decoder(accepted_row, forbid_unknown_fields=True)
        self._row = _row_type(schema, _stored_type)
        self._read = _body_decoder(self._row, forbid_unknown_fields=False)

    def accept(self, body: bytes) -> RowsBody:
        """Decodes a request body. Raises StrictRefusal when the strict path does not take it."""
        # A row takes a place for each variable, also for those it does not name.
        if len(body) * self._width > 3 * CELLS_MAX and body.count(b"{") * self._width > CELLS_MAX:
            raise StrictRefusal
        is_short = len(body) <= PARSED_BYTES_MAX
        return self._accept_rows(body, geographies_are_valid if is_short else are_plain_points)

    def accept_patiently(self, body: bytes) -> RowsBody:
        """The same where nobody waits: takes whatever fits, however long it takes and large it grows."""
        return self._accept_rows(body, geographies_are_valid)

    def accept_lines(self, lines: Sequence[bytes]) -> tuple[list[Row], bytes]:
        """Decodes each line as exactly one row; the rows, and the same as a request body of one line.

        Raises StrictRefusal as `accept` does.
        """
        if len(lines) * self._width > CELLS_MAX:
            raise StrictRefusal
        is_short = sum(map(len, lines)) <= PARSED_BYTES_MAX
        return self._accept_lines(lines, geographies_are_valid if is_short else are_plain_points)

    def accept_lines_patiently(self, lines: Sequence[bytes]) -> tuple[list[Row], bytes]:
        """The same where nobody waits."""
        return self._accept_lines(lines, geographies_are_valid)

    def _accept_rows(self, body: bytes, geographies_fit: _GeographyCheck) -> RowsBody:
        try:
            decoded = cast(RowsBody, self._accept.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StrictRefusal from error
        if (decoded.updateSchema or decoded.updateVariables) and not self._widens:
            return row_decoder(self.schema, widens=True)._accept_rows(body, geographies_fit)
        self._check_cells(decoded.rows, body, geographies_fit)
        return decoded

    def _accept_lines(
        self, lines: Sequence[bytes], geographies_fit: _GeographyCheck
    ) -> tuple[list[Row], bytes]:
        try:
            rows = list(map(self._accept_row.decode, lines))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StrictRefusal from error
        # Joined only now: each line is known to be one row and nothing else.
        body = rows_body(lines)
        self._check_cells(rows, body, geographies_fit)
        return rows, body

    def _check_cells(self, rows: list[Row], body: bytes, geographies_fit: _GeographyCheck) -> None:
        """What the compiled decoder does not see; `body` is what the rows were decoded from."""
        if self._has_fraction and (_long_fraction(body) is not None or _has_escaped_fraction(body)):
            raise StrictRefusal
        for geography in self._geographies:
            if not geographies_fit(list(map(geography, rows))):
                raise StrictRefusal
        if len(body) > CELL_BYTES_MAX and not _cells_fit(rows):
            raise StrictRefusal

    def read(self, lines: bytes) -> list[Row]:
        """Decodes stored request bodies, one a line, into their rows in order."""
        bodies = self.read_bodies(lines)
        if len(bodies) == 1:
            return bodies[0]
        return [row for body in bodies for row in body]

    def read_bodies(self, lines: bytes) -> list[list[Row]]:
        """Decodes stored request bodies, one a line, into the rows of each."""
        return [body.rows for body in cast(list[RowsBody], self._read.decode_lines(lines))]

    def rows_of(self, columns: Sequence[Sequence[Any]]) -> list[Row]:
        """Rows from a column of typed values for each variable, of which there is at least one."""
        return list(map(self._row, *columns))


def field_name(index: int) -> str:
    """The attribute of a decoded row that holds the variable at this position."""
    return f"c{index}"


@lru_cache(maxsize=4096)
def row_decoder(schema: Schema, *, widens: bool = False) -> RowDecoder:
    """The decoder of a schema, compiled once (about 0.1 ms for 8 variables)."""
    return RowDecoder(schema, widens=widens)


def _has_escaped_fraction(body: bytes) -> bool:
    # Hardly anybody escapes a dot or a digit.
    if b"\\" not in body or not (b"\\u002" in body or b"\\u003" in body):
        return False
    return _escaped_long_fraction(body) is not None


def accepted_type(variable: Variable, *, widens: bool) -> Any:
    """What the strict path takes for a variable, in rows that may change the schema (`widens`) or may not."""
    # See `inexact` in model/schema.py: an integer that a double cannot hold takes the lenient path once.
    if variable.type is VariableType.INTEGER and not variable.inexact:
        return _ExactInteger
    if variable.type is VariableType.FLOAT and widens:
        return _ExactFloat
    return _JSON_TYPES[variable.type]


def _stored_type(variable: Variable) -> Any:
    return _JSON_TYPES[variable.type]


def _row_type(schema: Schema, json_type: Callable[[Variable], Any]) -> type[Row]:
    fields = [
        (field_name(index), json_type(variable) | None, None)
        for index, variable in enumerate(schema.variables)
    ]
    rename = {field_name(index): variable.name for index, variable in enumerate(schema.variables)}
    # Without its defaults a row is encoded as its canonical text (model/chain.py).
    return msgspec.defstruct(
        "Row", fields, rename=rename, forbid_unknown_fields=True, omit_defaults=True, gc=False
    )


def _body_decoder(row: type[Row], *, forbid_unknown_fields: bool) -> msgspec.json.Decoder[Any]:
    body = msgspec.defstruct(
        "RowsBody",
        [
            ("rows", list[row]),  # type: ignore[valid-type]  # a class made at run time
            ("updateSchema", bool | None, None),
            ("updateVariables", bool | None, None),
            ("validateOnly", bool | None, None),
            ("offsetToken", OffsetToken | None, None),
            ("expectedOffsetToken", OffsetToken | msgspec.UnsetType | None, msgspec.UNSET),
            ("skipInvalidRows", bool | None, None),
        ],
        forbid_unknown_fields=forbid_unknown_fields,
        gc=False,
    )
    return msgspec.json.Decoder(body)


def _cells_fit(rows: Sequence[Row]) -> bool:
    return all(
        len(value.encode()) <= CELL_BYTES_MAX
        for row in rows
        for value in msgspec.structs.astuple(row)
        if isinstance(value, str) and len(value) * 4 > CELL_BYTES_MAX
    )


class BodyOutline(msgspec.Struct):
    """The frame of a request body, its rows not yet looked into."""

    rows: list[msgspec.Raw]
    updateSchema: bool | None = None  # noqa: N815  # as on the wire
    updateVariables: bool | None = None  # noqa: N815  # as on the wire
    validateOnly: bool | None = None  # noqa: N815  # as on the wire
    offsetToken: OffsetToken | None = None  # noqa: N815  # as on the wire
    expectedOffsetToken: OffsetToken | msgspec.UnsetType | None = msgspec.UNSET  # noqa: N815  # as on the wire
    skipInvalidRows: bool | None = None  # noqa: N815  # as on the wire

    @property
    def offset(self) -> OffsetMove | None:
        """What the body says of the producer's offset."""
        return offset_move(self.offsetToken, self.expectedOffsetToken)

    def may_update(self, *, by_default: bool) -> bool:
        """Whether the rows may change the schema: what the body says, else the default."""
        asked = self.updateVariables if self.updateSchema is None else self.updateSchema
        return by_default if asked is None else asked

    def skipping(self, default: Skipping | None) -> QuarantineBounds | None:
        """What is kept of rows that do not fit when they are skipped; None when they refuse the request."""
        if default is None:
            return None
        asked = default.by_default if self.skipInvalidRows is None else self.skipInvalidRows
        return default.bounds if asked else None


def read_outline(body: bytes | memoryview) -> BodyOutline:
    """Reads the frame of a body. Raises invalid_request_error that says why it is none."""
    try:
        return msgspec.json.decode(body, type=BodyOutline)
    except RecursionError as error:
        raise invalid_request("The body is nested too deeply to be read.") from error
    except UnicodeDecodeError as error:
        raise invalid_request(f"The body is not valid UTF-8: {error.reason}.") from error
    except msgspec.ValidationError as error:
        raise invalid_request(_outline_problem(str(error))) from error
    except msgspec.DecodeError as error:
        raise invalid_request(syntax_problem(str(error), body, "The body")) from error


def _outline_problem(reason: str) -> str:
    for flag in ("updateSchema", "updateVariables", "validateOnly", "skipInvalidRows"):
        if f"$.{flag}" in reason:
            return f"`{flag}` must be true or false: {reason}."
    for token in ("offsetToken", "expectedOffsetToken"):
        if f"$.{token}" in reason:
            return f"`{token}` must be a text of 1 to {OFFSET_TOKEN_CHARACTERS_MAX} characters: {reason}."
    if "missing required field" in reason:
        reason = "`rows` is missing"
    return f'The body must be a JSON object such as {{"rows": [{{"name": "Jane", "age": 30}}]}}: {reason}.'


_position_of = re.compile(r"\(byte (\d+)\)").search
_lone_surrogate = re.compile(
    rb"(?<!\\)(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?:(?!\\u[dD][c-fC-F])|$)"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2})"
).search


def syntax_problem(reason: str, body: bytes | memoryview, subject: str) -> str:
    """Why a text is not JSON, in words that help: `subject` begins them, `reason` is the decoder's."""
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
