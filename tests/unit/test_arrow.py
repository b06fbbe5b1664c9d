"""Rows in the formats that readers ask for: Arrow, CSV and JSON lines. Source: contract 4.7, 5, 8.6."""

import csv
import datetime
import io
import json
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.formats.arrow import ArrowEncoder, ColumnMeasures, CsvEncoder
from rowkeep.formats.columns import Column, text_of, widened_column
from rowkeep.formats.json_lines import JsonLinesEncoder
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.statistics import BoundingBox, Point
from rowkeep.model.types import VariableType
from tests.arrow_streams import arrow_batches

ALL_TYPES = Schema(
    1,
    (
        Variable("Site", VariableType.STRING),
        Variable("count", VariableType.INTEGER),
        Variable("temperature", VariableType.FLOAT),
        Variable("valid", VariableType.BOOLEAN),
        Variable("day", VariableType.DATE),
        Variable("measured_at", VariableType.DATE_TIME),
        Variable("local_time", VariableType.TIME),
        Variable("position", VariableType.GEOGRAPHY),
    ),
)
FULL_ROW: list[Any] = [
    'Zürich, "日本"\r\n\u0000',
    2**63 - 1,
    -1e-300,
    True,
    datetime.date(2020, 2, 29),
    datetime.datetime(1999, 12, 31, 23, 59, 59, 120000),
    datetime.time(23, 59, 59, 999999),
    "POINT (10 20)",
]
EARLIEST_ROW: list[Any] = [
    "",
    -(2**63),
    0.1,
    False,
    datetime.date(1, 1, 1),
    datetime.datetime(1, 1, 1),
    datetime.time(),
    "",
]
LATEST_ROW: list[Any] = [
    "NA",
    0,
    1.7976931348623157e308,
    True,
    datetime.date(9999, 12, 31),
    datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
    datetime.time(0, 0, 0, 1),
    "POINT EMPTY",
]
NULL_ROW: list[Any] = [None] * 8
ROWS = [FULL_ROW, EARLIEST_ROW, LATEST_ROW, NULL_ROW]
COLUMNS: list[Column] = [list(column) for column in zip(*ROWS, strict=True)]


def test_arrow_schema_is_what_clients_derive() -> None:
    """The stream's schema is exactly the one the official clients build from the variables."""
    encoder = ArrowEncoder(ALL_TYPES)
    body = encoder.start() + encoder.end()
    assert pyarrow.ipc.open_stream(body).schema == pyarrow.schema(
        [
            pyarrow.field("Site", pyarrow.string(), nullable=True),
            pyarrow.field("count", pyarrow.int64()),
            pyarrow.field("temperature", pyarrow.float64()),
            pyarrow.field("valid", pyarrow.bool_()),
            pyarrow.field("day", pyarrow.date32()),
            pyarrow.field("measured_at", pyarrow.timestamp("us")),
            pyarrow.field("local_time", pyarrow.time64("us")),
            pyarrow.field("position", pyarrow.string()),
        ]
    )
    assert arrow_batches(body) == []


def test_arrow_keeps_every_value() -> None:
    """Every type's values come back as they were, at the ends of their ranges and as nulls."""
    encoder = ArrowEncoder(ALL_TYPES)
    body = encoder.start() + encoder.batch(COLUMNS, len(ROWS)) + encoder.end()
    [batch] = arrow_batches(body)
    assert [list(row.values()) for row in batch.to_pylist()] == ROWS
    assert all(field.nullable for field in batch.schema)


def test_arrow_is_not_compressed() -> None:
    """Bodies of batches are plain, because clients in JavaScript cannot read compressed ones."""
    encoder = ArrowEncoder(Schema(1, (Variable("text", VariableType.STRING),)))
    assert b"spam" * 1000 in encoder.start() + encoder.batch([["spam" * 1000]], 1)


