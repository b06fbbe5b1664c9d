"""JSON values as the lenient path sees them, and how an error message calls them."""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from rowkeep.model.types import INTEGER_MAX, INTEGER_MIN

SHOWN_CHARACTERS_MAX = 60

Cells = dict[str, Any]

_encode = msgspec.json.Encoder().encode


class NumberText(str):
    """A JSON number with a fraction, an exponent or more digits than Python reads, as it was sent."""

    __slots__ = ()


def exact_integer(value: object) -> int | None:
    """The integer that a JSON number is exactly, or None when it has a fraction or leaves int64."""
    if isinstance(value, bool):
        return None
    if isinstance(value, NumberText):
        return _integral(value)
    return value if isinstance(value, int) and INTEGER_MIN <= value <= INTEGER_MAX else None


def _integral(text: NumberText) -> int | None:
    try:
        number = Decimal(text)
    except InvalidOperation:  # the exponent is beyond what a Decimal holds
        return None
    if not -1_000 <= number.adjusted() <= 18:  # before int() would write out all its zeros
        return 0 if number.is_zero() else None
    integer = int(number)
    return integer if integer == number and INTEGER_MIN <= integer <= INTEGER_MAX else None


def text_of(value: object) -> object:
    """A number or boolean as the text it was sent as; anything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, NumberText):
        return str(value)
    if isinstance(value, int):
        return str(value)
    return value


def describe(value: object) -> str:
    """The JSON type of a value and a short look at it."""
    if type(value) is str:  # the most common by far
        return f"the string {shown_name(value)}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {text_of(value)}"
    if isinstance(value, NumberText | int):
        return f"the number {_shortened(str(value))}"
    return "an array" if isinstance(value, list) else "an object"


def shown_name(name: str) -> str:
    """A key as a message shows it: quoted, and cut where no variable's name goes on."""
    return _encode(_shortened(name)).decode()


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "..."
