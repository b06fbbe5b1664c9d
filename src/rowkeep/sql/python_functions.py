"""Functions that DuckDB lacks or means differently, in Python: a value in, a value out, None stays None.

They are called for each row by the process that runs a query, a million times a second at most; what is often
needed has a line of SQL in functions.txt instead.
"""

import math
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from rowkeep.model.types.text import parse_date, parse_date_time, parse_time
from rowkeep.sql.literals import moment_micros
from rowkeep.sql.text_functions import (
    casefold,
    code_points_to_string,
    contains,
    edit_distance,
    format_text,
    host,
    initcap,
    instr,
    json_array,
    normalize,
    reverse,
    soundex,
    text_of_bytes,
    to_code_points,
    translate,
)
from rowkeep.sql.time_elements import read, shown

_EPOCH_DATE_TIME = parse_date_time("1970-01-01")
_integer_match = re.compile(r"[+-]?\d+", re.ASCII).fullmatch
_hex_match = re.compile(r"([+-]?)0[xX]([0-9a-fA-F]+)", re.ASCII).fullmatch
_float_match = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII).fullmatch
_special_float_match = re.compile(r"([+-]?)(inf|infinity|nan)", re.IGNORECASE).fullmatch


class PythonFunction(msgspec.Struct, frozen=True):
    """A function with the types of its arguments and its result, in DuckDB's words."""

    call: Callable[..., Any]
    arguments: tuple[str, ...]
    result: str


# Numbers and their texts


def integer(text: str) -> int:
    """Returns a text as an integer. Raises ValueError."""
    stripped = text.strip()
    match = _hex_match(stripped)
    if match is not None:
        value = int(match[1] + match[2], 16)
    elif _integer_match(stripped) is not None and len(stripped) < 100:
        value = int(stripped)
    else:
        raise ValueError(f"Bad int64 value: {text}")
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"Bad int64 value: {text}")
    return value


def float_of(text: str) -> float:
    """Returns a text as a floating point number. Raises ValueError."""
    stripped = text.strip()
    special = _special_float_match(stripped)
    if special is not None:
        return float(special[1] + special[2])
    if _float_match(stripped) is None:
        raise ValueError(f"Bad double value: {text}")
    value = float(stripped)
    if math.isinf(value):
        raise ValueError(f"Bad double value: {text}")
    return value


def numeric(text: str) -> str:
    """Returns a text as one that a NUMERIC can be read from. Raises ValueError."""
    if _float_match(text.strip()) is None:
        raise ValueError(f"Invalid NUMERIC value: {text}")
    try:
        return format(Decimal(text.strip()), "f")
    except InvalidOperation as error:
        raise ValueError(f"Invalid NUMERIC value: {text}") from error


def numeric_text(text: str) -> str:
    """Returns a NUMERIC without the zeros at its end."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def float_text(value: float) -> str:
    """Returns a floating point number as CAST shows it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if not value:
        return "0"
    short = f"{value:.15g}"
    return short if float(short) == value else f"{value:.17g}"


def json_float(value: float) -> str:
    """Returns a floating point number in JSON."""
    return float_text(value) if math.isfinite(value) else f'"{float_text(value)}"'


def json_integer(value: int) -> str:
    """Returns an integer in JSON. One that a double cannot hold becomes a text."""
    return str(value) if abs(value) <= 2**53 else f'"{value}"'


def rounded(value: float, digits: int) -> float:
    """Rounds half away from zero, to a number of digits behind the point."""
    return _scaled(value, digits, lambda scaled: math.floor(abs(scaled) + 0.5))


def shortened(value: float, digits: int) -> float:
    """Cuts off the digits behind a number of them."""
    return _scaled(value, digits, lambda scaled: math.floor(abs(scaled)))


def _scaled(value: float, digits: int, whole: Callable[[float], int]) -> float:
    if not math.isfinite(value) or abs(digits) > 308:
        return value
    scaled = Decimal(repr(value)).scaleb(digits)
    made = Decimal(whole(float(scaled)) if abs(scaled) < 2**53 else int(scaled)).scaleb(-digits)
    return math.copysign(float(made), value)


def cube_root(value: float) -> float:
    """Returns the cube root of a number; exact when it is a whole number."""
    root = math.cbrt(value)
    whole = round(root) if math.isfinite(root) else root
    return float(whole) if whole**3 == value else root


def shift_left(value: int, count: int) -> int:
    """Shifts the 64 bits of an integer to the left. Bits that leave it are lost."""
    if count < 0:
        raise ValueError("A number of bits must not be negative.")
    made = (value << count) & (2**64 - 1) if count < 64 else 0
    return made - 2**64 if made >= 2**63 else made


