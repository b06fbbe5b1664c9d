"""Checks the parts of a workbook before its cells are read.

An xlsx file is a ZIP archive of XML. What reads it holds a whole sheet as a rectangle from its first to its
last used cell, so one cell far away makes a file of 5 KB take 500 GB. Here every part is inflated once,
within bounds and with its checksum, and the places of all cells are found: a rectangle that is too large or
far emptier than a table is refused. Error cells (`#N/A`) are counted on the way, as they are null later.
"""

import re
import zipfile
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from rowkeep.formats.files.table import ARCHIVE_ERRORS, Source, unreadable

_BLOCK_BYTES = 1024 * 1024
_OVERLAP_BYTES = 64
_INFLATED_BYTES_FREE = 256 * 1024 * 1024
_INFLATED_RATIO_MAX = 200
_INFLATED_BYTES_MAX = 4 * 1024 * 1024 * 1024
_PARTS_MAX = 10_000
# Of the rectangle around the used cells of a sheet; 32 bytes each in memory.
CELLS_MAX = 24_000_000
_CELLS_FREE = 2_000_000
_EMPTY_SHARE_MAX = 20
_WORKBOOK = "xl/workbook.xml"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_unusual_reference = re.compile(rb"""\sr\s*=\s*'|\sr\s+=|\sr=\s""").search
_ERROR = b't="e"'
_LETTERS_MAX = 3
_DIGITS_MAX = 8


class Extent(msgspec.Struct):
    """The used rows and columns of a sheet, the number of its cells, and that of its errors.

    `is_unusual` says that places may be written as nobody writes them, so that they were not found.
    """

    row_count: int = 0
    column_count: int = 0
    cell_count: int = 0
    error_count: int = 0
    is_unusual: bool = False

    def check(self, source: Source, name: str) -> None:
        """Raises invalid_request_error for a sheet that is no table, or too large for memory."""
        rectangle = self.row_count * self.column_count
        sparse = rectangle > _CELLS_FREE and rectangle > _EMPTY_SHARE_MAX * self.cell_count
        if sparse or rectangle > CELLS_MAX:
            raise unreadable(
                source,
                f"its sheet {name!r} goes to row {self.row_count} and column {self.column_count} "
                f"({self.cell_count} cells of {rectangle}); at most {CELLS_MAX} can be read. "
                "Delete what lies far from the table, or save it as CSV.",
            )


def checked_parts(source: Source) -> dict[str, Extent]:
    """Returns the extent of each part by name. That of a part that is not a sheet is empty.

    Raises invalid_request_error.
    """
    try:
        with zipfile.ZipFile(source.path) as archive:
            return _extents(source, archive)
    except ARCHIVE_ERRORS as error:
        reason = str(error)
        if "encrypted" in reason or "password" in reason:
            raise unreadable(source, "it is encrypted. Send it without a password.") from error
        raise unreadable(source, f"its archive is damaged or not whole ({reason}).") from error


def is_encrypted(source: Source) -> bool:
    """Returns whether an older Office file holds an encrypted workbook."""
    with source.path.open("rb") as file:
        return any(_ENCRYPTED in block for block in iter(lambda: file.read(_BLOCK_BYTES), b""))


def _extents(source: Source, archive: zipfile.ZipFile) -> dict[str, Extent]:
    parts = archive.infolist()
    if len(parts) > _PARTS_MAX:
        raise unreadable(source, f"its archive has {len(parts)} parts, more than a workbook.")
    if _WORKBOOK not in archive.namelist():
        raise unreadable(source, "it is a ZIP archive, and no xlsx workbook in it. Send what is in it.")
    usual = min(_INFLATED_BYTES_MAX, _INFLATED_RATIO_MAX * source.path.stat().st_size)
    # A part never inflates to more than its entry says: zipfile stops there.
    if sum(part.file_size for part in parts) > max(_INFLATED_BYTES_FREE, usual):
        raise unreadable(source, "it inflates to far more than a workbook. Save it as CSV.")
    extents: dict[str, Extent] = {}
    for part in parts:
        extent = Extent()
        with archive.open(part) as content:
            for block in _overlapping(content):
                _take(extent, block)
                if b"<!DOCTYPE" in block or b"<!ENTITY" in block:
                    raise unreadable(source, f"its part {part.filename} declares XML entities.")
        if extent.is_unusual:
            raise unreadable(source, f"its part {part.filename} is written in an unknown way. Save it again.")
        extents[part.filename] = extent
    return extents


def _overlapping(content: Any) -> Iterator[bytes]:
    """Yields the bytes of a part in blocks. Each begins with the end of the one before it."""
    rest = b""
    while block := content.read(_BLOCK_BYTES):
        yield rest + block
        rest = block[-_OVERLAP_BYTES:]


def _take(extent: Extent, block: bytes) -> None:
    extent.error_count += block.count(_ERROR, _OVERLAP_BYTES - len(_ERROR) + 1)
    rows, columns, cells = _furthest(block)
    extent.row_count = max(extent.row_count, rows)
    extent.column_count = max(extent.column_count, columns)
    extent.cell_count += cells
    if block.count(b"<c ") > cells and _unusual_reference(block):
        extent.is_unusual = True


def _furthest(block: bytes) -> tuple[int, int, int]:
    """Returns the highest row and column of all references `r="AB12"` in a block, and their number."""
    data = np.frombuffer(block + b" " * 16, dtype=np.uint8)
    quotes = np.flatnonzero(data[3:-16] == ord('"')) + 3
    starts = (
        quotes[
            (data[quotes - 1] == ord("=")) & (data[quotes - 2] == ord("r")) & (data[quotes - 3] <= ord(" "))
        ]
        + 1
    )
    columns = np.zeros(len(starts), dtype=np.int64)
    rows = np.zeros(len(starts), dtype=np.int64)
    in_letters = np.ones(len(starts), dtype=bool)
    in_digits = np.ones(len(starts), dtype=bool)
    for offset in range(_LETTERS_MAX + _DIGITS_MAX):
        byte = data[np.minimum(starts + offset, len(data) - 1)].astype(np.int64)
        letter = byte & 0xDF
        is_letter = in_letters & (letter >= ord("A")) & (letter <= ord("Z"))
        is_digit = in_digits & (byte >= ord("0")) & (byte <= ord("9"))
        columns = np.where(is_letter, columns * 26 + letter - ord("A") + 1, columns)
        rows = np.where(is_digit, rows * 10 + byte - ord("0"), rows)
        in_letters = is_letter
        in_digits = is_letter | is_digit
        if not in_digits.any():
            break
    cells = columns > 0
    return int(rows.max(initial=0)), int(columns.max(initial=0)), int(cells.sum())
