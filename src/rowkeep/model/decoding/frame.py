"""Finds where rows and values begin and end in a text that holds values which are not JSON.

Theory
------
A decoder stops at the first thing that it cannot read, so one `NaN` hides all rows behind it. But where a
value ends can be told without reading it: a string at its quote, an object or array at its bracket, anything
else at the next comma, bracket or white space. So a body is cut into rows and a row into values here, and
each value is decoded by itself: what is wrong with it is an error of its row, named like any other.

What cannot be cut is broken as a whole: a missing quote, comma, colon or bracket, or text behind the end.
Used only after the decoder has refused a text. It takes time in proportion to the text and no recursion.
"""

import re
from collections.abc import Callable, Iterator

import msgspec

Text = bytes | memoryview

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_PLAIN = rb'[^"\[\]{}]*+'
_space = re.compile(rb"[ \t\r\n]*+").match
_string = re.compile(_STRING, re.DOTALL).match
_bare = re.compile(rb'[^ \t\r\n,:"\[\]{}]++').match
# Up to the next bracket that is in no string.
_to_bracket = re.compile(_PLAIN + rb"(?:" + _STRING + _PLAIN + rb")*+", re.DOTALL).match
_flat_object = re.compile(rb"\{" + _PLAIN + rb"(?:" + _STRING + _PLAIN + rb")*+\}", re.DOTALL).match
_UNLISTED = rb'[^"\[\]]*+'
_flat_list = re.compile(rb"\[" + _UNLISTED + rb"(?:" + _STRING + _UNLISTED + rb")*+\]", re.DOTALL).match

_QUOTE, _COMMA, _COLON = b'",:'
_OBJECT, _ARRAY = b"{["
_CLOSERS = {ord("{"): ord("}"), ord("["): ord("]")}


class FrameBroken(Exception):
    """The text cannot be cut into values."""


def split_body(body: Text) -> tuple[bytes, list[msgspec.Raw]]:
    """Returns the body with an empty list for its rows, and the rows. Raises FrameBroken."""
    members, end = _object(body, _after_space(body, 0))
    if _after_space(body, end) != len(body):
        raise FrameBroken
    rows: list[msgspec.Raw] = []
    frame: list[bytes] = []
    for key, value in members:
        is_list = body[value.start] == _ARRAY and _is_rows(bytes(body[key]))
        if is_list:
            rows = [msgspec.Raw(body[part]) for part in _elements(body, value.start)]
        frame.append(b"%b:%b" % (bytes(body[key]), b"[]" if is_list else bytes(body[value])))
    return b"{" + b",".join(frame) + b"}", rows


def keys_of(text: Text) -> list[str]:
    """Returns the keys of a JSON object in their order. Raises FrameBroken."""
    members, _ = _object(text, _after_space(text, 0), _known_value_end)
    try:
        return [msgspec.json.decode(bytes(text[key]), type=str) for key, _ in members]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameBroken from error


def split_row(row: Text) -> list[tuple[bytes, bytes]]:
    """Returns the keys and values of a row. Each should be JSON, but may be faulty. Raises FrameBroken."""
    members, end = _object(row, _after_space(row, 0))
    if _after_space(row, end) != len(row):
        raise FrameBroken
    return [(bytes(row[key]), bytes(row[value])) for key, value in members]


def _is_rows(key: bytes) -> bool:
    try:
        return bool(msgspec.json.decode(key) == "rows")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _object(
    text: Text, start: int, value_end_at: "Callable[[Text, int], int] | None" = None
) -> tuple[list[tuple[slice, slice]], int]:
    """Returns the places of the keys and values of an object, and where it ends."""
    end_at = value_end_at or _value_end
    members: list[tuple[slice, slice]] = []

    def member(position: int) -> int:
        key_end = _end(_string, text, position)
        colon = _after_space(text, key_end)
        if _at(text, colon) != _COLON:
            raise FrameBroken
        value = _after_space(text, colon + 1)
        value_end = end_at(text, value)
        members.append((slice(position, key_end), slice(value, value_end)))
        return value_end

    return members, _list_end(text, start, _OBJECT, member)


def _elements(text: Text, start: int) -> Iterator[slice]:
    """Yields the places of the elements of an array."""
    elements: list[slice] = []

    def element(position: int) -> int:
        end = _value_end(text, position)
        elements.append(slice(position, end))
        return end

    _list_end(text, start, _ARRAY, element)
    return iter(elements)


def _list_end(text: Text, start: int, opener: int, item_end: Callable[[int], int]) -> int:
    """Returns the end of a list of items with commas between them, behind its closing bracket."""
    closer = _CLOSERS[opener]
    if _at(text, start) != opener:
        raise FrameBroken
    position = _after_space(text, start + 1)
    if _at(text, position) == closer:
        return position + 1
    while True:
        position = _after_space(text, item_end(position))
        found = _at(text, position)
        if found == closer:
            return position + 1
        if found != _COMMA:
            raise FrameBroken
        position = _after_space(text, position + 1)


def _value_end(text: Text, start: int) -> int:
    first = _at(text, start)
    if first == _QUOTE:
        return _end(_string, text, start)
    if first in _CLOSERS:
        return _nested_end(text, start)
    return _end(_bare, text, start)


def _known_value_end(text: Text, start: int) -> int:
    """Returns the end of a value that is known to be JSON.

    The end of a list that holds no lists, such as that of the rows, is found by one search.
    """
    flat = _flat_list(text, start)
    return _value_end(text, start) if flat is None else flat.end()


def _nested_end(text: Text, start: int) -> int:
    """Returns the end of an object or array, however deep it nests."""
    flat = _flat_object(text, start)
    if flat is not None:
        return flat.end()
    expected = bytearray()
    position = start
    while True:
        position = _end(_to_bracket, text, position)
        bracket = _at(text, position)
        position += 1
        if bracket in _CLOSERS:
            expected.append(_CLOSERS[bracket])
        elif not expected or expected.pop() != bracket:
            raise FrameBroken
        elif not expected:
            return position


def _at(text: Text, position: int) -> int:
    return text[position] if position < len(text) else -1


def _after_space(text: Text, position: int) -> int:
    return _end(_space, text, position)


def _end(match: Callable[[Text, int], re.Match[bytes] | None], text: Text, position: int) -> int:
    found = match(text, position)
    if found is None:
        raise FrameBroken
    return found.end()
