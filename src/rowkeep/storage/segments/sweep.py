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
first seen without a name: a reader that found one in its snapshot has opened it by then. At a start nobody
reads, and in a store of its own nobody else writes; in a store that servers share, the grace counts then too.

Rejected: rewriting a file in place (a snapshot would change); pinning files for a read session (row
numbers are enough); dropping entries in the transaction that names the segment (see above).
"""

import time
from collections.abc import Iterable

from rowkeep.storage.base import SegmentStore
from rowkeep.storage.segments.naming import is_segment_file

GRACE_SECONDS = 600.0


class SegmentSweep:
    """Removes the files of a store that have no name in the catalog."""

    def __init__(self, store: SegmentStore) -> None:
        self._store = store
        self._unnamed_since: dict[str, float] = {}

    def sweep(self, present: Iterable[str], named: set[str], *, grace_seconds: float) -> int:
        """Removes files that have had no name in the catalog for so long. Returns how many.

        `present` must have been listed before `named` was read: a file is named after it is there.
        """
        now = time.monotonic()
        unnamed = {name: self._unnamed_since.get(name, now) for name in self._ours(present) - named}
        removable = [name for name, since in unnamed.items() if now - since >= grace_seconds]
        for name in removable:
            self._store.remove(name)
            del unnamed[name]
        self._unnamed_since = unnamed
        return len(removable)

    @staticmethod
    def _ours(present: Iterable[str]) -> set[str]:
        """Those names that rowkeep gave; a file of another name is not rowkeep's to remove."""
        return {name for name in present if is_segment_file(name)}

    def sweep_alone(self, present: Iterable[str], named: set[str]) -> int:
        """Removes files that have no name, while no sealing process of this server runs. Returns how many.

        In a store that others share, such a file may be one that another server is about to name: it keeps
        its grace.
        """
        return self.sweep(present, named, grace_seconds=GRACE_SECONDS if self._store.is_shared else 0.0)
