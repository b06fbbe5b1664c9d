"""One rule for values, whatever carries them: all roads from a body to what is stored come out the same.

The rows hold what no encoder writes: numbers that are none, half surrogates, bytes that are no UTF-8, values
of every kind under every variable. Whatever one road takes, all take, and store to the byte; whatever one
refuses, all refuse with the same words for the same rows. A rule that holds on one road only is found here.
"""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rowkeep.model.decoding import large as large_module
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from tests.unit.bodies import ALL_TYPES, NOTHING, encoded, one
from tests.unit.roads import ROADS, Asked, Outcome

# Values as JSON text: right ones, odd ones that lose nothing, wrong ones, and some that are no JSON.
NUMBERS = [
    "0", "-0", "1", "1.0", "1.5", "-0.0", "1e2", "1E-3", "9007199254740992", "9007199254740993",
    "-9007199254740993", "9007199254740993.0", "9007199254740994.00", "1e16", "1e23", "1e308",
    "1e400", "-1e400",
    "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1180591620717411303424",
    "1e-400", "-1e-400", "1E-400", "0.1e-399", "1e-0400", "2e-324", "3e-324", "5e-324", "0e-400", "-0.0E-999",
    "0." + "0" * 400 + "1", "0." + "0" * 400, "0." + "0" * 250 + "1e-99", "9007199254740993e0",
    "90071992547409930e-1", "9.007199254740993e15",
    "1180591620717411303425", "1" + "0" * 400, "1" * 5000, "0.1", "123456789012345678901234567890.5",
]  # fmt: skip
TEXTS = [
    '""', '"a"', '"é"', '"\\u00e9"', '"true"', '"12"', '"\\u0000"', '"\u2028"', '"2026-01-31"', '"2026-1-3"',
    '"0000-01-01"', '"2026-02-30"', '"2026-01-31T12:00"', '"2026-01-31 12:00"', '"2026-01-31T12:00:05"',
    '"2026-01-31T12:00:05.123456000"', '"2026-01-31T12:00:05.0000000"', '"2026-01-31T12:00:05.1234567"',
    '"2026-01-31T12:00:05Z"', '"2026-01-31T12:00:05+01:00"', '"2026-01-31T24:00:00"', '"12:00"', '"9:5"',
    '"12:00:05"', '"12:00:05.500000000"', '"12:00:05.1234567"', '"12:00:05Z"', '"25:00"', '"POINT(10 20)"',
    '"POINT(-180 90)"', '"POINT(180.0 -90.0)"', '"POINT(47.6 -122.3)"', '"POINT(181 0)"', '"POINT (1 2)"',
    '"SRID=4326;POINT(10 20)"', '"srid=4326; POINT(10 20)"', '"SRID=3857;POINT(10 20)"', '"point(10 20)"',
    '"LINESTRING(0 0, 200 0)"', '"POINT EMPTY"', '"POINT"', '"\\/"',
]  # fmt: skip
OTHERS = ["null", "true", "false", "[]", "[1]", "{}", '{"a":[1]}']
# Defects within a value: each by itself is no JSON.
DEFECTS = [
    "NaN", "Infinity", "-Infinity", "nan", "undefined", "None", "True", "01", "+1", "1.", ".5", "-", "1e",
    "0x10", "1_000", '"\\ud800"', '"\\udc00x"', '"\\x"', '"\\u12"', '"\\ud83d\\u0041"', '"\t"', '"\udcff"',
    '"a\udcc3"',
    "[" * 2000 + "]" * 2000, "[NaN]", '{"a":+1}', "tru", "'a'",
]  # fmt: skip
VALUES = some.sampled_from(NUMBERS + TEXTS + OTHERS) | some.sampled_from(DEFECTS)
NAMES = [type_.value for type_ in VariableType]
KEYS = some.sampled_from(NAMES) | some.sampled_from(
    ["new", "NEW", "String", "Größe (cm)", "1a", "_upload_name"]
)
ODD_ROWS = some.sampled_from(
    [
        '{"float":1e-400,"float":0}',
        '{"float":0,"\\u0066loat":1e-400}',
        '{"string":"a","string":"b"}',
        "1",
        "null",
        '"a"',
        "[]",
        "NaN",
        "{}",
        '{ "string" : "a" }',
        '{"\\ud800":1}',
    ]
)


def row_of(cells: Sequence[tuple[str, str]]) -> str:
    """A row as JSON text."""
    return "{" + ",".join(f"{encoded(key).decode()}: {value}" for key, value in cells) + "}"


