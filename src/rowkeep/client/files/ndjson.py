"""NDJSON: a JSON object a line.

Theory
------
Lines go into the request as they are: no row is decoded and encoded again. Then a line must not be able to
change what its request means: `{"a":1},{"a":2}` is two rows in an array, half an object joins with
the next half. A chunk is joined as a whole only when three things hold, which together mean that each line is
one object: every line feed stands between `}` and `{` (within an object none can, there a comma or a colon
would have to be); the chunk decodes as objects one after the other (so there is no comma or bracket between
them); and these are as many as there are lines. Any other chunk is looked at line by line: blank lines, line
ends of Windows, lines that are not one object and are refused here.
"""

import re

import msgspec

from rowkeep.client.batches import Batch, frame, frame_joined
from rowkeep.client.errors import Reason, RefusedRow
from rowkeep.client.files.chunks import Piece
from rowkeep.client.files.taps import Tap

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _AnyObject(msgspec.Struct):
    """Decodes from every JSON object and from nothing else."""


class NdjsonForm:
    """Converts lines to batches."""

    def start(self, tap: Tap) -> tuple[int, int]:
        """Returns where the lines begin, behind a byte order mark if there is one."""
        is_marked = tap.read(0, len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK
        return (len(BYTE_ORDER_MARK) if is_marked else 0), 0

    def cut(self, data: bytes, base: int, bytes_max: int, *, is_last: bool) -> "NdjsonPiece | None":
        """Returns the lines that end within `bytes_max`, or the first one. None while that has no end."""
        del base
        if is_last and len(data) <= bytes_max:
            return NdjsonPiece(data, is_full=False, is_certain=False) if data else None
        end = data.rfind(b"\n", 0, bytes_max) + 1 or data.find(b"\n") + 1
        if not end and is_last:
            return NdjsonPiece(data, is_full=False, is_certain=False)
        return NdjsonPiece(data[:end], is_full=len(data) > bytes_max, is_certain=True) if end else None


class NdjsonPiece(Piece):
    """Some lines of a file."""

    def batch(self, key: str, lines_before: int) -> tuple[Batch, int]:
        """Returns the lines as rows, numbered from 1."""
        return _joined(key, self.data, lines_before) or _line_by_line(key, self.data, lines_before)


def _joined(key: str, data: bytes, lines_before: int) -> tuple[Batch, int] | None:
    is_ended = data.endswith(b"\n")
    between = data.count(b"}\n{")
    if between != data.count(b"\n") - is_ended:
        return None
    line_count = between + 1
    try:
        row_count = len(_decoder.decode_lines(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if row_count != line_count:
        return None
    rows = memoryview(data.replace(b"\n", b","))
    return Batch(
        key, frame_joined(rows[: len(data) - is_ended]), range(lines_before + 1, lines_before + 1 + row_count)
    ), line_count


def _line_by_line(key: str, data: bytes, lines_before: int) -> tuple[Batch, int]:
    lines = data.removesuffix(b"\n").split(b"\n")
    numbers: list[int] = []
    rows: list[bytes] = []
    unfit: list[RefusedRow] = []
    for number, line in enumerate(lines, lines_before + 1):
        row = line.strip(b" \t\r")
        if not row:
            continue
        problem = _problem(row)
        if problem is None:
            numbers.append(number)
            rows.append(row)
        else:
            unfit.append(RefusedRow(number, (Reason(None, problem),), row))
    return Batch(key, frame(rows), numbers, tuple(unfit)), len(lines)


def _problem(row: bytes) -> str | None:
    try:
        _decoder.decode(row)
    except RecursionError:
        return "it is nested too deeply"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _defect(row) or f"it is not one JSON object: {error}"
    return None


def _defect(row: bytes) -> str | None:
    """Returns the common mistake in a value of a row, or None."""
    half = next((found for found in _escapes(row) if found["half"]), None)
    if half is not None:
        return (
            f"it holds half a surrogate pair ({half[0].decode()}) at byte {half.start()}, which is not a "
            "character; write both halves, or the character as UTF-8"
        )
    number = _no_number(_text.sub(b'""', row))
    if number is not None:
        return f"it holds {number[1].decode()}, and JSON has no such number; write null for a missing one"
    return None


# Escapes one after the other: neither a second backslash nor a second half is taken for a first.
_escapes = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
).finditer
_text = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
_no_number = re.compile(rb"[:,\[]\s*+(-?Infinity|NaN|nan)\b").search
_decoder = msgspec.json.Decoder(_AnyObject)
