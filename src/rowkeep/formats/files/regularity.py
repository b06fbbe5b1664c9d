"""Tells whether every quote of a delimited file stands where RFC 4180 has it.

Quotes are counted through the file: each that is even opens and each that is odd closes, a doubled quote
doing both. A file is regular if what opens stands behind a delimiter, a line's end or a quote, what closes
stands before one, and what was opened is closed at the end. A regular file has one reading. In any other (an
inch sign in an unquoted field is enough) records have to be taken one by one.
"""

from pathlib import Path
from typing import Any

import numpy as np

from rowkeep.formats.files.dialect import Dialect

_BLOCK_BYTES = 4 * 1024 * 1024


def is_regular(path: Path, start: int, dialect: Dialect) -> bool:
    """Returns whether a file is regular from a byte on, where a record begins."""
    if dialect.quote is None:
        return True
    quotes = _Quotes(dialect.quote, dialect.delimiter)
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(_BLOCK_BYTES):
            if not quotes.take(block):
                return False
    return quotes.end()


class _Quotes:
    """The quotes of a file, block by block. The last byte of a block waits for its neighbour."""

    def __init__(self, quote: str, delimiter: str) -> None:
        self._quote = quote.encode()
        around = np.zeros(256, dtype=bool)
        around[list(f"{delimiter}{quote}\r\n".encode())] = True
        self._may_stand_beside = around
        self._rest = b"\n"
        self._count = 0

    def take(self, block: bytes) -> bool:
        """Looks at one more block. Returns False when it has a quote that is out of place."""
        if self._quote not in block and self._rest[-1:] != self._quote:
            self._rest = block[-1:]
            return True
        data = self._rest + block
        self._rest = data[-2:]
        return self._are_in_place(np.frombuffer(data, dtype=np.uint8))

    def end(self) -> bool:
        """Returns whether the last byte is in place and every quote was closed."""
        last = np.frombuffer(self._rest + b"\n", dtype=np.uint8)
        return self._are_in_place(last) and self._count % 2 == 0

    def _are_in_place(self, data: "np.ndarray[Any, Any]") -> bool:
        """Looks at all bytes between the first and the last, which are only looked at as neighbours."""
        places = np.flatnonzero(data[1:-1] == self._quote[0]) + 1
        opening = places[self._count % 2 :: 2]
        closing = places[1 - self._count % 2 :: 2]
        self._count += len(places)
        return bool(
            self._may_stand_beside[data[opening - 1]].all()
            and self._may_stand_beside[data[closing + 1]].all()
        )
