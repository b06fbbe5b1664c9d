"""JSON values as the lenient path reads them, and their names in error messages."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from rowkeep.model.types import INTEGER_MAX, INTEGER_MIN, integer_fits_double

SHOWN_CHARACTERS_MAX = 60
# Digits of the largest double; whatever has more is beyond it.
_DOUBLE_DIGITS_MAX = 309

Cells = dict[str, Any]

_encode = msgspec.json.Encoder().encode
_written_integer = re.compile(r"(-?)0*(\d+?)(?:\.0+)?").fullmatch
_has_minus_zero = re.compile(rb"[:\[,\s]-0[\s,}\]]").search


class NumberText(str):
    """A JSON number with a fraction, an exponent or more digits than Python reads, as it was sent.

    `-0` is one too, because Python's integers have no such value.
    """

    __slots__ = ()


def decode_cells(row: bytes | memoryview | msgspec.Raw) -> Cells:
    """Returns the cells of a row, with all digits of its numbers. Raises what msgspec raises."""
    cells = _cells_decoder.decode(row)
    if 0 in cells.values() and _has_minus_zero(bytes(row)):
        texts = _raw_cells_decoder.decode(row)
        return {name: _with_sign(value, texts[name]) for name, value in cells.items()}
    return cells


def decode_value(value: bytes) -> Any:
    """Returns one value of a row, with all digits of its numbers."""
    try:
        return _with_sign(_value_decoder.decode(value), value)
    except msgspec.DecodeError:
        if _is_number(value):  # of more digits than Python makes an int of
            return NumberText(value.decode())
        raise


def _with_sign(value: Any, text: bytes | msgspec.Raw) -> Any:
    return NumberText("-0") if type(value) is int and value == 0 and bytes(text) == b"-0" else value


def exact_integer(value: object) -> int | None:
    """Returns the integer that equals a JSON number, or None when it has a fraction or leaves int64."""
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


def fits_double(number: int | NumberText) -> bool:
    """Returns whether a double holds a number as it was written.

    Only integers can fail, spelled such as `5` or `5.0`. A number with a fraction or an exponent may be
    rounded to the nearest double, as everywhere.
    """
    if isinstance(number, int):
        return integer_fits_double(number)
    written = _written_integer(number)
    if written is None:
        return True
    return len(written[2]) <= _DOUBLE_DIGITS_MAX and integer_fits_double(int(written[1] + written[2]))


def vanishes(text: str, number: float) -> bool:
    """Returns whether a number other than zero was written so small that its double is zero."""
    return number == 0 and _has_digit_before_exponent(text) is not None


def may_vanish(text: bytes) -> bool:
    """Returns whether a JSON text may hold such a number, or a text that looks like one.

    Such a number has three digits in its exponent, or very many zeros: the smallest double is 5e-324. Only a
    text that may hold one is searched number by number.
    """
    is_suspect = (
        _small_exponent(text) is not None
        or (b"E" in text and _small_capital_exponent(text) is not None)
        or _MANY_ZEROS in text
    )
    return is_suspect and any(
        vanishes(number.decode(), float(number))
        for number in _numbers(text)
        if b"-" in number or len(number) > len(_MANY_ZEROS)
    )


def text_of(value: object) -> object:
    """Returns a number or boolean as the text that was sent. Anything else is returned as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, NumberText):
        return str(value)
    if isinstance(value, int):
        return str(value)
    return value


def describe(value: object) -> str:
    """Returns the JSON type of a value with a short excerpt."""
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
    """Returns a key as messages show it: quoted, and cut at the length of the longest variable name."""
    return _encode(_shortened(name)).decode()


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "..."


# Each begins with what is looked for; looking for either letter at once takes twelve times as long.
_small_exponent = re.compile(rb"e-(?<=[0-9]e-)0*+[1-9][0-9]{2}").search
_small_capital_exponent = re.compile(rb"E-(?<=[0-9]E-)0*+[1-9][0-9]{2}").search
_numbers = re.compile(rb"[0-9]++(?:\.[0-9]++)?(?:[eE]-[0-9]++)?").findall
_MANY_ZEROS = b"0" * 200
_has_digit_before_exponent = re.compile(r"[^eE]*[1-9]").match
_is_number = re.compile(rb"-?(?:0|[1-9]\d*+)").fullmatch
_cells_decoder = msgspec.json.Decoder(Cells, float_hook=NumberText)
_raw_cells_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_value_decoder = msgspec.json.Decoder(Any, float_hook=NumberText)
