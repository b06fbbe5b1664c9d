"""The file of refused rows: a JSON object a line, with the reasons and the row as it was to be sent.

    {"source": "…", "row": 7, "time": "…", "reasons": [{"variable": "count", "message": "…"}], "content": {…}}

A row is on the disk before its batch counts as settled, and a write that fails leaves no half of a line. A
batch that is repeated after a crash would write its rows again: those that are in the file already, by source
and row, are left out. What is no file (a pipe, a device) is only written to.
"""

import os
import stat
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
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._kept: set[int] = set()
        if self._is_file:
            sync_folder(path.parent)  # else its rows could be durable, and it itself not
            self._read(first_row)

    def add(self, rows: Sequence[RefusedRow]) -> None:
        """Writes rows durably."""
        fresh = [row for row in rows if row.number not in self._kept]
        if not fresh:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write(b"".join(msgspec.json.encode(self._line(row, now)) + b"\n" for row in fresh))
        self._kept.update(row.number for row in fresh)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)

    def _write(self, lines: bytes) -> None:
        end, written = self._size(), 0
        try:
            while written < len(lines):
                written += os.write(self._descriptor, lines[written:])
            if self._is_file:
                os.fsync(self._descriptor)
        except BaseException:
            if self._is_file and self._size() == end + written:  # else somebody else has written to it too
                os.ftruncate(self._descriptor, end)
            raise

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def _line(self, row: RefusedRow, now: str) -> dict[str, Any]:
        return {
            "source": self._source,
            "row": row.number,
            "time": now,
            "reasons": row.reasons,
            "content": _content(row.content),
        }

    def _read(self, first_row: int) -> None:
        """Notes the rows in the file, and removes a line that a crash cut short."""
        end = 0
        with os.fdopen(self._descriptor, "rb", closefd=False) as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    os.ftruncate(self._descriptor, end)
                    break
                end += len(line)
                entry = _entry_decoder.decode(line)
                if entry.source == self._source and entry.row >= first_row:
                    self._kept.add(entry.row)


class _Entry(msgspec.Struct):
    source: str
    row: int


def _content(content: bytes) -> object:
    """Returns the row as JSON if it is JSON, else as text."""
    try:
        msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return content.decode("utf-8", "replace")
    return msgspec.Raw(content)


_entry_decoder = msgspec.json.Decoder(_Entry)
