"""Columns of decoded rows: one by one or all at once, they are the same."""

from itertools import combinations

import pytest

from rowkeep.formats.columns import columns_of
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.schema import Schema, Variable, declared_schema
from rowkeep.model.types import VariableType

NAMES = ("a", "b", "c", "d")
VALUES = {"a": [1, None, 3], "b": ["x", "y", None], "c": [None, None, 1.5], "d": [True, False, None]}
TYPES = (VariableType.INTEGER, VariableType.STRING, VariableType.FLOAT, VariableType.BOOLEAN)
SOURCE = declared_schema([Variable(name, type_) for name, type_ in zip(NAMES, TYPES, strict=True)])
ROWS = row_decoder(SOURCE).read(
    b'{"rows":[{"a":1,"b":"x","d":true},{"b":"y","d":false},{"a":3,"c":1.5}]}',
)


def wanted(*names: str) -> Schema:
    """Variables of the source, and those that it lacks as texts."""
    types = dict(zip(NAMES, TYPES, strict=True))
    return declared_schema([Variable(name, types.get(name, VariableType.STRING)) for name in names])


@pytest.mark.parametrize("names", [names for count in range(5) for names in combinations("dcba", count)])
def test_any_choice_of_variables(names: tuple[str, ...]) -> None:
    """Few or most, in another order than they are stored in, with one that the rows lack."""
    asked = wanted(*names, "new")
    assert columns_of(ROWS, SOURCE, asked) == [*(VALUES[name] for name in names), [None] * 3]


def test_no_rows() -> None:
    """A column for each variable all the same."""
    assert columns_of([], SOURCE, wanted("a", "new")) == [[], []]
