"""The strict path: what it takes, what it leaves to the lenient one, and that all of it reads back."""

import json
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.model.decoding.outline import read_outline
from rowkeep.model.decoding.strict import CELL_BYTES_MAX, RowDecoder, StrictRefusal
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
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

TAKEN = [
    ("string", '"a"'),
    ("string", '"\\u0000"'),
    ("string", '""'),
    ("integer", "0"),
    ("integer", str(2**53)),
    ("integer", str(-(2**53))),
    ("float", "1"),
    ("float", "-1.5e-300"),
    ("boolean", "true"),
    ("date", '"2020-02-29"'),
    ("dateTime", '"2020-01-02T03:04:05"'),
    ("dateTime", '"2020-01-02 03:04:05.123456"'),
    ("time", '"23:59:59.999999"'),
    ("geography", '"POINT(1 2)"'),
]
LEFT = [
    ("string", "1"),
    ("string", "true"),
    ("string", "[]"),
    ("integer", "1.0"),
    ("integer", str(2**53 + 1)),
    ("integer", str(2**63)),
    ("integer", '"1"'),
    ("integer", "true"),
    ("float", '"1"'),
    ("float", "1e400"),
    ("float", "true"),
    ("float", "NaN"),
    ("boolean", '"true"'),
    ("boolean", "1"),
    ("boolean", "0"),
    ("date", '"2020-1-2"'),
    ("date", '"2020-02-30"'),
    ("date", '"2020-01-02T00:00:00"'),
    ("date", '"2020-01-02 "'),
    ("dateTime", '"2020-01-02"'),
    ("dateTime", '"2020-01-02T03:04:05Z"'),
    ("dateTime", '"2020-01-02T03:04:05+01:00"'),
    ("dateTime", '"2020-01-02T24:00:00"'),
    ("dateTime", '"2020-01-02T23:59:60"'),
    ("dateTime", '"2020-01-02T03:04:05\\n"'),
    ("dateTime", "0"),
    ("time", '"24:00:00"'),
    ("time", '"03:04:05Z"'),
    ("time", "0"),
    ("geography", '"POINT(1)"'),
    ("geography", '"POINT(1 2)\\nPOINT(3 4)"'),
    ("geography", '"CIRCULARSTRING(0 0,1 1,2 0)"'),
]


@pytest.mark.parametrize(("type_", "text"), TAKEN)
def test_canonical_values_are_taken(type_: str, text: str) -> None:
    """Every type's canonical form, and null, goes the strict way."""
    assert len(RowDecoder(one(type_)).accept(body_of(text)).rows) == 1
    assert values_of(RowDecoder(one(type_)).accept(body_of("null")).rows) == [(None,)]


@pytest.mark.parametrize(("type_", "text"), LEFT)
def test_anything_else_is_left_to_the_lenient_path(type_: str, text: str) -> None:
    """The strict path takes nothing that it cannot vouch for."""
    with pytest.raises(StrictRefusal):
        RowDecoder(one(type_)).accept(body_of(text))


@pytest.mark.parametrize("type_", ["dateTime", "time"])
@pytest.mark.parametrize(
    "fraction", [".1234567", ".1234560", ".123456\\u0037", "\\u002e1234567", ".0000000000001"]
)
def test_a_seventh_fraction_digit_is_never_rounded(type_: str, fraction: str) -> None:
    """A time with too many digits is refused however it is spelled and whatever stands beside it."""
    time = ("2020-01-02T" if type_ == "dateTime" else "") + f"03:04:05{fraction}"
    schema = Schema(
        1,
        (
            Variable("at", VariableType(type_)),
            Variable("x", VariableType.FLOAT),
            Variable("s", VariableType.STRING),
        ),
    )
    for beside in ('"x":0.123456789', '"s":"0.1234567"', '"s":"3.5\\\\"', '"x":1'):
        with pytest.raises(StrictRefusal):
            RowDecoder(schema).accept(f'{{"rows":[{{{beside},"at":"{time}"}}]}}'.encode())


