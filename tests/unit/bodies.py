"""Request bodies of every kind, made for the tests of both decoding paths."""

import datetime
import json
from typing import Any

from hypothesis import strategies as some

from rowkeep.model.decoding.strict import Row, RowDecoder
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType

ALL_TYPES = Schema(1, tuple(Variable(type_.value, type_) for type_ in VariableType))
NOTHING = Schema(1, ())

# Anything JSON, and anything Python's json writes that is not JSON.
JSON_VALUES: some.SearchStrategy[Any] = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**70), 2**70)
    | some.floats()
    | some.text(some.characters(codec="utf-8"), max_size=20)
    | some.sampled_from(["2020-01-02", "2020-1-2 3:4:5", "03:04:05.1234567", "POINT(1 2)", "12", "true"]),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = some.sampled_from([*(type_.value for type_ in VariableType), "new", "NEW", "String"]) | some.text(
    max_size=4
)
LOOSE_ROWS = some.dictionaries(KEYS, JSON_VALUES, max_size=5)
LOOSE_BODIES = some.fixed_dictionaries(
    {"rows": some.lists(LOOSE_ROWS | JSON_VALUES, max_size=4) | JSON_VALUES},
    optional={"updateSchema": JSON_VALUES, "updateVariables": some.booleans(), "other": JSON_VALUES},
)

_MOMENTS = some.datetimes()
_STRICT_VALUES: dict[VariableType, some.SearchStrategy[Any]] = {
    VariableType.STRING: some.text(some.characters(codec="utf-8"), max_size=20),
    VariableType.INTEGER: some.integers(-(2**53), 2**53),
    VariableType.FLOAT: some.floats(-(2**53), 2**53, exclude_min=True, exclude_max=True)
    | some.integers(1 - 2**53, 2**53 - 1),
    VariableType.BOOLEAN: some.booleans(),
    VariableType.DATE: _MOMENTS.map(lambda moment: moment.date().isoformat()),
    VariableType.DATE_TIME: some.builds(datetime.datetime.isoformat, _MOMENTS, some.sampled_from(" T")),
    VariableType.TIME: _MOMENTS.map(lambda moment: moment.time().isoformat()),
    VariableType.GEOGRAPHY: some.sampled_from(["POINT(1 2)", "LINESTRING(0 0,1 1)", "POINT EMPTY"]),
}
STRICT_ROWS = some.fixed_dictionaries(
    {}, optional={type_.value: some.none() | values for type_, values in _STRICT_VALUES.items()}
)
# Rows of one variable that grows: every kind of value, in any order.
GROWING_VALUES = (
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**63 - 1)
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.sampled_from(["2020-01-02", "2020-1-2", "2020-01-02 03:04:05", "03:04:05", "POINT(1 2)", "x"])
)


def encoded(body: object, *, ascii_only: bool = False, indent: int | None = None) -> bytes:
    """A body as Python's clients send it."""
    return json.dumps(body, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")


def body_of(text: str, name: str = "v") -> bytes:
    """A body of one row with one cell, its value as JSON text."""
    return b'{"rows":[{"%s":%s}]}' % (name.encode(), text.encode())


def one(type_: VariableType | str, *, inexact: bool = False, version: int = 1) -> Schema:
    """A schema of one variable `v`."""
    return Schema(version, (Variable("v", VariableType(type_), inexact=inexact),))


def values_of(rows: list[Row]) -> list[tuple[Any, ...]]:
    """The cells of decoded rows."""
    return [tuple(getattr(row, name) for name in row.__struct_fields__) for row in rows]


def stored_values(schema: Schema, lines: bytes) -> list[tuple[Any, ...]]:
    """What a reader of the journal gets back from stored lines."""
    return values_of(RowDecoder(schema).read(lines))
