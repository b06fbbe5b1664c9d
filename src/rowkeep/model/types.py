"""The eight variable types: names, text grammar, widening.

One row per type in each table below is all the model knows of it; how a type looks in Arrow is
said in `formats/arrow.py`, how a request spells it in `model/decoding/strict.py` and `lenient.py`.
Source: contract 5 and 7.4-7.8.
"""

import datetime
import re
from enum import StrEnum


class VariableType(StrEnum):
    """The type of a variable, spelled as on the wire."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    DATE_TIME = "dateTime"
    TIME = "time"
    GEOGRAPHY = "geography"


INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**63 - 1

# What other systems call the types.
_OTHER_NAMES = {
    VariableType.STRING: (
        "str",
        "text",
        "varchar",
        "char",
        "character",
        "object",
        "factor",
        "category",
        "uuid",
    ),
    VariableType.INTEGER: ("int", "int8", "int16", "int32", "int64", "uint64", "long", "bigint", "smallint"),
    VariableType.FLOAT: ("double", "number", "numeric", "decimal", "real", "float32", "float64"),
    VariableType.BOOLEAN: ("bool", "logical", "bit"),
    VariableType.DATE_TIME: ("timestamp", "posixct", "datetime64", "date_time"),
    VariableType.DATE: ("date32", "day"),
    VariableType.TIME: ("time64", "hms"),
    VariableType.GEOGRAPHY: ("geometry", "geo", "wkt", "point", "geom"),
}
_TYPE_OF_OTHER_NAME = {name: type_ for type_, names in _OTHER_NAMES.items() for name in names} | {
    type_.lower(): type_ for type_ in VariableType
}


def variable_type(name: str) -> VariableType:
    """The type of this name. Raises ValueError that lists the types and suggests one."""
    try:
        return VariableType(name)
    except ValueError:
        meant = _TYPE_OF_OTHER_NAME.get(name.strip().lower())
        suggestion = "" if meant is None else f"; use {meant}"
        raise ValueError(
            f"there is no type {name[:60]!r}{suggestion}. The types are {', '.join(VariableType)}"
        ) from None


# What a value of each type looks like, in the words of an error message.
EXPECTED = {
    VariableType.STRING: "a string",
    VariableType.INTEGER: "an integer (a JSON number between -2^63 and 2^63-1)",
    VariableType.FLOAT: "a float (a JSON number within the range of a double)",
    VariableType.BOOLEAN: "a boolean (true or false)",
    VariableType.DATE: "a date (YYYY-MM-DD, years 0001 to 9999)",
    VariableType.DATE_TIME: "a dateTime (YYYY-MM-DDTHH:MM:SS, up to 6 fraction digits, no time zone)",
    VariableType.TIME: "a time (HH:MM:SS, up to 6 fraction digits, no time zone)",
    VariableType.GEOGRAPHY: "a geography (WKT, such as POINT(10 20))",
}

_UNREADABLE = "it is not of this form"
_TOO_FINE = "it has more than 6 fraction digits"
_DATE = r"(\d{4})-(\d{1,2})-(\d{1,2})"
# Without seconds it is the whole minute, as Java writes it. Zeros beyond the sixth digit lose nothing.
_TIME = r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,6})0*+)?)?"
_date_match = re.compile(_DATE, re.ASCII).fullmatch
_time_match = re.compile(_TIME, re.ASCII).fullmatch
_date_time_match = re.compile(rf"{_DATE}(?:[ Tt]{_TIME})?", re.ASCII).fullmatch
_zoned_match = re.compile(
    r"(.*:\d{2}(?:\.\d+)?) ?(?:([Zz]|UTC|GMT)|([+-])(\d{2})(?::?(\d{2}))?)(?:\[[^\]]*\])?", re.ASCII
).fullmatch
_is_too_fine = re.compile(r".*:\d{1,2}\.\d{7,}", re.ASCII).fullmatch

_WIDER = {
    frozenset({VariableType.INTEGER, VariableType.FLOAT}): VariableType.FLOAT,
    frozenset({VariableType.DATE, VariableType.DATE_TIME}): VariableType.DATE_TIME,
}


def widened(one: VariableType, other: VariableType) -> VariableType:
    """The narrowest type that holds the values of both; string holds everything."""
    if one is other:
        return one
    return _WIDER.get(frozenset({one, other}), VariableType.STRING)


def parse_date(text: str) -> datetime.date:
    """Reads a date in the documented grammar (one-digit parts allowed). Raises ValueError."""
    match = _date_match(text)
    if match is None:
        raise ValueError(_UNREADABLE)
    return datetime.date(int(match[1]), int(match[2]), int(match[3]))


def parse_time(text: str) -> datetime.time:
    """Reads a time in the documented grammar. Raises ValueError."""
    match = _time_match(text)
    if match is None:
        raise ValueError(_time_problem(text))
    return _time_of(match[1], match[2], match[3], match[4])


def parse_date_time(text: str) -> datetime.datetime:
    """Reads a dateTime in the documented grammar; a date alone is midnight. Raises ValueError."""
    match = _date_time_match(text)
    if match is None:
        raise ValueError(_date_time_problem(text))
    day = datetime.date(int(match[1]), int(match[2]), int(match[3]))
    if match[4] is None:
        return datetime.datetime.combine(day, datetime.time())
    return datetime.datetime.combine(day, _time_of(match[4], match[5], match[6], match[7]))


def _time_of(hour: str, minute: str, second: str | None, fraction: str | None) -> datetime.time:
    microsecond = int(fraction.ljust(6, "0")) if fraction else 0
    return datetime.time(int(hour), int(minute), int(second or "0"), microsecond)


def _time_problem(text: str) -> str:
    """Why a text is no time, and what to send instead."""
    zoned = _zoned_match(text)
    if zoned is not None and _time_match(zoned[1]) is not None:
        return f"it has a time zone; send {zoned[1]}, the time on the clock there, or convert all to one zone"
    return _TOO_FINE if _is_too_fine(text) else _UNREADABLE


def _date_time_problem(text: str) -> str:
    """Why a text is no dateTime, and what to send instead."""
    zoned = _zoned_match(text)
    if zoned is None or _date_time_match(zoned[1]) is None:
        return _TOO_FINE if _is_too_fine(text) else _UNREADABLE
    try:
        moment = parse_date_time(zoned[1])
        in_utc = moment if zoned[2] else moment - _offset(zoned[3], zoned[4], zoned[5])
    except (ValueError, OverflowError):
        return "it has a time zone"
    if in_utc == moment:
        return f"it has a time zone; send {moment.isoformat()}, and say in the description that it is UTC"
    return (
        f"it has a time zone; in UTC it is {in_utc.isoformat()}, there {moment.isoformat()}: send one of them"
    )


def _offset(sign: str, hours: str, minutes: str | None) -> datetime.timedelta:
    offset = datetime.timedelta(hours=int(hours), minutes=int(minutes or "0"))
    return -offset if sign == "-" else offset


def integer_fits_double(value: int) -> bool:
    """Whether a double holds this integer exactly, so that integer may widen to float."""
    try:
        return float(value) == value
    except OverflowError:
        return False
