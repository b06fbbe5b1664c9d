"""The strict path: decodes request bytes into typed rows.

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

The compiled decoder alone is laxer than the contract in some places, all checked here: a 7th
fraction digit of a second is rounded by msgspec (we refuse it), a geography is only a string to it (we
parse the WKT), and it rounds numbers to the double of a float variable. So a float variable takes
numbers below 2^53 here, which no integer is rounded to; the lenient path tells larger ones apart. It is also
asked where a number may have become zero for being too small. That is looked for in the text: in all of it
where most variables are floats, and else only where there is a zero.

Rejected: decoding into dicts and checking by hand (4 times slower); pydantic (20 times slower);
one decoder per upload (schemas repeat, versions do not change).
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, Protocol, cast

import msgspec

from rowkeep.model.decoding.envelope import doubled_key
from rowkeep.model.decoding.row_lines import rows_body
from rowkeep.model.decoding.values import may_vanish
from rowkeep.model.geography import are_plain_points, geographies_are_valid
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.model.types.records import RECORDS

CELL_BYTES_MAX = 16 * 1024 * 1024
# How much of what only GEOS can read is read at once: it takes up to 0.25 ms a KiB.
PARSED_BYTES_MAX = 64 * 1024
# What is decoded at once: 8 bytes a cell, so 8 MiB of empty rows, in 20 ms on the event loop (measured).
CELLS_MAX = 1024 * 1024
EXACT_INTEGER_MAX = 2**53
# Asking a row for a float takes as long as looking through some 60 bytes of its text.
WIDTH_OF_FEW_FLOATS = 4

Row = msgspec.Struct
_GeographyCheck = Callable[[Sequence[str | None]], bool]


class RowsBody(Protocol):
    """The rows and flags of one request body, as a compiled decoder returns them."""

    rows: list[Row]
    updateSchema: bool | None  # noqa: N815  # as on the wire
    updateVariables: bool | None  # noqa: N815  # as on the wire
    validateOnly: bool | None  # noqa: N815  # as on the wire
    offsetToken: str | None  # noqa: N815  # as on the wire
    expectedOffsetToken: str | msgspec.UnsetType | None  # noqa: N815  # as on the wire
    skipInvalidRows: bool | None  # noqa: N815  # as on the wire


OFFSET_TOKEN_CHARACTERS_MAX = 128
# What a compiled decoder takes for each variable, at most; measured.
DECODER_BYTES_EACH = 2_000
# How many decoders are kept of up to how many variables: each line is some 50 MB at most.
_KEPT_OF_WIDTHS = ((32, 1024), (512, 64), (10_000, 4))
OffsetToken = Annotated[str, msgspec.Meta(min_length=1, max_length=OFFSET_TOKEN_CHARACTERS_MAX)]

_ExactInteger = Annotated[int, msgspec.Meta(ge=-EXACT_INTEGER_MAX, le=EXACT_INTEGER_MAX)]
_ExactFloat = Annotated[float, msgspec.Meta(gt=-EXACT_INTEGER_MAX, lt=EXACT_INTEGER_MAX)]

# A text that ends in a 7th fraction digit: a time that msgspec would round, or an innocent string.
_long_fraction = re.compile(rb'\.\d{7,}+"').search
# The same, spelled with escapes.
_escaped_long_fraction = re.compile(rb'(?:\.|\\u002[eE])(?:\d|\\u003\d){7,}+"').search


class StrictRefusal(Exception):
    """The strict path does not take this body. The lenient path decides whether anything is wrong with it."""


class RowDecoder:
    """The compiled decoders of one schema version."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._width = len(schema.variables)
        types = {variable.type for variable in schema.variables}
        self._has_fraction = any(RECORDS[type_].has_fractions for type_ in types)
        self._geographies = tuple(
            attrgetter(field_name(index))
            for index, variable in enumerate(schema.variables)
            if variable.type is VariableType.GEOGRAPHY
        )
        self._floats = tuple(
            attrgetter(field_name(index))
            for index, variable in enumerate(schema.variables)
            if variable.type is VariableType.FLOAT and not variable.is_empty
        )
        self._has_few_floats = len(self._floats) * WIDTH_OF_FEW_FLOATS <= self._width
        accepted_row = _row_type(schema, accepted_type)
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
        accepted = self._accept_rows(body, geographies_are_valid if is_short else are_plain_points)
        if doubled_key(body) is not None:
            raise StrictRefusal
        return accepted

    def accept_patiently(self, body: bytes) -> RowsBody:
        """Accepts a body in a process where nobody waits, however long it takes and large it grows."""
        return self._accept_rows(body, geographies_are_valid)

    def accept_lines(self, lines: Sequence[bytes]) -> tuple[list[Row], bytes]:
        """Decodes each line as exactly one row.

        Returns the rows, and the lines as a request body of one line.

        Raises StrictRefusal as `accept` does.
        """
        if len(lines) * self._width > CELLS_MAX:
            raise StrictRefusal
        is_short = sum(map(len, lines)) <= PARSED_BYTES_MAX
        return self._accept_lines(lines, geographies_are_valid if is_short else are_plain_points)

    def accept_lines_patiently(self, lines: Sequence[bytes]) -> tuple[list[Row], bytes]:
        """Accepts lines in a process where nobody waits, however long it takes."""
        return self._accept_lines(lines, geographies_are_valid)

    def _accept_rows(self, body: bytes, geographies_fit: _GeographyCheck) -> RowsBody:
        try:
            decoded = cast(RowsBody, self._accept.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StrictRefusal from error
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
        """Checks what the compiled decoder does not see. The rows were decoded from `body`."""
        if not self._width and rows:
            raise StrictRefusal
        if self._has_fraction and (_long_fraction(body) is not None or _has_escaped_fraction(body)):
            raise StrictRefusal
        if self._floats and self._may_have_vanished(rows, body):
            raise StrictRefusal
        for geography in self._geographies:
            if not geographies_fit(list(map(geography, rows))):
                raise StrictRefusal
        if len(body) > CELL_BYTES_MAX and not _cells_fit(rows):
            raise StrictRefusal

    def _may_have_vanished(self, rows: list[Row], body: bytes) -> bool:
        """Returns whether a float of the rows may be zero because a double cannot hold a number so small.

        A few floats are checked before the text is searched, since that takes longer.
        """
        if not (self._has_few_floats or may_vanish(body)):
            return False
        for cells in self._floats:
            if 0.0 in map(cells, rows):
                return may_vanish(body)
        return False

    def read(self, lines: bytes) -> list[Row]:
        """Decodes stored request bodies, one a line, into their rows in order."""
        bodies = self.read_bodies(lines)
        if len(bodies) == 1:
            return bodies[0]
        return [row for body in bodies for row in body]

    def read_bodies(self, lines: bytes) -> list[list[Row]]:
        """Decodes stored request bodies, one a line, into a list of rows for each body."""
        return [body.rows for body in cast(list[RowsBody], self._read.decode_lines(lines))]

    def rows_of(self, columns: Sequence[Sequence[Any]]) -> list[Row]:
        """Returns rows made of a column of typed values for each variable.

        There must be at least one variable.
        """
        return list(map(self._row, *columns))


def field_name(index: int) -> str:
    """Returns the attribute of a decoded row that holds the variable at this position."""
    return f"c{index}"


_keepers = tuple((width, lru_cache(maxsize=count)(RowDecoder)) for width, count in _KEPT_OF_WIDTHS)


def row_decoder(schema: Schema) -> RowDecoder:
    """Returns the decoder of a schema, compiled once (about 0.1 ms for 8 variables)."""
    width = len(schema.variables)
    for width_max, keeper in _keepers:
        if width <= width_max:
            return keeper(schema)
    return RowDecoder(schema)


def _has_escaped_fraction(body: bytes) -> bool:
    # Hardly anybody escapes a dot or a digit.
    if b"\\" not in body or not (b"\\u002" in body or b"\\u003" in body):
        return False
    return _escaped_long_fraction(body) is not None


def accepted_type(variable: Variable) -> Any:
    """Returns the Python type that the strict path takes for a variable."""
    if variable.is_empty:  # its first value decides its type
        return type(None)
    # See `inexact` in model/schema.py: an integer that a double cannot hold takes the lenient path once.
    if variable.type is VariableType.INTEGER and not variable.inexact:
        return _ExactInteger
    if variable.type is VariableType.FLOAT:
        return _ExactFloat
    return RECORDS[variable.type].json


def _stored_type(variable: Variable) -> Any:
    return RECORDS[variable.type].json


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
