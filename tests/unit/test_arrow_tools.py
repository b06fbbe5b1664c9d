"""Arrow streams as the tools write them by default go in without a cast, and mean what they do in JSON."""

import datetime
import io
import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import duckdb
import msgspec
import pandas
import polars
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rowkeep.model.inserts import BodyFormat
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from tests.unit.bodies import ALL_TYPES, NOTHING, one
from tests.unit.roads import Asked, Outcome, large, small_lines

WHEN = datetime.datetime(2026, 1, 31, 12, 30, 5)
SCHEMA = Schema(
    1,
    tuple(
        Variable(name, VariableType(type_))
        for name, type_ in {
            "text": "string", "many": "string", "kind": "string", "n": "integer", "gaps": "integer",
            "share": "float", "price": "float", "ok": "boolean", "day": "date", "at": "dateTime",
            "clock": "time", "nothing": "string", "place": "geography", "total": "integer",
        }.items()
    ),
)  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {
        "text": "é", "many": "a text of more than twelve bytes", "kind": "x", "n": 1,
        "gaps": None, "share": 1.5, "price": Decimal("12.50"), "ok": True,
        "day": WHEN.date(), "at": WHEN, "clock": WHEN.time(), "nothing": None,
        "place": "POINT(10 20)", "total": 2**60,
    },
    dict.fromkeys(variable.name for variable in SCHEMA.variables),
    {
        "text": "", "many": '"\n\u2028', "kind": "y", "n": -3, "gaps": 3, "share": -0.25,
        "price": Decimal("0.00"), "ok": False, "day": datetime.date(1, 1, 1),
        "at": WHEN.replace(microsecond=5), "clock": datetime.time(), "nothing": None,
        "place": "POINT(10 20)", "total": None,
    },
]  # fmt: skip
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


def stream_of(table: pa.Table) -> bytes:
    """What pyarrow writes of a table."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def from_pyarrow() -> bytes:
    """A table of chunks, with a dictionary, in the types that pyarrow finds."""
    kind = pa.array(COLUMNS["kind"]).dictionary_encode()
    table = pa.table({**COLUMNS, "kind": kind})
    return stream_of(pa.concat_tables([table.slice(0, 1), table.slice(1)]))


def from_pandas() -> bytes:
    """A frame with missing values, categories and a filter, which leaves an index."""
    frame = pandas.DataFrame({**COLUMNS, "kind": pandas.Categorical(COLUMNS["kind"])})
    frame["n"] = frame["n"].astype("Int64")
    frame["total"] = frame["total"].astype("Int64")  # else pandas makes a float of it
    frame = pandas.concat([frame, frame])
    return stream_of(pa.Table.from_pandas(frame[frame["text"].isna() | (frame.index != 7)].iloc[[0, 1, 2]]))


def from_polars() -> bytes:
    """A frame with a categorical; text as views."""
    frame = polars.DataFrame(COLUMNS).with_columns(polars.col("kind").cast(polars.Categorical))
    sink = io.BytesIO()
    frame.write_ipc_stream(sink)
    return sink.getvalue()


def from_polars_by_pyarrow() -> bytes:
    """The same through pyarrow: large strings and an enum."""
    frame = polars.DataFrame(COLUMNS).with_columns(polars.col("kind").cast(polars.Enum(["x", "y"])))
    return stream_of(frame.to_arrow())


def from_duckdb() -> bytes:
    """A query with an enum and a sum, which is a hugeint."""
    source = pa.table(COLUMNS)
    connection = duckdb.connect()
    connection.register("source", source)
    connection.execute("CREATE TYPE kinds AS ENUM ('x', 'y')")
    relation = connection.sql(
        "SELECT * REPLACE (kind::kinds AS kind, sum(total) OVER (PARTITION BY text) AS total) FROM source "
        "ORDER BY n NULLS LAST, text"
    )
    return stream_of(relation.to_arrow_table())


def from_r() -> bytes:
    """What R's arrow writes, by its documented types: int32, factors, logicals, hms as time32, date32."""
    types = {
        "kind": pa.dictionary(pa.int8(), pa.string()), "n": pa.int32(), "gaps": pa.int32(),
        "price": pa.float64(), "clock": pa.time32("s"), "nothing": pa.bool_(), "total": pa.int64(),
    }  # fmt: skip
    columns: dict[str, pa.Array] = {}
    for name, values in COLUMNS.items():
        floats = [None if value is None else float(value) for value in values] if name == "price" else values
        columns[name] = (
            pa.array(floats, pa.string()).cast(types[name])
            if name == "kind"
            else pa.array(floats, types.get(name))
        )
    return stream_of(pa.table(columns))


def expected(rows: list[dict[str, Any]]) -> Outcome:
    """What the same rows come to as lines of JSON."""
    texts = [
        json.dumps({name: _plain(value) for name, value in row.items() if value is not None}) for row in rows
    ]
    return small_lines(texts, SCHEMA, Asked())


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


@pytest.mark.parametrize(
    "written", [from_pyarrow, from_pandas, from_polars, from_polars_by_pyarrow, from_duckdb, from_r]
)
def test_what_tools_write_by_default_goes_in(written: Callable[[], bytes]) -> None:
    """Every column of an ordinary frame, into its variable, without a cast."""
    found = large(written(), SCHEMA, Asked(), BodyFormat.ARROW)
    assert (found.refusal, found.errors) == (None, ())
    rows = sorted(found.rows)
    assert rows == sorted(expected(ROWS).rows)
    grown = large(written(), NOTHING, Asked(updates=True), BodyFormat.ARROW)
    assert (grown.refusal, grown.error_count, len(grown.rows)) == (None, 0, 3)


