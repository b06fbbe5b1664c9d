"""Rows that do not fit are skipped: each by itself, whatever way a body takes and however it is cut."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from rowkeep.model.decoding import large
from rowkeep.model.decoding.large import LargeOutcome, SliceSink, decode_large, decode_large_lines
from rowkeep.model.decoding.lenient import LenientRows, decode_leniently, decode_lines_leniently
from rowkeep.model.errors import RowError, RowkeepError, RowsRefused
from rowkeep.model.quarantine import REASONS_MAX, QuarantineBounds, Refusals, Skipping
from rowkeep.model.schema import Schema
from tests.unit.bodies import (
    ALL_TYPES,
    GROWING_VALUES,
    JSON_VALUES,
    LOOSE_ROWS,
    NOTHING,
    STRICT_ROWS,
    encoded,
    one,
    stored_values,
)

PLENTY = QuarantineBounds(10_000, 2**30)
SKIPPING = Skipping(by_default=True, bounds=PLENTY)
MEBIBYTE = 1024 * 1024

GROWING_ROWS = some.dictionaries(some.sampled_from(["v", "V", "w", "date"]), GROWING_VALUES, max_size=3)
# Numbers that no double holds: they fit only where another row makes their variable a string.
ENORMOUS = some.sampled_from([b'{"v":1e400}', b'{"v":%d}' % 10**400, b'{"w":1e400,"v":"x"}'])
LINES = some.lists(
    some.builds(encoded, GROWING_ROWS | STRICT_ROWS | LOOSE_ROWS | JSON_VALUES)
    | ENORMOUS
    | some.sampled_from([b"{", b'{"v":1}{}', b'{"v":1},{"v":2}', b"\xff", b'{"v":"\xff"}', b'{"v":1,"V":2}']),
    max_size=9,
)
SCHEMAS = some.sampled_from([NOTHING, ALL_TYPES, one("integer"), one("float"), one("string")])


def one_by_one(
    lines: list[bytes], schema: Schema, *, updates: bool
) -> tuple[list[bytes], dict[int, RowError]]:
    """The lines that fit, each looked at by itself after those before, and the first error of each other."""
    kept: list[bytes] = []
    refused: dict[int, RowError] = {}
    for index, line in enumerate(lines):
        try:
            schema = decode_lines_leniently([line], schema, may_update=updates).schema
        except RowsRefused as refusal:
            refused[index] = refusal.row_errors[0]
        else:
            kept.append(line)
    return kept, refused


def facts_of(rows: LenientRows) -> tuple[object, ...]:
    """What became of the rows of a body."""
    values = stored_values(rows.schema, rows.body) if rows.row_count else []
    return values, rows.row_count, rows.schema, rows.change, rows.refused


def skipped(lines: list[bytes], schema: Schema, *, updates: bool) -> LenientRows:
    """The lines with those that do not fit left out."""
    return decode_lines_leniently(lines, schema, may_update=updates, bounds=PLENTY)


@given(LINES, some.booleans(), SCHEMAS)
@example([b'{"v":1e400}', b'{"v":"x"}', b"5"], True, one("float"))
@example([b'{"v":1.5}', b'{"v":9007199254740993}', b"5", b'{"v":"x"}'], True, one("integer"))
def test_rows_are_judged_one_by_one(lines: list[bytes], updates: bool, schema: Schema) -> None:
    """Unless all fit together, those that fit are kept as if the others had not been sent."""
    found = skipped(lines, schema, updates=updates)
    try:
        together = decode_lines_leniently(lines, schema, may_update=updates)
    except RowsRefused:
        pass
    else:
        assert facts_of(found) == facts_of(together)
        assert found.refused is None
        return
    kept, refused = one_by_one(lines, schema, updates=updates)
    without = decode_lines_leniently(kept, schema, may_update=updates)
    assert facts_of(found)[:-1] == facts_of(without)[:-1]
    assert found.refused is not None
    assert found.refused.row_count == len(refused)
    assert [(row.position, row.content) for row in found.refused.rows] == [
        (index, lines[index]) for index in refused
    ]
    for row in found.refused.rows:
        reason = json.loads(row.reasons)[0]
        expected = refused[row.position]
        assert (reason["variable"], reason["message"]) == (expected.variable, expected.message)
    assert {error.row for error in found.refused.errors} == set(refused)


class Sinks:
    """Collects slices; made anew for every pass."""

    def start(self) -> SliceSink:
        """Begins a pass."""
        self.slices: list[tuple[bytes, int]] = []
        return lambda lines, rows: self.slices.append((lines, len(rows)))


def facts_of_large(outcome: LargeOutcome, sinks: Sinks) -> tuple[object, ...]:
    """The same of a large body."""
    assert all(count for _, count in sinks.slices)
    assert sum(count for _, count in sinks.slices) == outcome.row_count
    lines = b"\n".join(lines for lines, _ in sinks.slices)
    values = stored_values(outcome.schema, lines) if lines else []
    return values, outcome.row_count, outcome.schema, outcome.change, outcome.refused


@given(LINES, some.booleans(), SCHEMAS)
@example([b'{"v":1}', b'{"v":2}', b"5", b'{"v":"x"}', b'{"v":1}'], True, one("integer"))
def test_slices_skip_what_one_go_skips(lines: list[bytes], updates: bool, schema: Schema) -> None:
    """Rows, schema and what is told do not depend on how a body is cut, nor on lines or JSON."""
    expected = facts_of(skipped(lines, schema, updates=updates))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "SLICE_ROWS_MAX", 2)
        sinks = Sinks()
        outcome = decode_large_lines(
            memoryview(b"\n".join(lines)), schema, may_update=updates, start=sinks.start, bounds=PLENTY
        )
        assert facts_of_large(outcome, sinks) == expected
        body = b'{"rows":[' + b",".join(lines) + b"]}"
        try:
            small = decode_leniently(body, schema, updates_by_default=updates, skipping=SKIPPING)
        except RowkeepError:
            return  # a row that is not JSON makes a body that is none
        sinks = Sinks()
        outcome = decode_large(
            memoryview(body), schema, updates_by_default=updates, start=sinks.start, skipping=SKIPPING
        )
    assert facts_of_large(outcome, sinks) == facts_of(small)


def test_a_refused_row_leaves_no_trace_in_the_schema() -> None:
    """Neither a variable nor a wider type; not even the mark of an inexact integer."""
    lines = [b'{"v":9007199254740993,"new":1,"bad":[]}', b'{"v":"x","a b":1}', b'{"v":1}']
    rows = skipped(lines, one("integer"), updates=True)
    assert (rows.schema, rows.change, rows.row_count) == (one("integer"), None, 1)


def test_what_the_body_says_goes_before_the_default() -> None:
    """true and false in the body; null says nothing."""
    for asked, by_default, skips in (
        (True, False, True),
        (False, True, False),
        (None, True, True),
        (None, False, False),
    ):
        body = json.dumps({"rows": [5], "skipInvalidRows": asked}).encode()
        skipping = Skipping(by_default, PLENTY)
        if skips:
            rows = decode_leniently(body, NOTHING, updates_by_default=False, skipping=skipping)
            assert rows.refused is not None
        else:
            with pytest.raises(RowsRefused):
                decode_leniently(body, NOTHING, updates_by_default=False, skipping=skipping)


def test_the_newest_are_kept_within_bounds() -> None:
    """Rows and bytes are bounded; all are counted; of one with many errors the first are kept."""

    def collect(bounds: QuarantineBounds, rows: list[bytes]) -> tuple[int, list[bytes]]:
        refusals = Refusals(bounds)
        for index, row in enumerate(rows):
            refusals.add(index, row, [RowError(index, "v", "m")] * (REASONS_MAX + 1))
        found = refusals.rows()
        assert found is not None
        assert all(len(json.loads(row.reasons)) == REASONS_MAX for row in found.rows)
        return found.row_count, [row.content for row in found.rows]

    rows = [b"%d" % index for index in range(9)]
    assert collect(QuarantineBounds(3, 10**9), rows) == (9, [b"6", b"7", b"8"])
    reasons = 2 + REASONS_MAX * len('{"variable":"v","message":"m"},') - 1
    assert collect(QuarantineBounds(10**9, 2 * (reasons + 1)), rows) == (9, [b"7", b"8"])
    assert collect(QuarantineBounds(10**9, reasons + 5), [b"1", b"22222222"]) == (2, [])


def test_a_body_of_bad_rows_takes_no_more_memory_than_the_bounds() -> None:
    """Thirty MiB of rows that do not fit, of which one MiB is kept."""
    bounds = QuarantineBounds(10_000, MEBIBYTE)
    line = b'{"v":"%s"}\n' % (b"x" * 30_000)
    body = memoryview(line * (30 * MEBIBYTE // len(line)))
    tracemalloc.start()
    try:
        outcome = decode_large_lines(
            body, one("integer"), may_update=False, start=lambda: _nothing, bounds=bounds
        )
        # A slice, its rows decoded one at a time, and what is kept.
        assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE
    finally:
        tracemalloc.stop()
    assert outcome.row_count == 0
    assert outcome.refused is not None
    assert outcome.refused.row_count == len(body) // len(line)
    assert outcome.refused.byte_count <= MEBIBYTE


def _nothing(lines: Any, row_count: int) -> None:
    raise AssertionError("there is no row to keep")
