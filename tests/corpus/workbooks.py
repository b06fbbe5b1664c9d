"""Workbooks, made by xlsxwriter and by hand, and files of Stata and SPSS."""

import datetime as dt
import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat
import xlsxwriter

from rowkeep.model.types import VariableType
from tests.corpus.case import Case, Refused, Table

_DAY, _NOON = dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, 12, 30)
_AB = {"a": "integer", "b": "integer"}


def _workbook(write: Callable[[Any, Any], None], **options: Any) -> Callable[[], bytes]:
    def content() -> bytes:
        sink = io.BytesIO()
        with xlsxwriter.Workbook(sink, {"in_memory": True, **options}) as workbook:
            write(workbook, workbook.add_worksheet("data"))
        return sink.getvalue()

    return content


def _rows(*rows: list[Any]) -> Callable[[], bytes]:
    """A workbook of plain cells; dates are written as such."""

    def write(workbook: Any, sheet: Any) -> None:
        formats = {
            dt.datetime: workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
            dt.date: workbook.add_format({"num_format": "yyyy-mm-dd"}),
            dt.time: workbook.add_format({"num_format": "hh:mm:ss"}),
            dt.timedelta: workbook.add_format({"num_format": "[h]:mm:ss"}),
        }
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                form = formats.get(type(cell))
                if form is not None:
                    sheet.write_datetime(number, column, cell, form)
                elif isinstance(cell, str):
                    sheet.write_string(number, column, cell)
                elif cell is not None:
                    sheet.write(number, column, cell)

    return _workbook(write)


def _column(name: str, cells: list[Any], type_: str, values: list[Any]) -> Case:
    rows = [(value, index) for index, value in enumerate(values)]
    content = _rows(["v", "n"], *[[cell, index] for index, cell in enumerate(cells)])
    return Case(f"xlsx-{name}/a.xlsx", content, Table({"v": type_, "n": "integer"}, rows))


def _case(name: str, content: bytes | Callable[[], bytes], expected: Table | Refused, **options: Any) -> Case:
    return Case(f"xlsx-{name}/a.xlsx", content, expected, options)


def _with_part(content: Callable[[], bytes], name: str, part: bytes) -> Callable[[], bytes]:
    """A workbook with one part exchanged."""

    def change() -> bytes:
        sink = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(content())) as old,
            zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new,
        ):
            for info in old.infolist():
                new.writestr(info.filename, part if info.filename == name else old.read(info))
        return sink.getvalue()

    return change


def _sheet(cells: str) -> bytes:
    return (
        '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<sheetData>{cells}</sheetData></worksheet>"
    ).encode()


_SHEET = "xl/worksheets/sheet1.xml"
_PLAIN = _rows(["a", "b"], [1, 2], [3, 4])
_FAR = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
_FAR_UNUSUAL = "<row r='1'><c r='A1'><v>1</v></c><c r='XFD1048576'><v>1</v></c></row>"


def _formulas(workbook: Any, sheet: Any) -> None:
    sheet.write_row(0, 0, ["a", "b"])
    sheet.write_formula(1, 0, "=1+1", None, 2)
    sheet.write_string(1, 1, "=1+1")


def _errors(workbook: Any, sheet: Any) -> None:
    sheet.write_row(0, 0, ["a", "b"])
    sheet.write_formula(1, 0, "=NA()", None, "#N/A")
    sheet.write(1, 1, 5)


def _offset(workbook: Any, sheet: Any) -> None:
    sheet.write_row(3, 2, ["a", "b"])
    sheet.write_row(4, 2, [1, 2])


def _two_sheets(workbook: Any, sheet: Any) -> None:
    sheet.write_row(0, 0, ["a", "b"])
    sheet.write_row(1, 0, [1, 2])
    workbook.add_worksheet("more").write_row(0, 0, ["c"])


