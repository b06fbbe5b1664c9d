"""The elements of a format, such as %Y and %H: how each is shown and read.

Plain computing over microseconds since 1970, without any zone. Source: BigQuery's format elements.
"""

import datetime
import re
from collections.abc import Callable, Iterator

_EPOCH = datetime.datetime(1970, 1, 1)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_element_match = re.compile(r"%(E[1-6*]S|E4Y|Ez|E\*S|.)", re.DOTALL).match


class UnknownElementError(ValueError):
    """A format has an element that is not supported."""


def elements_of(text: str) -> Iterator[tuple[str | None, str]]:
    """Yields the parts of a format: an element without its %, or None and a literal character."""
    position = 0
    while position < len(text):
        match = _element_match(text, position)
        if match is None:
            if text[position] == "%":
                raise UnknownElementError("%")
            yield None, text[position]
            position += 1
        else:
            yield match[1], match[0]
            position = match.end()


def check_elements(text: str, *, is_parsed: bool) -> None:
    """Raises UnknownElementError when a format has an unsupported element."""
    known = _READ if is_parsed else _SHOWN
    for element, written in elements_of(text):
        if element is not None and element not in known:
            raise UnknownElementError(written)


class Shown:
    """A clock reading that is to be shown."""

    def __init__(self, micros: int, offset_seconds: int, zone: str) -> None:
        self.at = _EPOCH + datetime.timedelta(microseconds=micros)
        self.micros = micros
        self.offset_seconds = offset_seconds
        self.zone = zone

    def week(self, first: int) -> int:
        """Returns the week of the year, if weeks begin on this day (0 is Sunday)."""
        day = (self.at.isoweekday() - first) % 7
        return (self.at.timetuple().tm_yday + 6 - day) // 7

    def offset(self, separator: str) -> str:
        """Returns the distance from UTC."""
        sign = "-" if self.offset_seconds < 0 else "+"
        minutes = abs(self.offset_seconds) // 60
        return f"{sign}{minutes // 60:02}{separator}{minutes % 60:02}"

    def zone_name(self) -> str:
        """Returns UTC, or the distance from it as BigQuery names zones."""
        if not self.offset_seconds:
            return "UTC"
        minutes = abs(self.offset_seconds) // 60
        rest = f":{minutes % 60:02}" if minutes % 60 else ""
        return f"UTC{'-' if self.offset_seconds < 0 else '+'}{minutes // 60}{rest}"


def _fraction(shown: Shown, digits: int) -> str:
    return f"{shown.at.second:02}.{shown.at.microsecond:06}"[: 3 + digits]


def _shortest_fraction(shown: Shown) -> str:
    return (
        f"{shown.at.second:02}.{shown.at.microsecond:06}".rstrip("0").rstrip(".")
        if shown.at.microsecond
        else f"{shown.at.second:02}"
    )


