"""Converts the text of a field to a JSON value, by the type of its variable.

A text becomes a value only when nothing is lost: a number that a double or a 64-bit integer cannot hold, and
what is no value of the type at all, goes out as the text that it is. The server then refuses its row and says
why, or keeps the text where the variable may become a string.
"""

import math
import re
from collections.abc import Callable
from decimal import Decimal

Convert = Callable[[bytes], object]

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
INTEGER_DIGITS_MAX = 20  # what has more digits is out of range, and costs time to convert
NUMBER_BYTES_MAX = 1_000
EXACT_DIGITS = 15  # what every double holds

_is_whole = re.compile(rb"[+-]?[0-9]++").fullmatch
_is_number = re.compile(rb"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,6})?").fullmatch
_has_digit_before_exponent = re.compile(rb"[^eE]*[1-9]").match
_lacks_seconds = re.compile(rb"[0-9]{1,2}:[0-9]{1,2}").fullmatch
_lacks_seconds_of_day = re.compile(rb"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[ Tt][0-9]{1,2}:[0-9]{1,2}").fullmatch
_BOOLEANS = {b"true": True, b"1": True, b"1.0": True, b"false": False, b"0": False, b"0.0": False}
_SPACE = b" \t"


def as_text(field: bytes) -> object:
    """Returns the text itself. Raises UnicodeDecodeError."""
    return field.decode()


def _as_integer(field: bytes) -> object:
    text = field.strip(_SPACE)
    if _is_whole(text) and len(text) <= INTEGER_DIGITS_MAX:
        value = int(text)
        return value if INTEGER_MIN <= value <= INTEGER_MAX else text.decode()
    if len(text) > NUMBER_BYTES_MAX or not _is_number(text):
        return field.decode()
    number = Decimal(text.decode())
    if number.adjusted() > INTEGER_DIGITS_MAX:
        return field.decode()
    if _is_integral(number) and INTEGER_MIN <= number <= INTEGER_MAX:
        return int(number)
    rounded = float(number)
    # A fraction that a double loses would be taken for a whole number.
    return field.decode() if rounded.is_integer() else rounded


def _is_integral(number: Decimal) -> bool:
    """Returns whether a number has no fraction.

    Its digits are counted, not rounded to the context's 28.
    """
    _, digits, exponent = number.as_tuple()
    return isinstance(exponent, int) and (exponent >= 0 or not any(digits[exponent:]))


def _as_float(field: bytes) -> object:
    text = field.strip(_SPACE)
    if len(text) > NUMBER_BYTES_MAX or not _is_number(text):
        return field.decode()
    value = float(text)
    is_rounded_whole = len(text) > EXACT_DIGITS and _is_rounded_whole(text, value)
    is_vanished = value == 0 and _has_digit_before_exponent(text) is not None
    if is_rounded_whole or is_vanished or math.isinf(value):
        return field.decode()
    return value


def _is_rounded_whole(text: bytes, value: float) -> bool:
    """Returns whether a number is whole, without an exponent, and differs from its double."""
    if b"e" in text.lower():
        return False
    number = Decimal(text.decode())
    return _is_integral(number) and (math.isinf(value) or Decimal(value) != number)


def _as_boolean(field: bytes) -> object:
    value = _BOOLEANS.get(field.strip(_SPACE).lower())
    return field.decode() if value is None else value


def _as_date(field: bytes) -> object:
    return field.strip(_SPACE).decode()


def _as_time(field: bytes) -> object:
    text = field.strip(_SPACE)
    return f"{text.decode()}:00" if _lacks_seconds(text) else text.decode()


def _as_date_time(field: bytes) -> object:
    text = field.strip(_SPACE)
    return f"{text.decode()}:00" if _lacks_seconds_of_day(text) else text.decode()


CONVERTERS: dict[str, Convert] = {
    "integer": _as_integer,
    "float": _as_float,
    "boolean": _as_boolean,
    "date": _as_date,
    "time": _as_time,
    "dateTime": _as_date_time,
    "string": as_text,
    "geography": as_text,
}
# Of the other types no value has an empty text, so that `""` can only mean that there is none.
HAS_EMPTY_TEXT = frozenset({"string", ""})
