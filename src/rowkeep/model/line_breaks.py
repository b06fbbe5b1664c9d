"""Escapes the characters at which readers may break lines, in JSON that is sent line by line or as events.

A line feed is always escaped in JSON. U+2028, U+2029 and U+0085 need not be, but Python's `splitlines` and
others break lines at them too, and would tear a row apart. They stand in strings alone, so escaping them
changes nothing that a reader of JSON sees.
"""

_ESCAPES = {
    "\u2028".encode(): rb"\u2028",
    "\u2029".encode(): rb"\u2029",
    "\u0085".encode(): rb"\u0085",
}


def with_escaped_breaks(json: bytes) -> bytes:
    """Returns the JSON with these characters escaped."""
    for character, escape in _ESCAPES.items():
        if character in json:
            json = json.replace(character, escape)
    return json
