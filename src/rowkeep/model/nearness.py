"""Suggestions of similar names, and lists of known names, for messages.

Both are bounded: at most NAMES_LOOKED_AT names are compared, and SHOWN_MAX are listed.
"""

import difflib
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

NAMES_LOOKED_AT = 500
SHOWN_MAX = 10
SHOWN_CHARACTERS_MAX = 60
_LIKENESS_MIN = 0.65
_CACHED_MAX = 256


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that is most like another, or None when none is similar."""
    return _nearest(name, tuple(islice(known, NAMES_LOOKED_AT)))


@lru_cache(_CACHED_MAX)  # a request may have the same misspelt name in each of its rows
def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    by_core = {_core(other): other for other in reversed(known)}
    found = difflib.get_close_matches(_core(name), by_core, 1, _LIKENESS_MIN)
    return by_core[found[0]] if found else None


def _core(name: str) -> str:
    """Returns a name without case, spaces and signs between words."""
    letters = "".join(letter for letter in name[:SHOWN_CHARACTERS_MAX].lower() if letter not in "_- .")
    return letters or name[:SHOWN_CHARACTERS_MAX]


def suggestion(name: str, known: Iterable[str]) -> str:
    """Returns a sentence, with a space before it, that suggests the nearest name.

    Empty when none is similar.
    """
    meant = nearest(name, known)
    return "" if meant is None else f" Did you mean {shortened(meant)}?"


def listing(known: Iterable[str]) -> str:
    """Returns the first names, separated by commas."""
    names = list(islice(known, SHOWN_MAX + 1))
    more = ", ..." if len(names) > SHOWN_MAX else ""
    return ", ".join(shortened(name) for name in names[:SHOWN_MAX]) + more


def shortened(name: str) -> str:
    """Returns a name as messages show it."""
    return name if len(name) <= SHOWN_CHARACTERS_MAX else f"{name[: SHOWN_CHARACTERS_MAX - 3]}..."