_SHOWN: dict[str, Callable[[Shown], str]] = {
    "A": lambda s: _DAYS[s.at.weekday()],
    "a": lambda s: _DAYS[s.at.weekday()][:3],
    "B": lambda s: _MONTHS[s.at.month - 1],
    "b": lambda s: _MONTHS[s.at.month - 1][:3],
    "h": lambda s: _MONTHS[s.at.month - 1][:3],
    "C": lambda s: f"{s.at.year // 100:02}",
    "D": lambda s: f"{s.at.month:02}/{s.at.day:02}/{s.at.year % 100:02}",
    "d": lambda s: f"{s.at.day:02}",
    "e": lambda s: f"{s.at.day:2}",
    "F": lambda s: f"{s.at.year:04}-{s.at.month:02}-{s.at.day:02}",
    "G": lambda s: f"{s.at.isocalendar()[0]:04}",
    "g": lambda s: f"{s.at.isocalendar()[0] % 100:02}",
    "H": lambda s: f"{s.at.hour:02}",
    "I": lambda s: f"{(s.at.hour + 11) % 12 + 1:02}",
    "j": lambda s: f"{s.at.timetuple().tm_yday:03}",
    "k": lambda s: f"{s.at.hour:2}",
    "l": lambda s: f"{(s.at.hour + 11) % 12 + 1:2}",
    "M": lambda s: f"{s.at.minute:02}",
    "m": lambda s: f"{s.at.month:02}",
    "n": lambda _: "\n",
    "p": lambda s: "AM" if s.at.hour < 12 else "PM",
    "P": lambda s: "am" if s.at.hour < 12 else "pm",
    "Q": lambda s: str((s.at.month + 2) // 3),
    "R": lambda s: f"{s.at.hour:02}:{s.at.minute:02}",
    "S": lambda s: f"{s.at.second:02}",
    "s": lambda s: str((s.micros - s.offset_seconds * 1_000_000) // 1_000_000),
    "T": lambda s: f"{s.at.hour:02}:{s.at.minute:02}:{s.at.second:02}",
    "X": lambda s: f"{s.at.hour:02}:{s.at.minute:02}:{s.at.second:02}",
    "t": lambda _: "\t",
    "U": lambda s: f"{s.week(0):02}",
    "u": lambda s: str(s.at.isoweekday()),
    "V": lambda s: f"{s.at.isocalendar()[1]:02}",
    "W": lambda s: f"{s.week(1):02}",
    "w": lambda s: str(s.at.isoweekday() % 7),
    "x": lambda s: f"{s.at.month:02}/{s.at.day:02}/{s.at.year % 100:02}",
    "Y": lambda s: f"{s.at.year}",
    "y": lambda s: f"{s.at.year % 100:02}",
    "Z": lambda s: s.zone_name(),
    "z": lambda s: s.offset(""),
    "Ez": lambda s: s.offset(":"),
    "E4Y": lambda s: f"{s.at.year:04}",
    "E*S": _shortest_fraction,
    **{f"E{digits}S": (lambda s, digits=digits: _fraction(s, digits)) for digits in range(1, 7)},  # type: ignore[misc]
    "%": lambda _: "%",
}


def shown(format_: str, micros: int, offset_seconds: int, zone: str) -> str:
    """Returns a clock reading in a format."""
    reading = Shown(micros, offset_seconds, zone)
    return "".join(
        written if element is None else _SHOWN[element](reading) for element, written in elements_of(format_)
    )


_NUMBER = {
    "Y": (r"(\d{1,4})", "year"),
    "E4Y": (r"(\d{4})", "year"),
    "m": (r"\s*(\d{1,2})", "month"),
    "d": (r"\s*(\d{1,2})", "day"),
    "e": (r"\s*(\d{1,2})", "day"),
    "H": (r"\s*(\d{1,2})", "hour"),
    "k": (r"\s*(\d{1,2})", "hour"),
    "I": (r"\s*(\d{1,2})", "hour12"),
    "l": (r"\s*(\d{1,2})", "hour12"),
    "M": (r"\s*(\d{1,2})", "minute"),
    "S": (r"\s*(\d{1,2})", "second"),
    "y": (r"(\d{2})", "year2"),
    "j": (r"(\d{1,3})", "yearday"),
    "s": (r"(-?\d{1,12})", "epoch"),
}
_COMPOSED = {
    "F": "%Y-%m-%d",
    "D": "%m/%d/%y",
    "x": "%m/%d/%y",
    "T": "%H:%M:%S",
    "X": "%H:%M:%S",
    "R": "%H:%M",
}
_READ = {
    *_NUMBER, *_COMPOSED, "B", "b", "h", "A", "a", "p", "P", "z", "Ez", "E*S",
    "E1S", "E2S", "E3S", "E4S", "E5S", "E6S", "n", "t", "%",
}  # fmt: skip


def _pattern(format_: str) -> tuple[str, list[str]]:
    pattern = ""
    names: list[str] = []
    for element, written in elements_of(format_):
        if element is None:
            pattern += r"\s*" if written.isspace() else re.escape(written)
        elif element in _COMPOSED:
            inner, inner_names = _pattern(_COMPOSED[element])
            pattern, names = pattern + inner, names + inner_names
        else:
            part, name = _read_part(element)
            pattern += part
            names += [name] if name else []
    return pattern, names


def _read_part(element: str) -> tuple[str, str]:
    if element in _NUMBER:
        return _NUMBER[element]
    if element in ("B", "b", "h"):
        return r"([A-Za-z]+)", "monthname"
    if element in ("A", "a"):
        return r"([A-Za-z]+)", "dayname"
    if element in ("p", "P"):
        return r"([AaPp][Mm])", "half"
    if element in ("z", "Ez"):
        return r"([Zz]|[+-]\d{1,2}:?(?:\d{2})?)", "offset"
    if element.endswith("S"):
        return r"(\d{1,2}(?:\.\d{1,6}\d*)?)", "fraction"
    return (r"\s*", "") if element in ("n", "t") else ("%", "")


def read(format_: str, text: str) -> int:
    """Returns a text in a format as microseconds since 1970. Raises ValueError."""
    pattern, names = _pattern(format_)
    match = re.fullmatch(rf"\s*{pattern}\s*", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not written as {format_!r} says.")
    return _micros(dict(zip(names, match.groups(), strict=True)), text)


def _micros(found: dict[str, str], text: str) -> int:
    if "epoch" in found:
        return int(found["epoch"]) * 1_000_000
    seconds, _, fraction = found.get("fraction", found.get("second", "0")).partition(".")
    at = datetime.datetime(_year(found), _month(found, text), int(found.get("day", 1)))
    if "yearday" in found and "month" not in found:
        at = datetime.datetime(_year(found), 1, 1) + datetime.timedelta(days=int(found["yearday"]) - 1)
    clock = datetime.time(
        _hour(found), int(found.get("minute", 0)), int(seconds), int(fraction[:6].ljust(6, "0") or 0)
    )
    moment = datetime.datetime.combine(at.date(), clock)
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds - _offset(found) * 1_000_000


def _year(found: dict[str, str]) -> int:
    if "year2" in found:
        year = int(found["year2"])
        return year + (1900 if year >= 69 else 2000)
    return int(found.get("year", 1970))


def _month(found: dict[str, str], text: str) -> int:
    name = found.get("monthname")
    if name is None:
        return int(found.get("month", 1))
    for index, month in enumerate(_MONTHS, 1):
        if name.lower() in (month.lower(), month[:3].lower()):
            return index
    raise ValueError(f"{text!r} names no month.")


def _hour(found: dict[str, str]) -> int:
    if "hour12" in found:
        hour = int(found["hour12"])
        if not 1 <= hour <= 12:
            raise ValueError(f"{hour} is no hour of twelve.")
        return hour % 12 + (12 if found.get("half", "am").lower() == "pm" else 0)
    return int(found.get("hour", 0))


def _offset(found: dict[str, str]) -> int:
    text = found.get("offset", "Z")
    if text in "Zz":
        return 0
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    return (hours * 60 + minutes) * (-60 if text[0] == "-" else 60)
