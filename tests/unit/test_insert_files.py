"""How an input becomes batches: lines are rows or refused, and cutting depends on the bytes alone."""

import csv
import io
import json
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rowkeep.client.files.cells import CONVERTERS
from rowkeep.client.files.chunks import Chunk, Cutter
from rowkeep.client.files.delimited import CsvForm, Dialect
from rowkeep.client.files.ndjson import NdjsonForm, NdjsonPiece
from rowkeep.client.files.records import RecordReader
from rowkeep.client.files.taps import InputChanged, RegularFile

PIECES = [
    '{"a":1}',
    '{"b":"x"}',
    "{}",
    '{"c":[{}',
    "{}]}",
    "{",
    "}",
    '"a":1',
    ",",
    "},{",
    "[",
    "]",
    " ",
    "\r",
    "7",
]
texts = st.lists(st.sampled_from([*PIECES, "\n", "\n", "\n"]), max_size=25).map("".join)
objects = st.lists(
    st.sampled_from(['{"a":1}', '{"a":\n1}', '{"a":1} {"b":2}', '{"b":{"c":"}\\n{"}}', "{}"]), max_size=8
).map("\n".join)
tables = st.lists(st.lists(st.text('ab",\n\r ', max_size=6), min_size=2, max_size=2), max_size=12)


class Bytes:
    """A tap of bytes in memory."""

    is_over = True

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]


def is_object(line: str) -> bool:
    """Whether a line is one JSON object, by another parser."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


@given(st.one_of(texts, objects))
def test_rows_are_the_lines_that_are_objects(text: str) -> None:
    """Whatever stands in a chunk, its request holds the lines that are objects; the others are named."""
    lines = text.split("\n")
    batch, line_count = NdjsonPiece(text.encode(), is_full=False, is_certain=True).batch("key", 10)
    good = [number for number, line in enumerate(lines, 11) if is_object(line.strip(" \t\r"))]
    body: dict[str, Any] = json.loads(batch.body)
    assert list(body) == ["rows"]
    assert body["rows"] == [json.loads(lines[number - 11]) for number in good]
    assert list(batch.numbers) == good
    bad = [number for number, line in enumerate(lines, 11) if line.strip(" \t\r") and number not in good]
    assert [row.number for row in batch.unfit] == bad
    assert line_count == len(text.removesuffix("\n").split("\n"))


def chunks_of(data: bytes, form: NdjsonForm | CsvForm, bytes_max: int, start: int = 0) -> list[Chunk]:
    """All chunks of some data."""
    cutter = Cutter(Bytes(data), form, bytes_max, threading.Event())
    return list(cutter.chunks(start, {}))


@given(
    st.lists(st.text("ab", max_size=9), max_size=30).map("\n".join), st.integers(1, 20), st.integers(0, 99)
)
def test_certain_chunks_stay_when_the_input_grows(text: str, bytes_max: int, cut: int) -> None:
    """What was cut for its size alone is cut in the same way from a longer input; nothing is left out."""
    data = text.encode()
    before = chunks_of(data[:cut], NdjsonForm(), bytes_max)
    after = chunks_of(data, NdjsonForm(), bytes_max)
    assert b"".join(chunk.piece.data for chunk in after) == data
    certain = [chunk for chunk in before if chunk.is_certain]
    assert [chunk.key("s") for chunk in certain] == [chunk.key("s") for chunk in after[: len(certain)]]


def csv_form(types: dict[str, str] | None = None, delimiter: bytes | None = None) -> CsvForm:
    """The form of a file with variables of these types."""
    return CsvForm(types or {}, Dialect(delimiter), threading.Event())


def rows_of(data: bytes, form: CsvForm, bytes_max: int) -> tuple[list[Any], list[int], list[int], int]:
    """All rows of a file, their lines, the lines of those that are refused, and how many lines there are."""
    start, line = form.start(Bytes(data))
    rows: list[Any] = []
    numbers: list[int] = []
    refused: list[int] = []
    for chunk in chunks_of(data, form, bytes_max, start):
        batch, line_count = chunk.piece.batch("key", line)
        rows += json.loads(batch.body)["rows"]
        numbers += batch.numbers
        refused += [row.number for row in batch.unfit]
        line += line_count
    return rows, numbers, refused, line


@given(tables, st.integers(1, 40), st.sampled_from(["\n", "\r\n", "\r"]))
def test_csv_is_cut_between_records(table: list[list[str]], bytes_max: int, line_end: str) -> None:
    """Records come out of small chunks as out of the whole, line feeds and quotes in fields included."""
    written = io.StringIO()
    csv.writer(written, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows([["x", "y"], *table])
    data = written.getvalue().encode()
    rows, numbers, refused, lines = rows_of(data, csv_form(), bytes_max)
    assert rows == [dict(zip("xy", record, strict=True)) for record in table]
    assert not refused
    assert lines == len(re.findall(r"\r\n|\r|\n", written.getvalue()))
    assert numbers == sorted(set(numbers))


@given(
    st.lists(st.sampled_from(['"', "a", ",", "\n", "\r\n", "\r", '""', '","']), max_size=30).map("".join),
    st.integers(1, 12),
)
@example('""""""a\r\n', 1)  # a malformed line that ends between CR and LF
def test_any_csv_is_cut_as_it_is_read(text: str, bytes_max: int) -> None:
    """Whatever stands in a file, its chunks hold the rows of the whole, and together all of its bytes."""
    data = b"x,y\n" + text.encode()
    assert rows_of(data, csv_form(delimiter=b","), bytes_max) == rows_of(
        data, csv_form(delimiter=b","), 1_000
    )
    chunks = chunks_of(data[4:], started(csv_form(delimiter=b",")), bytes_max)
    assert b"".join(chunk.piece.data for chunk in chunks) == data[4:]


def started(form: CsvForm) -> CsvForm:
    """A form that has read a header of two variables."""
    form.start(Bytes(b"x,y\n"))
    return form


@given(
    st.lists(st.sampled_from(['"', "a", ",", "\n", "\r\n", '""', '","', '\n"']), max_size=40).map("".join),
    st.integers(1, 12),
    st.integers(0, 40),
)
def test_certain_chunks_of_csv_stay_when_the_file_grows(text: str, bytes_max: int, cut: int) -> None:
    """What is said to be certain is cut in the same way and holds the same rows, however the file goes on."""
    data = text.encode()
    before = chunks_of(data[:cut], started(csv_form(delimiter=b",")), bytes_max)
    after = chunks_of(data, started(csv_form(delimiter=b",")), bytes_max)
    certain = 0
    while certain < len(before) and before[certain].is_certain:
        certain += 1
    for one, other in zip(before[:certain], after[:certain], strict=True):
        assert one.key("s") == other.key("s")
        assert one.piece.batch("k", 0) == other.piece.batch("k", 0)


@given(
    st.lists(st.lists(st.text('ab",\n\r ;', max_size=5), min_size=2, max_size=2), min_size=1, max_size=8),
    st.sampled_from([",", ";"]),
)
def test_records_are_those_of_another_parser(table: list[list[str]], delimiter: str) -> None:
    """Python's csv reads the same fields, as far as a file is well-formed."""
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows(table)
    reader = RecordReader(delimiter.encode())
    records = list(reader.records(written.getvalue().encode(), 0, is_last=True))
    assert [[field.decode() for field in record.fields] for record in records if not record.is_blank] == table


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("integer", "30", 30),
        ("integer", "-007", -7),
        ("integer", "3.5", 3.5),
        ("integer", "1_000", "1_000"),
        ("integer", "9" * 5_000, "9" * 5_000),
        ("float", "3", 3.0),
        ("float", "-.5e3", -500.0),
        ("float", "nan", "nan"),
        ("float", "Infinity", "Infinity"),
        ("boolean", "True", True),
        ("boolean", "FALSE", False),
        ("boolean", "yes", "yes"),
        ("string", "30", "30"),
        ("date", "2026-01-31", "2026-01-31"),
    ],
)
def test_fields_become_what_their_variables_are(type_: str, text: str, value: object) -> None:
    """What is no value of the type stays text: the server says why it refuses it."""
    rows, *_ = rows_of(b"v\n" + text.encode(), csv_form({"V": type_}), 1_000_000)
    assert rows == [{"v": value}]


