"""Spreadsheets: xlsx and xls. The only file that knows python-calamine.

One sheet is a table: the first visible one that has cells, or the one that the caller names. Its first row
that is not empty is the header. A formula counts as the value that the file has for it; an error is null.
"""

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

import python_calamine

from rowkeep.formats.files.cell_table import CellRows, CellTable, Place
from rowkeep.formats.files.cells import kinds_of
from rowkeep.formats.files.detection import content_name
from rowkeep.formats.files.dialect import default_names
from rowkeep.formats.files.table import BadRecords, Column, FileTable, Source, unreadable
from rowkeep.formats.files.workbook_parts import checked_parts, is_encrypted
from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.files import Detected, FileType

_BATCH_ROWS = 5_000
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DAY = datetime.timedelta(days=1)


def open_spreadsheet(source: Source) -> FileTable:
    """Returns a sheet of a workbook as a table.

    Raises invalid_request_error, RecordsRefused for bad records.
    """
    type_ = _workbook_type(source)
    error_count = _checked(source, type_)
    reading = _Reading(source, _sheet(source))
    cells = CellTable(source, reading.bad, reading.rows)
    cells.look_at_all()
    detected = Detected(type_, has_header_row=source.options.has_header_row, layer=reading.sheet_name)
    warnings = _warnings(source, type_, error_count, reading)
    return cells.table([Column(name) for name in reading.names], detected, warnings)


def _workbook_type(source: Source) -> FileType:
    with source.path.open("rb") as file:
        head = file.read(512)
    if head.startswith(_ZIP):
        return FileType.XLSX
    if head.startswith(_OLE):
        if is_encrypted(source):
            raise unreadable(source, "it is encrypted. Save it without a password.")
        return FileType.XLS
    if not head:
        raise unreadable(source, "it is empty.")
    raise unreadable(
        source, f"it is {content_name(head) or 'no workbook, but perhaps text'}. Give its `type`."
    )


def _checked(source: Source, type_: FileType) -> int:
    """Checks the parts of an xlsx file. Returns how many of its cells are errors."""
    if type_ is FileType.XLS:
        return 0
    extents = checked_parts(source)
    for name, extent in extents.items():
        extent.check(source, name.rpartition("/")[2])
    return sum(extent.error_count for extent in extents.values())


def _told(source: Source, error: Exception) -> RowkeepError:
    if isinstance(error, python_calamine.PasswordError) or "assword" in str(error):
        return unreadable(source, "it is encrypted. Save it without a password.")
    return unreadable(source, f"it is damaged or not whole ({error}).")


class _Sheet:
    """An open sheet, and the names of all sheets of its workbook."""

    def __init__(self, sheet: python_calamine.CalamineSheet, names: Sequence[str]) -> None:
        self.sheet = sheet
        self.names = names


def _sheet(source: Source) -> _Sheet:
    try:
        with source.path.open("rb") as file:
            workbook = python_calamine.CalamineWorkbook.from_filelike(file)
            names = [
                sheet.name
                for sheet in workbook.sheets_metadata
                if sheet.typ is python_calamine.SheetTypeEnum.WorkSheet
                and sheet.visible is python_calamine.SheetVisibleEnum.Visible
            ]
            return _Sheet(_chosen(source, workbook, names), names)
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise _told(source, error) from error


def _chosen(
    source: Source, workbook: python_calamine.CalamineWorkbook, names: Sequence[str]
) -> python_calamine.CalamineSheet:
    asked = source.options.layer
    if asked is not None:
        if asked not in workbook.sheet_names:
            known = ", ".join(map(repr, workbook.sheet_names))
            raise invalid_request(f"The workbook has no sheet {asked!r}; it has {known}.")
        return workbook.get_sheet_by_name(asked)
    for name in names:
        sheet = workbook.get_sheet_by_name(name)
        if sheet.height:
            return sheet
    raise unreadable(source, "none of its sheets has a cell.")


class _Reading:
    """Reads the rows of a sheet below its header. It can be asked again."""

    def __init__(self, source: Source, chosen: _Sheet) -> None:
        self.bad = BadRecords(source)
        self.sheet_name = chosen.sheet.name
        self.sheet_names = chosen.names
        self._sheet = chosen.sheet
        self._nulls = frozenset({"", *source.options.null_markers})
        self._first_row = chosen.sheet.start[0] if chosen.sheet.start else 0
        width = chosen.sheet.width
        if source.options.has_header_row:
            header = next(self._sheet_rows(), [])
            self.names = [_header_text(cell) for cell in header]
            self._first_row += 1
        else:
            self.names = list(default_names(width))

    def _sheet_rows(self) -> Iterator[list[Any]]:
        """Yields the rows of the used columns, from the first wanted row on."""
        for number, row in enumerate(self._sheet.iter_rows()):
            if number >= self._first_row:
                yield row

    def rows(self) -> Iterator[CellRows]:
        """Yields the rows in batches, without those that are empty."""
        batch: list[list[Any]] = []
        places: list[Place] = []
        for number, row in enumerate(self._sheet_rows(), 1):
            if row.count("") == len(row):
                continue
            batch.append(row)
            places.append(Place(number))
            if len(batch) == _BATCH_ROWS:
                yield self._cell_rows(batch, places)
                batch, places = [], []
        yield self._cell_rows(batch, places)

    def _cell_rows(self, batch: Sequence[Sequence[Any]], places: Sequence[Place]) -> CellRows:
        columns = [self._column(values) for values in zip(*batch, strict=True)] if batch else []
        return CellRows(columns or [[] for _ in self.names], places)

    def _column(self, values: Sequence[Any]) -> Sequence[Any]:
        """Returns a column with null for empty cells and texts for durations."""
        kinds = kinds_of(values)
        if datetime.timedelta in kinds:
            values = [_elapsed(value) if type(value) is datetime.timedelta else value for value in values]
        return [None if value in self._nulls else value for value in values] if str in kinds else values


def _elapsed(value: datetime.timedelta) -> Any:
    """Returns a duration as a time of day where it is one, else as a text of hours, minutes and seconds."""
    if datetime.timedelta() <= value < _DAY:
        return (datetime.datetime.min + value).time()
    sign = "-" if value < datetime.timedelta() else ""
    seconds, microseconds = divmod(abs(value) // datetime.timedelta(microseconds=1), 1_000_000)
    fraction = f".{microseconds:06d}" if microseconds else ""
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"


def _header_text(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _warnings(source: Source, type_: FileType, error_count: int, reading: _Reading) -> list[str]:
    warnings = []
    if source.type is not type_:
        warnings.append(f"The workbook is {type_}, whatever its name says.")
    if source.options.layer is None and len(reading.sheet_names) > 1:
        names = ", ".join(map(repr, reading.sheet_names))
        warnings.append(f"The sheet {reading.sheet_name!r} was read, of {names}.")
    if error_count:
        warnings.append(f"{error_count} cells of the workbook are errors (such as #N/A); they are null.")
    return warnings
