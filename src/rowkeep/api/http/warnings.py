"""Warnings about ignored parts of a request that succeeded, in the header that clients print.

A query parameter or a property of the body that means nothing is ignored (contract 7.20, 7.35), and the
caller is told: a reader who sends `?limit=2` would else take the whole table for the first two rows.
"""

from collections.abc import Collection, Iterable, Sequence
from urllib.parse import quote

from rowkeep.api.http.wire import Headers

WARNING_HEADER = b"x-redivis-warning"
SHOWN_NAMES_MAX = 5
SHOWN_CHARACTERS_MAX = 60


def warn(headers: Headers, texts: Iterable[str]) -> None:
    """Adds warnings to the header of an answer that has them all: a client reads one header."""
    said = [value.decode("latin-1") for name, value in headers if name == WARNING_HEADER]
    said += texts
    if said:
        headers[:] = [header for header in headers if header[0] != WARNING_HEADER]
        headers.append((WARNING_HEADER, " ".join(said).encode("ascii", "backslashreplace")))


def ignored_parameters(names: Sequence[str], taken: Collection[str]) -> str:
    """Returns the warning about ignored query parameters, with the names of the known ones."""
    are = "parameters mean" if len(names) > 1 else "parameter means"
    takes = f"This request takes {', '.join(sorted(taken))}." if taken else "This request takes none."
    return f"The query {are} nothing here and {_were(names)} ignored: {_shown(names)}. {takes}"


def ignored_properties(names: Sequence[str], taken: Collection[str], *, is_idle: bool) -> str:
    """Returns the warning about ignored properties of a body. `is_idle`: the body had no others."""
    are = "properties" if len(names) > 1 else "property"
    mean = "mean" if len(names) > 1 else "means"
    nothing = " Nothing was changed." if is_idle else ""
    return (
        f"The {are} {_shown(names)} of the body {mean} nothing here and {_were(names)} ignored.{nothing} "
        f"This request takes {', '.join(taken)}."
    )


def _were(names: Sequence[str]) -> str:
    return "were" if len(names) > 1 else "was"


def _shown(names: Sequence[str]) -> str:
    shown = [quote(name[:SHOWN_CHARACTERS_MAX], safe=" -._~[]") for name in names[:SHOWN_NAMES_MAX]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