def test_arrow_sentinel_is_one_empty_batch() -> None:
    """The sentinel is a batch without rows and with all columns, before the end marker."""
    encoder = ArrowEncoder(ALL_TYPES)
    body = encoder.start() + encoder.batch(COLUMNS, len(ROWS)) + encoder.sentinel() + encoder.end()
    assert [batch.num_rows for batch in arrow_batches(body)] == [len(ROWS), 0]
    assert body.endswith(b"\xff\xff\xff\xff\0\0\0\0")


def test_arrow_without_variables_keeps_the_row_count() -> None:
    """Rows of a table that has no variables yet are counted."""
    encoder = ArrowEncoder(Schema(1, ()))
    body = encoder.start() + encoder.batch([], 3) + encoder.sentinel() + encoder.end()
    assert [(batch.num_rows, batch.num_columns) for batch in arrow_batches(body)] == [(3, 0), (0, 0)]


def test_csv_quotes_texts_and_leaves_nulls_empty() -> None:
    """Texts stand in quotes, so that an empty text differs from a null; quotes in them are doubled."""
    encoder = CsvEncoder(ALL_TYPES)
    body = encoder.start() + encoder.batch(COLUMNS, len(ROWS)) + encoder.sentinel() + encoder.end()
    lines = body.decode()
    assert lines.startswith(
        '"Site","count","temperature","valid","day","measured_at","local_time","position"\n'
        '"Zürich, ""日本""\r\n\u0000",9223372036854775807,'
    )
    assert lines.endswith("\n,,,,,,,\n")
    assert '\n"",-9223372036854775808,0.1,false,0001-01-01,"0001-01-01 00:00:00","00:00:00",""\n' in lines


def test_csv_is_read_back_by_another_reader() -> None:
    """Python's own CSV reader gets every value's text."""
    encoder = CsvEncoder(ALL_TYPES)
    body = encoder.start() + encoder.batch(COLUMNS, len(ROWS))
    _, full, _, latest, _ = csv.reader(io.StringIO(body.decode(), newline=""))
    assert full == [
        'Zürich, "日本"\r\n\u0000',
        "9223372036854775807",
        "-1e-300",
        "true",
        "2020-02-29",
        "1999-12-31 23:59:59.120000",
        "23:59:59.999999",
        "POINT (10 20)",
    ]
    assert latest[0] == "NA"
    assert float(latest[2]) == 1.7976931348623157e308
    assert latest[4:7] == ["9999-12-31", "9999-12-31 23:59:59.999999", "00:00:00.000001"]


@given(some.lists(some.tuples(some.text(), some.floats(allow_nan=False, allow_infinity=False)), min_size=1))
def test_csv_of_any_texts_and_numbers(rows: list[tuple[str, float]]) -> None:
    """Whatever the texts and numbers, a CSV reader gets them back."""
    encoder = CsvEncoder(Schema(1, (Variable("a", VariableType.STRING), Variable("b", VariableType.FLOAT))))
    body = encoder.batch([[text for text, _ in rows], [number for _, number in rows]], len(rows))
    read = csv.reader(io.StringIO(body.decode(), newline=""))
    assert [(text, float(number)) for text, number in read] == rows


def test_json_lines_show_every_value() -> None:
    """A line is an object with every variable; nulls are null, times have the documented text."""
    body = JsonLinesEncoder(ALL_TYPES).batch(COLUMNS, len(ROWS))
    full, earliest, latest, null = [json.loads(line) for line in body.splitlines()]
    assert full == {
        "Site": 'Zürich, "日本"\r\n\u0000',
        "count": 2**63 - 1,
        "temperature": -1e-300,
        "valid": True,
        "day": "2020-02-29",
        "measured_at": "1999-12-31 23:59:59.120000",
        "local_time": "23:59:59.999999",
        "position": "POINT (10 20)",
    }
    assert list(earliest.values()) == [*EARLIEST_ROW[:4], "0001-01-01", "0001-01-01 00:00:00", "00:00:00", ""]
    assert latest["measured_at"] == "9999-12-31 23:59:59.999999"
    assert null == dict.fromkeys(full)
    assert body.endswith(b"}\n")


