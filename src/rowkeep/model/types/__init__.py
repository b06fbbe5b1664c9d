"""The eight variable types. What each of them is, everywhere, is one record in `records.py`.

`text.py` reads dates and times. Source: contract 5 and 7.4-7.8.
"""

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


def integer_fits_double(value: int) -> bool:
    """Returns whether a double holds this integer exactly, so that integer may widen to float."""
    try:
        return float(value) == value
    except OverflowError:
        return False
