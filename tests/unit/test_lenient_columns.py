"""Rows read column by column come out as rows read one by one: the same bytes, the same words."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from rowkeep.model.decoding.lenient import LenientRows, decode_raw_rows, decode_row_by_row
from rowkeep.model.decoding.lenient_columns import Unsure, decode_columns
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from tests.unit.bodies import ALL_TYPES, GROWING_VALUES, JSON_VALUES, LOOSE_ROWS, STRICT_ROWS, encoded

SPELLINGS = some.sampled_from([str.lower, str.upper, str.title])
ODD_VALUES = GROWING_VALUES | some.sampled_from(
    [
        1.0,
        1e300,
        -0.0,
        2**53,
        2**53 + 1,
        2**63,
        "2020-01-02T03:04:05.1234567",
        "03:04:05Z",
        "POINT (1 2)",
        "point(1 2)",
    ]
)
# Mostly right, in some case of names, now and then with an odd cell or an unknown name.
NEAR_ROWS = some.builds(
    lambda row, spelling, odd: {spelling(name): value for name, value in {**row, **odd}.items()},
    STRICT_ROWS,
    SPELLINGS,
    some.just({})
    | some.dictionaries(some.sampled_from([*map(str, VariableType), "new"]), ODD_VALUES, max_size=2),
)
ROWS = some.lists(NEAR_ROWS | LOOSE_ROWS, max_size=6) | some.lists(NEAR_ROWS | JSON_VALUES, max_size=3)
SCHEMAS = some.sampled_from(
    [
        ALL_TYPES,
        Schema(
            1, (Variable("integer", VariableType.INTEGER, inexact=True), Variable("New", VariableType.STRING))
        ),
        Schema(1, ()),
    ]
)


def raw_rows(rows: list[Any]) -> list[msgspec.Raw]:
    return [msgspec.Raw(encoded(row)) for row in rows]


@example([{"dateTime": "2020-01-02T03:04:05.1234567"}, {"time": "03:04:05.1234567"}], ALL_TYPES, False, 0)
@example([{"DATE": "2020-01-02"}, {"DATE": "2020-1-2", "float": 1.5}], ALL_TYPES, False, 0)
@example([{"integer": 1.5, "float": 1.5, "new": 1.5}], ALL_TYPES, False, 0)
@given(ROWS, SCHEMAS, some.booleans(), some.integers(0, 3))
def test_both_ways_of_reading_agree(rows: list[Any], schema: Schema, may_update: bool, first: int) -> None:
    """Whatever the rows are, however the schema may change."""
    raw = raw_rows(rows)
    one_by_one = decode_row_by_row(raw, schema, may_update=may_update, first_index=first)
    together = decode_raw_rows(raw, schema, may_update=may_update, first_index=first)
    if one_by_one.error_count:
        assert shown(together) == shown(one_by_one)
    else:
        assert together == one_by_one


def shown(rows: LenientRows) -> tuple[object, ...]:
    """What counts of refused rows: their bodies are of no use."""
    return (rows.errors, rows.error_count)


@pytest.mark.parametrize(
    "rows",
    [
        [{"INTEGER": 1, "Float": 1.5, "string": "a"}, {"INTEGER": 2, "Float": None, "string": "b"}],
        [{"date": "2020-1-2"}, {"dateTime": "2020-01-02"}, {"time": "3:04:05"}],
        [{"integer": 1.0}, {"integer": "many"}],
        [{"new": 1}, {"integer": 1, "new": None}],
        [{"geography": "POINT EMPTY"}, {"geography": "nowhere"}],
    ],
)
def test_common_peculiarities_are_read_in_columns(rows: list[Any]) -> None:
    """They would be slow otherwise."""
    found = decode_columns(raw_rows(rows), ALL_TYPES, may_update=False)
    assert len(found.rows) + len({refusal.row for refusal in found.refusals}) >= 1


@pytest.mark.parametrize(
    ("rows", "may_update"),
    [
        ([{"integer": 2**53 + 1}], False),
        ([{"integer": 1, "INTEGER": 2}], False),
        ([[1]], False),
        ([{"string": "x" * (16 * 1024 * 1024)}], False),
        ([{"new": 1}], True),
        ([{"integer": "a"}], True),
    ],
)
def test_what_is_not_certain_is_read_row_by_row(rows: list[Any], may_update: bool) -> None:
    """Column by column it might come out otherwise."""
    with pytest.raises(Unsure):
        decode_columns(raw_rows(rows), ALL_TYPES, may_update=may_update)