def test_long_decimals_elsewhere_do_not_hurt() -> None:
    """Numbers with many digits beside a time of six are taken."""
    body = b'{"rows":[{"dateTime":"2020-01-02T03:04:05.123456","float":0.12345678901,"string":"caf\\u00e9"}]}'
    assert len(RowDecoder(ALL_TYPES).accept(body).rows) == 1


@pytest.mark.parametrize("small", ["4.17e-132", "5e-324", "1E-307", "0." + "0" * 250 + "1"])
def test_small_numbers_beside_a_zero_go_the_strict_way(small: str) -> None:
    """They are no reason to read a body patiently, which takes four times as long."""
    body = f'{{"rows":[{{"float":{small}}},{{"float":0.0}}]}}'.encode()
    assert len(RowDecoder(ALL_TYPES).accept(body).rows) == 2


def test_the_same_key_twice_counts_once() -> None:
    """Of two values under one spelling in a row the last one counts; of two lists of rows neither does."""
    decoder = RowDecoder(one("integer"))
    assert values_of(decoder.accept(b'{"rows":[{"v":1,"v":2}]}').rows) == [(2,)]
    with pytest.raises(StrictRefusal):
        decoder.accept(b'{"rows":[],"rows":[{"v":1}]}')


@pytest.mark.parametrize("key", ["V", "unknown", "v ", ""])
def test_other_keys_are_left(key: str) -> None:
    """Only declared names in their exact spelling go the strict way."""
    with pytest.raises(StrictRefusal):
        RowDecoder(one("integer")).accept(body_of("1", key))


def at_depth(depth: int, function: Callable[[], object]) -> object:
    return function() if depth == 0 else at_depth(depth - 1, function)


@pytest.mark.parametrize("nested", [10, 900, 980, 10_000])
def test_ignored_properties_are_never_stored(nested: int) -> None:
    """What is nested in a property that is ignored cannot make an entry unreadable further down the stack."""
    decoder = RowDecoder(one("integer"))
    body = b'{"x":' + b"[" * nested + b"]" * nested + b',"rows":[{"v":1}]}'
    try:
        decoder.accept(body)
    except StrictRefusal:
        return
    at_depth(100, lambda: decoder.read(body))


@pytest.mark.parametrize("body", [b'{"x":"\xff","rows":[]}', b'{"\xff":1,"rows":[]}', b'{"x":1,"rows":[]}'])
def test_nothing_beside_rows_and_flags_goes_the_strict_way(body: bytes) -> None:
    """Bytes that nobody looked at are not stored."""
    with pytest.raises(StrictRefusal):
        RowDecoder(one("integer")).accept(body)


def test_a_cell_holds_16_mebibytes() -> None:
    """The bound counts bytes of UTF-8 and holds for strings and geographies."""
    decoder = RowDecoder(one("string"))
    for character in ("a", "é", "日"):
        count = CELL_BYTES_MAX // len(character.encode())
        assert decoder.accept(body_of(json.dumps(character * count, ensure_ascii=False))).rows
        with pytest.raises(StrictRefusal):
            decoder.accept(body_of(json.dumps(character * (count + 1), ensure_ascii=False)))
    with pytest.raises(StrictRefusal):
        RowDecoder(one("geography")).accept(body_of(f'"POINT(1.{"2" * CELL_BYTES_MAX} 3)"'))


def test_integers_beyond_doubles_ask_for_a_marked_variable() -> None:
    """A marked variable takes all of int64 the strict way; an unmarked one what doubles hold."""
    for text in (str(2**63 - 1), str(-(2**63))):
        assert RowDecoder(one("integer", inexact=True)).accept(body_of(text)).rows
        with pytest.raises(StrictRefusal):
            RowDecoder(one("integer")).accept(body_of(text))
    with pytest.raises(StrictRefusal):
        RowDecoder(one("integer", inexact=True)).accept(body_of(str(2**63)))


