"""Converts columns of Python values, as of JSON and of spreadsheets, to rowkeep's types.

Theory ------ A column is looked at whole before it is converted, as one of texts is (`narrowing.py`). Here a
value brings a kind along, and the kind counts: a number is never made of a text, nor a boolean. Only what
these formats cannot write but as text, dates, times and geographies, is found in texts, where every value is
one. A column of mixed kinds is string, each value as its file has it.
"""

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.formats.columns import text_of
from rowkeep.formats.files.given_types import Unfit, given_values
from rowkeep.formats.files.narrowing import NarrowedColumn, has_inexact
from rowkeep.formats.files.text_types import as_floats, values_of
from rowkeep.model.decoding.strict import EXACT_INTEGER_MAX
from rowkeep.model.decoding.values import NumberText
from rowkeep.model.types import INTEGER_MAX, INTEGER_MIN, VariableType

IN_TEXTS = (VariableType.DATE, VariableType.DATE_TIME, VariableType.TIME, VariableType.GEOGRAPHY)
_NUMBERS = {int, float, NumberText}
_TEMPORAL = {datetime.date, datetime.datetime, datetime.time}
_KINDS = {
    VariableType.DATE: datetime.date,
    VariableType.DATE_TIME: datetime.datetime,
    VariableType.TIME: datetime.time,
}


def cell_text(value: Any) -> str | None:
    """Returns the text that its file has for a value. Lists and records become JSON."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # how a spreadsheet shows it
    if isinstance(value, dict | list):
        return msgspec.json.encode(_plain(value)).decode()
    return str(text_of(value))


def _plain(value: Any) -> Any:
    """Returns a JSON value with its numbers as they were sent."""
    if isinstance(value, NumberText):
        return msgspec.Raw(value.encode())
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value


def texts_of(values: Sequence[Any]) -> pa.StringArray:
    """Returns the texts of some values."""
    texts = values if kinds_of(values) <= {str} else [cell_text(value) for value in values]
    return pa.array(texts, type=pa.string())


def kinds_of(values: Iterable[Any]) -> set[type]:
    """Returns the kinds of some values, without that of null."""
    return set(map(type, values)) - {type(None)}


class CellColumn:
    """One column: the kinds of all its values so far, and what they allow.

    `in_texts` are the types that are found in texts.
    """

    def __init__(self, in_texts: Sequence[VariableType] = IN_TEXTS) -> None:
        self._kinds: set[type] = set()
        self._are_integers = True
        self._are_floats = True
        self.inexact = False
        self._has_types = bool(in_texts)
        self._texts = NarrowedColumn(in_texts)

    def look_at(self, values: Sequence[Any]) -> None:
        """Takes more values into account."""
        kinds = kinds_of(values)
        for kind in (kinds - self._kinds) & _TEMPORAL:
            # One says what all of its kind are as texts, should the column be one of texts.
            self._texts.convert(texts_of([next(value for value in values if type(value) is kind)]))
        self._kinds |= kinds
        if self._kinds <= _NUMBERS:
            self._look_at_numbers(kinds, [value for value in values if value is not None])
        elif self._has_types and str in kinds and self._kinds <= {str, *_TEMPORAL}:
            self._texts.convert(pa.array([value for value in values if type(value) is str], type=pa.string()))

    def _look_at_numbers(self, kinds: set[type], numbers: Sequence[Any]) -> None:
        integers = numbers if kinds == {int} else [number for number in numbers if type(number) is int]
        if NumberText in kinds:
            self._are_integers = False
        if float in kinds:
            self._look_at_doubles([number for number in numbers if type(number) is float])
        if integers and not INTEGER_MIN <= min(integers) <= max(integers) <= INTEGER_MAX:
            self._are_integers = self._are_floats = False
        elif integers:
            self.inexact = self.inexact or has_inexact(pa.array(integers, type=pa.int64()))
        texts = [number for number in numbers if type(number) is NumberText]
        if texts and self._are_floats:
            self._are_floats = as_floats(pa.array(texts, type=pa.string())) is not None

    def _look_at_doubles(self, doubles: Sequence[float]) -> None:
        """Takes numbers of a spreadsheet into account:

        whole ones that a double holds exactly are integers.
        """
        numbers = np.array(doubles)
        is_whole = (np.floor(numbers) == numbers) & (np.abs(numbers) <= EXACT_INTEGER_MAX)
        self._are_integers = self._are_integers and bool(is_whole.all())

    @property
    def has_value(self) -> bool:
        """Returns whether any value is not null."""
        return bool(self._kinds)

    def decided(self) -> VariableType:
        """Returns the type of the whole column."""
        if not self._kinds:
            return VariableType.STRING
        if self._kinds <= _NUMBERS:
            return self._number_type()
        if self._kinds == {bool}:
            return VariableType.BOOLEAN
        if self._kinds <= {datetime.date, datetime.datetime}:
            return VariableType.DATE if self._kinds == {datetime.date} else VariableType.DATE_TIME
        if self._kinds == {datetime.time}:
            return VariableType.TIME
        return self._texts.decided() if self._kinds <= {str, *_TEMPORAL} else VariableType.STRING

    def _number_type(self) -> VariableType:
        if self._are_integers:
            return VariableType.INTEGER
        return VariableType.FLOAT if self._are_floats and not self.inexact else VariableType.STRING


def converted_cells(values: Sequence[Any], type_: VariableType) -> pa.Array:
    """Returns values in the type that was decided for their column."""
    kinds = kinds_of(values)
    if type_ is VariableType.FLOAT and NumberText not in kinds:
        return pa.array(values, type=pa.float64())
    if type_ is VariableType.FLOAT:
        return pa.array([None if value is None else float(value) for value in values], type=pa.float64())
    if type_ is VariableType.INTEGER and float in kinds:
        return pa.array([None if value is None else int(value) for value in values], type=pa.int64())
    if type_ in (VariableType.INTEGER, VariableType.BOOLEAN) or kinds == {_KINDS.get(type_)}:
        return pa.array(values, type=ARROW_TYPES[type_])
    converted = values_of(texts_of(values), type_)
    assert converted is not None  # the type was decided for all values
    return converted.cast(ARROW_TYPES[type_])


def given_cells(values: Sequence[Any], type_: VariableType) -> tuple[pa.Array, list[Unfit]]:
    """Returns values in the type that the caller gave, and the values that do not fit it."""
    return given_values(texts_of(values), type_)
