"""Finds a key that stands twice in the part of a request body around its rows.

Theory
------
JSON leaves open which of two equal keys counts, and decoders take the last one. In a row that is the rule
(contract 7.3). Beside the rows it would lose a whole list of rows, or a flag such as `validateOnly`, and
nobody would be told. So such a body is refused.

Every body is looked at, so that has to cost nothing where all is well. A row holds no list: in nearly every
body the first `]` is the last one, there is one list, and only the few bytes around it need reading. Where a
text holds a `]` too, a second list is told by what follows the first: a comma and a key. Only where that may
be so is the body read from one end to the other.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from rowkeep.model.decoding.frame import FrameBroken, Text, keys_of
from rowkeep.model.errors import RowkeepError, invalid_request

ROWS = "rows"
ENVELOPE_BYTES_MAX = 4096
_USUAL_STARTS = (b'{"rows":[', b'{"rows": [')
_PART_BYTES = 1024 * 1024
_key_after_list = re.compile(rb'\][ \t\r\n]*+,[ \t\r\n]*+"').search


def doubled_key(body: Text) -> str | None:
    """Returns the first key that stands twice, or None. The body must be a JSON object with a list."""
    if type(body) is bytes and body.find(b"]") == len(body) - 2 and body.startswith(_USUAL_STARTS):
        return None  # it ends in `]}`, or it would be no object
    envelope = _envelope(body)
    if envelope is not None and _is_sound(envelope):
        return None
    return first_doubled(keys_of(body))


def first_doubled(keys: Sequence[str]) -> str | None:
    """Returns the first key that repeats an earlier one, or None."""
    known: set[str] = set()
    for key in keys:
        if key in known:
            return key
        known.add(key)
    return None


def doubled(key: str) -> RowkeepError:
    """Returns the error for a body in which a key stands twice."""
    return invalid_request(
        f"The body has the key `{key[:60]}` twice, and only one of them could count. Nothing was done; "
        "send it once."
    )


def _envelope(body: Text) -> bytes | None:
    """Returns a body without the content of its list.

    Returns None when it may have more than one list, or much around the list.
    """
    start, first_end, last_end = _brackets(body)
    if start < 0 or start + len(body) - last_end > ENVELOPE_BYTES_MAX:
        return None
    if first_end < last_end and _key_after_list(body, 0, last_end) is not None:
        return None
    return bytes(body[: start + 1]) + bytes(body[last_end:])


def _brackets(body: Text) -> tuple[int, int, int]:
    """Returns the places of the first `[`, the first `]` and the last `]`.

    A place is -1 when there is no such bracket, or only far away.
    """
    if isinstance(body, bytes):
        return body.find(b"["), body.find(b"]"), body.rfind(b"]")
    last = bytes(body[-ENVELOPE_BYTES_MAX:])
    last_end = len(body) - len(last) + last.rfind(b"]") if b"]" in last else -1
    return bytes(body[:ENVELOPE_BYTES_MAX]).find(b"["), _first_end(body), last_end


def _first_end(body: memoryview) -> int:
    for start in range(0, len(body), _PART_BYTES):
        found = bytes(body[start : start + _PART_BYTES]).find(b"]")
        if found >= 0:
            return start + found
    return -1


@lru_cache(maxsize=256)
def _is_sound(envelope: bytes) -> bool:
    """Returns whether each key around the rows stands there once.

    The envelope may have been cut at a bracket within a text. Then this returns False too.
    """
    try:
        keys = keys_of(envelope)
    except FrameBroken:
        return False
    return ROWS in keys and first_doubled(keys) is None