def test_integers_beyond_doubles_are_not_rounded() -> None:
    """An integer that a float variable would round is left to the lenient path, whatever the sign."""
    for number in (2**53 + 1, -(2**53) - 1, 2**70):
        with pytest.raises(StrictRefusal):
            RowDecoder(one("float")).accept(body_of(str(number)))
    for number in (2**53 - 1, 1 - 2**53):
        (row,) = RowDecoder(one("float")).accept(body_of(str(number))).rows
        assert values_of([row]) == [(float(number),)]


@given(some.lists(STRICT_ROWS, max_size=5), some.booleans(), some.sampled_from([None, 1]))
def test_what_is_accepted_reads_back(rows: list[object], ascii_only: bool, indent: int | None) -> None:
    """The journal holds the request's bytes on one line; they read back as what was accepted."""
    body = encoded({"rows": rows}, ascii_only=ascii_only, indent=indent)
    accepted = values_of(RowDecoder(ALL_TYPES).accept(body).rows)
    line = body.replace(b"\n", b" ")
    assert stored_values(ALL_TYPES, line) == accepted
    assert stored_values(ALL_TYPES, line + b"\n" + line) == accepted * 2


@given(LOOSE_BODIES | some.fixed_dictionaries({"rows": some.lists(STRICT_ROWS)}))
def test_nothing_but_a_strict_refusal_is_raised(body: object) -> None:
    """Any JSON is either accepted and readable, or left to the lenient path."""
    line = encoded(body)
    try:
        accepted = values_of(RowDecoder(ALL_TYPES).accept(line).rows)
    except StrictRefusal:
        return
    assert stored_values(ALL_TYPES, line) == accepted


@given(some.binary(max_size=40))
def test_any_bytes_are_accepted_or_left(body: bytes) -> None:
    """Bytes that are not a body are a strict refusal, and no frame can be read from them."""
    with pytest.raises(StrictRefusal):
        RowDecoder(ALL_TYPES).accept(body)
    with pytest.raises(RowkeepError):
        read_outline(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"not json", "not valid JSON: invalid character (byte 4)"),
        (b'{"rows":[', "ends before"),
        (b'{"rows":[]}x', "trailing characters"),
        (b"{}", "`rows` is missing"),
        (b'{"Rows":[]}', "`rows` is missing"),
        (b"[]", "The body is a list"),
        (b'{"rows":{}}', "Expected `array`, got `object`"),
        (b'{"rows":null}', "must be a JSON object"),
        (b'{"rows":[],"updateSchema":"yes"}', "`updateSchema` must be true or false"),
        (b'{"rows":[],"updateVariables":1}', "`updateVariables` must be true or false"),
        (b'{"rows":[],"x":NaN}', "JSON has neither. Send null"),
        (b'{"rows":NaN}', "JSON has neither. Send null"),
        (b'{"rows":[{"v":1} {"v":2}]}', "not valid JSON"),
        (b'{"rows":[{"v":1},]}', "not valid JSON"),
        (b'{"rows":[{"v":"5" pipe"}]}', "not valid JSON"),
        (b'{"rows":[{"v":[1}]}', "not valid JSON"),
        (b'{"rows":[{"v":1}', "ends before"),
        (b'{"rows":' + b"[" * 10_000 + b"]" * 10_000 + b',"x":NaN}', "nested too deeply"),
        (b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b',"rows":[]}', "nested too deeply"),
    ],
)
def test_a_body_that_is_none_is_explained(body: bytes, words: str) -> None:
    """The error says what is wrong with the frame, in words that help."""
    with pytest.raises(RowkeepError) as refusal:
        read_outline(body)
    assert refusal.value.code is ErrorCode.INVALID_REQUEST
    assert words in refusal.value.message


def test_the_recursion_limit_is_the_usual_one() -> None:
    """The tests of deep nesting above mean something only while it is."""
    assert sys.getrecursionlimit() == 1000
