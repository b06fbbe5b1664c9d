"""Bodies of one row a line: each line is exactly one row, or the request is refused and the line named."""

import contextlib
import itertools
import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rowkeep.model.decoding import large
from rowkeep.model.decoding.large import SLICE_BYTES_MAX, decode_large_lines
from rowkeep.model.decoding.lenient import decode_leniently, decode_lines_leniently
from rowkeep.model.decoding.row_lines import line_slices, split_lines
from rowkeep.model.decoding.strict import CELLS_MAX, StrictRefusal, row_decoder
from rowkeep.model.errors import RowsRefused
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from tests.unit.bodies import (
    ALL_TYPES,
    GROWING_VALUES,
    JSON_VALUES,
    KEYS,
    NOTHING,
    STRICT_ROWS,
    encoded,
    one,
    stored_values,
)
from tests.unit.test_large import Sinks

INTEGERS = one("integer")
_no_json = re.compile(rb"NaN|Infinity").search

# Each of these lines stands where one row should; joined unchecked, many would pass for rows.
NOT_ONE_ROW = {
    "two rows with a comma": '{"v":1},{"v":2}',
    "two rows": '{"v":1}{"v":2}',
    "two rows with a space": '{"v":1} {"v":2}',
    "two rows with a lone CR": '{"v":1}\r{"v":2}',
    "a row and a comma": '{"v":1},',
    "a comma and a row": ',{"v":1}',
    "a list of rows": '[{"v":1},{"v":2}]',
    "a whole body": '{"rows":[{"v":1}]}',
    "the end of a body": '{"v":1}]}{"rows":[{"v":2}',
    "an injected flag": '{"v":1}],"updateSchema":true,"rows":[{"v":2}',
    "half a row": '{"v":1',
    "the other half": '"v":1}',
    "nothing but a comma": ",",
    "a number": "1",
    "a string": '"{}"',
    "null": "null",
    "not JSON": "hello",
    "a comment": "// no rows",
    "a sequence record": '\x1e{"v":1}',
    "a form feed": "\x0c",
    "NaN": '{"v":NaN}',
    "deep": '{"v":' + "[" * 10_000 + "]" * 10_000 + "}",
    "deep and not an object": "[" * 10_000 + "]" * 10_000,
}


def accepted(body: bytes, schema: Schema) -> bytes:
    return row_decoder(schema).accept_lines(split_lines(body))[1]


def in_slices(body: bytes, schema: Schema, *, may_update: bool = False) -> tuple[object, ...]:
    """What the path for large bodies makes of lines."""
    sinks = Sinks()
    outcome = decode_large_lines(memoryview(body), schema, may_update=may_update, start=sinks.start)
    return sinks.values(outcome.schema), outcome.schema, outcome.change, outcome.row_count


def in_one_go(body: bytes, schema: Schema, *, may_update: bool = False) -> tuple[object, ...]:
    """What the lenient path makes of lines."""
    rows = decode_lines_leniently(split_lines(body), schema, may_update=may_update)
    return stored_values(rows.schema, rows.body), rows.schema, rows.change, rows.row_count


def as_json(rows: bytes, schema: Schema, *, may_update: bool = False) -> tuple[object, ...]:
    """What the lenient path makes of the same rows in a JSON body."""
    found = decode_leniently(b'{"rows":[' + rows + b"]}", schema, updates_by_default=may_update)
    return stored_values(found.schema, found.body), found.schema, found.change, found.row_count


def outcome_of(way: Any, *arguments: Any, **options: Any) -> Any:
    """What a way of decoding makes of rows, or every error in it."""
    try:
        return way(*arguments, **options)
    except RowsRefused as refusal:
        return refusal.row_errors, refusal.row_error_count


@pytest.mark.parametrize("line", NOT_ONE_ROW.values(), ids=NOT_ONE_ROW.keys())
def test_a_line_that_is_not_one_row(line: str) -> None:
    """The strict path refuses it, the others name its row, and good rows beside it do not help."""
    lines = ['{"v":0}', line, '{"v":9}']
    body = "\n".join(lines).encode()
    with pytest.raises(StrictRefusal):
        accepted(body, INTEGERS)
    for way in (in_one_go, in_slices):
        with pytest.raises(RowsRefused) as refusal:
            way(body, INTEGERS)
        assert {error.row for error in refusal.value.row_errors} == {1}
        assert refusal.value.row_error_count == 1


