"""Converts one cell on the lenient path: a JSON value becomes the value of its variable, or an error."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rowkeep.model.decoding.strict import CELL_BYTES_MAX
from rowkeep.model.decoding.values import (
    NumberText,
    describe,
    exact_integer,
    fits_double,
    shown_name,
    text_of,
    vanishes,
)
from rowkeep.model.geography import geography_of
from rowkeep.model.schema import Variable
from rowkeep.model.types import VariableType
from rowkeep.model.types.records import EXPECTED, RECORDS
from rowkeep.model.types.text import parse_date, parse_date_time, parse_time


class Unfit(ValueError):
    """A value that its variable cannot hold. The text gives a reason beyond the type."""


def fits(value: object, type_: VariableType) -> bool:
    """Returns whether a variable of this type takes the value as it is."""
    try:
        convert_cell(value, type_)
    except ValueError:
        return False
    return True


def convert_cell(value: object, type_: VariableType) -> Any:
    """Returns the value as its variable keeps it. Raises ValueError."""
    return _CONVERTERS[type_](value)


def _to_string(value: object) -> str:
    return _plain_text(text_of(value))


def _plain_text(value: object) -> str:
    if not isinstance(value, str) or isinstance(value, NumberText):
        raise ValueError
    if len(value) * 4 > CELL_BYTES_MAX and len(value.encode()) > CELL_BYTES_MAX:
        raise Unfit(f"it is longer than {CELL_BYTES_MAX // 1024 // 1024} MiB")
    return value


def _to_integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | NumberText):
        raise ValueError
    integer = exact_integer(value)
    if integer is None:
        raise Unfit(
            "it is out of range" if isinstance(value, int) else "it has a fraction or is out of range"
        )
    return integer


def _to_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | NumberText):
        raise ValueError
    try:
        number = float(value)
    except OverflowError as error:
        raise Unfit("it is out of range") from error
    if math.isinf(number):
        raise Unfit("it is out of range")
    if isinstance(value, NumberText) and vanishes(value, number):
        raise Unfit("it is so small that a float would make it 0; keep its digits in a string variable")
    if not fits_double(value):
        raise Unfit(
            "a float would round it; keep its digits in an integer or string variable, or send it with an "
            "exponent"
        )
    return 0.0 if value == "-0" else number  # as the strict path reads it


def _to_boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _to_geography(value: object) -> str:
    text = _plain_text(value)
    try:
        return geography_of(text)
    except ValueError as error:
        raise Unfit(str(error)) from error


def _text_converter(parse: Callable[[str], Any]) -> Callable[[object], Any]:
    def convert(value: object) -> Any:
        text = _plain_text(value)
        try:
            return parse(text)
        except ValueError as error:
            raise Unfit(str(error)) from error

    return convert


_CONVERTERS: dict[VariableType, Callable[[object], Any]] = {
    VariableType.STRING: _to_string,
    VariableType.INTEGER: _to_integer,
    VariableType.FLOAT: _to_float,
    VariableType.BOOLEAN: _to_boolean,
    VariableType.DATE: _text_converter(parse_date),
    VariableType.DATE_TIME: _text_converter(parse_date_time),
    VariableType.TIME: _text_converter(parse_time),
    VariableType.GEOGRAPHY: _to_geography,
}


# The JSON values that a variable may take, beside numbers as text; all others are refused without a look.
TAKEN_KINDS = {type_: record.json_kinds for type_, record in RECORDS.items()}


def misfit(variable: Variable, value: object, error: ValueError) -> str:
    """Returns the message for a value that `convert_cell` did not take."""
    reason = f" ({error})" if isinstance(error, Unfit) else ""
    return f"{_expectation(variable.name, variable.type)}{describe(value)}{reason}"


@lru_cache(maxsize=4096)
def _expectation(name: str, type_: VariableType) -> str:
    return f"variable {shown_name(name)} takes {EXPECTED[type_]}, but got "
