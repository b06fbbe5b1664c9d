"""Converts columns of texts to the most specific type that fits every value.

Theory
------
What type a column has is known only at the end of a file: its last value counts like its first. Still most
files are read once. Each column is converted as it comes, in the type that all its values so far have, and
what was converted is put aside (`formats/files/aside.py`). A type may widen on the way:

* from nothing (all null so far) to any type, from integer to float, from date to dateTime: what was put
  aside is cast when it is read again, and loses nothing;
* to string: what was put aside has lost its texts. From then on the pass only looks at types, and the rows
  are read from the file a second time, in types that are known to fit.

Invariant: a value is converted only by a function of `formats/files/text_types.py`, which checks its form.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.formats.files.aside import Aside
from rowkeep.formats.files.given_types import Unfit, given_values
from rowkeep.formats.files.text_types import is_plainly_float, looks_like_code, values_of
from rowkeep.model.types import VariableType
from rowkeep.model.types.records import RECORDS

# In this order a column without a value so far is tried.
_TRIED = (
    VariableType.BOOLEAN,
    VariableType.INTEGER,
    VariableType.FLOAT,
    VariableType.DATE,
    VariableType.DATE_TIME,
    VariableType.TIME,
    VariableType.GEOGRAPHY,
)

# A load has a share of a machine: two columns at a time.
THREADS = 2

TextBatches = Callable[[], Iterator[pa.RecordBatch]]


class NarrowedColumn:
    """One column on the way: the type of all its values so far, None while all are null.

    `tried` are the types that a column without a value so far may get, in order.
    """

    def __init__(self, tried: Sequence[VariableType] = _TRIED) -> None:
        self._tried = tried
        self.type: VariableType | None = None
        self.inexact = False
        self._has_code = self._has_float = False

    def convert(self, array: pa.StringArray) -> pa.Array:
        """Returns the values in the type of the column, which may widen for them."""
        if array.null_count == len(array):
            return pa.nulls(len(array))
        for type_ in self._candidates():
            values = values_of(array, type_)
            if values is not None:
                self._note(type_, array, values)
                return values
        self.type = VariableType.STRING
        return array

    def _candidates(self) -> Sequence[VariableType]:
        if self.type is None:
            return self._tried
        wider = RECORDS[self.type].wider
        if wider is None or (self.type is VariableType.INTEGER and self.inexact):
            return (self.type,)
        return (self.type, wider)

    def _note(self, type_: VariableType, array: pa.StringArray, values: pa.Array) -> None:
        self.type = type_
        if type_ is VariableType.INTEGER:
            self.inexact = self.inexact or has_inexact(values)
        if type_ is VariableType.FLOAT:
            self._has_code = self._has_code or looks_like_code(array)
            self._has_float = self._has_float or is_plainly_float(array)

    def decided(self) -> VariableType:
        """Returns the type of the whole column."""
        if self.type is None or (self._has_code and not self._has_float):
            self.type = VariableType.STRING
        return self.type


def has_inexact(integers: pa.Array) -> bool:
    """Returns whether any of these integers is one that a double cannot hold."""
    found = pc.min_max(integers).as_py()
    if found["min"] is None or (found["min"] >= -(2**53) and found["max"] <= 2**53):
        return False
    return any(int(float(value)) != value for value in integers.drop_null().to_pylist())


class Narrowed(msgspec.Struct, frozen=True):
    """The resulting columns: their types, and how their rows are read."""

    types: tuple[VariableType, ...]
    inexact: tuple[bool, ...]
    batches: Callable[[], Iterator[pa.RecordBatch]]
    row_count: int


class UnfitCell(msgspec.Struct, frozen=True):
    """A cell that does not fit its given type: its row, counted from 0, its column, its text."""

    row: int
    column: int
    text: str


class Narrowing:
    """One pass over the texts of a file.

    `given` has the type of each column where the caller gave one. Rows with a cell that does not fit its
    given type are left out. The first such cell of each row is passed to `refuse`, in the order of the rows.
    """

    def __init__(
        self,
        texts: TextBatches,
        given: Sequence[VariableType | None],
        folder: Path,
        refuse: Callable[[Sequence[UnfitCell]], None],
    ) -> None:
        self._texts = texts
        self._given = given
        self._refuse = refuse
        self._columns = [NarrowedColumn() for _ in given]
        self._aside: Aside | None = Aside(folder)

    def narrowed(self) -> Narrowed:
        """Reads the texts to their end."""
        row = 0
        with ThreadPoolExecutor(THREADS, thread_name_prefix="rowkeep-types") as threads:
            for batch in self._texts():
                self._take(batch, row, threads)
                row += len(batch)
        types = tuple(
            given or column.decided() for given, column in zip(self._given, self._columns, strict=True)
        )
        inexact = tuple(
            column.inexact and type_ is VariableType.INTEGER
            for column, type_ in zip(self._columns, types, strict=True)
        )
        arrow_types = [ARROW_TYPES[type_] for type_ in types]
        if self._aside is not None and self._aside.can_become(arrow_types):
            aside = self._aside.finish()
            return Narrowed(types, inexact, lambda: aside.batches(arrow_types), row)
        self._stop_putting_aside()
        return Narrowed(types, inexact, lambda: self._read_again(types), row)

    def _take(self, batch: pa.RecordBatch, first_row: int, threads: ThreadPoolExecutor) -> None:
        # Columns do not know of each other, and converting one lets go of the interpreter's lock.
        converted = list(threads.map(self._convert, range(len(batch.columns)), batch.columns))
        arrays = [values for values, _ in converted]
        unfit: dict[int, UnfitCell] = {}
        for index, (_, misfits) in enumerate(converted):
            for cell in misfits:
                unfit.setdefault(cell.position, UnfitCell(first_row + cell.position, index, cell.text))
        if unfit:
            self._refuse([unfit[position] for position in sorted(unfit)])
            keep = _mask_without(unfit, len(batch))
            arrays = [array.filter(keep) for array in arrays]
        self._put_aside(arrays)

    def _convert(self, index: int, array: pa.StringArray) -> tuple[pa.Array, Sequence[Unfit]]:
        given = self._given[index]
        if given is None:
            return self._columns[index].convert(array), ()
        values, misfits = given_values(array, given)
        if given is VariableType.INTEGER:
            self._columns[index].inexact |= has_inexact(values)
        return values, misfits

    def _put_aside(self, arrays: list[pa.Array]) -> None:
        if self._aside is not None and not self._aside.can_be_followed_by(arrays):
            self._stop_putting_aside()
        if self._aside is not None:
            self._aside.add(arrays)

    def abandon(self) -> None:
        """Removes the stored batches."""
        self._stop_putting_aside()

    def _stop_putting_aside(self) -> None:
        if self._aside is not None:
            self._aside.discard()
            self._aside = None

    def _read_again(self, types: Sequence[VariableType]) -> Iterator[pa.RecordBatch]:
        names = [str(index) for index in range(len(types))]
        for batch in self._texts():
            arrays = []
            unfit: set[int] = set()
            for array, type_, given in zip(batch.columns, types, self._given, strict=True):
                if given is None:
                    arrays.append(_converted(array, type_))
                    continue
                values, misfits = given_values(array, type_)
                arrays.append(values)
                unfit.update(cell.position for cell in misfits)
            typed = pa.RecordBatch.from_arrays(arrays, names=names)
            yield typed.filter(_mask_without(unfit, len(batch))) if unfit else typed


def _mask_without(positions: Collection[int], row_count: int) -> pa.Array:
    """Returns a mask of all rows but these."""
    mask = np.ones(row_count, dtype=bool)
    mask[list(positions)] = False
    return pa.array(mask)


def _converted(array: pa.StringArray, type_: VariableType) -> pa.Array:
    values = values_of(array, type_)
    assert values is not None  # the first pass found that all of them fit
    return values if values.type == ARROW_TYPES[type_] else values.cast(ARROW_TYPES[type_])