def test_lines_that_make_up_for_each_other() -> None:
    """As many rows as lines are not enough: one line holds two, a row takes two lines."""
    body = b'{"v":1}{"v":2}\n{"v":\n3}'
    with pytest.raises(StrictRefusal):
        accepted(body, INTEGERS)
    for way in (in_one_go, in_slices):
        with pytest.raises(RowsRefused) as refusal:
            way(body, INTEGERS)
        assert [error.row for error in refusal.value.row_errors] == [0, 1, 2]


def test_the_error_says_what_is_wrong() -> None:
    """Two rows on a line, half a row and NaN are told apart."""
    messages = []
    for line in (b'{"v":1},{"v":2}', b'{"v":1', b'{"v":NaN}', b"[1]"):
        with pytest.raises(RowsRefused) as refusal:
            in_one_go(line, INTEGERS)
        messages.append(refusal.value.row_errors[0].message)
    assert "more than one row" in messages[0]
    assert "ends before" in messages[1]
    assert "send null" in messages[2]
    assert "must be an object" in messages[3]


@pytest.mark.parametrize(
    "body",
    [
        b'{"v":1}\n{"v":2}\n{}',
        b'{"v":1}\n{"v":2}\n{}\n',
        b'{"v":1}\r\n{"v":2}\r\n{}\r\n',
        b'\n\n{"v":1}\n \t\r\n{"v":2}\n\n{}\n\n',
        b' {"v": 1} \n\t{"v":2}\r\n{ }',
    ],
)
def test_line_ends_and_blank_lines(body: bytes) -> None:
    """LF or CRLF, an end at the end or none; blank lines are no rows and do not count."""
    assert stored_values(INTEGERS, accepted(body, INTEGERS)) == [(1,), (2,), (None,)]
    assert in_one_go(body, INTEGERS) == in_slices(body, INTEGERS)
    assert in_slices(body, INTEGERS)[0] == [(1,), (2,), (None,)]


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n \n\t\n"])
def test_no_lines_are_no_rows(body: bytes) -> None:
    """A body without rows is one of no rows."""
    assert stored_values(INTEGERS, accepted(body, INTEGERS)) == []
    assert in_one_go(body, INTEGERS) == in_slices(body, INTEGERS) == ([], INTEGERS, None, 0)


