"""Excel workbooks. The only file that knows xlsxwriter.

Texts stay texts: nothing that begins with = becomes a formula and nothing a link. What Excel has no number
for stays a text too: dates before 1900. A second sheet tells what was said of the variables.
"""

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
import xlsxwriter.workbook
from xlsxwriter.worksheet import Worksheet

from rowkeep.formats.exports.labels import has_labels
from rowkeep.formats.exports.writer import ValueChecks, position_in
from rowkeep.model.errors import RowkeepError
from rowkeep.model.exports import ExportFormat
from rowkeep.model.schema import Schema
from rowkeep.model.types import VariableType

CELL_CHARACTERS_MAX = 32_767
_CELL_BYTES_MAX = 4 * CELL_CHARACTERS_MAX
_ROWS_MAX = 4_096
_FIRST_DAY = datetime.date(1900, 1, 1)
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_NUMBER_FORMATS = {
    VariableType.DATE: "yyyy-mm-dd",
    VariableType.DATE_TIME: "yyyy-mm-dd hh:mm:ss.000",
    VariableType.TIME: "hh:mm:ss.000",
}


class _FilesWithoutTimes:
    """The module `os` for xlsxwriter, without setting file times, which a jailed worker may not do."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def utime(self, *_: object) -> None:
        """Does nothing: the parts of a workbook keep the time at which they were made."""


xlsxwriter.workbook.os = _FilesWithoutTimes()


class _Exact(float):
    """A number that is written with all its digits. xlsxwriter would write 16 of them."""

    def __format__(self, spec: str) -> str:
        return repr(float(self))


_WriteCell = Callable[[int, int, Any], object]


class XlsxFile:
    """Writes a workbook with one sheet of rows, a row at a time."""

    def __init__(self, path: Path, schema: Schema) -> None:
        self._path = path
        self._schema = schema
        self._checks = ValueChecks(ExportFormat.XLSX, schema)
        self._book = xlsxwriter.Workbook(str(path), {**_OPTIONS, "tmpdir": str(path.parent)})
        self._sheet = self._book.add_worksheet("rows")
        self._sheet.freeze_panes(1, 0)
        self._writers = [self._writer(variable.type) for variable in schema.variables]
        self._row = 1
        self._has_old_dates = False
        for column, variable in enumerate(schema.variables):
            self._sheet.write_string(0, column, variable.name)

    def _writer(self, type_: VariableType) -> _WriteCell:
        sheet = self._sheet
        plain: _WriteCell = sheet.write_string
        if type_ is VariableType.INTEGER:
            plain = sheet.write_number
        elif type_ is VariableType.FLOAT:
            plain = self._write_float
        elif type_ is VariableType.BOOLEAN:
            plain = sheet.write_boolean
        if type_ not in _NUMBER_FORMATS:
            return plain
        format_ = self._book.add_format({"num_format": _NUMBER_FORMATS[type_]})

        def write(row: int, column: int, value: Any) -> object:
            day = value.date() if isinstance(value, datetime.datetime) else value
            if isinstance(day, datetime.date) and day < _FIRST_DAY:
                self._has_old_dates = True
                is_day = not isinstance(value, datetime.datetime)
                return sheet.write_string(row, column, str(day) if is_day else value.isoformat(sep=" "))
            return sheet.write_datetime(row, column, value, format_)

        return write

    def _write_float(self, row: int, column: int, value: float) -> object:
        return self._sheet.write_number(row, column, _Exact(value))

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows."""
        try:
            self._check(batch)
        except RowkeepError:
            self._book.close()
            raise
        for start in range(0, len(batch), _ROWS_MAX):
            columns = [column.slice(start, _ROWS_MAX).to_pylist() for column in batch.columns]
            for values in zip(*columns, strict=True):
                self._write_row(values)

    def _check(self, batch: pa.RecordBatch) -> None:
        for variable, column in zip(self._schema.variables, batch.columns, strict=True):
            if pa.types.is_string(column.type):
                too_long = pc.greater(pc.utf8_length(column), CELL_CHARACTERS_MAX)
                reason = f"is a text of more than {CELL_CHARACTERS_MAX:,} characters"
                self._checks.refuse(variable.name, too_long, reason)
        self._checks.check(batch, _CELL_BYTES_MAX, takes_infinity=False)

    def _write_row(self, values: tuple[Any, ...]) -> None:
        row = self._row
        for column, value in enumerate(values):
            if value is not None:
                self._writers[column](row, column, value)
        self._row += 1

    def byte_count(self) -> int:
        """Returns 0: a workbook is written when it ends, and is one file."""
        return 0

    def finish(self) -> list[str]:
        """Ends the file."""
        if has_labels(self._schema):
            self._add_labels(self._book.add_worksheet("variables"))
        self._book.close()
        if not position_in(self._path):
            raise OSError("the workbook was not written")
        return ["Dates before 1900 are texts: Excel has no number for them."] if self._has_old_dates else []

    def _add_labels(self, sheet: Worksheet) -> None:
        for column, title in enumerate(("name", "type", "label", "description", "value", "value label")):
            sheet.write_string(0, column, title)
        row = 1
        for variable in self._schema.variables:
            said = (variable.name, variable.type.value, variable.label or "", variable.description or "")
            for column, text in enumerate(said):
                sheet.write_string(row, column, text)
            row += 1
            for pair in variable.value_labels:
                sheet.write_string(row, 0, variable.name)
                sheet.write_string(row, 4, pair.value[:CELL_CHARACTERS_MAX])
                sheet.write_string(row, 5, pair.label[:CELL_CHARACTERS_MAX])
                row += 1
