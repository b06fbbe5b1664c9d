"""Every format of exports, read back by its reference library, equals the rows that were written."""

import datetime
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pyreadstat
import pytest
from hypothesis import given, settings

from rowkeep.formats.columns import text_of
from rowkeep.model.errors import RowkeepError
from rowkeep.model.exports import COMPRESSIONS, ExportFormat, check_fits, export_options
from rowkeep.model.schema import Schema, ValueLabel, Variable
from rowkeep.model.types import VariableType
from tests.unit.export_files import (
    CELLS,
    SCHEMA,
    SMALL_CELLS,
    Row,
    read_arrow,
    read_avro,
    read_csv,
    read_dta,
    read_lines,
    read_parquet,
    read_sav,
    read_xlsx,
    rows_of,
    same,
    written,
)

ROW: Row = [
    "=1+1",
    2,
    0.5,
    True,
    datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 12, 0, 0, 250000),
    datetime.time(1, 2, 3),
    "POINT (1 2)",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    return tmp_path


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A folder for all examples of a property."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


EXACT = {"parquet": read_parquet, "arrow": read_arrow, "avro": read_avro}
DOUBLES = {"xlsx": read_xlsx, "dta": read_dta, "sav": read_sav}


@pytest.mark.parametrize("format_", EXACT)
@settings(max_examples=30)
@given(rows=rows_of(CELLS))
def test_exact_formats(scratch: Path, format_: str, rows: list[Row]) -> None:
    """Parquet, Arrow and Avro hold every value of every type as it is, null apart from an empty text."""
    [path], warnings = written(scratch, rows, export_options(format_))
    assert EXACT[format_](path) == rows
    assert warnings == []


@settings(max_examples=30)
@given(rows=rows_of(CELLS))
def test_csv(scratch: Path, rows: list[Row]) -> None:
    """CSV has the text of every value as the API spells it."""
    [path], _ = written(scratch, rows, export_options("csv", null_marker="NA"))
    shown = path.read_bytes().decode()
    assert shown.startswith('"text","whole"')
    found = read_csv(path)
    assert len(found) == len(rows)
    for cells, row in zip(found, rows, strict=True):
        for cell, value in zip(cells, row, strict=True):
            if isinstance(value, float):
                assert float(cell) == value
            elif value is None:
                assert cell == "NA"
            else:
                assert cell == text_of(value)


@settings(max_examples=30)
@given(rows=rows_of(CELLS))
def test_json_lines(scratch: Path, rows: list[Row]) -> None:
    """A line of JSON has each value as the API spells it, null as null."""
    [path], _ = written(scratch, rows, export_options("ndjson"))
    plain = (str, int, float, bool, type(None))
    assert read_lines(path) == [
        [cell if isinstance(cell, plain) else text_of(cell) for cell in row] for row in rows
    ]


@pytest.mark.parametrize("format_", DOUBLES)
@settings(max_examples=30)
@given(rows=rows_of(SMALL_CELLS))
def test_formats_of_doubles(scratch: Path, format_: str, rows: list[Row]) -> None:
    """Excel, Stata and SPSS hold what fits them; a null text is an empty one there."""
    [path], warnings = written(scratch, rows, export_options(format_))
    found = DOUBLES[format_](path)
    assert len(found) in (len(rows), len(rows) - _empty_rows_at_end(rows) if format_ == "xlsx" else len(rows))
    for cells, row in zip(found, rows, strict=False):
        assert all(map(same, cells, row)), (cells, row)
    assert warnings == []


def _empty_rows_at_end(rows: list[Row]) -> int:
    """How many rows without a cell end a sheet, where they are as good as none."""
    count = 0
    while count < len(rows) and all(cell in (None, "") for cell in rows[-1 - count]):
        count += 1
    return count


BEYOND = 2**53 + 1
UNFIT: list[tuple[str, VariableType, object, str]] = [
    *((format_, VariableType.INTEGER, BEYOND, "beyond 2^53") for format_ in DOUBLES),
    *((format_, VariableType.INTEGER, -(2**63), "beyond 2^53") for format_ in DOUBLES),
    *((format_, VariableType.STRING, "a\0b", "NUL") for format_ in DOUBLES),
    *((format_, VariableType.FLOAT, float("nan"), "no finite number") for format_ in DOUBLES),
    *((format_, VariableType.FLOAT, float("inf"), "no finite number") for format_ in ("xlsx", "sav")),
    ("dta", VariableType.FLOAT, 1e308, "beyond those of Stata"),
    ("xlsx", VariableType.STRING, "x" * 32_768, "more than 32,767 characters"),
    ("sav", VariableType.STRING, "é" * 16_384, "more than 32,767 bytes"),
    ("dta", VariableType.STRING, "x" * 2_000_001, "more than 2,000,000 bytes"),
]