def _hidden_first(workbook: Any, sheet: Any) -> None:
    sheet.write_row(0, 0, ["hidden"])
    other = workbook.add_worksheet("shown")
    other.write_row(0, 0, ["a", "b"])
    other.write_row(1, 0, [1, 2])
    other.activate()
    other.set_first_sheet()
    sheet.hide()


def _bomb() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(300):
                part.write(b" " * 1024 * 1024)
    return sink.getvalue()


XLSX = [
    _case("plain", _PLAIN, Table(_AB, [(1, 2), (3, 4)])),
    _column("integers-as-doubles", [1.0, 2.0, None], "integer", [1, 2, None]),
    _column("floats", [1, 2.5], "float", [1.0, 2.5]),
    _column("beyond-double", [12345678901234567890, 1], "float", [1.234567890123457e19, 1.0]),
    _column("text-of-digits", ["00123", "5"], "string", ["00123", "5"]),
    _column("numbers-and-text", [1, 2.5, "x"], "string", ["1", "2.5", "x"]),
    _column("booleans", [True, False], "boolean", [True, False]),
    _column("booleans-and-numbers", [True, 1], "string", ["true", "1"]),
    _column("dates", [_DAY, None], "date", [_DAY, None]),
    _column("dates-and-date-times", [_DAY, _NOON], "dateTime", [dt.datetime(2024, 1, 2), _NOON]),
    _column(
        "date-times-milliseconds",
        [_NOON.replace(microsecond=914_000)],
        "dateTime",
        [_NOON.replace(microsecond=914_000)],
    ),
    _column("times", [dt.time(10, 30)], "time", [dt.time(10, 30)]),
    _column("durations", [dt.timedelta(hours=36)], "string", ["36:00:00"]),
    _column("dates-and-text-dates", [_DAY, "1850-05-06"], "date", [_DAY, dt.date(1850, 5, 6)]),
    _column("text-dates", ["2024-01-02"], "date", [_DAY]),
    _column("text-day-first", ["02.01.2024"], "string", ["02.01.2024"]),
    _column("dates-and-words", [_DAY, "unknown"], "string", ["2024-01-02", "unknown"]),
    _column("geography", ["POINT(1 2)"], "geography", ["POINT(1 2)"]),
    _column(
        "text-kept", ["=1+1", " x ", "a\nb", "http://x.y"], "string", ["=1+1", " x ", "a\nb", "http://x.y"]
    ),
    _case("formulas-are-values", _workbook(_formulas), Table({"a": "integer", "b": "string"}, [(2, "=1+1")])),
    _case(
        "errors-are-null",
        _workbook(_errors),
        Table({"a": "string", "b": "integer"}, [(None, 5)], warning="1 cells of the workbook are errors"),
    ),
    _case("offset", _workbook(_offset), Table(_AB, [(1, 2)])),
    _case(
        "1904",
        _workbook(
            lambda book, sheet: (
                sheet.write(0, 0, "d"),
                sheet.write_datetime(
                    1, 0, dt.datetime(2024, 1, 2), book.add_format({"num_format": "yyyy-mm-dd"})
                ),
            )[0],
            date_1904=True,
        ),
        Table({"d": "date"}, [(_DAY,)]),
    ),
    _case("two-sheets", _workbook(_two_sheets), Table(_AB, [(1, 2)], warning="'data', 'more'")),
    _case("given-sheet", _workbook(_two_sheets), Table({"c": "string"}, []), layer="more"),
    _case("unknown-sheet", _workbook(_two_sheets), Refused("no sheet 'other'"), layer="other"),
    _case("hidden-sheet", _workbook(_hidden_first), Table(_AB, [(1, 2)])),
    _case("empty-rows", _rows(["a", "b"], [1, 2], [None, None], [3, 4]), Table(_AB, [(1, 2), (3, 4)])),
    _case(
        "names",
        _rows(["a", "A", None, 2020], [1, 2, 3, 4]),
        Table(dict.fromkeys(["a", "A_1", "column", "_2020"], "integer"), [(1, 2, 3, 4)]),
    ),
    _case(
        "no-header",
        _rows([1, 2], [3, 4]),
        Table({"column_1": "integer", "column_2": "integer"}, [(1, 2), (3, 4)]),
        has_header_row=False,
    ),
    _case(
        "null-markers",
        _rows(["a", "b"], ["NA", 2], [3, 4]),
        Table(_AB, [(None, 2), (3, 4)]),
        null_markers=("NA",),
    ),
    _case(
        "given-type", _rows(["a", "b"], ["007", 2]), Table(_AB, [(7, 2)]), types={"a": VariableType.INTEGER}
    ),
    _case(
        "given-type-misfit",
        _rows(["a", "b"], [1, 2], ["x", 4]),
        Refused("Row 2, column 'a'", [2]),
        types={"a": VariableType.INTEGER},
    ),
    _case(
        "given-string",
        _rows(["a", "b"], [7, 2.5]),
        Table({"a": "string", "b": "string"}, [("7", "2.5")]),
        types={"a": VariableType.STRING, "b": VariableType.STRING},
    ),
    _case("nothing", _workbook(lambda book, sheet: None), Refused("none of its sheets has a cell")),
    _case("named-xls", _PLAIN, Table(_AB, [(1, 2), (3, 4)], warning="is xlsx"), type="xls"),
    _case(
        "far-cell", _with_part(_PLAIN, _SHEET, _sheet(_FAR)), Refused("goes to row 1048576 and column 16384")
    ),
    _case(
        "far-cell-unusual",
        _with_part(_PLAIN, _SHEET, _sheet(_FAR_UNUSUAL)),
        Refused("written in an unknown way"),
    ),
    _case(
        "row-beyond-limit",
        _with_part(
            _PLAIN, _SHEET, _sheet('<row r="1"><c r="A1"><v>1</v></c><c r="A99999999"><v>1</v></c></row>')
        ),
        Refused("goes to row 99999999"),
    ),
    _case(
        "entities",
        _with_part(_PLAIN, "xl/sharedStrings.xml", b'<!DOCTYPE x [<!ENTITY a "b">]><sst/>'),
        Refused("XML entities"),
    ),
    _case("bomb", _bomb, Refused("far more than a workbook")),
    _case("truncated", lambda: _PLAIN()[:3_000], Refused("damaged or not whole")),
    _case("broken-xml", _with_part(_PLAIN, _SHEET, b"<worksheet><sheetData><row><c"), Refused("")),
    _case("plain-zip", lambda: _zip({"a.txt": b"x"}), Refused("no xlsx workbook")),
    _case(
        "encrypted",
        bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(600),
        Refused("encrypted"),
    ),
    _case("csv-named-xlsx", b"a,b\n1,2\n", Refused("no workbook")),
    _case("empty-file", b"", Refused("it is empty")),
    Case("xls-broken/a.xls", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2_000), Refused("damaged")),
]


