"""The grammar of dates and times, and which type holds the values of two. Source: contract 5, 7.7, 7.8."""

import datetime
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rowkeep.model.types import VariableType, integer_fits_double
from rowkeep.model.types.records import EXPECTED, widened
from rowkeep.model.types.text import parse_date, parse_date_time, parse_time

# What an error message shows in brackets; those about a range are Python's.
REASONS = (
    r"it is not of this form|range|must be in|it has a time zone; (?:send|in UTC it is) \d|"
    r"it has more than 6 fraction digits"
)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2020-02-29", datetime.date(2020, 2, 29)),
        ("2020-2-9", datetime.date(2020, 2, 9)),
        ("0001-01-01", datetime.date(1, 1, 1)),
        ("9999-12-31", datetime.date(9999, 12, 31)),
    ],
)
def test_dates_are_read(text: str, day: datetime.date) -> None:
    """A date has a year of four digits; month and day may have one."""
    assert parse_date(text) == day


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020-02-30",
        "0000-01-01",
        "10000-01-01",
        "-2020-01-01",
        "20-01-01",
        "2020-13-01",
        "2020-001-01",
        "20200101",
        "2020-W01-1",
        "2020-01-01 ",
        " 2020-01-01",
        "2020-01-01\n",
        "2020-01-01\x00",
        "2020-01-01T00:00:00",
        "２０２０-01-01",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    """Nothing but the grammar is a date: no other calendar form, digit or white space."""
    with pytest.raises(ValueError, match=REASONS):
        parse_date(text)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("03:04:05", datetime.time(3, 4, 5)),
        ("3:4:5", datetime.time(3, 4, 5)),
        ("23:59:59.999999", datetime.time(23, 59, 59, 999999)),
        ("00:00:00.1", datetime.time(0, 0, 0, 100000)),
        ("00:00:00.000001", datetime.time(0, 0, 0, 1)),
        ("03:04", datetime.time(3, 4)),
        ("3:4", datetime.time(3, 4)),
        ("03:04:05.123456000", datetime.time(3, 4, 5, 123456)),
        ("03:04:05.0000000", datetime.time(3, 4, 5)),
    ],
)
def test_times_are_read(text: str, time: datetime.time) -> None:
    """A time has up to six fraction digits and zeros behind them; its parts may have one digit."""
    assert parse_time(text) == time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "03",
        "03:",
        "24:00:00",
        "23:60:00",
        "23:59:60",
        "03:04:05.",
        "03:04:05.1234567",
        "03:04:05,1",
        "03:04:05Z",
        "03:04:05+01:00",
        "T03:04:05",
        "03:04:05 ",
        "03:04:05\n",
        "003:04:05",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """No 24:00:00, leap second, time zone or seventh fraction digit."""
    with pytest.raises(ValueError, match=REASONS):
        parse_time(text)


@pytest.mark.parametrize("separator", [" ", "T", "t"])
@pytest.mark.parametrize("digits", range(7))
def test_date_times_are_read(separator: str, digits: int) -> None:
    """Date and time stand apart by a space or T, with none to six fraction digits."""
    fraction = "." + "123456"[:digits] if digits else ""
    read = parse_date_time(f"2020-01-02{separator}03:04:05{fraction}")
    microsecond = int("123456"[:digits].ljust(6, "0"))
    assert read == datetime.datetime(2020, 1, 2, 3, 4, 5, microsecond)


def test_a_date_alone_is_midnight() -> None:
    """A dateTime may leave its time part out."""
    assert parse_date_time("2020-1-2") == datetime.datetime(2020, 1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-02T",
        "2020-01-02T03",
        "2020-01-02  03:04:05",
        "2020-01-02T03:04:05.1234567",
        "2020-01-02T03:04:05Z",
        "2020-01-02T03:04:05z",
        "2020-01-02T03:04:05+00:00",
        "2020-01-02T03:04:05-05",
        "2020-01-02T24:00:00",
        "2020-01-02T23:59:60",
        "2020-02-30T00:00:00",
        "2020-01-02T03:04:05 ",
        "2020-01-02T03:04:05\n",
    ],
)
def test_what_is_no_date_time_is_refused(text: str) -> None:
    """What is refused of dates and times is refused of both together."""
    with pytest.raises(ValueError, match=REASONS):
        parse_date_time(text)


@given(some.datetimes())
def test_the_canonical_text_reads_back(moment: datetime.datetime) -> None:
    """What rowkeep puts out is in the grammar that it reads."""
    assert parse_date_time(moment.isoformat(sep=" ")) == moment
    assert parse_date_time(moment.isoformat()) == moment
    assert parse_date(moment.date().isoformat()) == moment.date()
    assert parse_time(moment.time().isoformat()) == moment.time()


def test_widening_is_a_join() -> None:
    """Neither the order nor the grouping of types matters, and a type joined with itself stays."""
    for one, other in itertools.product(VariableType, repeat=2):
        assert widened(one, one) is one
        assert widened(one, other) is widened(other, one)
        assert widened(widened(one, other), other) is widened(one, other)


@pytest.mark.parametrize(
    ("one", "other", "wider"),
    [
        ("integer", "float", "float"),
        ("date", "dateTime", "dateTime"),
        ("integer", "boolean", "string"),
        ("float", "string", "string"),
        ("dateTime", "time", "string"),
        ("time", "date", "string"),
        ("geography", "string", "string"),
        ("float", "dateTime", "string"),
    ],
)
def test_the_wider_type(one: VariableType, other: VariableType, wider: VariableType) -> None:
    """Integer widens to float, date to dateTime, everything else to string."""
    assert widened(VariableType(one), VariableType(other)) == wider


@given(some.integers(-(2**63), 2**63 - 1))
def test_integers_that_doubles_hold(value: int) -> None:
    """An integer fits a double when the double is that integer."""
    assert integer_fits_double(value) == (float(value).as_integer_ratio() == (value, 1))


def test_every_type_is_put_into_words() -> None:
    """Errors can say what a variable of any type takes."""
    assert set(EXPECTED) == set(VariableType)
