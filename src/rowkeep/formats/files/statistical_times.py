"""Dates and times of Stata, SPSS and SAS: numbers, and a format that says what they count.

Stata counts days, milliseconds or periods from 1960, SPSS seconds from 14 October 1582, SAS days or seconds
from 1960. Weeks, months, quarters and years become the day that they begin with.
"""

import datetime
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from rowkeep.model.files import FileType

Convert = Callable[[float], Any]

_1960 = datetime.datetime(1960, 1, 1)
_1582 = datetime.datetime(1582, 10, 14)
# In microseconds.
_MILLISECOND, _SECOND, _DAY = 1_000, 1_000_000, 86_400_000_000
_WEEKS = 52
_name = re.compile(r"%?[A-Za-z]+").match
_TIME_FORMATS = ("%tcHH:MM:SS", "%tcHH:MM", "%tcHH:MM:SS.s")
_SPSS_DATES = ("DATE", "ADATE", "EDATE", "JDATE", "SDATE", "MOYR", "QYR", "WKYR")
_SPSS_TIMES = ("TIME", "DTIME", "MTIME")
_SAS_TIMES = ("TIME", "HHMM", "TOD", "TIMEAMPM", "IS8601TM", "E8601TM", "B8601TM", "MMSS")
_SAS_DATE_TIMES = (
    "DATETIME",
    "E8601DT",
    "DATEAMPM",
    "MDYAMPM",
    "IS8601DT",
    "B8601DT",
    "DTDATE",
    "E8601DN",
    "B8601DN",
)
_SAS_DATES = (
    "DATE",
    "WEEKDATE",
    "WEEKDATX",
    "WORDDATE",
    "WORDDATX",
    "MONYY",
    "JULIAN",
    "MMYY",
    "YYMM",
    "YYQ",
)
_SAS_DATE_BEGINNINGS = ("MMDDYY", "DDMMYY", "YYMMDD", "E8601DA", "B8601DA", "IS8601DA", "NENGO")
_PERIODS_PER_YEAR = {"w": _WEEKS, "m": 12, "q": 4, "h": 2, "y": 1}


def time_conversion(type_: FileType, format_: str | None) -> Convert | None:
    """Returns the conversion of numbers with this format to dates or times. None for plain numbers."""
    if not format_:
        return None
    if type_ is FileType.DTA:
        return _stata(format_)
    match = _name(format_.upper())
    name = match[0] if match else ""
    return _spss(name) if type_ is FileType.SAV else _sas(name, format_.upper())


def _stata(format_: str) -> Convert | None:
    if format_ in _TIME_FORMATS:
        return partial(_time, unit=_MILLISECOND)
    if format_.lower().startswith("%tc"):
        return partial(_date_time, origin=_1960, unit=_MILLISECOND)
    if format_.startswith(("%td", "%d", "%-td", "%-d")):
        return partial(_date, origin=_1960, unit=_DAY)
    period = format_[2:3] if format_.startswith("%t") else ""
    return partial(_period, per_year=_PERIODS_PER_YEAR[period]) if period in _PERIODS_PER_YEAR else None


def _spss(name: str) -> Convert | None:
    if name in _SPSS_DATES:
        return partial(_date, origin=_1582, unit=_SECOND)
    if name in ("DATETIME", "YMDHMS"):
        return partial(_date_time, origin=_1582, unit=_SECOND)
    return partial(_time, unit=_SECOND) if name in _SPSS_TIMES else None


def _sas(name: str, format_: str) -> Convert | None:
    if name in _SAS_TIMES:
        return partial(_time, unit=_SECOND)
    if name.startswith(_SAS_DATE_TIMES) or format_.startswith(_SAS_DATE_TIMES):
        return partial(_date_time, origin=_1960, unit=_SECOND)
    if name in _SAS_DATES or format_.startswith(_SAS_DATE_BEGINNINGS):
        return partial(_date, origin=_1960, unit=_DAY)
    return None


def _date_time(number: float, *, origin: datetime.datetime, unit: int) -> Any:
    """Returns an instant, given in units of microseconds from an origin. Out of range: the number itself."""
    try:
        return origin + datetime.timedelta(microseconds=_microseconds(number, unit))
    except (OverflowError, ValueError):
        return number


def _date(number: float, *, origin: datetime.datetime, unit: int) -> Any:
    """Returns the day, or the instant where the number is not a whole day."""
    instant = _date_time(number, origin=origin, unit=unit)
    if isinstance(instant, datetime.datetime) and instant.time() == datetime.time():
        return instant.date()
    return instant


def _time(number: float, *, unit: int) -> Any:
    """Returns the time of day. Anything else becomes a text of hours, minutes and seconds."""
    if not math.isfinite(number):
        return number
    microseconds = _microseconds(number, unit)
    if 0 <= microseconds < _DAY:
        return (datetime.datetime.min + datetime.timedelta(microseconds=microseconds)).time()
    sign, (seconds, rest) = "-" if microseconds < 0 else "", divmod(abs(microseconds), 1_000_000)
    fraction = f".{rest:06d}" if rest else ""
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"


def _microseconds(number: float, unit: int) -> int:
    """Returns a number of units in microseconds. Integers are used, as a double has too few digits."""
    whole = math.floor(number)
    return whole * unit + round((number - whole) * unit)


def _period(number: float, *, per_year: int) -> Any:
    """Returns the first day of a week, month, quarter, half-year or year of Stata's."""
    if per_year == 1:
        year, part = int(number), 0
    else:
        years, part = divmod(int(number), per_year)
        year = 1960 + years
    try:
        if per_year == _WEEKS:
            return datetime.date(year, 1, 1) + datetime.timedelta(weeks=part)
        return datetime.date(year, 1 + part * 12 // per_year, 1)
    except (OverflowError, ValueError):
        return number
