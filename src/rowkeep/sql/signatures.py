"""The list of functions in functions.txt, and the choice of the line that a call means.

A line with a template is all there is to a function. A line without one only says in the documentation what
calls.py works out. A call is matched to the line whose types its arguments turn into with the fewest steps.
"""

import re
from functools import lru_cache
from importlib.resources import files

import msgspec

from rowkeep.sql.fragments import Fragment
from rowkeep.sql.types import SCALARS, SqlType, array_of, distance

_line_match = re.compile(r"([A-Z][A-Z0-9_.]*)\((.*?)\) -> (.+?)(?: := (.+))?").fullmatch
_types = {type_.name: type_ for type_ in SCALARS}
_ANY = SqlType("T")


class Signature(msgspec.Struct, frozen=True):
    """One line of the list. With `is_repeated` the last argument may come any number of times."""

    name: str
    arguments: tuple[SqlType, ...]
    result: SqlType
    template: str
    is_repeated: bool
    chapter: str


class ListedFunction(msgspec.Struct, frozen=True):
    """A line as the documentation shows it."""

    chapter: str
    name: str
    text: str


@lru_cache(maxsize=1)
def listed_functions() -> tuple[ListedFunction, ...]:
    """Returns every line of the list, in its order."""
    return tuple(function for function, _ in _lines())


@lru_cache(maxsize=1)
def signatures() -> dict[str, list[Signature]]:
    """Returns the lines with a template, by function."""
    found: dict[str, list[Signature]] = {}
    for function, signature in _lines():
        if signature is not None:
            found.setdefault(function.name, []).append(signature)
    return found


def _lines() -> list[tuple[ListedFunction, Signature | None]]:
    text = (files("rowkeep.sql") / "functions.txt").read_text(encoding="utf-8")
    lines: list[tuple[ListedFunction, Signature | None]] = []
    chapter = ""
    for line in text.splitlines():
        if line.startswith("## "):
            chapter = line[3:]
        elif line and not line.startswith("#"):
            lines.append(_line(line, chapter))
    return lines


def _line(line: str, chapter: str) -> tuple[ListedFunction, Signature | None]:
    match = _line_match(line)
    if match is None:
        raise ValueError(f"functions.txt has a line that is none: {line}")
    name, arguments, result, template = match.groups()
    listed = ListedFunction(chapter, name, f"{name}({arguments}) → {result}")
    if template is None:
        return listed, None
    parts = [part.strip() for part in arguments.split(",")] if arguments else []
    is_repeated = bool(parts) and parts[-1].endswith("...")
    types = tuple(_type(part.removesuffix("...")) for part in parts)
    return listed, Signature(name, types, _type(result), template, is_repeated, chapter)


def _type(text: str) -> SqlType:
    if text == "T":
        return _ANY
    if text.startswith("ARRAY<"):
        return array_of(_type(text[6:-1]))
    return _types[text]


def matching(
    found: list[Signature], arguments: list[Fragment]
) -> tuple[Signature, list[SqlType], SqlType] | None:
    """Returns the line that a call means, with the types of its arguments and its result, or None."""
    best: tuple[int, Signature, list[SqlType], SqlType] | None = None
    for signature in found:
        fit = _fit(signature, arguments)
        if fit is not None and (best is None or fit[0] < best[0]):
            best = (fit[0], signature, fit[1], fit[2])
    return None if best is None else best[1:]


def _fit(signature: Signature, arguments: list[Fragment]) -> tuple[int, list[SqlType], SqlType] | None:
    wanted = list(signature.arguments)
    if signature.is_repeated and len(arguments) >= len(wanted):
        wanted += [wanted[-1]] * (len(arguments) - len(wanted))
    if len(wanted) != len(arguments):
        return None
    variable = _variable_type(wanted, arguments)
    types = [_bound(type_, variable) for type_ in wanted]
    total = 0
    for argument, type_ in zip(arguments, types, strict=True):
        steps = distance(argument.type, type_, is_literal=argument.is_literal)
        if steps is None:
            return None
        total += steps
    return total, types, _bound(signature.result, variable)


def _variable_type(wanted: list[SqlType], arguments: list[Fragment]) -> SqlType:
    for type_, argument in zip(wanted, arguments, strict=True):
        if type_ == _ANY and argument.type.name != "NULL":
            return argument.type
        if (
            type_.element == _ANY
            and argument.type.element is not None
            and argument.type.element.name != "NULL"
        ):
            return argument.type.element
    return _types["INT64"]


def _bound(type_: SqlType, variable: SqlType) -> SqlType:
    if type_ == _ANY:
        return variable
    return array_of(variable) if type_.element == _ANY else type_
