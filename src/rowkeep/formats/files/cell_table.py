"""Files whose rows are Python values:

their types are settled in one pass, their rows are read in a second.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.formats.files.aside import Aside
from rowkeep.formats.files.cells import IN_TEXTS, CellColumn, cell_text, converted_cells, given_cells
from rowkeep.formats.files.given_types import EXPECTED_TEXT
from rowkeep.formats.files.table import (
    BadRecords,
    Batches,
    Column,
    FileTable,
    Source,
    check_column_count,
    given_types,
    named_variables,
    unreadable,
)
from rowkeep.model.files import RECORD_CHARACTERS_MAX, BadRecord, Detected, shortened
from rowkeep.model.types import VariableType


class Place(msgspec.Struct, frozen=True):
    """The place of a row in its file, and its record where the file is text."""

    row: int
    line: int | None = None
    content: bytes | None = None


class CellRows(msgspec.Struct, frozen=True):
    """Some rows: the values of each column, and the place of each row."""

    columns: Sequence[Sequence[Any]]
    places: Sequence[Place]


# Reads the rows of a file from the beginning. Columns may be added at the end from one batch to the next.
ReadCells = Callable[[], Iterator[CellRows]]


class CellTable:
    """Makes a table of one file of Python values."""

    def __init__(
        self,
        source: Source,
        bad: BadRecords,
        read: ReadCells,
        in_texts: Sequence[VariableType] = IN_TEXTS,
    ) -> None:
        self._source = source
        self._bad = bad
        self._read = read
        self._in_texts = in_texts
        self._columns: list[CellColumn] = []
        self._given: list[VariableType | None] = []
        self._aside: Aside | None = None
        self._row_count = 0

    def look_at_all(self) -> int:
        """Looks at every value. Returns the number of columns. Raises RecordsRefused."""
        self._columns.clear()
        self._row_count = 0
        self._stop_putting_aside()
        self._aside = Aside(self._source.scratch)
        for rows in self._read():
            self._row_count += len(rows.places)
            while len(self._columns) < len(rows.columns):
                self._columns.append(CellColumn(self._in_texts))
            for column, values in zip(self._columns, rows.columns, strict=False):
                column.look_at(values)
            self._put_aside(rows)
        self._bad.check()
        check_column_count(len(self._columns), self._source.options.file_name)
        if not self._columns:
            raise unreadable(self._source, "it has no column.")
        return len(self._columns)

    def _put_aside(self, rows: CellRows) -> None:
        """Stores rows on the disk in the types that their columns have so far, unless that failed before."""
        if self._aside is None or not rows.places:
            return
        arrays = [
            converted_cells(values, column.decided()) if column.has_value else pa.nulls(len(values))
            for column, values in zip(self._columns, rows.columns, strict=True)
        ]
        if self._aside.can_be_followed_by(arrays):
            self._aside.add(arrays)
        else:
            self._stop_putting_aside()

    def _stop_putting_aside(self) -> None:
        if self._aside is not None:
            self._aside.discard()
            self._aside = None

    def table(
        self,
        named: Sequence[Column],
        detected: Detected,
        warnings: list[str],
        known: Mapping[int, VariableType] = {},
    ) -> FileTable:
        """Returns the table, once all values were looked at. Raises RecordsRefused.

        `known` has the types of columns whose values are known to fit them, even where all are null.
        """
        names = [column.name for column in named]
        self._given = given_types(self._source, names)
        if any(self._given):
            self._check_given(names)
        types = [
            given or known.get(index) or column.decided()
            for index, (given, column) in enumerate(zip(self._given, self._columns, strict=True))
        ]
        inexact = [
            type_ is VariableType.INTEGER and column.inexact
            for type_, column in zip(types, self._columns, strict=True)
        ]
        variables = named_variables(named, types, inexact)
        return FileTable(variables, detected, self._reading(types), self._bad, warnings, self._row_count)

    def _reading(self, types: Sequence[VariableType]) -> Batches:
        """Returns how the rows are read: from the stored batches if these have the final types."""
        arrow_types = [ARROW_TYPES[type_] for type_ in types]
        if self._aside is not None and not any(self._given) and self._aside.can_become(arrow_types):
            aside = self._aside.finish()
            return lambda: aside.batches(arrow_types)
        self._stop_putting_aside()
        return lambda: self._batches(types)

    def _check_given(self, names: Sequence[str]) -> None:
        for rows in self._read():
            bad: dict[int, BadRecord] = {}
            for index, values in enumerate(rows.columns):
                given = self._given[index]
                for cell in given_cells(values, given)[1] if given else ():
                    place = rows.places[cell.position]
                    record = BadRecord(
                        place.row,
                        EXPECTED_TEXT[given or VariableType.STRING],
                        place.line,
                        names[index],
                        shortened(cell.text),
                        _text_of(rows, cell.position),
                    )
                    bad.setdefault(cell.position, record)
            for position in sorted(bad):
                self._bad.add(bad[position])
        self._bad.check()

    def _batches(self, types: Sequence[VariableType]) -> Iterator[pa.RecordBatch]:
        names = [str(index) for index in range(len(types))]
        for rows in self._read():
            row_count = len(rows.places)
            if not row_count:
                continue
            keep = np.ones(row_count, dtype=bool)
            arrays = []
            for index, type_ in enumerate(types):
                values = rows.columns[index] if index < len(rows.columns) else [None] * row_count
                if self._given[index] is None:
                    arrays.append(converted_cells(values, type_))
                    continue
                array, unfit = given_cells(values, type_)
                keep[[cell.position for cell in unfit]] = False
                arrays.append(array)
            batch = pa.RecordBatch.from_arrays(arrays, names=names)
            yield batch if keep.all() else batch.filter(pa.array(keep))


def _text_of(rows: CellRows, position: int) -> str:
    """Returns the text of a row in the file, or a JSON array of its cells."""
    content = rows.places[position].content
    if content is None:
        content = msgspec.json.encode([cell_text(values[position]) for values in rows.columns])
    return record_text(content)


def record_text(content: bytes) -> str:
    """Returns the text of a record, cut to what a quarantine takes."""
    return content[:RECORD_CHARACTERS_MAX].decode(errors="replace")