def _zip(parts: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return sink.getvalue()


def _statistical(ending: str, frame: dict[str, Any], **options: Any) -> Callable[[], bytes]:
    def content() -> bytes:
        write = pyreadstat.write_dta if ending == "dta" else pyreadstat.write_sav
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"a.{ending}"
            write(pd.DataFrame(frame), path, **options)
            return path.read_bytes()

    return content


_PEOPLE = {"id": [1, 2], "x": [1.5, None], "s": ["ä", ""]}

STATISTICAL = [
    Case(
        "dta-plain/a.dta",
        _statistical("dta", _PEOPLE),
        Table({"id": "integer", "x": "float", "s": "string"}, [(1, 1.5, "ä"), (2, None, "")]),
    ),
    Case(
        "dta-labels/a.dta",
        _statistical(
            "dta", {"q": [1, 2]}, column_labels=["Question é"], variable_value_labels={"q": {1: "Yes"}}
        ),
        Table({"q": "integer"}, [(1,), (2,)], labels={"q": "Question é"}),
    ),
    Case(
        "dta-dates/a.dta",
        _statistical("dta", {"d": [_DAY], "t": [_NOON]}),
        Table({"d": "date", "t": "dateTime"}, [(_DAY, _NOON)]),
    ),
    Case(
        "dta-quarter/a.dta",
        _statistical("dta", {"q": [256.0]}, variable_format={"q": "%tq"}),
        Table({"q": "date"}, [(dt.date(2024, 1, 1),)]),
    ),
    Case(
        "dta-month/a.dta",
        _statistical("dta", {"q": [769.0]}, variable_format={"q": "%tm"}),
        Table({"q": "date"}, [(dt.date(2024, 2, 1),)]),
    ),
    Case(
        "dta-missing/a.dta",
        _statistical(
            "dta",
            {"m": [1, "a", 3]},
            missing_user_values={"m": ["a"]},
            variable_value_labels={"m": {"a": "refused"}},
        ),
        Table({"m": "integer"}, [(1,), (None,), (3,)]),
    ),
    Case(
        "dta-old-utf-8/a.dta",
        _statistical("dta", {"v": ["Müller"]}, version=8),
        Table({"v": "string"}, [("Müller",)]),
    ),
    Case(
        "dta-text-dates-stay/a.dta",
        _statistical("dta", {"v": ["2024-01-02"]}),
        Table({"v": "string"}, [("2024-01-02",)]),
    ),
    Case(
        "dta-long-text/a.dta",
        _statistical("dta", {"v": ["x" * 3_000]}),
        Table({"v": "string"}, [("x" * 3_000,)]),
    ),
    Case(
        "dta-truncated/a.dta",
        lambda: _statistical("dta", {"v": list(range(1_000))})()[:4_000],
        Refused("may be truncated"),
    ),
    Case("dta-text/a.dta", b"a,b\n1,2\n" * 50, Refused("cannot be read as dta")),
    Case("dta-is-sav/a.dta", _statistical("sav", _PEOPLE), Refused("it is an SPSS file")),
    Case("dta-empty/a.dta", b"", Refused("it is empty")),
    Case(
        "sav-plain/a.sav",
        _statistical("sav", _PEOPLE),
        Table({"id": "integer", "x": "float", "s": "string"}, [(1, 1.5, "ä"), (2, None, "")]),
    ),
    Case(
        "sav-compressed/a.zsav",
        _statistical("sav", _PEOPLE, compress=True),
        Table({"id": "integer", "x": "float", "s": "string"}, [(1, 1.5, "ä"), (2, None, "")]),
    ),
    Case(
        "sav-dates/a.sav",
        _statistical("sav", {"d": [_DAY], "t": [_NOON], "m": [dt.time(10)]}),
        Table({"d": "date", "t": "dateTime", "m": "time"}, [(_DAY, _NOON, dt.time(10))]),
    ),
    Case(
        "sav-old-date/a.sav",
        _statistical("sav", {"d": [dt.date(1600, 1, 1)]}),
        Table({"d": "date"}, [(dt.date(1600, 1, 1),)]),
    ),
    Case(
        "sav-missing/a.sav",
        _statistical(
            "sav", {"q": [1, 9]}, missing_ranges={"q": [9]}, variable_value_labels={"q": {9: "Refused"}}
        ),
        Table({"q": "integer"}, [(1,), (None,)]),
    ),
    Case(
        "sav-names/a.sav",
        _statistical("sav", {"a.b": [1], "A_B": [2]}),
        Table({"a_b_1": "integer", "A_B": "integer"}, [(1, 2)], labels={"a_b_1": "a.b"}),
    ),
    Case(
        "sav-truncated/a.sav",
        lambda: _statistical("sav", {"v": [0.5 + n for n in range(1_000)]})()[:4_000],
        Refused("may be truncated"),
    ),
    Case("sav-text/a.sav", b"a,b\n1,2\n" * 50, Refused("cannot be read as sav")),
    Case("sas-text/a.sas7bdat", b"a,b\n1,2\n" * 500, Refused("cannot be read as sas7bdat")),
]

CASES = [*XLSX, *STATISTICAL]
