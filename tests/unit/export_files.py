"""Rows of every type, and the reference library of each format that reads them back."""

import base64
import csv
import datetime
import gzip
import hashlib
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pyreadstat
import python_calamine
from hypothesis import strategies as some

from rowkeep.formats.arrow import arrow_schema
from rowkeep.formats.exports.parts import ExportFiles
from rowkeep.model.exports import ExportOptions
from rowkeep.model.schema import Schema, ValueLabel, Variable
from rowkeep.model.types import VariableType

Row = list[Any]
HELD_BYTES_MAX = 2**26
SCHEMA = Schema(
    1,
    (
        Variable("text", VariableType.STRING, label="Some text", description="What was said."),
        Variable(
            "whole",
            VariableType.INTEGER,
            value_labels=(ValueLabel("1", "one"), ValueLabel("2", "two")),
        ),
        Variable("real", VariableType.FLOAT),
        Variable("yes", VariableType.BOOLEAN),
        Variable("day", VariableType.DATE),
        Variable("moment", VariableType.DATE_TIME),
        Variable("clock", VariableType.TIME),
        Variable("place", VariableType.GEOGRAPHY),
    ),
)
TEXTS = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
CELLS: dict[VariableType, some.SearchStrategy[Any]] = {
    VariableType.STRING: TEXTS,
    VariableType.INTEGER: some.integers(-(2**63), 2**63 - 1),
    VariableType.FLOAT: some.floats(allow_nan=False, allow_infinity=False),
    VariableType.BOOLEAN: some.booleans(),
    VariableType.DATE: some.dates(),
    VariableType.DATE_TIME: some.datetimes(),
    VariableType.TIME: some.times(),
    VariableType.GEOGRAPHY: some.just("POINT (1 2)"),
}
# What a double holds, and a time that is whole in every format.
SMALL_CELLS = {
    **CELLS,
    VariableType.STRING: some.text(some.characters(categories=["L", "N", "P"]), max_size=20),
    VariableType.INTEGER: some.integers(-(2**53), 2**53),
    VariableType.FLOAT: some.floats(-1e300, 1e300, allow_subnormal=False),
    VariableType.DATE: some.dates(datetime.date(1900, 3, 1)),
    VariableType.DATE_TIME: some.datetimes(datetime.datetime(1900, 3, 1)).map(
        lambda moment: moment.replace(microsecond=0)
    ),
    VariableType.TIME: some.times().map(lambda time: time.replace(microsecond=0)),
}


def rows_of(cells: dict[VariableType, some.SearchStrategy[Any]]) -> some.SearchStrategy[list[Row]]:
    """Rows of the schema, with nulls."""
    row = some.tuples(*(some.none() | cells[variable.type] for variable in SCHEMA.variables))
    return some.lists(row.map(list), max_size=8)


def batch_of(rows: list[Row], schema: Schema = SCHEMA) -> pa.RecordBatch:
    """Rows as Arrow."""
    fields = arrow_schema(schema)
    columns = list(zip(*rows, strict=True)) or [[] for _ in fields]
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=fields)


def written(
    folder: Path, rows: list[Row], options: ExportOptions, schema: Schema = SCHEMA, batches: int = 1
) -> tuple[list[Path], list[str]]:
    """The files of rows, written `batches` times over, and what could not be held."""
    files = ExportFiles(folder, schema, options, HELD_BYTES_MAX)
    for _ in range(batches):
        files.write(batch_of(rows, schema))
    ended = files.finish()
    for file in ended:
        content = (folder / file.name).read_bytes()
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        assert (file.byte_count, file.md5) == (len(content), digest)
    return [folder / file.name for file in ended], files.warnings


def read_parquet(path: Path) -> list[Row]:
    return [list(row.values()) for row in pq.read_table(path).to_pylist()]


def read_arrow(path: Path) -> list[Row]:
    return [list(row.values()) for row in pyarrow.feather.read_table(path).to_pylist()]


def read_avro(path: Path) -> list[Row]:
    with path.open("rb") as file:
        return [list(row.values()) for row in fastavro.reader(file)]  # type: ignore[union-attr]


def read_csv(path: Path) -> list[Row]:
    """Fields as texts."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    reader = csv.reader(io.StringIO(text, newline=""))
    return [list(row) for row in reader][1:]


def read_lines(path: Path) -> list[Row]:
    text = path.read_text(encoding="utf-8")
    return [list(json.loads(line).values()) for line in text.split("\n") if line]


def read_xlsx(path: Path) -> list[Row]:
    sheet = python_calamine.load_workbook(str(path)).get_sheet_by_name("rows")
    return [
        row + [""] * (len(SCHEMA.variables) - len(row)) for row in sheet.to_python(skip_empty_area=False)
    ][1:]


def read_statistical(read: Callable[..., Any]) -> Callable[[Path], list[Row]]:
    """What reads a file of pyreadstat's."""

    def rows(path: Path) -> list[Row]:
        columns, _ = read(str(path), output_format="dict")
        return [list(row) for row in zip(*columns.values(), strict=True)]

    return rows


read_dta = read_statistical(pyreadstat.read_dta)
read_sav = read_statistical(pyreadstat.read_sav)


def same(found: Any, value: Any) -> bool:
    """Whether a value read back is the one that was written, in a format that has but doubles and texts."""
    if value is None:
        return found is None or found == ""
    if isinstance(value, bool | int | float):
        return isinstance(found, bool | int | float) and math.isclose(found, value, rel_tol=0, abs_tol=0)
    if isinstance(value, datetime.datetime):
        if not isinstance(found, datetime.datetime):  # calamine reads midnight as the day
            found = datetime.datetime.combine(found, datetime.time())
        # far from 1960 a double has less than microseconds
        return abs(found - value) < datetime.timedelta(milliseconds=1)
    return bool(found == value)
