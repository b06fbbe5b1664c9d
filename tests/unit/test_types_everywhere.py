"""A value of every type goes through every carrier: JSON, Parquet, Arrow, CSV, files, SQL and statistics."""

import datetime
import io
import json
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from pyarrow import ipc

from rowkeep.formats.arrow import ARROW_TYPES, arrow_schema
from rowkeep.formats.arrow_body import canonical_batch_text
from rowkeep.formats.columns import widened_column
from rowkeep.formats.files.given_types import given_values
from rowkeep.model.chain import canonical_text
from rowkeep.model.decoding.cells import convert_cell
from rowkeep.model.decoding.lenient import decode_leniently
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.decoding.values import NumberText
from rowkeep.model.errors import RowsRefused
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.model.types.records import RECORDS, widened
from rowkeep.sql.types import TYPE_OF_VARIABLE, VARIABLE_OF_TYPE, duckdb_type
from tests.unit.read_world import World
from tests.unit.test_statistics import Measured


class Sample(msgspec.Struct, frozen=True):
    """One value: as JSON takes and shows it, in Python, in CSV, and the value of the next wider type."""

    json: Any
    value: Any
    csv: str
    wider: Any = None
    misfit: Any = 12


MOMENT = datetime.datetime(2020, 1, 2, 3, 4, 5, 600000)
SAMPLES = {
    VariableType.STRING: Sample("a b", "a b", '"a b"', misfit=[1]),
    VariableType.INTEGER: Sample(12, 12, "12", wider=12.0, misfit="x"),
    VariableType.FLOAT: Sample(1.5, 1.5, "1.5", misfit="x"),
    VariableType.BOOLEAN: Sample(json=True, value=True, csv="true"),
    VariableType.DATE: Sample(
        "2020-01-02", datetime.date(2020, 1, 2), "2020-01-02", wider=datetime.datetime(2020, 1, 2)
    ),
    VariableType.DATE_TIME: Sample("2020-01-02T03:04:05.600000", MOMENT, '"2020-01-02 03:04:05.600000"'),
    VariableType.TIME: Sample("03:04:05.600000", MOMENT.time(), '"03:04:05.600000"'),
    VariableType.GEOGRAPHY: Sample("POINT (1 2)", "POINT (1 2)", '"POINT (1 2)"'),
}
every_type = pytest.mark.parametrize("type_", list(VariableType))


def schema_of(type_: VariableType) -> Schema:
    """One variable `v` of a type."""
    return Schema(1, (Variable("v", type_),))


def body_of(value: Any) -> bytes:
    """A request body with one row."""
    return json.dumps({"rows": [{"v": value}]}).encode()


def cell(value: Any) -> Any:
    """A JSON value as the lenient path meets it: a number with a fraction is still its text."""
    return NumberText(json.dumps(value)) if isinstance(value, float) else value


@every_type
def test_json_takes_it_on_both_paths(type_: VariableType) -> None:
    """The strict decoder and the lenient one make the same row of it."""
    sample, decoder = SAMPLES[type_], row_decoder(schema_of(type_))
    strict = decoder.accept(body_of(sample.json)).rows
    lenient = decode_leniently(body_of(sample.json), schema_of(type_), updates_by_default=False)
    assert canonical_text(strict) == canonical_text(decoder.read(lenient.body))
    assert convert_cell(cell(sample.json), type_) == sample.value


@every_type
def test_what_it_is_not_is_refused_in_words(type_: VariableType) -> None:
    """The error of a value of another kind says what the type takes."""
    with pytest.raises(RowsRefused) as refused:
        decode_leniently(body_of(SAMPLES[type_].misfit), schema_of(type_), updates_by_default=False)
    [error] = refused.value.row_errors
    assert RECORDS[type_].expected in error.message


@every_type
def test_it_is_read_in_every_format(world: World, type_: VariableType) -> None:
    """From the journal and from Parquet, a value and a null beside it, as Arrow, as CSV and as JSON lines."""
    sample = SAMPLES[type_]
    world.create("u", [{"name": "v", "type": type_.value}])
    world.insert("u", [{"v": sample.json}, {"v": None}])
    bodies = {name: b"".join(world.rest(world.parts(format_name=name))) for name in ("arrow", "csv", "jsonl")}
    table = ipc.open_stream(io.BytesIO(bodies["arrow"])).read_all()
    assert (table.schema.field("v").type, table["v"].to_pylist()) == (
        ARROW_TYPES[type_],
        [sample.value, None],
    )
    assert bodies["csv"].decode().splitlines() == ['"v"', sample.csv, '""']
    shown = [json.loads(line)["v"] for line in bodies["jsonl"].splitlines()]
    assert [convert_cell(cell(shown[0]), type_), shown[1]] == [sample.value, None]


@every_type
def test_arrow_says_the_same_as_json(type_: VariableType) -> None:
    """A column of the type's own Arrow type has the digest of the JSON rows."""
    schema, sample = schema_of(type_), SAMPLES[type_]
    batch = pa.RecordBatch.from_pylist([{"v": sample.value}], schema=arrow_schema(schema))
    rows = row_decoder(schema).accept(body_of(sample.json)).rows
    assert canonical_batch_text(batch, schema) == canonical_text(rows)


@every_type
def test_a_file_declared_so_gives_it(type_: VariableType) -> None:
    """What a CSV file of ours shows is read back as the value."""
    sample = SAMPLES[type_]
    values, unfit = given_values(pa.array([sample.csv.strip('"'), None]), type_)
    assert (values.to_pylist(), unfit) == ([sample.value, None], [])


@every_type
def test_it_widens_to_string_and_to_its_wider_type(type_: VariableType) -> None:
    """The string is what CSV shows; the wider type is the one that its record names, and no other."""
    sample, wider = SAMPLES[type_], RECORDS[type_].wider
    assert widened_column([sample.value, None], type_, VariableType.STRING) == [sample.csv.strip('"'), None]
    assert (wider is None) == (sample.wider is None)
    for other in VariableType:
        is_narrower = RECORDS[other].wider is type_
        expected = (
            type_ if other is type_ or is_narrower else wider if other is wider else VariableType.STRING
        )
        assert widened(type_, other) is expected
    if wider is not None:
        assert widened_column([sample.value], type_, wider) == [sample.wider]


@every_type
def test_sql_has_it(type_: VariableType) -> None:
    """It has a type of its own in SQL, one in DuckDB, and comes back as what it was."""
    sql = TYPE_OF_VARIABLE[type_]
    assert sql.name == RECORDS[type_].sql
    assert duckdb_type(sql)
    assert VARIABLE_OF_TYPE[sql.name] is type_


@every_type
def test_statistics_measure_it(world: World, type_: VariableType) -> None:
    """DuckDB counts it, and tells a deviation and frequencies where its record says that there are any."""
    measured = Measured(world)
    found = measured.of(type_.value, [SAMPLES[type_].json, SAMPLES[type_].json, None])
    measured.close()
    assert (found.count, found.distinct_count) == (2, 1)
    assert (found.standard_deviation is not None) == RECORDS[type_].has_deviation
    assert (found.frequencies is not None) == RECORDS[type_].has_frequencies