@pytest.mark.parametrize(("format_", "type_", "value", "reason"), UNFIT)
def test_a_value_that_does_not_fit(
    folder: Path, format_: str, type_: VariableType, value: object, reason: str
) -> None:
    """It is refused, with its variable and its row, and never rounded or cut."""
    schema = Schema(1, (Variable("v", type_),))
    with pytest.raises(RowkeepError, match="`v` of row 1 is") as caught:
        written(folder, [[None], [value]], export_options(format_), schema)
    assert reason in caught.value.message


@pytest.mark.parametrize(("format_", "read"), DOUBLES.items())
def test_bounds_fit(folder: Path, format_: str, read: Callable[[Path], list[Row]]) -> None:
    """The largest integers and the longest texts that a format has are there."""
    schema = Schema(1, (Variable("n", VariableType.INTEGER), Variable("t", VariableType.STRING)))
    rows: list[Row] = [[2**53, "x" * 32_767], [-(2**53), "y"]]
    [path], _ = written(folder, rows, export_options(format_), schema)
    assert [row[:2] for row in read(path)] == rows


def long_name(length: int, type_: VariableType = VariableType.INTEGER) -> Schema:
    """A schema of one variable with a name of so many characters."""
    return Schema(1, (Variable("v" * length, type_),))


MISFITS = [
    ("xlsx", SCHEMA, 1_048_576, "1,048,575 rows"),
    ("xlsx", Schema(1, SCHEMA.variables * 2_049), 1, "columns"),
    ("dta", long_name(33), 1, "longer than the 32 characters"),
    ("dta", Schema(1, (Variable("float", VariableType.FLOAT),)), 1, "keeps the name 'float'"),
    ("dta", Schema(1, (Variable("str20", VariableType.FLOAT),)), 1, "keeps the name 'str20'"),
    ("sav", Schema(1, (Variable("_a", VariableType.FLOAT),)), 1, "begins with a letter"),
    ("sav", Schema(1, (Variable("WITH", VariableType.FLOAT),)), 1, "keeps the name 'WITH'"),
    *((format_.value, Schema(1, ()), 1, "no variables") for format_ in ExportFormat),
]


@pytest.mark.parametrize(("format_", "schema", "row_count", "reason"), MISFITS)
def test_a_table_that_does_not_fit(format_: str, schema: Schema, row_count: int, reason: str) -> None:
    """What names and counts tell is refused before anything is written."""
    with pytest.raises(RowkeepError) as caught:
        check_fits(ExportFormat(format_), schema, row_count)
    assert reason in caught.value.message


@pytest.mark.parametrize("format_", ["dta", "sav"])
def test_names_that_fit_are_written(folder: Path, format_: str) -> None:
    """A name that passes the check is one that the library takes."""
    names = ["v" * (32 if format_ == "dta" else 60), "A1_b", "alle", "strange"]
    schema = Schema(1, tuple(Variable(name, VariableType.FLOAT) for name in names))
    check_fits(ExportFormat(format_), schema, 1)
    [path], _ = written(folder, [[1.0] * 4], export_options(format_), schema)
    read = {"dta": pyreadstat.read_dta, "sav": pyreadstat.read_sav}[format_]
    assert read(str(path), output_format="dict")[1].column_names == names


def test_labels_in_parquet_and_arrow(folder: Path) -> None:
    """Labels, descriptions and value labels are metadata of the fields."""
    [path], _ = written(folder, [ROW], export_options("parquet"))
    fields = pq.read_schema(path)
    assert fields.field("text").metadata[b"label"] == b"Some text"
    assert fields.field("text").metadata[b"description"] == b"What was said."
    assert json.loads(fields.field("whole").metadata[b"valueLabels"]) == {"1": "one", "2": "two"}
    assert fields.field("place").metadata[b"type"] == b"geography"


@pytest.mark.parametrize("read", [pyreadstat.read_dta, pyreadstat.read_sav])
def test_labels_in_statistical_files(folder: Path, read: Callable[..., object]) -> None:
    """Labels and value labels are those of the file."""
    format_ = "dta" if read is pyreadstat.read_dta else "sav"
    [path], _ = written(folder, [ROW], export_options(format_))
    _, found = getattr(pyreadstat, f"read_{format_}")(str(path), output_format="dict")
    assert found.column_names_to_labels["text"] == "Some text"
    assert found.variable_value_labels["whole"] == {1: "one", 2: "two"}


def test_labels_that_do_not_fit_are_told(folder: Path) -> None:
    """A label that is too long is cut, one of a value that the format cannot label is left out, in words."""
    labels = (ValueLabel("1.5", "half"), ValueLabel("2", "two"))
    schema = Schema(1, (Variable("v", VariableType.FLOAT, label="é" * 81, value_labels=labels),))
    [path], warnings = written(folder, [[2.0]], export_options("dta"), schema)
    _, found = pyreadstat.read_dta(str(path), output_format="dict")
    assert found.column_labels == ["é" * 80]
    assert found.variable_value_labels["v"] == {2: "two"}
    assert len(warnings) == 2


