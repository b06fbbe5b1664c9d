"""Exports as xlsx are read by programs that none of rowkeep's libraries are in: openpyxl, and LibreOffice."""

import csv
import datetime
import shutil
import subprocess
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from openpyxl.utils.escape import unescape

from rowkeep.model.exports import export_options
from tests.unit.export_files import SMALL_CELLS, Row, rows_of, same, written

ROWS: list[Row] = [
    [
        "=1+1",
        2,
        0.5,
        True,
        datetime.date(2024, 2, 29),
        datetime.datetime(2024, 2, 29, 12, 0),
        datetime.time(1, 2, 3),
        "POINT (1 2)",
    ],
    ["https://example.org", -(2**53), -1e300, False, datetime.date(9999, 12, 31), None, None, None],
    ["ümlaut 東京 \N{GRINNING FACE}", None, None, None, None, None, None, None],
    [' "quoted", with; commas\nand lines ', 0, 0.1, None, datetime.date(1900, 3, 1), None, None, None],
]


def cells_of(path: Path) -> list[list[Any]]:
    """The cells below the names, as openpyxl reads them; nothing it read is a formula or an error."""
    sheet = openpyxl.load_workbook(path)["rows"]
    rows = list(sheet.iter_rows(min_row=2))
    assert {cell.data_type for row in rows for cell in row} <= {"s", "n", "b", "d", "inlineStr"}
    return [[_value(cell.value) for cell in row] for row in rows]


def _value(found: Any) -> Any:
    """A value as it is meant: openpyxl leaves escapes in texts, and tells a day as its midnight."""
    return unescape(found) if isinstance(found, str) else found


def _is_same(found: Any, value: Any) -> bool:
    if isinstance(found, datetime.datetime) and not isinstance(value, datetime.datetime):
        return bool(found == datetime.datetime.combine(value, datetime.time()))
    return same(found, value)


@settings(max_examples=15)
@given(rows_of(SMALL_CELLS))
def test_openpyxl_reads_the_rows(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    """Every value of every type, and nulls; an empty text is an empty cell."""
    [path], _ = written(tmp_path_factory.mktemp("xlsx"), rows, export_options("xlsx"))
    found = cells_of(path)
    found += [[None] * 8] * (len(rows) - len(found))  # rows of nulls at the end are none in Excel
    for cells, row in zip(found, rows, strict=True):
        expected = [None if value == "" else value for value in row]
        assert all(map(_is_same, cells, expected)), (cells, row)


def test_openpyxl_reads_what_looks_like_more_than_text(tmp_path: Path) -> None:
    """Formulas, links, quotes, lines and letters of any kind are texts."""
    [path], _ = written(tmp_path, ROWS, export_options("xlsx"))
    assert [row[0] for row in cells_of(path)] == [row[0] for row in ROWS]


@pytest.mark.long
def test_libreoffice_reads_the_rows(tmp_path: Path) -> None:
    """LibreOffice opens the file without a word, computes no formula, and shows the values.

    Needs `apt install libreoffice-calc-nogui`; scripts/test --long tests/unit/test_spreadsheets.py runs it.
    """
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed")
    [path], _ = written(tmp_path, ROWS, export_options("xlsx"))
    # Commas, quotes, UTF-8, from the first line on; values as they are, not as they look in cells.
    filter_ = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false"
    command = [office, f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless"]
    command += ["--convert-to", filter_, "--outdir", str(tmp_path / "out"), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    with (tmp_path / "out" / f"{path.stem}.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.reader(file))[1:]
    assert [row[0] for row in found] == [row[0] for row in ROWS]
    for column in (1, 2):
        numbers = [float(row[column]) if row[column] else None for row in found]
        # It shows 15 digits.
        assert numbers == [
            None if row[column] is None else pytest.approx(row[column], rel=1e-14) for row in ROWS
        ]
    assert [row[3] for row in found] == ["TRUE", "FALSE", "", ""]
    assert [row[4] for row in found] == ["2024-02-29", "9999-12-31", "", "1900-03-01"]
