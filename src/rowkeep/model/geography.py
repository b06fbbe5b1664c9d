"""Whether a text is a geography: WKT in longitude and latitude. Source: contract 5.

Plain points, nearly all that a stream holds, cost one regular expression for a whole request;
everything else is read by GEOS.
"""

import re
from collections.abc import Sequence

import shapely

_NUMBER = r"-?\d++(?:\.\d++)?+"
_plain_points = re.compile(
    rf"POINT ?\({_NUMBER} {_NUMBER}\)(?:\nPOINT ?\({_NUMBER} {_NUMBER}\))*+", re.ASCII
).fullmatch
# GEOS reads nested collections by recursion on the C stack; no real geography nests this deep.
_NESTED_COLLECTIONS_MAX = 32


def geographies_are_valid(texts: Sequence[str | None]) -> bool:
    """Whether every text is WKT; nulls do not count."""
    present = [text for text in texts if text is not None]
    if not present or _plain_points("\n".join(present)) is not None:
        return True
    return all(is_geography(text) for text in present)


def is_geography(text: str) -> bool:
    """Whether one text is WKT that GEOS can read."""
    if "\x00" in text:  # GEOS reads C strings and would stop at the first NUL
        return False
    if text.upper().count("GEOMETRYCOLLECTION") > _NESTED_COLLECTIONS_MAX:
        return False
    try:
        shapely.from_wkt(text, on_invalid="raise")
    except shapely.errors.GEOSException:
        return False
    return True
