"""Schemas: names, limits and the schema of a table. Source: contract 4.5, 4.6, 7.3, 7.8, 7.14, 7.28."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.schema import (
    VARIABLES_MAX,
    Schema,
    ValueLabel,
    Variable,
    declared_schema,
    joined_variable,
    merged_schema,
)
from rowkeep.model.types import VariableType

TYPES = some.sampled_from(VariableType)


def integer(name: str, *, inexact: bool = False) -> Variable:
    return Variable(name, VariableType.INTEGER, inexact=inexact)


@pytest.mark.parametrize("name", ["a", "_val", "A1", "x" * 60, "_", "upload_name"])
def test_good_names(name: str) -> None:
    """Letters, digits and underscores name a variable, up to 60 characters, in the case as declared."""
    assert declared_schema([integer(name)]) == Schema(1, (integer(name),))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "letters A to Z, digits"),
        ("var.2", "letters A to Z, digits"),
        ("2var", "start with a digit"),
        ("a b", "letters A to Z, digits"),
        ("naïve", "letters A to Z, digits"),
        ("a\n", "letters A to Z, digits"),
        ("٣", "letters A to Z, digits"),
        ("x" * 61, "longer than 60"),
        ("_upload_name", "reserved"),
        ("_UPLOAD_Name", "reserved"),
    ],
)
def test_bad_names_are_refused_by_name(name: str, reason: str) -> None:
    """A name that no variable may have is refused with the name and the reason."""
    with pytest.raises(RowkeepError) as refusal:
        declared_schema([integer("good"), integer(name)])
    assert refusal.value.code is ErrorCode.INVALID_REQUEST
    assert repr(name) in refusal.value.message
    assert reason in refusal.value.message


def test_names_equal_but_for_case_are_refused() -> None:
    """Two variables of one schema may not differ in case alone; the error names both."""
    with pytest.raises(RowkeepError, match=r"'AGE'.*'age'"):
        declared_schema([integer("age"), integer("AGE")])


def test_limits_of_a_schema() -> None:
    """Up to 10,000 variables, labels of 256 and descriptions of 5,000 characters."""
    full = [integer(f"v{number}") for number in range(VARIABLES_MAX)]
    assert len(declared_schema(full).variables) == VARIABLES_MAX
    with pytest.raises(RowkeepError, match="at most 10000 variables"):
        declared_schema([*full, integer("one_more")])
    fits = Variable("a", VariableType.STRING, label="l" * 256, description="d" * 5000)
    assert declared_schema([fits]).variables == (fits,)
    for too_long in (
        Variable("a", VariableType.STRING, label="l" * 257),
        Variable("a", VariableType.STRING, description="d" * 5001),
    ):
        with pytest.raises(RowkeepError, match="'a' has a"):
            declared_schema([too_long])


def test_positions_ignore_case() -> None:
    """A variable is found by its name in lower case."""
    assert declared_schema([integer("A"), integer("b")]).position_by_key() == {"a": 0, "b": 1}


def test_a_table_stacks_its_uploads_by_name() -> None:
    """First spelling, first metadata, order of first appearance, types widened."""
    labelled = Variable("Age", VariableType.INTEGER, "years", value_labels=(ValueLabel("0", "born"),))
    first = Schema(3, (labelled, Variable("day", VariableType.DATE)))
    second = Schema(7, (Variable("name", VariableType.STRING), Variable("AGE", VariableType.FLOAT, "other")))
    merged = merged_schema([first, second])
    assert [(variable.name, variable.type) for variable in merged.variables] == [
        ("Age", VariableType.FLOAT),
        ("day", VariableType.DATE),
        ("name", VariableType.STRING),
    ]
    assert merged.variables[0].label == "years"
    assert merged_schema([]).variables == ()


def test_integers_beyond_doubles_stack_to_string() -> None:
    """An integer variable that holds what a double cannot joins a float variable as string."""
    float_variable = Variable("v", VariableType.FLOAT)
    assert joined_variable(integer("v"), float_variable).type is VariableType.FLOAT
    assert joined_variable(integer("v", inexact=True), float_variable).type is VariableType.STRING
    assert joined_variable(float_variable, integer("v", inexact=True)).type is VariableType.STRING
    assert joined_variable(integer("v", inexact=True), integer("v")).inexact


@given(some.lists(some.tuples(TYPES, some.booleans()), min_size=1, max_size=3))
def test_the_type_of_a_table_does_not_depend_on_the_order_of_two_uploads(
    parts: list[tuple[VariableType, bool]],
) -> None:
    """Two uploads stack to one type, whichever comes first."""
    schemas = [
        Schema(1, (Variable("v", type_, inexact=inexact and type_ is VariableType.INTEGER),))
        for type_, inexact in parts
    ]
    for one, other in itertools.product(schemas, repeat=2):
        there, back = merged_schema([one, other]), merged_schema([other, one])
        assert there.variables[0].type is back.variables[0].type
