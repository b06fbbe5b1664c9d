"""What does not fit in a JSON body, in words: the key, what it takes, and what it got."""

import re

_mismatch = re.compile(r"Expected `([^`]+)`, got `([^`]+)` - at `\$\.?([^`]+)`").fullmatch
_missing = re.compile(r"Object missing required field `([^`]+)`(?: - at `\$\.?([^`]+)`)?").fullmatch
_WORDS = {
    "array": "a list",
    "object": "an object",
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}
_VARIABLES = ' A schema is a list of variables, such as [{"name": "a", "type": "integer"}].'


def misfit_in_words(reason: str) -> str:
    """Returns a sentence for the decoder's reason; the reason itself where there are no better words."""
    mismatch = _mismatch(reason)
    if mismatch is not None:
        expected, got, place = mismatch.groups()
        return f"`{place}` takes {_kinds(expected)}, but got {_kinds(got)}.{_example(place)}"
    missing = _missing(reason)
    if missing is not None:
        name, place = missing.groups()
        return f"`{name}` is missing{f' in `{place}`' if place else ''}.{_example(place or '')}"
    return f"{reason}."


def _kinds(types: str) -> str:
    return " or ".join(_WORDS.get(type_, type_) for type_ in types.split(" | "))


def _example(place: str) -> str:
    return _VARIABLES if place.startswith("schema") else ""
