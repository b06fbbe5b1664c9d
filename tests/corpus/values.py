"""Columns of a CSV file by their values: which type they get, and that no value changes."""

import datetime as dt
from typing import Any

from tests.corpus.case import Case, Table

_DAY = dt.date(2024, 1, 2)


def _column(name: str, texts: list[str], type_: str, values: list[Any] | None = None) -> Case:
    """A file of one column beside another, so that an empty field is no blank line."""
    found = values if values is not None else texts
    content = "v,n\n" + "".join(f"{text},{index}\n" for index, text in enumerate(texts))
    rows = [(value, index) for index, value in enumerate(found)]
    return Case(f"value-{name}/a.csv", content.encode(), Table({"v": type_, "n": "integer"}, rows))


def _text(name: str, *texts: str) -> Case:
    return _column(name, list(texts), "string")


def _float(name: str, *texts: str) -> Case:
    return _column(name, list(texts), "float", [float(text) for text in texts])


CASES = [
    _column("integer", ["1", "-5", "0"], "integer", [1, -5, 0]),
    _column(
        "integer-edges", ["9223372036854775807", "-9223372036854775808"], "integer", [2**63 - 1, -(2**63)]
    ),
    _column("null-among-integers", ["1", "", "3"], "integer", [1, None, 3]),
    _column("all-null", ["", ""], "string", [None, None]),
    _text("leading-zero", "00123", "456"),
    _text("leading-zero-late", "1", "2", "007"),
    _text("leading-zero-decimal", "01.5", "2.5"),
    _text("negative-leading-zero", "-01", "2"),
    _text("plus-sign", "+5", "6"),
    _text("phone", "+49 30 1234", "030-1234"),
    _text("underscores", "1_000", "2"),
    _text("thousands-quoted", '"1,000"', '"2,000"')._replace(
        expected=Table({"v": "string", "n": "integer"}, [("1,000", 0), ("2,000", 1)])
    ),
    _text("thousands-point", "1.000.000", "2.000"),
    _text("beyond-64-bits", "9223372036854775808", "1"),
    _text("20-digits", "12345678901234567890123", "1"),
    _text("hexadecimal", "0x1F", "0x2A"),
    _text("space-before", " 1", "2"),
    _text("space-behind", "1 ", "2"),
    _text("percent", "5%", "6%"),
    _text("currency", "$5", "$6"),
    _text("decimal-comma", '"1,5"', '"2,5"')._replace(
        expected=Table({"v": "string", "n": "integer"}, [("1,5", 0), ("2,5", 1)])
    ),
    _float("float", "1.5", "-2.25", "0.1"),
    _float("float-and-integer", "1", "2.5"),
    _float("float-point-last", "1.", "2.5"),
    _float("float-point-first", ".5", "-.25"),
    _float("float-trailing-zeros", "1.50", "2.00"),
    _float("float-17-digits", "0.30000000000000004", "1.7976931348623157e308"),
    _float("float-smallest", "5e-324", "1.5"),
    _float("float-exponent-signed", "1e-5", "2E+5"),
    _float("float-exponent-beside-point", "1E05", "2.5"),
    _float("float-exact-large", "9007199254740992", "0.5"),
    _float("float-printed-long", "0.10000000000000000555", "0.5"),
    _text("code-exponent", "1E05", "2E07"),
    _text("code-exponent-and-integers", "1E05", "12"),
    _text("exponent-beyond-double", "1e309", "1.5"),
    _text("exponent-below-double", "1e-400", "1.5"),
    _text("float-too-many-digits", "0.1234567890123456789", "1.5"),
    _text("integer-not-in-double-beside-float", "9007199254740993", "1.5"),
    _text("nan", "NaN", "1.5"),
    _text("infinity", "inf", "-Infinity"),
    _text("na-token", "NA", "1"),
    _text("null-word", "NULL", "1"),
    _text("backslash-n", "\\N", "1"),
    _text("dash", "-", "1"),
    _column("boolean", ["true", "False", "TRUE"], "boolean", [True, False, True]),
    _text("yes-no", "yes", "no"),
    _text("t-f", "t", "f"),
    _text("boolean-and-number", "true", "1"),
    _column("zero-one", ["0", "1"], "integer", [0, 1]),
    _column("date", ["2024-01-02", "0001-01-01", "9999-12-31"], "date", [_DAY, dt.date.min, dt.date.max]),
    _column("date-short", ["2024-1-2", "2024-01-02"], "date", [_DAY, _DAY]),
    _column("date-leap", ["2024-02-29", "2000-02-29"], "date", [dt.date(2024, 2, 29), dt.date(2000, 2, 29)]),
    _text("date-no-leap", "2023-02-29", "2024-01-02"),
    _text("date-month-13", "2024-13-01", "2024-01-02"),
    _text("date-zero", "0000-00-00", "2024-01-02"),
    _text("date-year-zero", "0000-01-01", "2024-01-02"),
    _text("date-tiny", "1-2-3", "2024-01-02"),
    _text("date-slashes", "01/02/2024", "03/04/2024"),
    _text("date-day-first", "13/01/2024", "01/13/2024"),
    _text("date-points", "31.12.2024", "01.01.2025"),
    _text("date-slashes-iso", "2024/01/02", "2024/01/03"),
    _text("date-compact-and-word", "20240102", "today"),
    _column("date-compact", ["20240102", "20240103"], "integer", [20240102, 20240103]),
    _text("date-words", "2 Jan 2024", "3 Jan 2024"),
    _text("date-epoch-word", "epoch", "2024-01-02"),
    _text("date-infinity", "infinity", "2024-01-02"),
    _text("date-year-10000", "10000-01-01", "2024-01-02"),
    _text("date-arabic-digits", "٢٠٢٤-٠١-٠٢", "2024-01-02"),
    _text("integer-fullwidth-digits", "１２", "3"),
    _column(
        "date-time",
        ["2024-01-02 03:04:05", "2024-01-02T03:04:05.5"],
        "dateTime",
        [dt.datetime(2024, 1, 2, 3, 4, 5), dt.datetime(2024, 1, 2, 3, 4, 5, 500_000)],
    ),
    _column(
        "date-then-date-time",
        ["2024-01-02", "2024-01-02 03:04:05"],
        "dateTime",
        [dt.datetime(2024, 1, 2), dt.datetime(2024, 1, 2, 3, 4, 5)],
    ),
    _column(
        "date-time-without-seconds",
        ["2024-01-02 03:04", "2024-01-02T23:59"],
        "dateTime",
        [dt.datetime(2024, 1, 2, 3, 4), dt.datetime(2024, 1, 2, 23, 59)],
    ),
    _column(
        "date-time-zeros-beyond-microseconds",
        ["2024-01-02 03:04:05.123456000"],
        "dateTime",
        [dt.datetime(2024, 1, 2, 3, 4, 5, 123456)],
    ),
    _text("date-time-nanoseconds", "2024-01-02 03:04:05.123456789", "2024-01-02 03:04:05"),
    _text("date-time-zone", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
    _text("date-time-offset", "2024-01-02 03:04:05+02:00", "2024-01-02 03:04:05"),
    _text("date-time-24", "2024-01-02 24:00:00", "2024-01-02 03:04:05"),
    _text("date-time-leap-second", "2016-12-31 23:59:60", "2024-01-02 03:04:05"),
    _text("date-time-twelve-hours", "2024-01-02 03:04:05 PM", "2024-01-02 03:04:05"),
    _column("time", ["10:00:00", "9:05:01.5"], "time", [dt.time(10), dt.time(9, 5, 1, 500_000)]),
    _column("time-without-seconds", ["10:00", "23:59"], "time", [dt.time(10), dt.time(23, 59)]),
    _text("time-24", "24:00:00", "10:00:00"),
    _text("duration", "25:30:00", "10:00:00"),
    _text("date-and-time-mixed", "2024-01-02", "10:00:00"),
    _text("date-and-integer", "2024-01-02", "5"),
    _column(
        "geography",
        ["POINT(1 2)", '"LINESTRING(0 0, 1 1)"'],
        "geography",
        ["POINT(1 2)", "LINESTRING(0 0, 1 1)"],
    ),
    _text("geography-beyond-earth", "POINT(1 200)", "POINT(1 2)"),
    _text("geography-and-word", "POINT(1 2)", "Pointless"),
    _text("uuid", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f2504e0-4f89-41d3-9a0c-0305e82c3302"),
    _text("uuid-like-number", "1e10", "2e11"),
    _text("version", "1.2.3", "1.2.4"),
    _text("ip-address", "10.0.0.1", "10.0.0.2"),
    _text("minus-alone", "-", "--"),
    _text("point-alone", ".", "1"),
    _text("long-zeros", "0" * 400, "1"),
]
