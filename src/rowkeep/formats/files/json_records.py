"""JSON: lines of objects, or one array of objects.

Records are decoded one by one with msgspec, which also decodes streamed rows; what a value may be follows the
same rules, but that lists and records are kept as JSON text. Names of variables match ignoring case.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from rowkeep.formats.files.cell_table import CellRows, CellTable, Place, record_text
from rowkeep.formats.files.json_elements import Raw, elements, first_byte
from rowkeep.formats.files.plain_text import PlainText, plain_text
from rowkeep.formats.files.table import (
    CELL_BYTES_MAX,
    RECORD_BYTES_MAX,
    BadRecords,
    Column,
    FileTable,
    Source,
    check_column_count,
    unreadable,
)
from rowkeep.model.decoding.values import Cells, NumberText
from rowkeep.model.files import BadRecord, Detected, FileType

_BATCH_ROWS = 5_000
_BATCH_CELLS_MAX = 1_048_576
_SPACE = b" \t\r\n\x1e"  # with the separator of RFC 7464
# Before the name of a column that is not a member of the record itself.
OWN = "\0"
_BARE_NUMBERS = (b"NaN", b"Infinity")


def open_json(source: Source) -> FileTable:
    """Returns a JSON file as a table. Raises invalid_request_error, RecordsRefused for bad records."""
    text = plain_text(source)
    reading = RecordReading(source, text)
    cells = CellTable(source, reading.bad, reading.rows)
    cells.look_at_all()
    named = [Column(name) for name in reading.names]
    detected = Detected(source.type, compression=text.compression, encoding=text.encoding)
    return cells.table(named, detected, list(text.warnings))


class Unfit(ValueError):
    """A record that is not a row. The text says why."""


class RecordReading:
    """Reads the records of a file. It can be asked again; bad records are reported the first time."""

    def __init__(self, source: Source, text: PlainText) -> None:
        self.bad = BadRecords(source)
        self.names: list[str] = []
        self.source = source
        self.text = text
        self._position_by_key: dict[str, int] = {}
        self._was_read = False
        self._decode = msgspec.json.Decoder(Cells, float_hook=NumberText).decode

    def rows(self) -> Iterator[CellRows]:
        """Yields the rows in batches."""
        columns: list[list[Any]] = [[] for _ in self.names]
        places: list[Place] = []
        for number, raw in enumerate(self.records(), 1):
            try:
                self._add(columns, self.cells(raw.content), len(places))
            except Unfit as error:
                if not self._was_read:
                    self.bad.add(_bad_record(number, raw, str(error)))
                continue
            places.append(Place(number, raw.line, raw.content))
            if len(places) >= max(1, min(_BATCH_ROWS, _BATCH_CELLS_MAX // max(1, len(columns)))):
                yield CellRows(_evened(columns, len(places)), places)
                columns, places = [[] for _ in self.names], []
        if places:
            yield CellRows(_evened(columns, len(places)), places)
        self._was_read = True

    def position_of(self, name: str) -> int:
        """Returns the position of a column. For an unknown column it is one beyond the last."""
        return self._position_by_key.get(name, len(self.names))

    def records(self) -> Iterator[Raw]:
        """Yields the records as they are in the file."""
        path, start = self.text.path, self.text.start
        begins = first_byte(path, start)
        if self.source.type is FileType.JSON:
            if begins not in (b"[", b"{"):
                raise unreadable(self.source, "it is no array of objects.")
            return elements(self.source, path, start)
        if begins == b"[":
            raise unreadable(self.source, "it is one JSON array and no lines of objects. Give the type json.")
        return self.lines()

    def lines(self) -> Iterator[Raw]:
        """Yields the lines that are not blank."""
        with self.text.path.open("rb") as file:
            file.seek(self.text.start)
            line = 0
            while content := file.readline(RECORD_BYTES_MAX):
                line += 1
                if len(content) == RECORD_BYTES_MAX:
                    raise unreadable(self.source, f"its line {line} is longer than a record may be.")
                if stripped := content.strip(_SPACE):
                    yield Raw(stripped, line)

    def cells(self, content: bytes) -> Cells:
        """Returns the values of a record by name. Raises Unfit."""
        try:
            cells = self._decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unfit(told(content, error)) from error
        if len(content) > CELL_BYTES_MAX:
            _check_cells(cells)
        if cells.get("type") == "FeatureCollection" and isinstance(cells.get("features"), list):
            raise unreadable(self.source, "it is GeoJSON. Give the type geojson.")
        return cells

    def _add(self, columns: list[list[Any]], cells: Cells, row: int) -> None:
        """Puts the cells of a row into their columns, which are filled up to the row before."""
        for name, value in cells.items():
            position = self._position_by_key.get(name)
            if position is None:
                position = self._new_position(name)
            while len(columns) <= position:
                columns.append([])
            column = columns[position]
            if len(column) > row:
                _take_back(columns, row)
                raise Unfit(f"two of its keys are {name!r} (names ignore case)")
            if len(column) < row:
                column.extend([None] * (row - len(column)))
            column.append(value)

    def _new_position(self, name: str) -> int:
        key = name.lower()
        position = self._position_by_key.get(key)
        if position is None:
            position = len(self.names)
            self.names.append(name.removeprefix(OWN))
            check_column_count(len(self.names), self.source.options.file_name)
            self._position_by_key[key] = position
        self._position_by_key[name] = position
        return position


def _take_back(columns: list[list[Any]], row: int) -> None:
    """Removes the cells of a row that have been put into columns."""
    for column in columns:
        del column[row:]


def _evened(columns: list[list[Any]], row_count: int) -> list[list[Any]]:
    """Returns the columns, all as long as there are rows."""
    for column in columns:
        column.extend([None] * (row_count - len(column)))
    return columns


def _check_cells(cells: Cells) -> None:
    for name, value in cells.items():
        if (
            isinstance(value, str)
            and len(value) * 4 > CELL_BYTES_MAX
            and len(value.encode()) > CELL_BYTES_MAX
        ):
            raise Unfit(f"the value of {name!r} is longer than {CELL_BYTES_MAX // 1024**2} MiB")


def told(content: bytes, error: Exception) -> str:
    """Returns why a record cannot be decoded, and what to do."""
    if any(token in content for token in _BARE_NUMBERS) and isinstance(error, msgspec.DecodeError):
        return "it is not JSON: JSON has no NaN and no Infinity; write null"
    if isinstance(error, msgspec.ValidationError):
        return f"it is no object ({error})"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"it is not JSON ({error})"


def _bad_record(number: int, raw: Raw, problem: str) -> BadRecord:
    return BadRecord(row=number, line=raw.line, expected=problem, text=record_text(raw.content))
