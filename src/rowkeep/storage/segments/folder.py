"""Segments: how rows leave the journal for immutable files, and how the files come and go.

Theory
------
Rows of an upload are numbered from 0 and keep their number for ever. Those before `sealed_row_count`
are in segments, which follow each other without a gap; the others are in entries. So a read that names
rows by number finds them whether they have been sealed or compacted meanwhile or not.

Rows of a file that is loaded were never in the journal: their segments (loading.py) are written in another
folder, move here when all of them are whole, and are named by the transaction that completes their load.

States of a file: *unfinished* (another suffix; worth nothing) → *unnamed* (durable under its name, but no
catalog row says so) → *named* → *unnamed* again (replaced by a larger one, or its upload is gone) →
removed. The steps are write, fsync, rename, fsync of the folder, one transaction. A crash before the
transaction leaves garbage and the rows where they were; after it, the entries are the garbage: whatever
lies before `sealed_row_count` is passed over, and is deleted in small commits, because one
that drops 100,000 entries would hold up the inserts behind it.

A segment holds rows of one schema version. Entries of earlier versions join it if the later ones only
added variables; where a type was widened a new segment begins, because a value keeps the text it had
in its own type (an integer that became a string reads "1", and not "1.0" for a float in between).

Unnamed files are removed when the server starts, and while it runs only `GRACE_SECONDS` after they were
first seen without a name: a reader that found one in its snapshot has opened it by then.

Rejected: rewriting a file in place (a snapshot would change); pinning files for a read session (row
numbers are enough); dropping entries in the transaction that names the segment (see above).
"""

import time
from collections.abc import Iterable
from pathlib import Path

from rowkeep.storage.local_files import Disk

GRACE_SECONDS = 600.0
UNFINISHED = ".unfinished"
SUFFIX = ".parquet"


class SegmentFolder:
    """The files of a data directory's segments, and what may be removed of them."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._unnamed_since: dict[str, float] = {}

    def files(self) -> set[str]:
        """The names of all files there are, unfinished ones too."""
        return {file.name for file in self._folder.iterdir()}

    def adopt(self, folder: Path, names: Iterable[str]) -> None:
        """Moves durable files of another folder here, durably. They have no name in the catalog yet."""
        for name in names:
            if Path(name).name != name or not name.endswith(SUFFIX):
                raise ValueError(f"{name!r} is no name of a segment")
            self._disk.rename(folder / name, self._folder / name)
        self._disk.sync_directory(self._folder)

    def remove(self, names: Iterable[str]) -> None:
        """Removes files that will never have a name in the catalog."""
        for name in names:
            self._disk.remove(self._folder / name)

    def sweep(self, present: Iterable[str], named: set[str], *, grace_seconds: float = 0.0) -> int:
        """Removes files that have had no name in the catalog for so long; how many.

        `present` must have been listed before `named` was read: a file is named after it is there.
        """
        now = time.monotonic()
        unnamed = {name: self._unnamed_since.get(name, now) for name in set(present) - named}
        removable = [name for name, since in unnamed.items() if now - since >= grace_seconds]
        for name in removable:
            self._disk.remove(self._folder / name)
            del unnamed[name]
        self._unnamed_since = unnamed
        return len(removable)