def shift_right(value: int, count: int) -> int:
    """Shifts the 64 bits of an integer to the right, and fills with zeros."""
    if count < 0:
        raise ValueError("A number of bits must not be negative.")
    made = (value & (2**64 - 1)) >> count if count < 64 else 0
    return made - 2**64 if made >= 2**63 else made


# Dates and times


def date_of(text: str) -> str:
    """Returns a text as a date that DuckDB reads. Raises ValueError."""
    return parse_date(text.strip()).isoformat()


def micros_of_date_time(text: str) -> int:
    """Returns a text as microseconds since 1970. Raises ValueError."""
    delta = parse_date_time(text.strip()) - _EPOCH_DATE_TIME
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def time_of(text: str) -> str:
    """Returns a text as a time that DuckDB reads. Raises ValueError."""
    return parse_time(text.strip()).isoformat()


def date_time_text(micros: int) -> str:
    """Returns a DATETIME as CAST shows it."""
    return _clock(shown("%E4Y-%m-%d %H:%M:%S", micros, 0, "UTC"), micros)


def timestamp_text(micros: int) -> str:
    """Returns a TIMESTAMP as CAST shows it."""
    return date_time_text(micros) + "+00"


def time_text(micros: int) -> str:
    """Returns a TIME as CAST shows it."""
    return _clock(shown("%H:%M:%S", micros, 0, "UTC"), micros)


def _clock(text: str, micros: int) -> str:
    fraction = micros % 1_000_000
    if not fraction:
        return text
    return f"{text}.{fraction // 1000:03}" if fraction % 1000 == 0 else f"{text}.{fraction:06}"


def micros_of_moment(text: str) -> int:
    """Returns a text, with or without a zone, as microseconds since 1970. Raises ValueError."""
    return moment_micros(text)


_V, _B, _D = "VARCHAR", "BIGINT", "DOUBLE"
PYTHON_FUNCTIONS: dict[str, PythonFunction] = {
    "bq_integer": PythonFunction(integer, (_V,), _B),
    "bq_float": PythonFunction(float_of, (_V,), _D),
    "bq_numeric": PythonFunction(numeric, (_V,), _V),
    "bq_numeric_text": PythonFunction(numeric_text, (_V,), _V),
    "bq_float_text": PythonFunction(float_text, (_D,), _V),
    "bq_json_float": PythonFunction(json_float, (_D,), _V),
    "bq_json_integer": PythonFunction(json_integer, (_B,), _V),
    "bq_cbrt": PythonFunction(cube_root, (_D,), _D),
    "bq_round": PythonFunction(rounded, (_D, _B), _D),
    "bq_trunc": PythonFunction(shortened, (_D, _B), _D),
    "bq_shift_left": PythonFunction(shift_left, (_B, _B), _B),
    "bq_shift_right": PythonFunction(shift_right, (_B, _B), _B),
    "bq_date_text_of": PythonFunction(date_of, (_V,), _V),
    "bq_datetime_micros": PythonFunction(micros_of_date_time, (_V,), _B),
    "bq_moment_micros": PythonFunction(micros_of_moment, (_V,), _B),
    "bq_time_text_of": PythonFunction(time_of, (_V,), _V),
    "bq_datetime_text": PythonFunction(date_time_text, (_B,), _V),
    "bq_timestamp_text": PythonFunction(timestamp_text, (_B,), _V),
    "bq_time_text": PythonFunction(time_text, (_B,), _V),
    "bq_format_time": PythonFunction(shown, (_V, _B, _B, _V), _V),
    "bq_parse_time": PythonFunction(read, (_V, _V), _B),
    "bq_initcap": PythonFunction(initcap, (_V,), _V),
    "bq_instr": PythonFunction(instr, (_V, _V, _B, _B), _B),
    "bq_contains": PythonFunction(contains, (_V, _V), "BOOLEAN"),
    "bq_normalize": PythonFunction(normalize, (_V, _V), _V),
    "bq_casefold": PythonFunction(casefold, (_V, _V), _V),
    "bq_reverse": PythonFunction(reverse, (_V,), _V),
    "bq_translate": PythonFunction(translate, (_V, _V, _V), _V),
    "bq_code_points_to_string": PythonFunction(code_points_to_string, ("BIGINT[]",), _V),
    "bq_to_code_points": PythonFunction(to_code_points, (_V,), "BIGINT[]"),
    "bq_soundex": PythonFunction(soundex, (_V,), _V),
    "bq_edit_distance": PythonFunction(edit_distance, (_V, _V), _B),
    "bq_text_of_bytes": PythonFunction(text_of_bytes, ("BLOB",), _V),
    "bq_host": PythonFunction(host, (_V,), _V),
    "bq_format": PythonFunction(format_text, (_V, "VARCHAR[]"), _V),
    "bq_json_array": PythonFunction(json_array, (_V, _V, _V), "VARCHAR[]"),
}