def test_blanks_at_the_end_are_told(folder: Path) -> None:
    """SPSS fills texts up with blanks, so those at the end are lost; the export says of which variables."""
    _, warnings = written(folder, [["a ", *ROW[1:]]], export_options("sav"))
    assert warnings == ["text: SPSS does not keep blanks at the end of a text."]


def test_no_formula_and_no_link(folder: Path) -> None:
    """A text that looks like a formula or a link is a text in Excel."""
    rows = [[text, *ROW[1:]] for text in ("=1+1", "https://example.org", "{=1}", "@a", "+1")]
    [path], _ = written(folder, rows, export_options("xlsx"))
    assert [row[0] for row in read_xlsx(path)] == [row[0] for row in rows]


def test_old_dates_in_excel(folder: Path) -> None:
    """A date before 1900 is a text there, and the export says so."""
    old = [*ROW[:4], datetime.date(1899, 12, 31), datetime.datetime(1000, 1, 1), *ROW[6:]]
    [path], warnings = written(folder, [old], export_options("xlsx"))
    assert read_xlsx(path)[0][4:6] == ["1899-12-31", "1000-01-01 00:00:00"]
    assert "before 1900" in warnings[0]


@pytest.mark.parametrize("format_", ["csv", "jsonl", "arrow", "avro"])
def test_parts(folder: Path, format_: str) -> None:
    """A file that is large enough is followed by another; together they have every row once, in order."""
    texts = [[f"{number:06d}" + "x" * 1_000, *ROW[1:]] for number in range(500)]
    options = export_options(format_, compression="none", part_bytes_max=2**20)
    paths, _ = written(folder, texts, options, batches=8)
    assert len(paths) >= 3
    assert [path.name for path in paths] == [f"{number:06d}.{format_}" for number in range(len(paths))]
    read = {**EXACT, "csv": read_csv, "jsonl": read_lines}[format_]
    found = [row[0] for path in paths for row in read(path)]
    assert found == [row[0] for row in texts] * 8


def test_parts_of_parquet(folder: Path) -> None:
    """A Parquet file is full when its row groups are, which have some MiB each."""
    rows = [[str(number) + "x" * 9_000_000, *ROW[1:]] for number in range(4)]
    options = export_options("parquet", compression="none", part_bytes_max=2**20)
    paths, _ = written(folder, rows, options, batches=3)
    assert [pq.read_metadata(path).num_rows for path in paths] == [4, 4, 4]


@pytest.mark.parametrize(
    ("format_", "compression"), [(format_, name) for format_, names in COMPRESSIONS.items() for name in names]
)
def test_every_compression(folder: Path, format_: ExportFormat, compression: str) -> None:
    """Each compression that is offered makes a file, and text files tell theirs in their names."""
    [path], _ = written(folder, [ROW] * 100, export_options(format_.value, compression=compression))
    assert path.stat().st_size > 0
    if format_ in EXACT:
        assert EXACT[format_](path) == [ROW] * 100
    if (format_, compression) == (ExportFormat.CSV, "gzip"):
        assert path.suffix == ".gz"
        assert [row[0] for row in read_csv(path)] == [ROW[0]] * 100


def test_csv_for_spreadsheets(folder: Path) -> None:
    """With `bom` a CSV file begins with a byte order mark, by which Excel knows UTF-8."""
    [path], _ = written(folder, [ROW], export_options("csv", bom=True))
    assert path.read_bytes().startswith(b'\xef\xbb\xbf"text",')


def test_a_lone_variable_in_csv(folder: Path) -> None:
    """A null that is the only field is no empty line, which readers pass over."""
    schema = Schema(1, (Variable("v", VariableType.INTEGER),))
    [path], _ = written(folder, [[1], [None], [2]], export_options("csv"), schema)
    assert read_csv(path) == [["1"], [""], ["2"]]


@pytest.mark.parametrize(
    "spelled",
    [
        {"format_": "xls"},
        {"format_": "csv", "compression": "lz4"},
        {"format_": "xlsx", "compression": "gzip"},
        {"format_": "csv", "null_marker": "a,b"},
        {"format_": "csv", "null_marker": "x" * 21},
        {"format_": "parquet", "null_marker": "NA"},
        {"format_": "dta", "bom": True},
        {"format_": "csv", "part_bytes_max": 10},
    ],
)
def test_options_that_are_refused(spelled: dict[str, object]) -> None:
    """An option that means nothing, or that breaks a file, is refused."""
    with pytest.raises(RowkeepError):
        export_options(**spelled)  # type: ignore[arg-type]