def test_an_index_that_pandas_adds_is_left_out() -> None:
    """What is left of a count of rows after a filter is no column; an index with a name is one."""
    frame = pandas.DataFrame({"v": [1, 2, 3, 4]})
    filtered = frame[frame["v"].isin([1, 2, 4])]
    assert "__index_level_0__" in pa.Table.from_pandas(filtered).schema.names
    assert large(
        stream_of(pa.Table.from_pandas(filtered)), one("integer"), Asked(), BodyFormat.ARROW
    ).rows == (
        '{"v":1}',
        '{"v":2}',
        '{"v":4}',
    )
    named = filtered.rename_axis("number")
    found = large(stream_of(pa.Table.from_pandas(named)), one("integer"), Asked(), BodyFormat.ARROW)
    assert {name for _, name, _ in found.errors} == {"number"}


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (pa.array([b"x"]), "base64"),
        (pa.array([b"x"], pa.binary(1)), "base64"),
        (pa.array([[1]]), "Make a column of each part"),
        (pa.array([{"a": 1}]), "Make a column of each part"),
        (pa.array([1], pa.duration("ns")), "seconds"),
        (pa.array([WHEN], pa.timestamp("us", "Europe/Zurich")), "`.dt.tz_localize(None)` in pandas"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_what_no_variable_takes_is_refused_by_name(array: pa.Array, words: str) -> None:
    """With the type, and what to do instead."""
    refusal = large(stream_of(pa.table({"odd": array})), ALL_TYPES, Asked(), BodyFormat.ARROW).refusal
    assert refusal is not None
    assert f'"odd" has the Arrow type {array.type}' in refusal
    assert words in refusal


@pytest.mark.parametrize("type_", ["integer", "float", "string", "boolean", "date"])
@pytest.mark.parametrize("asked", [Asked(), Asked(updates=True)], ids=["strict", "updating"])
def test_integers_of_39_digits_are_judged_like_json(type_: str, asked: Asked) -> None:
    """DuckDB writes a hugeint as a decimal of 38 digits, whether it fits or not: only its row is refused."""
    largest = 2**127 - 1
    table = duckdb.sql(f"SELECT unnest([1, {largest}, NULL, -{largest}]::hugeint[]) AS v").to_arrow_table()
    found = large(stream_of(table), one(type_), asked, BodyFormat.ARROW)
    lines = [f'{{"v":{value}}}' for value in (1, largest, "null", -largest)]
    assert found == small_lines(lines, one(type_), asked)


def test_periods_of_pandas_are_refused_by_name() -> None:
    """Arrow has the months of a column as numbers since 1970, and they would go in as such."""
    months = pandas.DataFrame({"month": pandas.period_range("2026-01", periods=2, freq="M")})
    body = stream_of(pa.Table.from_pandas(months))
    refusal = large(body, NOTHING, Asked(), BodyFormat.ARROW).refusal
    assert refusal is not None
    assert '"month" holds periods of pandas' in refusal


# Columns as Arrow has them, and each value as JSON has it.
_FLOATS = [0.0, -0.0, 1.0, 1.5, 2.0**53, 2.0**60, 1e22, 1e300, float("nan"), float("inf"), float("-inf")]
_ARROW_VALUES: list[tuple[Any, list[Any]]] = [
    (pa.int64(), [0, 1, -7, 2**53, 2**53 + 1, 2**63 - 1]),
    (pa.uint64(), [0, 2**63, 2**64 - 1, 2**53 + 1]),
    (pa.float64(), _FLOATS),
    (pa.bool_(), [True, False]),
    (pa.decimal128(38, 0), [Decimal(1), Decimal(2**53 + 1), Decimal(2**70), Decimal(2**70 + 1)]),
    (pa.decimal128(38, 2), [Decimal("1.00"), Decimal("1.50"), Decimal("9007199254740993.00")]),
    (pa.string(), ["", "a", "1", "2026-01-31", "12:00", "2026-01-31T12:00Z", "POINT(1 2)", "POINT(1 91)"]),
    (pa.string_view(), ["", "a", "more than twelve bytes of text"]),
]
CASES = some.sampled_from(_ARROW_VALUES).flatmap(
    lambda case: some.tuples(
        some.just(case[0]), some.lists(some.none() | some.sampled_from(case[1]), max_size=5)
    )
)


def _as_json(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return msgspec.json.encode(value).decode()
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


@given(
    CASES,
    some.sampled_from([*map(str, VariableType), None]),
    some.builds(Asked, some.booleans(), some.booleans()),
)
@settings(deadline=None, max_examples=200)
def test_arrow_is_judged_like_json(
    case: tuple[pa.DataType, list[Any]], type_: str | None, asked: Asked
) -> None:
    """A column under any variable: the same rows, the same errors, the same growth as lines of JSON."""
    arrow_type, values = case
    schema = NOTHING if type_ is None else one(type_)
    body = stream_of(pa.table({"v": pa.array(values, arrow_type)}))
    found = large(body, schema, asked, BodyFormat.ARROW)
    lines = small_lines(['{"v":' + _as_json(value) + "}" for value in values], schema, asked)
    assert found == lines
