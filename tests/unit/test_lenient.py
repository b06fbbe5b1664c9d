"""The lenient path: the whole grammar in, strict spelling or every bad row out. Source: contract 7.1-7.8."""

import datetime
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.model.decoding.lenient import ROW_ERRORS_MAX, LenientRows, decode_leniently
from rowkeep.model.decoding.strict import CELL_BYTES_MAX, RowDecoder, row_decoder
from rowkeep.model.errors import ErrorCode, RowkeepError, RowsRefused
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.model.types.records import EXPECTED
from tests.unit.bodies import (
    ALL_TYPES,
    LOOSE_BODIES,
    STRICT_ROWS,
    body_of,
    encoded,
    one,
    stored_values,
    values_of,
)

DAY = datetime.date(2020, 1, 2)
MOMENT = datetime.datetime(2020, 1, 2, 3, 4, 5, 100000)


def decode(body: bytes, schema: Schema = ALL_TYPES, *, updates: bool = False) -> LenientRows:
    return decode_leniently(body, schema, updates_by_default=updates)


def refusal_of(body: bytes, schema: Schema = ALL_TYPES, *, updates: bool = False) -> RowsRefused:
    with pytest.raises(RowsRefused) as refusal:
        decode(body, schema, updates=updates)
    return refusal.value


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("integer", "1.0", 1),
        ("integer", "-0.0", 0),
        ("integer", "1e2", 100),
        ("integer", "0.0000001e7", 1),
        ("integer", "1." + "0" * 100_000, 1),
        ("integer", "9007199254740993.0", 2**53 + 1),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("integer", "-9223372036854775808", -(2**63)),
        ("integer", "9223372036854775807.0", 2**63 - 1),
        ("float", "1", 1.0),
        ("float", str(2**63), 2.0**63),
        ("string", '"\\u0000"', "\x00"),
        ("string", '"\\ud83d\\ude00"', "😀"),
        ("date", '"2020-1-2"', DAY),
        ("dateTime", '"2020-1-2"', datetime.datetime(2020, 1, 2)),
        ("dateTime", '"2020-1-2 3:4:5.1"', MOMENT),
        ("dateTime", '"2020-01-02t03:04:05.1"', MOMENT),
        ("time", '"3:4:5.1"', MOMENT.time()),
        ("geography", '"point (1 2)"', "point (1 2)"),
    ],
)
def test_the_whole_grammar_is_taken(type_: str, text: str, value: object) -> None:
    """Values outside the canonical form become canonical, exactly."""
    rows = decode(body_of(text), one(type_))
    assert stored_values(rows.schema, rows.body) == [(value,)]


REFUSED = [
    ("integer", "1.5", "the number 1.5 (it has a fraction or is out of range)"),
    ("integer", "9223372036854775808", "the number 9223372036854775808 (it is out of range)"),
    ("integer", "-9223372036854775809", "(it is out of range)"),
    ("integer", "1e400", "the number 1e400"),
    ("integer", "1e999999999999", "the number 1e999999999999"),
    ("integer", "1e-999999999999", "the number 1e-999999999999"),
    ("integer", "1" * 1_000_000, "the number 1111"),
    ("integer", "1." + "0" * 999_999 + "1", "the number 1.000"),
    ("integer", '"1"', 'the string "1"'),
    ("integer", "true", "the boolean true"),
    ("integer", "[1]", "an array"),
    ("integer", "{}", "an object"),
    ("float", "1e400", "the number 1e400 (it is out of range)"),
    ("float", "-1e999999999999", "(it is out of range)"),
    ("float", "1e-999999999999", "(it is so small that a float would make it 0"),
    ("float", "9" * 1_000_000, "(it is out of range)"),
    ("float", '"1.5"', 'the string "1.5"'),
    ("float", '"NaN"', 'the string "NaN"'),
    ("float", "false", "the boolean false"),
    ("boolean", '"true"', 'the string "true"'),
    ("boolean", "1", "the number 1"),
    ("float", "9007199254740993", "the number 9007199254740993 (a float would round it"),
    ("float", "-9007199254740993.0", "a float would round it"),
    ("string", "[]", "an array"),
    ("date", '"2020-02-30"', 'the string "2020-02-30" (day '),
    ("date", '"0000-01-01"', 'the string "0000-01-01" (year 0'),
    ("date", '"2020-01-02 "', 'the string "2020-01-02 " (it is not of this form)'),
    ("date", '"2020-01-02\\n"', 'the string "2020-01-02\\n"'),
    ("date", '"2020-01-02T00:00:00"', "(it is not of this form)"),
    ("date", "20200102", "the number 20200102"),
    ("dateTime", '"2020-01-02T03:04:05.1234567"', ".1234567"),
    ("dateTime", '"2020-01-02T03:04:05Z"', "send 2020-01-02T03:04:05, and say in the description that it is"),
    (
        "dateTime",
        '"2020-01-02T03:04:05+01:00"',
        "in UTC it is 2020-01-02T02:04:05, there 2020-01-02T03:04:05: send ",
    ),
    ("dateTime", '"2020-01-02T24:00:00"', "(hour "),
    ("dateTime", '"2020-01-02T23:59:60"', "(second "),
    ("time", '"24:00:00"', "(hour "),
    ("time", '"03:04:05+01:00"', "it has a time zone; send 03:04:05, the time on the clock there"),
    ("geography", '"POINT(1)"', "it is not WKT"),
    ("geography", '"POLYGON((0 0,1 0,1 1))"', "it is not WKT"),
    ("geography", '"POINT(1 2)\\u0000"', "\\u0000"),
    ("geography", "1", "the number 1"),
    (
        "geography",
        '"POINT(47.6 -122.3)"',
        "the latitude -122.3 is beyond 90 degrees; longitude comes first in WKT",
    ),
    ("geography", '"LINESTRING(0 0, 181 0)"', "the longitude 181.0 is beyond 180 degrees"),
    ("geography", '"SRID=3857;POINT(1 2)"', "it is in SRID 3857; transform it to longitude and latitude"),
]


