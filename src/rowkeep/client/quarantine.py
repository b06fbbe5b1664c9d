"""Where refused rows are kept: a JSON object a line, with the reasons and the row as it was to be sent.

    {"source": "…", "row": 7, "time": "…", "reasons": [{"variable": "count", "message": "…"}], "content": {…}}

A row is on the disk before its batch counts as settled. Who repeats a batch after a crash would write its
rows again: those that are there already, by source and row, are left out.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from rowkeep.client.errors import RefusedRow
from rowkeep.client.folders import sync_folder


class QuarantineFile:
    """Appends refused rows of one source. `first_row` is the first that may come again after a crash."""

    def __init__(self, path: Path, source: str, first_row: int = 0) -> None:
        self._source = source
        # Rows are nobody else's business, whatever the umask.
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+b")
        sync_folder(path.parent)  # else its rows could be durable, and it itself not
        self._kept: set[int] = set()
        self._read(first_row)

    def add(self, rows: Sequence[RefusedRow]) -> None:
        """Keeps rows, durably."""
        fresh = [row for row in rows if row.number not in self._kept]
        if not fresh:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._file.write(b"".join(msgspec.json.encode(self._line(row, now)) + b"\n" for row in fresh))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._kept.update(row.number for row in fresh)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _line(self, row: RefusedRow, now: str) -> dict[str, Any]:
        return {
            "source": self._source,
            "row": row.number,
            "time": now,
            "reasons": row.reasons,
            "content": _content(row.content),
        }

    def _read(self, first_row: int) -> None:
        """Notes what is there, and takes off a line that a crash cut short."""
        self._file.seek(0)
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                self._file.truncate(end)
                break
            end += len(line)
            entry = _entry_decoder.decode(line)
            if entry.source == self._source and entry.row >= first_row:
                self._kept.add(entry.row)


class _Entry(msgspec.Struct):
    source: str
    row: int


def _content(content: bytes) -> object:
    """The row as JSON if it is, else as the text that it is."""
    try:
        msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return content.decode("utf-8", "replace")
    return msgspec.Raw(content)


_entry_decoder = msgspec.json.Decoder(_Entry)
