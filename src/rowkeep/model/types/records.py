"""One record a variable type: what it is in messages, JSON, Arrow, Parquet, SQL, CSV and statistics.

A ninth type is a ninth record. What a type takes in code beside its record stands in tables by type, such as
the converters of `model/decoding/cells.py`; a test finds them all and fails where a type is missing
(tests/house/test_types.py), another sends a value of each type through every carrier
(tests/unit/test_types_everywhere.py).
"""

import datetime
from typing import Annotated, Any

import msgspec

from rowkeep.model.types import INTEGER_MAX, INTEGER_MIN, VariableType


class TypeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about one type.

    `expected` describes a JSON value of the type, and `expected_text` a text in a file, both in the words of
    an error message. `json` is what the strict decoder takes, `json_kinds` what the lenient one may take
    beside numbers as text. `arrow` names the type of its columns in Arrow and Parquet, `arrow_kinds` the
    kinds of columns that an insert takes. `sql` is its name in SQL. `wider` is the type, other than string,
    that holds all its values. A type with fractions has a text that may end in fractions of a second.
    """

    expected: str
    expected_text: str
    json: Any
    json_kinds: frozenset[type]
    arrow: str
    arrow_kinds: tuple[str, ...]
    sql: str
    wider: VariableType | None = None
    is_temporal: bool = False
    has_fractions: bool = False
    has_deviation: bool = True
    has_frequencies: bool = True


RECORDS: dict[VariableType, TypeRecord] = {
    VariableType.STRING: TypeRecord(
        expected="a string",
        expected_text="a text",
        json=str,
        json_kinds=frozenset({str, int, bool}),
        arrow="string",
        arrow_kinds=("string",),
        sql="STRING",
        has_deviation=False,
    ),
    VariableType.INTEGER: TypeRecord(
        expected="an integer (a JSON number between -2^63 and 2^63-1)",
        expected_text="an integer (digits, between -2^63 and 2^63-1)",
        json=Annotated[int, msgspec.Meta(ge=INTEGER_MIN, le=INTEGER_MAX)],
        json_kinds=frozenset({int}),
        arrow="int64",
        arrow_kinds=("integer",),
        sql="INT64",
        wider=VariableType.FLOAT,
    ),
    VariableType.FLOAT: TypeRecord(
        expected="a float (a JSON number within the range of a double)",
        expected_text="a float (a decimal number within the range of a double)",
        json=float,
        json_kinds=frozenset({int}),
        arrow="float64",
        arrow_kinds=("floating", "integer"),
        sql="FLOAT64",
    ),
    VariableType.BOOLEAN: TypeRecord(
        expected="a boolean (true or false)",
        expected_text="a boolean (true or false)",
        json=bool,
        json_kinds=frozenset({bool}),
        arrow="bool",
        arrow_kinds=("boolean",),
        sql="BOOL",
        has_deviation=False,
    ),
    VariableType.DATE: TypeRecord(
        expected="a date (YYYY-MM-DD, years 0001 to 9999)",
        expected_text="a date (YYYY-MM-DD, years 0001 to 9999)",
        json=datetime.date,
        json_kinds=frozenset({str}),
        arrow="date32",
        arrow_kinds=("date",),
        sql="DATE",
        wider=VariableType.DATE_TIME,
        is_temporal=True,
    ),
    VariableType.DATE_TIME: TypeRecord(
        expected="a dateTime (YYYY-MM-DDTHH:MM:SS, up to 6 fraction digits, no time zone)",
        expected_text="a dateTime (YYYY-MM-DD HH:MM:SS, up to 6 fraction digits, no time zone)",
        json=Annotated[datetime.datetime, msgspec.Meta(tz=False)],
        json_kinds=frozenset({str}),
        arrow="timestamp[us]",
        arrow_kinds=("timestamp",),
        sql="DATETIME",
        is_temporal=True,
        has_fractions=True,
    ),
    VariableType.TIME: TypeRecord(
        expected="a time (HH:MM:SS, up to 6 fraction digits, no time zone)",
        expected_text="a time (HH:MM:SS, up to 6 fraction digits, no time zone)",
        json=Annotated[datetime.time, msgspec.Meta(tz=False)],
        json_kinds=frozenset({str}),
        arrow="time64[us]",
        arrow_kinds=("time",),
        sql="TIME",
        is_temporal=True,
        has_fractions=True,
    ),
    VariableType.GEOGRAPHY: TypeRecord(
        expected="a geography (WKT, such as POINT(10 20))",
        expected_text="a geography (WKT, such as POINT(10 20))",
        json=str,
        json_kinds=frozenset({str}),
        arrow="string",
        arrow_kinds=("string",),
        sql="GEOGRAPHY",
        has_frequencies=False,
    ),
}

# What a value of each type looks like, in the words of an error message.
EXPECTED = {type_: record.expected for type_, record in RECORDS.items()}


def widened(one: VariableType, other: VariableType) -> VariableType:
    """Returns the narrowest type that holds the values of both; string holds everything."""
    if other in (one, RECORDS[one].wider):
        return other
    return one if RECORDS[other].wider is one else VariableType.STRING
