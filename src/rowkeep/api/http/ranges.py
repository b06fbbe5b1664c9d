"""The range of a file's bytes that a request asks for. Source: RFC 9110, 14."""

import re

from rowkeep.model.errors import ErrorCode, RowkeepError

_one_range = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})").fullmatch


def asked_range(value: bytes | None, byte_count: int) -> tuple[int, int] | None:
    """Returns the first byte that is asked for and the one behind the last, or None for the whole file.

    Anything other than a single range of bytes means the whole file, as the standard allows. Raises
    range_not_satisfiable.
    """
    found = _one_range(value.strip()) if value is not None else None
    if found is None or found[1] == found[2] == b"":
        return None
    if found[1]:
        first, end = int(found[1]), min(int(found[2]) + 1, byte_count) if found[2] else byte_count
        if found[2] and int(found[2]) < first:
            return None
    else:
        first, end = max(0, byte_count - int(found[2])), byte_count
    if first >= end:
        raise RowkeepError(
            ErrorCode.RANGE_NOT_SATISFIABLE, f"The file has {byte_count} bytes; the range is behind its end."
        )
    return first, end
