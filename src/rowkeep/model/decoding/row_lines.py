"""Bodies of lines (NDJSON): each line is exactly one row.

A line that is blank is no row and counts for none; a line may end in CRLF, the last one in nothing. A byte
order mark before a line is passed over: files have one at their start, joined files have more.

Lines are split at line feeds alone: a string in JSON holds none, and where one stands between tokens it makes
two lines of which neither is a row. What a line holds is left to the decoders, which take each line by
itself. Lines may be joined only after that: `{"a":1},{"a":2}` is no row, and would become two.
"""

import re
from collections.abc import Iterator, Sequence

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MARK_START = BYTE_ORDER_MARK[:1]
_BLANK = b" \t\r"
_find_line_end = re.compile(b"\n").search


def split_lines(body: bytes) -> list[bytes]:
    """Returns the lines that are not blank, without their line feeds."""
    if _MARK_START in body and BYTE_ORDER_MARK in body:  # looking for one byte takes hardly any time
        body = body.removeprefix(BYTE_ORDER_MARK).replace(b"\n" + BYTE_ORDER_MARK, b"\n")
    return [line for line in body.split(b"\n") if line.strip(_BLANK)]


def rows_body(lines: Sequence[bytes]) -> bytes:
    """Returns a request body of one line, made of lines that are each known to be one row."""
    return b'{"rows":[' + b",".join(lines) + b"]}"


def line_slices(body: memoryview, bytes_min: int, rows_max: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yields the lines of a large body, up to `rows_max` at a time, with the index of the slice's first row.

    At most about `bytes_min` bytes, and the line that crosses that bound, are held at a time.
    """
    start = row = 0
    while start < len(body):
        line_end = _find_line_end(body, min(start + bytes_min, len(body)))
        end = len(body) if line_end is None else line_end.end()
        lines = split_lines(bytes(body[start:end]))
        for first in range(0, len(lines), rows_max):
            yield row + first, lines[first : first + rows_max]
        row += len(lines)
        start = end
