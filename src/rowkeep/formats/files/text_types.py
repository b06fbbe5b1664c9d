"""Decides the type of a column of texts, and converts its values.

Theory
------
A text has a type only if nothing of it is lost: an integer has no leading zeros, a float is what its double
prints, a date is in the documented grammar. A cast is no check (`infinity` is cast to a date, `1e309` to an
infinite float), so the form of every text is checked first, and the cast comes after.

A function for each type takes an array and returns the values, or None if any text is not of the type. They
look at whole columns: most are told apart by which bytes they have at all, and by how long their texts are.
Only texts of unusual forms are looked at one by one.
Source: contract 5; issue 19.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.model.geography import geographies_are_valid
from rowkeep.model.types import INTEGER_MAX, INTEGER_MIN, VariableType
from rowkeep.model.types.text import parse_date, parse_date_time, parse_time

Conversion = Callable[[pa.StringArray], pa.Array | None]

_DAYS = (-719_162, 2_932_896)  # of 0001-01-01 and 9999-12-31, from 1970-01-01
_EXACT_DIGITS = 15  # a double prints these again, whatever they are
_PRINTED_DIGITS_MAX = 767  # no double has more
_INTEGER_CHARACTERS_MAX = 20  # of an int64 with its sign
_FLOAT = r"^-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$"
_CODE = r"^[0-9]+[eE][0-9]+$"
_PLAINLY_FLOAT = r"\.|[eE][-+]"
_geography_begins = re.compile(rb"\s*(?:MULTI|POINT|LINE|POLY|GEOM|SRID)", re.IGNORECASE).match


def _bytes_table(allowed: bytes) -> np.ndarray[Any, Any]:
    table = np.zeros(256, dtype=bool)
    table[list(allowed)] = True
    return table


_INTEGER_BYTES = _bytes_table(b"0123456789-")
_FLOAT_BYTES = _bytes_table(b"0123456789-+.eE")
_TIME_BYTES = _bytes_table(b"0123456789-:.Tt ")
_DIGIT_BYTES = _bytes_table(b"0123456789")


class Texts:
    """The bytes of an array of texts, and where each nonempty text begins."""

    def __init__(self, array: pa.StringArray) -> None:
        _, offsets, data = array.buffers()
        ends = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
        self.data = np.frombuffer(data or b"", dtype=np.uint8)[ends[0] : ends[-1]]
        lengths = np.diff(ends)
        present = lengths > 0
        self.starts = (ends[:-1] - ends[0])[present]
        self.lengths = lengths[present]
        self.has_empty = len(self.lengths) != len(array) - array.null_count

    def has_only(self, table: "np.ndarray[Any, Any]") -> bool:
        """Returns whether all texts are made of these bytes, and none is empty."""
        return not self.has_empty and bool(table[self.data].all())

    def byte_at(self, position: int) -> "np.ndarray[Any, Any]":
        """Returns the byte at this position of each text; the last byte of a shorter text."""
        found: np.ndarray[Any, Any] = self.data[self.starts + np.minimum(position, self.lengths - 1)]
        return found


def as_integers(array: pa.StringArray) -> pa.Array | None:
    """Returns integers within 64 bits, without leading zeros; None if any text is another."""
    texts = Texts(array)
    if not texts.has_only(_INTEGER_BYTES) or texts.lengths.max(initial=0) > _INTEGER_CHARACTERS_MAX:
        return None
    first = texts.byte_at(0)
    negative = first == ord("-")
    if int((texts.data == ord("-")).sum()) != int(negative.sum()):
        return None
    leading = np.where(negative, texts.byte_at(1), first)
    is_zero = (leading == ord("0")) & ~(~negative & (texts.lengths == 1))
    return None if is_zero.any() else _cast(array, pa.int64())


def as_floats(array: pa.StringArray) -> pa.Array | None:
    """Returns decimal numbers whose double prints the same digits; None if any text is another."""
    texts = Texts(array)
    if not texts.has_only(_FLOAT_BYTES) or not _all_match(array, _FLOAT):
        return None
    values = _cast(array, pa.float64())
    if values is None or not pc.all(pc.is_finite(values)).as_py():
        return None
    if _zeros_are_zero(array, values) and _digits_are_held(array, values, texts):
        return values
    return None


def _zeros_are_zero(array: pa.StringArray, values: pa.Array) -> bool:
    zeros = pc.equal(values, 0.0)
    return (
        not pc.any(zeros).as_py()
        or not pc.any(pc.match_substring_regex(array.filter(zeros), "^-?[0.]*[1-9]")).as_py()
    )


def _digits_are_held(array: pa.StringArray, values: pa.Array, texts: Texts) -> bool:
    if texts.lengths.max(initial=0) <= _EXACT_DIGITS:
        return True
    is_long = pc.greater(pc.binary_length(array), _EXACT_DIGITS)
    long_texts, long_values = array.filter(is_long), values.filter(is_long)
    changed = pc.not_equal(long_values.cast(pa.string()), long_texts)
    pairs = zip(long_texts.filter(changed).to_pylist(), long_values.filter(changed).to_pylist(), strict=True)
    return all(_is_held(text, value) for text, value in pairs)


def _is_held(text: str, value: float) -> bool:
    """Returns whether the double prints the digits of the text, as many as there are."""
    number = Decimal(text)
    if number == number.to_integral_value() and not _has_fraction_form(text):
        return INTEGER_MIN <= number <= INTEGER_MAX and number == Decimal(value)
    digits = len("".join(map(str, number.as_tuple().digits)).strip("0"))
    if digits > _PRINTED_DIGITS_MAX:
        return False
    return digits <= _EXACT_DIGITS or Decimal(f"{value:.{digits - 1}e}") == number


def _has_fraction_form(text: str) -> bool:
    return "." in text or "e" in text or "E" in text


def looks_like_code(array: pa.StringArray) -> bool:
    """Returns whether any text is digits, E, digits: a float in form, but likely a code."""
    return bool(pc.any(pc.match_substring_regex(array, _CODE)).as_py())


def is_plainly_float(array: pa.StringArray) -> bool:
    """Returns whether any text has a point or a signed exponent, as only a number has."""
    return bool(pc.any(pc.match_substring_regex(array, _PLAINLY_FLOAT)).as_py())


def as_booleans(array: pa.StringArray) -> pa.Array | None:
    """Returns the booleans of `true` and `false` in any case; None if any text is another."""
    texts = Texts(array)
    if texts.has_empty or not np.isin(texts.lengths, (4, 5)).all():
        return None
    lower = pc.ascii_lower(array)
    is_true = pc.equal(lower, "true")
    return is_true if pc.all(pc.or_(is_true, pc.equal(lower, "false"))).as_py() else None


def as_dates(array: pa.StringArray) -> pa.Array | None:
    """Returns dates of the documented grammar; None if any text is another."""
    texts = Texts(array)
    if not texts.has_only(_TIME_BYTES):
        return None
    if _has_form(texts, "0000-00-00"):
        days = _cast(array, pa.date32())
        return days if days is not None and _in_range(days.view(pa.int32()), 1) else None
    return _parsed(array, parse_date, pa.date32())


def as_date_times(array: pa.StringArray) -> pa.Array | None:
    """Returns dates with or without a time; None if any text is another."""
    texts = Texts(array)
    if not texts.has_only(_TIME_BYTES):
        return None
    if _has_form(texts, "0000-00-00 00:00:00"):
        instants = _cast(array, pa.timestamp("us"))
        return instants if instants is not None and _in_range(instants.view(pa.int64()), _DAY) else None
    return _parsed(array, parse_date_time, pa.timestamp("us"))


def as_times(array: pa.StringArray) -> pa.Array | None:
    """Returns times of day; None if any text is another."""
    texts = Texts(array)
    if not texts.has_only(_TIME_BYTES):
        return None
    if _has_form(texts, "00:00:00"):
        instants = _cast(pc.binary_join_element_wise("1970-01-01", array, " "), pa.timestamp("us"))
        return None if instants is None else instants.view(pa.time64("us"))
    return _parsed(array, parse_time, pa.time64("us"))


def as_geographies(array: pa.StringArray) -> pa.Array | None:
    """Returns geographies as WKT; None if any text is another."""
    texts = Texts(array)
    if texts.has_empty or not _geography_begins(texts.data[:64].tobytes()):
        return None
    return array if geographies_are_valid(array.to_pylist()) else None


def as_strings(array: pa.StringArray) -> pa.Array | None:
    """Returns the texts as they are."""
    return array


_DAY = 86_400_000_000


def _in_range(numbers: pa.Array, unit: int) -> bool:
    found = pc.min_max(numbers).as_py()
    return found["min"] is None or bool(
        found["min"] >= _DAYS[0] * unit and found["max"] < (_DAYS[1] + 1) * unit
    )


def _has_form(texts: Texts, form: str) -> bool:
    """Returns whether every text has the form.

    A zero of the form stands for any digit, and a space for a space or a T.
    """
    if not len(texts.lengths) or not (texts.lengths == len(form)).all():
        return False
    table = texts.data.reshape(-1, len(form))
    return all(_column_has_form(table[:, index], character) for index, character in enumerate(form))


def _column_has_form(column: "np.ndarray[Any, Any]", character: str) -> bool:
    if character == "0":
        return bool(_DIGIT_BYTES[column].all())
    if character == " ":
        return bool(((column == ord(" ")) | (column == ord("T"))).all())
    return bool((column == ord(character)).all())


def _all_match(array: pa.StringArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(array, pattern)).as_py())


def _cast(array: pa.StringArray, type_: pa.DataType) -> pa.Array | None:
    try:
        return array.cast(type_)
    except pa.ArrowInvalid:
        return None


def _parsed(array: pa.StringArray, parse: Callable[[str], Any], type_: pa.DataType) -> pa.Array | None:
    """Returns the values of texts in any form that the grammar allows. Each different text is read once."""
    encoded = array.dictionary_encode()
    try:
        values = [parse(text) for text in encoded.dictionary.to_pylist()]
    except ValueError:
        return None
    return pa.array(values, type=type_).take(encoded.indices)


_CONVERSIONS: dict[VariableType, Conversion] = {
    VariableType.STRING: as_strings,
    VariableType.INTEGER: as_integers,
    VariableType.FLOAT: as_floats,
    VariableType.BOOLEAN: as_booleans,
    VariableType.DATE: as_dates,
    VariableType.DATE_TIME: as_date_times,
    VariableType.TIME: as_times,
    VariableType.GEOGRAPHY: as_geographies,
}


def values_of(array: pa.StringArray, type_: VariableType) -> pa.Array | None:
    """Returns the values of texts in a type, or None if any is not of the type. Nulls are of every type."""
    if array.null_count == len(array):
        return pa.nulls(len(array), ARROW_TYPES[type_])
    return _CONVERSIONS[type_](array)
