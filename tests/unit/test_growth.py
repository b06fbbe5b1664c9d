"""How rows make a schema grow. Source: contract 7.1, 7.8."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.model.decoding.lenient import LenientRows, decode_leniently
from rowkeep.model.errors import RowsRefused
from rowkeep.model.growth import AddedVariable, SchemaChange, UpdatedVariable, schema_change
from rowkeep.model.schema import VARIABLES_MAX, Schema, Variable
from rowkeep.model.types import VariableType
from tests.unit.bodies import GROWING_VALUES, NOTHING, body_of, encoded, one, stored_values

BIG = 2**53 + 1


def grow(values: list[object], schema: Schema = NOTHING) -> LenientRows:
    """The outcome of rows of one cell each where the schema may change."""
    return decode_leniently(
        encoded({"rows": [{"v": value} for value in values]}), schema, updates_by_default=True
    )


def type_of(values: list[object], schema: Schema = NOTHING) -> str:
    return grow(values, schema).schema.variables[0].type.value


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1], "integer"),
        ([1.0], "float"),
        ([True], "boolean"),
        (["2020-01-01"], "string"),
        (["POINT(1 2)"], "string"),
        ([1, 1.5], "float"),
        ([BIG, 1.5], "string"),
        ([1, True], "string"),
        ([1.5, "a"], "string"),
        ([None, 1, None], "integer"),
    ],
)
def test_a_new_variable_takes_the_type_of_its_values(values: list[object], type_: str) -> None:
    """Types come from JSON alone: a string that looks like a date stays a string."""
    for order in itertools.permutations(values):
        assert type_of(list(order)) == type_


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("integer", 1.5, "float"),
        ("integer", 1.0, "integer"),
        ("integer", "1", "string"),
        ("float", 1, "float"),
        ("float", BIG, "string"),
        ("float", "1.5", "string"),
        ("boolean", 1, "string"),
        ("boolean", "true", "string"),
        ("date", "2020-1-1", "date"),
        ("date", "2020-01-01 00:00:00", "dateTime"),
        ("date", "2020-02-30", "string"),
        ("date", 5, "string"),
        ("dateTime", "2020-01-01", "dateTime"),
        ("dateTime", "2020-01-01T00:00:00Z", "string"),
        ("time", "1:2:3", "time"),
        ("time", "24:00:00", "string"),
        ("geography", "POINT(1 2)", "geography"),
        ("geography", "nowhere", "string"),
        ("string", 1, "string"),
    ],
)
def test_a_known_variable_widens(before: str, value: object, after: str) -> None:
    """A value that does not fit widens its variable as far as it must, and the change says so."""
    grown = grow([value], one(before))
    assert grown.schema.variables[0].type.value == after
    if before == after:
        assert grown.change is None
    else:
        updated = UpdatedVariable("v", VariableType(after), VariableType(before))
        assert grown.change == SchemaChange(updated_variables=(updated,))
        assert grown.schema.version == 2


def test_values_keep_their_text_when_they_become_strings() -> None:
    """A row that came before the one that widens is spelled as the wider type needs it."""
    grown = grow([1, 1.5, True, "x", None, BIG])
    assert stored_values(grown.schema, grown.body) == [
        ("1",),
        ("1.5",),
        ("true",),
        ("x",),
        (None,),
        (str(BIG),),
    ]


def test_integers_that_doubles_do_not_hold_leave_a_mark() -> None:
    """The mark comes with a new version, is no change that a caller sees, and forbids float for good."""
    for text in (str(BIG), f"{BIG}.0"):
        marked = decode_leniently(body_of(text), one("integer"), updates_by_default=False)
        assert marked.schema == one("integer", inexact=True, version=2)
        assert marked.change == SchemaChange()
        assert stored_values(marked.schema, marked.body) == [(BIG,)]
        assert type_of([1.5], marked.schema) == "string"
        assert (
            decode_leniently(body_of(text), marked.schema, updates_by_default=False).schema is marked.schema
        )


def test_null_declares_an_empty_variable() -> None:
    """A key that is null in every row is a string until its first value says otherwise."""
    empty = grow([None, None]).schema
    assert empty.variables == (Variable("v", VariableType.STRING, is_empty=True),)
    for value, type_ in ((5, "integer"), (1.5, "float"), (True, "boolean"), ("a", "string")):
        settled = decode_leniently(encoded({"rows": [{"v": value}]}), empty, updates_by_default=True)
        assert settled.schema.variables == (Variable("v", VariableType(type_)),)
        kept = decode_leniently(encoded({"rows": [{"v": value}]}), empty, updates_by_default=False)
        assert kept.schema.variables == (Variable("v", VariableType.STRING),)
    assert decode_leniently(body_of("null"), empty, updates_by_default=True).schema is empty
    with pytest.raises(RowsRefused, match="the row holds no value"):
        decode_leniently(b'{"rows":[{}]}', NOTHING, updates_by_default=True)


@pytest.mark.parametrize("value", [None, 5, "2026-01-31", "many"])
def test_the_types_of_the_table_count(value: object) -> None:
    """A name that the table has from other uploads takes its type, and only a request that asks widens it."""
    table = (Variable("Day", VariableType.DATE), Variable("age", VariableType.INTEGER))
    bound = Schema(1, (), shared=table)
    rows = [{"DAY": "2026-1-31", "age": 1.0, "new": 5}, {"age": value}]
    body = encoded({"rows": rows})
    asked = encoded({"rows": rows, "updateSchema": True})
    types = {"Day": "date", "age": "integer", "new": "integer"}
    if isinstance(value, str):
        with pytest.raises(RowsRefused, match='variable "age" takes an integer'):
            decode_leniently(body, bound, updates_by_default=True)
        types |= {"age": "string"}
    else:
        taken = decode_leniently(body, bound, updates_by_default=True).schema
        assert {variable.name: variable.type for variable in taken.variables} == types
    widened = decode_leniently(asked, bound, updates_by_default=True).schema
    assert {variable.name: variable.type for variable in widened.variables} == types


@pytest.mark.parametrize("name", ["a b", "1a", "x" * 61, "_upload_name", ""])
def test_names_that_no_variable_may_have_are_refused(name: str) -> None:
    """A new variable needs a good name; the error names the key."""
    with pytest.raises(RowsRefused, match="no variable can be added for the key"):
        decode_leniently(body_of("1", name), NOTHING, updates_by_default=True)


def test_nothing_nested_makes_a_variable() -> None:
    """Arrays and objects are values of no type."""
    for text in ("[]", '{"a":1}', "[1]"):
        with pytest.raises(RowsRefused, match="takes a single value, but got an"):
            decode_leniently(body_of(text), NOTHING, updates_by_default=True)


def test_an_upload_holds_ten_thousand_variables() -> None:
    """One more is refused, naming it and the limit; those there are still work."""
    full = Schema(1, tuple(Variable(f"v{number}", VariableType.INTEGER) for number in range(VARIABLES_MAX)))
    with pytest.raises(RowsRefused, match=r'"more" would be one more than the 10000'):
        decode_leniently(body_of("1", "more"), full, updates_by_default=True)
    assert decode_leniently(body_of("1", "V9999"), full, updates_by_default=True).schema is full


def test_new_variables_go_to_the_end_in_the_order_they_come() -> None:
    """Their first spelling is kept, and the change lists them."""
    body = b'{"rows":[{"b":1},{"C":true,"B":2},{"c":null,"v":"x","a":1.5}]}'
    grown = decode_leniently(body, one("string"), updates_by_default=True)
    assert [variable.name for variable in grown.schema.variables] == ["v", "b", "C", "a"]
    assert grown.change == schema_change(one("string"), grown.schema)
    assert grown.change is not None
    assert grown.change.added_variables == (
        AddedVariable("b", VariableType.INTEGER),
        AddedVariable("C", VariableType.BOOLEAN),
        AddedVariable("a", VariableType.FLOAT),
    )


@given(some.lists(GROWING_VALUES, max_size=6), some.randoms())
def test_the_order_of_rows_does_not_matter_to_a_new_variable(values: list[object], random: Random) -> None:
    """The same values in any order make the same type, and the same marks.

    But for 1.0: an integer variable takes it, while alone it makes a float.
    """
    values = [value for value in values if not (isinstance(value, float) and value.is_integer())]
    shuffled = list(values)
    random.shuffle(shuffled)
    assert grow(values).schema == grow(shuffled).schema


@given(some.lists(GROWING_VALUES, max_size=6), some.sampled_from(VariableType))
def test_growth_converges(values: list[object], type_: VariableType) -> None:
    """The same rows again find a schema that takes them, and types never narrow."""
    grown = grow(values, one(type_))
    assert grow(values, grown.schema).schema is grown.schema
    before = one(type_).variables[0].type
    assert grown.schema.variables[0].type in {
        before,
        VariableType.FLOAT,
        VariableType.DATE_TIME,
        VariableType.STRING,
    }


@given(some.lists(GROWING_VALUES, max_size=6), some.lists(GROWING_VALUES, max_size=6))
def test_rows_in_two_requests_make_the_type_of_one_request(first: list[object], second: list[object]) -> None:
    """How rows are cut into requests does not matter to the type that a stream ends with."""
    apart = grow(second, grow(first).schema).schema
    together = grow(first + second).schema
    assert apart.variables == together.variables
