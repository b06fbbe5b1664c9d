"""Large bodies in slices: as in one go. Source: contract 4.5.1, 7.28."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.model.decoding import large
from rowkeep.model.decoding.large import SLICE_ROWS_MAX, LargeOutcome, SliceSink, decode_large
from rowkeep.model.decoding.lenient import decode_leniently
from rowkeep.model.errors import RowkeepError, RowsRefused
from rowkeep.model.schema import Schema
from tests.unit.bodies import ALL_TYPES, GROWING_VALUES, NOTHING, STRICT_ROWS, encoded, one, stored_values


class Sinks:
    """Collects slices; made anew for every pass."""

    def __init__(self) -> None:
        self.passes = 0
        self.slices: list[tuple[bytes, int]] = []

    def start(self) -> SliceSink:
        self.passes += 1
        self.slices = []
        return lambda lines, rows: self.slices.append((lines, len(rows)))

    def values(self, schema: Schema) -> list[tuple[Any, ...]]:
        return stored_values(schema, b"\n".join(lines for lines, _ in self.slices))


def decode(body: bytes, schema: Schema, sinks: Sinks, *, updates: bool = False) -> LargeOutcome:
    return decode_large(memoryview(body), schema, updates_by_default=updates, start=sinks.start)


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of two rows, so that small bodies have many."""
    monkeypatch.setattr(large, "SLICE_ROWS_MAX", 2)


def test_many_slices_hold_all_rows_in_order() -> None:
    """Every slice is one line; their rows are the body's, and strict bodies take one pass."""
    rows = [{"v": number} for number in range(SLICE_ROWS_MAX * 2 + 1)]
    sinks = Sinks()
    outcome = decode(json.dumps({"rows": rows}, indent=1).encode(), one("integer"), sinks)
    assert outcome == LargeOutcome(len(rows), one("integer"), None)
    assert [row_count for _, row_count in sinks.slices] == [SLICE_ROWS_MAX, SLICE_ROWS_MAX, 1]
    assert sinks.values(outcome.schema) == [(number,) for number in range(len(rows))]
    assert not any(b"\n" in lines for lines, _ in sinks.slices)
    assert sinks.passes == 1


def test_long_rows_make_slices_of_few() -> None:
    """A slice is bounded in bytes too."""
    sinks = Sinks()
    decode(encoded({"rows": [{"v": "x" * 700_000}] * 5}), one("string"), sinks)
    assert [row_count for _, row_count in sinks.slices] == [2, 2, 1]


def test_growth_in_a_late_slice_does_everything_again(small_slices: None) -> None:
    """Earlier rows are spelled under the schema that the last row asked for, which is one version on."""
    rows = [{"v": 1}, {"v": 2}, {"v": 3.5}, {"w": True}, {"v": "x"}]
    sinks = Sinks()
    outcome = decode(encoded({"rows": rows}), one("integer"), sinks, updates=True)
    assert sinks.passes == 2
    assert outcome.schema.version == 2
    assert outcome.change is not None
    assert [variable.name for variable in outcome.change.added_variables] == ["w"]
    assert [variable.type for variable in outcome.change.updated_variables] == ["string"]
    assert sinks.values(outcome.schema) == [
        ("1", None),
        ("2", None),
        ("3.5", None),
        (None, True),
        ("x", None),
    ]


def test_a_late_slice_may_widen_what_an_early_one_failed_at(small_slices: None) -> None:
    """A number beyond double fits once a later row has made its variable a string."""
    body = b'{"rows":[{"v":1e400},{},{"v":"x"}]}'
    sinks = Sinks()
    outcome = decode(body, one("float"), sinks, updates=True)
    assert sinks.values(outcome.schema) == [("1e400",), (None,), ("x",)]


def test_errors_are_counted_across_slices() -> None:
    """The first hundred are told with the row's place in the request; all are counted; nothing is kept."""
    bad = {SLICE_ROWS_MAX - 1, SLICE_ROWS_MAX, *range(2 * SLICE_ROWS_MAX, 2 * SLICE_ROWS_MAX + 150)}
    rows = [{"v": "x" if number in bad else number} for number in range(3 * SLICE_ROWS_MAX)]
    with pytest.raises(RowsRefused) as refusal:
        decode(encoded({"rows": rows}), one("integer"), Sinks())
    assert refusal.value.row_error_count == 152
    assert [error.row for error in refusal.value.row_errors] == sorted(bad)[:100]


def test_a_body_without_rows() -> None:
    """No rows are no slices; a body that is none is refused as a small one is."""
    sinks = Sinks()
    assert decode(b'{"rows":[]}', ALL_TYPES, sinks).row_count == 0
    assert sinks.slices == []
    for body in (b"", b"{}", b'{"rows":[', b'{"rows":[{"v":NaN}]}'):
        with pytest.raises(RowkeepError):
            decode(body, ALL_TYPES, Sinks())


Decode = Callable[[bytes], tuple[object, ...]]


def outcome_of(decode_body: Decode, body: bytes) -> tuple[object, ...]:
    """What a way of decoding makes of a body: values and schema, or errors."""
    try:
        return decode_body(body)
    except RowsRefused as refusal:
        return tuple(refusal.row_errors), refusal.row_error_count


def in_slices(schema: Schema, *, updates: bool) -> Decode:
    def decode_body(body: bytes) -> tuple[object, ...]:
        sinks = Sinks()
        outcome = decode(body, schema, sinks, updates=updates)
        return sinks.values(outcome.schema), outcome.schema, outcome.change, outcome.row_count

    return decode_body


def in_one_go(schema: Schema, *, updates: bool) -> Decode:
    def decode_body(body: bytes) -> tuple[object, ...]:
        rows = decode_leniently(body, schema, updates_by_default=updates)
        return stored_values(rows.schema, rows.body), rows.schema, rows.change, rows.row_count

    return decode_body


GROWING_ROWS = some.dictionaries(some.sampled_from(["v", "V", "w", "date"]), GROWING_VALUES, max_size=3)


@given(
    some.lists(GROWING_ROWS | STRICT_ROWS, max_size=9),
    some.booleans(),
    some.sampled_from([NOTHING, ALL_TYPES, one("integer"), one("float")]),
)
def test_slices_make_what_one_go_makes(rows: list[object], updates: bool, schema: Schema) -> None:
    """Values, schema, change and errors do not depend on how a body is cut."""
    body = encoded({"rows": rows})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "SLICE_ROWS_MAX", 2)
        sliced = outcome_of(in_slices(schema, updates=updates), body)
    assert sliced == outcome_of(in_one_go(schema, updates=updates), body)
