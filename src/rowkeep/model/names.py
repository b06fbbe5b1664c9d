"""Repairs names from elsewhere so that variables can have them.

A name keeps its ASCII letters, digits and underscores. What else it has becomes one underscore; a letter
with an accent becomes the letter. A name that begins with a digit gets an underscore in front, one that
is reserved gets `_1` behind, one that has nothing left becomes `column`. It is cut after 60 characters.
Names of one file that are then equal ignoring case are numbered: `id`, `ID_1`, `id_2`.
Source: contract 4.6, 7.14.
"""

import re
from collections.abc import Iterable
from unicodedata import combining, normalize

from rowkeep.model.schema import RESERVED_NAMES, VARIABLE_NAME_CHARACTERS_MAX, name_problem

NAMELESS = "column"

_foreign = re.compile(r"[^A-Za-z0-9_]+", re.ASCII)


def repaired_name(name: str) -> str:
    """Returns a name that a variable can have. A name that is fine is returned as it is."""
    if name_problem(name) is None:
        return name
    letters = "".join(letter for letter in normalize("NFKD", name) if not combining(letter))
    repaired = _foreign.sub("_", letters).strip("_") or NAMELESS
    if repaired[0].isdigit():
        repaired = f"_{repaired}"
    if f"_{repaired}".lower() in RESERVED_NAMES:
        repaired = f"_{repaired}_1"
    return repaired[:VARIABLE_NAME_CHARACTERS_MAX]


def repaired_names(names: Iterable[str]) -> list[str]:
    """Returns the repaired names of one file, numbered where they would be equal ignoring case."""
    originals = list(names)
    # A name that needs no repair is not renamed because of one before it that does.
    taken = {name.lower() for name in originals if name_problem(name) is None}
    first_of = dict.fromkeys(taken, True)
    last_numbers: dict[str, int] = {}
    unique = []
    for original in originals:
        name = repaired_name(original)
        key = name.lower()
        is_kept = name == original and first_of.pop(key, False)
        if key in taken and not is_kept:
            name = _numbered(name, taken, last_numbers)
        taken.add(name.lower())
        unique.append(name)
    return unique


def _numbered(name: str, taken: set[str], last_numbers: dict[str, int]) -> str:
    number = last_numbers.get(name.lower(), 0)
    while True:
        number += 1
        candidate = f"{name[: VARIABLE_NAME_CHARACTERS_MAX - len(str(number)) - 1]}_{number}"
        if candidate.lower() not in taken:
            last_numbers[name.lower()] = number
            return candidate