def test_the_strict_path_checks_what_it_checks_in_json() -> None:
    """A 7th fraction digit, a bad geography, a cell too long, more cells than fit: not taken as they are."""
    for text in ('{"time":"03:04:05.1234567"}', '{"geography":"POINT(1)"}', '{"dateTime":"2020-1-2"}'):
        with pytest.raises(StrictRefusal):
            accepted(text.encode(), ALL_TYPES)
    wide = Schema(1, tuple(Variable(f"v{number}", VariableType.STRING) for number in range(5000)))
    with pytest.raises(StrictRefusal):
        accepted(b"{}\n" * (CELLS_MAX // 5000 + 1), wide)


@settings(deadline=None)  # the machine may be busy
@given(some.lists(STRICT_ROWS, max_size=5), some.sampled_from(["\n", "\r\n", "\n\n"]))
def test_strict_rows_are_taken_as_from_json(rows: list[Any], end: str) -> None:
    """Rows in the strict spelling read back the same from lines as from a JSON body, on one stored line."""
    body = end.join(json.dumps(row) for row in rows).encode()
    taken = accepted(body, ALL_TYPES)
    assert b"\n" not in taken
    expected = encoded({"rows": rows})
    assert stored_values(ALL_TYPES, taken) == stored_values(ALL_TYPES, expected)


@settings(deadline=None)  # the machine may be busy
@given(
    some.lists(
        some.dictionaries(KEYS, JSON_VALUES, max_size=3)
        | STRICT_ROWS
        | some.dictionaries(some.sampled_from(["v", "V", "w"]), GROWING_VALUES, max_size=2),
        max_size=7,
    ),
    some.booleans(),
    some.sampled_from([NOTHING, ALL_TYPES, INTEGERS]),
)
def test_lines_make_what_json_makes(rows: list[Any], may_update: bool, schema: Schema) -> None:
    """Values, schema, change and errors are those of the same rows in JSON, in one go or in slices."""
    # NaN is no JSON: it refuses a JSON body as a whole, and a line by its row.
    texts = [text for text in (json.dumps(row).encode() for row in rows) if not _no_json(text)]
    body = b"\n".join(texts)
    expected = outcome_of(as_json, b",".join(texts), schema, may_update=may_update)
    assert outcome_of(in_one_go, body, schema, may_update=may_update) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "SLICE_ROWS_MAX", 2)
        assert outcome_of(in_slices, body, schema, may_update=may_update) == expected


FRAGMENTS = some.sampled_from(
    [
        '{"v":1}',
        '{"v":',
        "2}",
        "{",
        "}",
        ",",
        "\n",
        "\r\n",
        " ",
        "[",
        "]",
        '"',
        "}\n{",
        "null",
        '{"v":1},{"v":2}',
    ]
)


GOOD_LINES = some.lists(
    some.tuples(
        some.sampled_from(['{"v":1}', '{"v":2}', '{"V":3}', "{}", '{"v":null}', ' {"v" : 4} ']),
        some.sampled_from(["\n", "\r\n", "\n\n", " \n"]),
    ).map("".join),
    min_size=1,
    max_size=5,
).map("".join)


@some.composite
def nearly_lines(draw: some.DrawFn) -> str:
    """Good lines, in two of three cases with a fragment put in or a piece cut out somewhere."""
    text = draw(GOOD_LINES)
    where = draw(some.integers(0, len(text)))
    kind = draw(some.sampled_from(["whole", "put in", "cut out"]))
    if kind == "put in":
        return text[:where] + draw(FRAGMENTS) + text[where:]
    return text if kind == "whole" else text[:where] + text[where + draw(some.integers(1, 3)) :]


def test_what_is_taken_is_a_row_a_line() -> None:
    """Whatever is accepted, by any path, has as many rows as lines, each of which is that row by itself.

    A body with a line that is no object by itself is refused by every path.
    """
    taken_and_refused = Counter[bool]()

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(some.lists(FRAGMENTS, max_size=12).map("".join) | nearly_lines(), some.booleans())
    def check(text: str, may_update: bool) -> None:
        body = text.encode()
        lines = [line for line in text.split("\n") if line.strip(" \t\r")]
        are_rows = all(map(is_one_row, lines))
        rows = ",".join(lines).encode()
        expected = outcome_of(as_json, rows, INTEGERS, may_update=may_update) if are_rows else None
        with contextlib.suppress(StrictRefusal):
            values = stored_values(INTEGERS, accepted(body, INTEGERS))
            assert expected is not None
            assert values == expected[0]
        for way in (in_one_go, in_slices):
            outcome = outcome_of(way, body, INTEGERS, may_update=may_update)
            assert outcome == expected if are_rows else is_refusal(outcome)
        taken_and_refused[are_rows and not is_refusal(expected)] += 1

    check()
    assert min(taken_and_refused.values()) > 50
    assert len(taken_and_refused) == 2


def is_one_row(line: str) -> bool:
    """Whether a line is an object by itself."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def is_refusal(outcome: Any) -> bool:
    """Whether an outcome is the errors of rows and how many there are."""
    return len(outcome) == 2 and isinstance(outcome[1], int)


@settings(deadline=None)  # the machine may be busy
@given(some.binary(max_size=40))
def test_any_bytes_are_refused_politely(body: bytes) -> None:
    """Bytes raise nothing but an expected error, and never make more rows than lines."""
    for way in (in_one_go, in_slices):
        outcome_of(way, body, one("string"), may_update=True)
        outcome_of(way, b'{"v":' + body + b"}", one("string"), may_update=True)


@settings(deadline=None)  # the machine may be busy
@given(
    some.lists(some.binary(max_size=9).map(lambda line: line.replace(b"\n", b"x")), max_size=20),
    some.integers(1, 30),
    some.integers(1, 4),
)
def test_slices_hold_every_line_once(lines: list[bytes], bytes_min: int, rows_max: int) -> None:
    """However a body is sliced, its lines come in order, with the index of the first, and not too many."""
    body = b"\n".join(lines)
    slices = list(line_slices(memoryview(body), bytes_min, rows_max))
    assert list(itertools.chain(*(part for _, part in slices))) == split_lines(body)
    assert all(0 < len(part) <= rows_max for _, part in slices)
    firsts = itertools.accumulate((len(part) for _, part in slices), initial=0)
    assert [first for first, _ in slices] == list(firsts)[: len(slices)]


def test_a_line_longer_than_a_slice() -> None:
    """It is a row like any other."""
    body = b'{"v":"%s"}\n{"v":"short"}' % (b"x" * (2 * SLICE_BYTES_MAX))
    values, _, _, row_count = in_slices(body, one("string"))
    assert row_count == 2
    assert values == [("x" * (2 * SLICE_BYTES_MAX),), ("short",)]
