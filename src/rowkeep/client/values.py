"""Encodes a program's row as JSON of the same meaning.

Values of Python and of numpy go out as the numbers, texts and times that they are. What JSON cannot hold
without changing it is refused here, by its variable: the server would see only what it was changed into.
"""

import datetime
import json
import math
import numbers
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from rowkeep.client.errors import ValueRefused

_AS_THEY_ARE = frozenset({str, bool, type(None)})
_IN_64_BITS = range(-(2**63), 2**64)
_TIMES = (datetime.datetime, datetime.date, datetime.time)


def encode_row(row: Mapping[str, Any], number: int) -> bytes:
    """Returns a row as a JSON object. Raises ValueRefused, which names the row by its number."""
    encodable: dict[str, Any] = {}
    for name, value in row.items():
        if not isinstance(name, str):
            raise ValueRefused(f"row {number}: {name!r} is no name of a variable; names are strings")
        try:
            encodable[name] = value if type(value) in _AS_THEY_ARE else _encodable(value)
        except ValueRefused as problem:
            raise ValueRefused(f'row {number}: variable "{name}" {problem}') from None
    try:
        return msgspec.json.encode(encodable)
    except (TypeError, ValueError) as error:  # half of a surrogate pair, which UTF-8 cannot hold
        raise ValueRefused(f"row {number}: it cannot be written as JSON: {error}") from error


def _encodable(value: object) -> object:
    if isinstance(value, int):
        return _whole(int(value))
    if isinstance(value, float):
        return _finite(float(value))
    if isinstance(value, str | UUID):
        return str(value.value) if isinstance(value, Enum) else str(value)
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, _TIMES):
        return _time(value)
    if isinstance(value, dict | list | tuple):
        return _nested(value)
    return _of_numpy(value)


def _whole(value: int) -> object:
    return value if value in _IN_64_BITS else msgspec.Raw(str(value).encode())


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueRefused(f"is {value}, which JSON cannot hold; use None for a missing number")
    return value


def _decimal(value: Decimal) -> msgspec.Raw:
    if not value.is_finite():
        raise ValueRefused(f"is {value}, which JSON cannot hold; use None for a missing number")
    return msgspec.Raw(str(value).encode())


def _time(value: datetime.date | datetime.time) -> str:
    if value != value:  # NaT of pandas, which is a datetime by its class
        raise ValueRefused("is NaT, which is no time; use None for a missing time")
    return value.isoformat()


def _nested(value: object) -> msgspec.Raw:
    """Returns a list or object as JSON, which the server refuses by its row: no variable holds one."""
    try:
        return msgspec.Raw(json.dumps(value, allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise ValueRefused(f"holds a {type(value).__name__}, and no type of variable can: {error}") from error


def _of_numpy(value: object) -> object:
    """Returns the Python value of a numpy scalar, recognized by its methods: rowkeep does not need numpy."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind == "b":
        return bool(value)
    if isinstance(value, numbers.Integral) and kind in "iu":
        return _whole(int(value))
    if isinstance(value, numbers.Real) and kind == "f":
        return _exact(value)
    if kind == "M" and not hasattr(value, "__len__"):
        return _numpy_time(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        raise ValueRefused("holds bytes, and no type of variable can; send text, such as value.decode()")
    raise ValueRefused(
        f"holds a {type(value).__name__}, which JSON cannot; send a str, int, float, bool, Decimal, date, "
        "time, datetime or None"
    )


def _exact(value: numbers.Real) -> float:
    number = _finite(float(value))
    if number != value:
        raise ValueRefused(f"is {value}, which no double holds exactly; round it first, with float()")
    return number


def _numpy_time(text: str) -> str:
    if text == "NaT":
        raise ValueRefused("is NaT, which is no time; use None for a missing time")
    whole, _, fraction = text.partition(".")
    if len(fraction) > 6 and not fraction[6:].strip("0"):
        fraction = fraction[:6]
    return f"{whole}.{fraction}" if fraction else whole
