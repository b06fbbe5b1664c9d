"""Values of a column whose type the caller gave, and the texts that do not fit it.

A given type takes what a column of unknown type would lose: an integer may have leading zeros and a sign, a
float more digits than a double holds.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.formats.files.text_types import values_of
from rowkeep.model.geography import is_geography
from rowkeep.model.types import INTEGER_MAX, INTEGER_MIN, VariableType
from rowkeep.model.types.records import RECORDS
from rowkeep.model.types.text import parse_date, parse_date_time, parse_time

_integer_match = re.compile(r"[+-]?\d{1,30}", re.ASCII).fullmatch
_float_match = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII).fullmatch

# What a text of each type looks like, in the words of an error message.
EXPECTED_TEXT = {type_: record.expected_text for type_, record in RECORDS.items()}


class Unfit(msgspec.Struct, frozen=True):
    """A text that the type does not take, and its position in its array."""

    position: int
    text: str


def given_values(array: pa.StringArray, type_: VariableType) -> tuple[pa.Array, list[Unfit]]:
    """Returns the values of an array in this type, and the texts that do not fit.

    A value is null where its text does not fit.
    """
    values = values_of(array, type_)
    if values is not None:
        return values.cast(ARROW_TYPES[type_]), []
    parse = _PARSERS[type_]
    found: list[Any] = []
    unfit: list[Unfit] = []
    for position, text in enumerate(array.to_pylist()):
        try:
            found.append(None if text is None else parse(text))
        except ValueError:
            found.append(None)
            unfit.append(Unfit(position, text))
    return pa.array(found, type=ARROW_TYPES[type_]), unfit


def _integer(text: str) -> int:
    if not _integer_match(text) or not INTEGER_MIN <= int(text) <= INTEGER_MAX:
        raise ValueError
    return int(text)


def _float(text: str) -> float:
    if not _float_match(text) or not math.isfinite(float(text)):
        raise ValueError
    return float(text)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


def _geography(text: str) -> str:
    if not is_geography(text):
        raise ValueError
    return text


_PARSERS: dict[VariableType, Callable[[str], Any]] = {
    VariableType.STRING: str,
    VariableType.INTEGER: _integer,
    VariableType.FLOAT: _float,
    VariableType.BOOLEAN: _boolean,
    VariableType.DATE: parse_date,
    VariableType.DATE_TIME: parse_date_time,
    VariableType.TIME: parse_time,
    VariableType.GEOGRAPHY: _geography,
}
