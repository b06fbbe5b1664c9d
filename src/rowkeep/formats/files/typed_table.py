"""Files whose columns have Arrow types: their types are settled, then their rows are read."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.formats.files.arrow_types import ArrowColumn
from rowkeep.formats.files.given_types import EXPECTED_TEXT, Unfit, given_values
from rowkeep.formats.files.narrowing import has_inexact
from rowkeep.formats.files.table import (
    BadRecords,
    Column,
    FileTable,
    Source,
    check_column_count,
    given_types,
    named_variables,
)
from rowkeep.model.files import BadRecord, Detected, shortened
from rowkeep.model.types import VariableType

# Reads the columns at some positions, in order, batch by batch.
TypedBatches = Callable[[Sequence[int]], Iterator[pa.RecordBatch]]


class TypedColumns:
    """The columns of a file with Arrow types, and the caller's options for them.

    `geographies` are the positions of texts that are WKT.
    """

    def __init__(
        self,
        source: Source,
        columns: Sequence[Column],
        types: Sequence[pa.DataType | None],
        read: TypedBatches,
        geographies: Collection[int] = (),
    ) -> None:
        check_column_count(len(columns), source.options.file_name)
        self._columns = [ArrowColumn(pa.string() if type_ is None else type_) for type_ in types]
        self._named = columns
        self._given = given_types(source, [column.name for column in columns])
        self._read = read
        self._geographies = geographies
        self._bad = BadRecords(source)
        self._inexact = [False] * len(columns)

    def table(self, detected: Detected, warnings: list[str], row_count: int | None = None) -> FileTable:
        """Returns the table, once the type of each column is settled. `row_count` is what the file says."""
        self._settle()
        self._bad.check()
        types = [
            given or (VariableType.GEOGRAPHY if index in self._geographies else column.type)
            for index, (given, column) in enumerate(zip(self._given, self._columns, strict=True))
        ]
        variables = named_variables(self._named, types, self._inexact)
        warnings.extend(
            f"Column {named.name!r}: {column.note}."
            for named, column in zip(self._named, self._columns, strict=True)
            if column.note is not None
        )
        return FileTable(variables, detected, self._batches, self._bad, warnings, row_count)

    def _settle(self) -> None:
        """Looks at the values of all columns whose type the Arrow type does not decide."""
        doubtful = [
            index
            for index, column in enumerate(self._columns)
            if self._given[index] is not None or not column.is_certain
        ]
        if not doubtful:
            return
        row = 0
        for batch in self._read(doubtful):
            bad: dict[int, BadRecord] = {}
            for index, array in zip(doubtful, batch.columns, strict=True):
                self._look_at(index, array, row, bad)
            for position in sorted(bad):
                self._bad.add(bad[position])
            row += len(batch)

    def _look_at(self, index: int, array: pa.Array, first_row: int, bad: dict[int, BadRecord]) -> None:
        values = self._columns[index].convert(array)
        given = self._given[index]
        if given is not None:
            values, unfit = _as_given(values, given)
            for cell in unfit:
                name = self._named[index].name
                record = BadRecord(
                    first_row + cell.position + 1, EXPECTED_TEXT[given], None, name, shortened(cell.text)
                )
                bad.setdefault(cell.position, record)
        if pa.types.is_int64(values.type):
            self._inexact[index] |= has_inexact(values)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        names = [str(index) for index in range(len(self._columns))]
        for batch in self._read(range(len(self._columns))):
            arrays: list[pa.Array] = []
            keep: Any = None
            for column, given, array in zip(self._columns, self._given, batch.columns, strict=True):
                values = column.convert(array)
                if given is not None:
                    values, unfit = _as_given(values, given)
                    for cell in unfit:
                        keep = keep or [True] * len(batch)
                        keep[cell.position] = False
                arrays.append(values)
            typed = pa.RecordBatch.from_arrays(arrays, names=names)
            yield typed if keep is None else typed.filter(pa.array(keep))


def _as_given(values: pa.Array, given: VariableType) -> tuple[pa.Array, list[Unfit]]:
    """Returns the values in the type that the caller gave, and the values that do not fit it."""
    if values.type == ARROW_TYPES[given] and given not in (VariableType.STRING, VariableType.GEOGRAPHY):
        return values, []
    texts = values if pa.types.is_string(values.type) else values.cast(pa.string())
    return given_values(texts, given)
