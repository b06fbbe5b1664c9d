"""How an input becomes batches: lines are rows or refused, and cutting depends on the bytes alone."""

import csv
import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowkeep.client.files.chunks import Chunk, Cutter
from rowkeep.client.files.delimited import CsvForm
from rowkeep.client.files.ndjson import NdjsonForm
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
    batch, line_count = NdjsonForm().batch("key", Chunk(0, text.encode(), is_certain=True), 10)
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
    assert b"".join(chunk.data for chunk in after) == data
    certain = [chunk for chunk in before if chunk.is_certain]
    assert certain == after[: len(certain)]
    assert [chunk.key("s") for chunk in certain] == [chunk.key("s") for chunk in after[: len(certain)]]


@given(tables, st.integers(1, 40), st.sampled_from(["\n", "\r\n"]))
def test_csv_is_cut_between_records(table: list[list[str]], bytes_max: int, line_end: str) -> None:
    """Records come out of small chunks as out of the whole, line feeds and quotes in fields included."""
    written = io.StringIO()
    csv.writer(written, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows([["x", "y"], *table])
    form = CsvForm({})
    data = written.getvalue().encode()
    start, line = form.start(Bytes(data))
    rows: list[dict[str, str]] = []
    for chunk in chunks_of(data, form, bytes_max, start):
        batch, line_count = form.batch("key", chunk, line)
        assert not batch.unfit
        rows += json.loads(batch.body)["rows"]
        line += line_count
    named = [dict(zip("xy", record, strict=True)) for record in table]
    assert rows == [{name: text for name, text in record.items() if text} for record in named]
    assert line == data.count(b"\n")


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("integer", "30", 30),
        ("integer", "-007", -7),
        ("integer", "3.5", "3.5"),
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
    form = CsvForm({"V": type_})
    form.start(Bytes(b"v\n"))
    batch, _ = form.batch("key", Chunk(2, text.encode(), is_certain=True), 1)
    assert json.loads(batch.body)["rows"] == [{"v": value}]


@pytest.mark.parametrize("content", ['a,"b\nc,d\n' * 3, "a,b\n\udce9,c\n"])
def test_csv_that_cannot_be_read(content: str) -> None:
    """A quote that is never closed, and what is not UTF-8, end the run with the line."""
    data = content.encode("utf-8", "surrogateescape")
    form = CsvForm({})
    start, line = form.start(Bytes(data)) if b'"' not in data else (0, 0)
    (chunk,) = chunks_of(data, form, 1_000, start)
    with pytest.raises(InputChanged, match="line"):
        form.batch("key", chunk, line)


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