@pytest.mark.parametrize("encoder_type", [CsvEncoder, JsonLinesEncoder])
def test_text_formats_without_variables_keep_the_row_count(encoder_type: type[Any]) -> None:
    """Rows without variables are lines."""
    assert encoder_type(Schema(1, ())).batch([], 3).count(b"\n") == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (-(2**63), "-9223372036854775808"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e-300, "1e-300"),
        (True, "true"),
        (False, "false"),
        (datetime.date(1, 2, 3), "0001-02-03"),
        (datetime.datetime(2020, 1, 2, 3, 4, 5), "2020-01-02 03:04:05"),
        (datetime.datetime(2020, 1, 2, 3, 4, 5, 600), "2020-01-02 03:04:05.000600"),
        (datetime.time(3, 4, 5), "03:04:05"),
        (datetime.time(3, 4, 5, 60), "03:04:05.000060"),
        ("POINT(1 2)", "POINT(1 2)"),
    ],
)
def test_text_of_a_value(value: object, text: str) -> None:
    """A value widened to string is its canonical text."""
    assert text_of(value) == text


def test_widened_columns() -> None:
    """Integers become floats, dates midnights, anything a string; nulls stay."""
    assert widened_column([1, None], VariableType.INTEGER, VariableType.FLOAT) == [1.0, None]
    midnights = widened_column([datetime.date(2020, 1, 2), None], VariableType.DATE, VariableType.DATE_TIME)
    assert midnights == [datetime.datetime(2020, 1, 2), None]
    assert widened_column([True, None], VariableType.BOOLEAN, VariableType.STRING) == ["true", None]


MEASURED: dict[VariableType, tuple[list[Any], list[Any]]] = {
    VariableType.STRING: (["", "Zürich", None], [0, 6, None]),
    VariableType.INTEGER: ([2**63 - 1, -(2**63), None], [2**63 - 1, -(2**63), None]),
    VariableType.FLOAT: ([0.5, -1e300, None], [0.5, -1e300, None]),
    VariableType.BOOLEAN: ([True, False, None], [None, None, None]),
    VariableType.DATE: (
        [datetime.date(1970, 1, 2), datetime.date(1, 1, 1), None],
        [86_400_000_000, -62_135_596_800_000_000, None],
    ),
    VariableType.DATE_TIME: ([datetime.datetime(1970, 1, 1, 0, 0, 1), None], [1_000_000, None]),
    VariableType.TIME: ([datetime.time(0, 0, 1), datetime.time(), None], [1_000_000, 0, None]),
    VariableType.GEOGRAPHY: (["POINT (1 2)", "LINESTRING (3 4, 5 6)", None], [1, 2, None]),
}  # fmt: skip


@pytest.mark.parametrize("type_", VariableType)
def test_each_type_is_measured_its_way(type_: VariableType) -> None:
    """Numbers by themselves, texts by characters, days and times in µs, geographies by vertices."""
    values, expected = MEASURED[type_]
    encoder = ArrowEncoder(Schema(1, (Variable("v", type_),)))
    parts = [
        encoder.start(),
        encoder.batch([values], len(values)),
        encoder.batch([values], len(values)),
        encoder.end(),
    ]
    measures = ColumnMeasures(iter(parts), type_)
    table = measures.reader.read_all()
    assert table["measure"].to_pylist() == expected * 2
    assert table["value"].to_pylist() == values * 2
    if type_ is VariableType.GEOGRAPHY:
        assert measures.bounding_box == BoundingBox(1, 5, 6, 2)
        assert measures.centroid == Point(2.5, 3.5)
    else:
        assert measures.bounding_box is measures.centroid is None
