"""Remembers the segment files that queries may read without checking every block first.

DuckDB reads files itself and checks nothing. So the first query that reads a segment checks all of its
blocks, and later ones need not, while the file is the same one, as long, and not written to since: what is
restored, exchanged or edited under a running server is checked again, and is an error where it is not what
was written. A disk that changes bytes by itself leaves no such trace; every other read checks blocks, and so
does `rowkeep verify`.
"""

from pathlib import Path
from typing import NamedTuple


class FileMark(NamedTuple):
    """What identifies the state of a file: its identity, its length, and when it was written to."""

    inode: int
    byte_count: int
    written_ns: int


def mark_of(path: Path) -> FileMark | None:
    """Returns the mark of a file as it is now, or None when it is missing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileMark(found.st_ino, found.st_size, found.st_mtime_ns)


class CheckedFiles:
    """The files whose blocks were all checked, with their marks from just before the check."""

    def __init__(self) -> None:
        self._marks: dict[Path, FileMark] = {}

    def holds(self, path: Path, mark: FileMark | None) -> bool:
        """Returns whether a file with this mark was checked."""
        return mark is not None and self._marks.get(path) == mark

    def add(self, marks: dict[Path, FileMark | None]) -> None:
        """Notes checked files, with their marks from before the check."""
        self._marks.update((path, mark) for path, mark in marks.items() if mark is not None)