@pytest.mark.parametrize(("type_", "text", "words"), REFUSED)
def test_a_value_that_does_not_fit_is_named(type_: str, text: str, words: str) -> None:
    """The error names row, variable, expected type, and the value by its type; it comes fast and is short."""
    started = time.process_time()
    refusal = refusal_of(b'{"rows":[{},' + body_of(text)[9:], one(type_))
    assert time.process_time() - started < 2
    (error,) = refusal.row_errors
    assert (error.row, error.variable) == (1, "v")
    assert error.message.startswith(f'variable "v" takes {EXPECTED[VariableType(type_)]}, but got ')
    assert words in error.message
    assert len(error.message) < 250
    assert refusal.message == f"Row 1: {error.message}. No row of this request was inserted."
    assert refusal.code is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    ("row", "variable", "message"),
    [
        (b"1", None, "a row must be an object, but got the number 1"),
        (b"null", None, "a row must be an object, but got null"),
        (b"[]", None, "a row must be an object, but got an array"),
        (b'"a"', None, 'a row must be an object, but got the string "a"'),
        (b'{"v":"\xff"}', "v", 'the value of "v" is not valid UTF-8'),
        (b'{"v":"\xed\xa0\x80"}', "v", 'the value of "v" is not valid UTF-8'),
        (b'{"\xff":1}', None, "a key is not valid UTF-8"),
        (b'{"v":1,"V":2}', "V", 'the keys "v" and "V" name the same variable; send one of them'),
        (
            b'{"w":1}',
            "w",
            'unknown variable "w"; the variables of this upload are: v. '
            'To add a variable, send "updateSchema": true with the rows',
        ),
        (
            b'{"w":null}',
            "w",
            'unknown variable "w"; the variables of this upload are: v. '
            'To add a variable, send "updateSchema": true with the rows',
        ),
    ],
)
def test_a_row_that_is_none_is_named(row: bytes, variable: str | None, message: str) -> None:
    """Rows that are not objects, keys that are none or two, and unknown variables are named."""
    refusal = refusal_of(b'{"rows":[{"v":1},' + row + b"]}", one("integer"))
    (error,) = refusal.row_errors
    assert (error.row, error.variable, error.message) == (1, variable, message)


def test_unknown_variables_list_some_of_the_known() -> None:
    """The error names the first ten variables and says when there are more, or none."""
    many = Schema(1, tuple(Variable(f"v{number}", VariableType.STRING) for number in range(11)))
    assert refusal_of(body_of("1", "x"), many).message.count("v9, ...") == 1
    assert "are: (none)" in refusal_of(body_of("1", "x"), Schema(1, ())).message


def test_errors_stay_short_whatever_the_keys() -> None:
    """A key of a megabyte does not come back a hundred times."""
    refusal = refusal_of(body_of("1", "k" * 1_000_000))
    assert len(json.dumps([refusal.message, refusal.row_errors[0].message])) < 1000
    assert refusal.row_errors[0].variable == "k" * 60


def test_the_first_hundred_errors_and_the_count_of_all() -> None:
    """Every bad cell counts; the first hundred are told, with exact rows, in order."""
    rows: list[dict[str, Any]] = [{"v": 1} if number % 3 else {"v": "x", "w": 1} for number in range(300)]
    refusal = refusal_of(encoded({"rows": rows}), one("integer"))
    assert refusal.row_error_count == 200
    assert len(refusal.row_errors) == ROW_ERRORS_MAX
    places = [(error.row, error.variable) for error in refusal.row_errors]
    assert places == [(row, name) for row in range(0, 150, 3) for name in ("v", "w")]
    assert "(and 199 more, see `errors`)" in refusal.message


