"""JSON values as the lenient path sees them, and how an error message calls them."""

from typing import Any

SHOWN_CHARACTERS_MAX = 60

Cells = dict[str, Any]


class NumberText(str):
    """A JSON number with a fraction or an exponent, as it was sent."""

    __slots__ = ()


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
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {text_of(value)}"
    if isinstance(value, NumberText | int):
        return f"the number {_shortened(str(value))}"
    if isinstance(value, str):
        return f'the string "{_shortened(value)}"'
    return "an array" if isinstance(value, list) else "an object"


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "..."
