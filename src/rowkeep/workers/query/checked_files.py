"""Which files of segments queries may read without checking every block of them first.

DuckDB reads files itself and checks nothing. So the first query that reads a segment checks all of its
blocks, and later ones need not, while the file is the same one, as long, and not written to since: what is
restored, exchanged or edited under a running server is checked again, and is an error where it is not what
was written. A disk that changes bytes by itself leaves no such trace; every other read checks blocks, and so
does `rowkeep verify`.
"""

from pathlib import Path
from typing import NamedTuple


class FileMark(NamedTuple):
    """What changes with a file: which one it is, how long, when it was written to."""

    inode: int
    byte_count: int
    written_ns: int


def mark_of(path: Path) -> FileMark | None:
    """A file as it is now; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileMark(found.st_ino, found.st_size, found.st_mtime_ns)


class CheckedFiles:
    """The files of which every block was checked, as they were just before."""

    def __init__(self) -> None:
        self._marks: dict[Path, FileMark] = {}

    def holds(self, path: Path, mark: FileMark | None) -> bool:
        """Whether a file, which is so now, was checked as it is."""
        return mark is not None and self._marks.get(path) == mark

    def add(self, marks: dict[Path, FileMark | None]) -> None:
        """Notes files that were checked since they were so."""
        self._marks.update((path, mark) for path, mark in marks.items() if mark is not None)