HARD_TO_READ = {
    "cells of many lines": b'1,"a ""quoted"" text\nwith lines\nand so on",3\n',
    "quotes within": b'1,5" pipe,3\n',
    "quotes that are left open": b'1,"5 pipe,3\n',
    "quotes that change their meaning": b'abc",def,"ghi\n',
    "cells of a comma": b'1,",",2\n',
}


@pytest.mark.parametrize("line", HARD_TO_READ.values(), ids=HARD_TO_READ)
@pytest.mark.parametrize("first", [b"", b'1,"5 pipe,3\n'], ids=["", "behind an open quote"])
def test_time_grows_with_the_file(line: bytes, first: bytes) -> None:
    """Eight times the bytes take nowhere near the square of it, whatever they are."""

    def seconds(size: int) -> float:
        data = b"a,b,c\n" + first + line * (size // len(line))
        began_at = time.process_time()
        rows_of(data, csv_form(), 100_000)
        return time.process_time() - began_at

    small = max(seconds(100_000), 0.03)
    assert seconds(800_000) < 32 * small  # in square it would be 64


def test_a_row_of_no_end(tmp_path: Path) -> None:
    """A line that does not end within the bound is an error, and memory stays bounded."""
    file = tmp_path / "zeros"
    with file.open("wb") as written:
        written.truncate(200 * 1024 * 1024)
    descriptor = os.open(file, os.O_RDONLY)
    cutter = Cutter(RegularFile(descriptor), NdjsonForm(), 1_000_000, threading.Event())
    with pytest.raises(InputChanged, match="no row ends"):
        next(cutter.chunks(0, {}))
    os.close(descriptor)


NOT_WHOLE = [
    b"1.00000000000000000001",
    b"0.99999999999999999999",
    b"4503599627370497.25",
    b"9007199254740993.5",
    b"123456789012345678901e-3",
]


@pytest.mark.parametrize("text", NOT_WHOLE)
def test_a_fraction_is_not_rounded_away(text: bytes) -> None:
    """What a double would make whole goes out as its text, and the server refuses it for an integer."""
    assert CONVERTERS["integer"](text) == text.decode()


@pytest.mark.parametrize("text", [b"9007199254740993", b"9007199254740993.0", b"12345678901234567.00"])
def test_a_whole_number_is_not_rounded(text: bytes) -> None:
    """A whole number that no double holds goes out as its text, with a point or without."""
    assert CONVERTERS["float"](text) == text.decode()


@pytest.mark.parametrize(
    "text", [b"9007199254740992.0", b"0.12345678901234567890", b"1.00000000000000000000"]
)
def test_many_digits_are_taken(text: bytes) -> None:
    """What a double holds, and a fraction that it comes nearest to, is a number."""
    assert CONVERTERS["float"](text) == float(text)
