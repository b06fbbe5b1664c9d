"""Dates and times as text: the grammar that JSON, CSV and files share. Source: contract 5 and 7.4-7.8."""

import datetime
import re

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
    """Returns why a text is not a time, and what to send instead."""
    zoned = _zoned_match(text)
    if zoned is not None and _time_match(zoned[1]) is not None:
        return f"it has a time zone; send {zoned[1]}, the time on the clock there, or convert all to one zone"
    return _TOO_FINE if _is_too_fine(text) else _UNREADABLE


def _date_time_problem(text: str) -> str:
    """Returns why a text is not a dateTime, and what to send instead."""
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