ROWS = some.lists(
    some.lists(some.tuples(KEYS, VALUES), max_size=4).map(row_of) | ODD_ROWS, min_size=1, max_size=6
)
REPAIRED = Schema(
    1,
    (
        Variable("_1a", VariableType.INTEGER, declared_name="1a"),
        Variable("_upload_name_1", VariableType.STRING, declared_name="_upload_name"),
    ),
)
EMPTY = Schema(1, (Variable("new", VariableType.STRING, is_empty=True), Variable("date", VariableType.DATE)))
SHARED = (Variable("New", VariableType.DATE_TIME), Variable("integer", VariableType.INTEGER))
SCHEMAS = some.sampled_from(
    [
        ALL_TYPES,
        NOTHING,
        REPAIRED,
        EMPTY,
        Schema(1, (), SHARED),
        Schema(1, ALL_TYPES.variables, SHARED),
        Schema(1, (), SHARED, widens_shared=True),
        Schema(1, (Variable("new", VariableType.INTEGER, inexact=True),)),
    ]
)
ASKED = some.builds(Asked, some.booleans(), some.booleans())


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies of a few rows come in several slices."""
    monkeypatch.setattr(large_module, "SLICE_ROWS_MAX", 2)


def outcomes(rows: Sequence[str], schema: Schema, asked: Asked) -> dict[str, Outcome]:
    """What each road comes to."""
    return {name: road(rows, schema, asked) for name, road in ROADS.items()}


def agreed(rows: Sequence[str], schema: Schema, asked: Asked) -> Outcome:
    """What all roads come to."""
    found = outcomes(rows, schema, asked)
    first = next(iter(found.values()))
    for name, outcome in found.items():
        assert outcome == first, name
    return first


@given(ROWS, SCHEMAS, ASKED)
@settings(deadline=None, max_examples=300)
def test_all_roads_agree(rows: list[str], schema: Schema, asked: Asked) -> None:
    """Whatever the rows hold, whatever the schema is and may become, skipped or refused."""
    outcome = agreed(rows, schema, asked)
    assert outcome.refusal is None


@pytest.mark.parametrize("value", NUMBERS + TEXTS + OTHERS + DEFECTS)
@pytest.mark.parametrize("updates", [False, True])
def test_each_value_under_each_type(value: str, updates: bool) -> None:
    """Every odd value alone, between good rows, for every type: one row is in error, or none."""
    for type_ in VariableType:
        rows = ['{"v":null}', '{"v":' + value + "}", "{}"]
        outcome = agreed(rows, one(type_), Asked(updates=updates))
        skipped = agreed(rows, one(type_), Asked(updates=updates, skips=True))
        assert outcome.refusal is None
        if outcome.errors:
            assert [(row, name) for row, name, _ in outcome.errors] == [(1, "v")]
            assert outcome.error_count == 1
            assert skipped.errors == outcome.errors
            assert skipped.rows == ("{}", "{}")
            assert value not in OTHERS[:1]
        else:
            assert skipped == outcome
            assert len(outcome.rows) == 3


VANISHING = [
    "1e-400", "-1e-400", "1E-400", "0.1e-399", "1e-0400", "2e-324", "0." + "0" * 400 + "1",
    "0." + "0" * 250 + "1e-99",
]  # fmt: skip


@pytest.mark.parametrize("value", VANISHING)
@pytest.mark.parametrize("floats", [1, 3])
def test_a_number_that_a_double_makes_zero(value: str, floats: int) -> None:
    """It is an error of its row, whether or not the schema may change; a string variable keeps its digits."""
    names = [f"v{index}" for index in range(floats)]
    width = 5 if floats == 1 else floats  # with few floats zeros are looked for first, else the text
    types = [VariableType.FLOAT] * floats + [VariableType.STRING] * (width - floats)
    variables = [Variable(name, type_) for name, type_ in zip([*names, *"abcd"], types, strict=False)]
    schema = Schema(1, tuple(variables))
    rows = ['{"v0":0}', '{"v0":' + value + "}", '{"v0":0.0}']
    for updates in (False, True):
        outcome = agreed(rows, schema, Asked(updates=updates))
        assert [(row, name) for row, name, _ in outcome.errors] == [(1, "v0")]
        assert "a float would make it 0" in outcome.errors[0][2]
    kept = agreed(['{"v":' + value + "}"], one(VariableType.STRING), Asked())
    assert value in kept.rows[0]


@pytest.mark.parametrize(
    "value", ["0", "0.0", "-0.0", "0e-400", "-0E-999", "5e-324", "3e-324", "1e-300", "0." + "0" * 400]
)
def test_a_zero_is_taken(value: str) -> None:
    """However it is written; and so is the smallest number that a double holds."""
    assert agreed(['{"v":' + value + "}"], one(VariableType.FLOAT), Asked()).errors == ()


@pytest.mark.parametrize("value", ["9007199254740993e0", "90071992547409930e-1", "9.007199254740993e15"])
def test_an_integer_with_an_exponent_is_exact(value: str) -> None:
    """For an integer variable; a float takes the nearest number, as of all that have an exponent."""
    outcome = agreed(['{"v":' + value + "}"], one(VariableType.INTEGER), Asked())
    assert outcome.rows == ('{"v":9007199254740993}',)
    rounded = agreed(['{"v":' + value + "}"], one(VariableType.FLOAT), Asked())
    assert rounded.rows == ('{"v":9007199254740992.0}',)


@pytest.mark.parametrize("updates", [False, True])
def test_of_a_key_that_comes_twice_in_a_row_the_last_value_counts(updates: bool) -> None:
    """On every road, however the key is written, whatever the first value would have been. Contract 7.3."""
    rows = ['{"v":1,"v":2}', '{"v":"x","\\u0076":3}', '{"v":null,"w":"a","v":4,"w":"b"}', '{"v":5,"v":null}']
    schema = Schema(1, (Variable("v", VariableType.INTEGER), Variable("w", VariableType.STRING)))
    outcome = agreed(rows, schema, Asked(updates=updates))
    assert outcome.rows == ('{"v":2}', '{"v":3}', '{"v":4,"w":"b"}', "{}")