def test_errors_of_every_kind_come_in_the_order_of_rows() -> None:
    """Rows that cannot be read do not push those that do not fit out of the list."""
    body = b'{"rows":[' + b",".join([b'{"v":"x"}', b"1"] * 150) + b"]}"
    refusal = refusal_of(body, one("integer"))
    assert refusal.row_error_count == 300
    assert [error.row for error in refusal.row_errors] == list(range(100))


def test_names_match_ignoring_case() -> None:
    """A key in another case is its variable; given twice in one spelling the last value counts."""
    rows = decode(b'{"rows":[{"STRING":"a","STRING":"b","DateTime":"2020-01-02"}]}')
    (values,) = stored_values(ALL_TYPES, rows.body)
    assert values[0] == "b"
    assert datetime.datetime(2020, 1, 2) in values


@pytest.mark.parametrize("updates", [False, True])
def test_numbers_become_strings(updates: bool) -> None:
    """A string variable takes numbers and booleans in the text they were sent as."""
    for text in ("1", "1.50", "-0", "0", "-0.0", "1e5", "true", "7" * 5_000, "9007199254740993"):
        rows = decode(body_of(text), one("string"), updates=updates)
        assert stored_values(rows.schema, rows.body) == [(text,)]
        assert rows.change is None


def test_a_cell_holds_16_mebibytes() -> None:
    """One byte more is refused, also for what would become a string."""
    fits = json.dumps("é" * (CELL_BYTES_MAX // 2), ensure_ascii=False)
    assert decode(body_of(fits), one("string")).row_count == 1
    too_long = json.dumps("é" * (CELL_BYTES_MAX // 2) + "e", ensure_ascii=False)
    for type_ in ("string", "date", "geography"):
        assert "longer than 16 MiB" in refusal_of(body_of(too_long), one(type_)).message
    assert (
        "longer than 16 MiB"
        in refusal_of(body_of("1" * (CELL_BYTES_MAX + 1)), one("string"), updates=True).message
    )


def test_flags_win_over_the_default() -> None:
    """`updateSchema` decides, `updateVariables` when it is absent or null, else the upload's default."""
    row = b'{"rows":[{"w":1}]'
    for flags in (
        b',"updateSchema":true',
        b',"updateVariables":true',
        b',"updateSchema":null,"updateVariables":true',
    ):
        assert decode(row + flags + b"}", one("string")).change is not None
    for flags in (b',"updateSchema":false', b',"updateSchema":false,"updateVariables":true'):
        assert refusal_of(row + flags + b"}", one("string"), updates=True).row_error_count == 1


def test_nothing_is_something() -> None:
    """No rows are no rows, an empty row is a row of nulls, other properties are ignored."""
    assert decode(b'{"rows":[]}').row_count == 0
    rows = decode(b'{"rows":[{},{}],"other":[{"deep":[1]}]}')
    assert stored_values(ALL_TYPES, rows.body) == [(None,) * 8] * 2


@given(some.lists(STRICT_ROWS, max_size=5), some.booleans(), some.booleans())
def test_both_paths_agree_on_what_the_strict_one_takes(
    rows: list[object], ascii_only: bool, updates: bool
) -> None:
    """Rows that the strict path accepts mean the same to the lenient one, and change no schema."""
    body = encoded({"rows": rows}, ascii_only=ascii_only)
    accepted = values_of(row_decoder(ALL_TYPES).accept(body).rows)
    lenient = decode(body, updates=updates)
    assert lenient.schema is ALL_TYPES
    assert lenient.change is None
    assert stored_values(ALL_TYPES, lenient.body) == accepted


def check(refusal: RowkeepError) -> None:
    """A refusal is the caller's to mend, says why, and counts its bad rows."""
    assert refusal.code is ErrorCode.INVALID_REQUEST
    assert refusal.message
    if isinstance(refusal, RowsRefused):
        assert 0 < len(refusal.row_errors) <= refusal.row_error_count


@given(LOOSE_BODIES, some.booleans(), some.booleans())
def test_any_json_is_rewritten_or_refused(body: object, updates: bool, ascii_only: bool) -> None:
    """Whatever comes, it is refused as an expected error or rewritten so that it reads back, on one line."""
    try:
        rows = decode(encoded(body, ascii_only=ascii_only), updates=updates)
    except RowkeepError as refusal:
        check(refusal)
        return
    assert b"\n" not in rows.body
    values = stored_values(rows.schema, rows.body)
    assert len(values) == rows.row_count
    assert (rows.schema is ALL_TYPES) == (rows.change is None)
    assert decode(rows.body, rows.schema).body == rows.body
    assert not any(variable.inexact for variable in rows.schema.variables if variable.type != "integer")


@given(
    some.binary(max_size=60) | some.binary(max_size=20).map(lambda part: b'{"rows":[{"v":' + part + b"}]}")
)
def test_any_bytes_are_refused_politely(body: bytes) -> None:
    """Bytes raise nothing but an expected error."""
    try:
        rows = decode(body, one("string"), updates=True)
    except RowkeepError as refusal:
        check(refusal)
    else:
        RowDecoder(rows.schema).read(rows.body)
