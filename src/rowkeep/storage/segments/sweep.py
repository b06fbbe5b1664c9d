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

Unnamed files are removed while the server runs, `GRACE_SECONDS` after they were first seen without a name:
a reader that found one in its snapshot has opened it by then. Such a file is one that this server wrote and
did not name, or that its own transaction let go. When it stops they are removed at once: nobody reads any
more. In a store that servers share, the grace counts then too.

What is unnamed when the server starts is another matter. A crash leaves such files, and they are worth
nothing; but so does an older database that was put beside newer segments, and then they are the only copy of
rows. They are set aside for `SET_ASIDE_DAYS`, and the log says so. Unfinished files are removed: they were
never whole.

Rejected: rewriting a file in place (a snapshot would change); pinning files for a read session (row
numbers are enough); dropping entries in the transaction that names the segment (see above).
"""

import time
from collections.abc import Iterable

import structlog

from rowkeep.storage.base import SegmentStore
from rowkeep.storage.segments.naming import UNFINISHED, is_segment_file

GRACE_SECONDS = 600.0
SET_ASIDE_DAYS = 14
SECONDS_PER_DAY = 86_400
SHOWN_MAX = 10

_log = structlog.get_logger("rowkeep.segments")


class SegmentSweep:
    """Removes the files of a store that have no name in the catalog."""

    def __init__(self, store: SegmentStore) -> None:
        self._store = store
        self._unnamed_since: dict[str, float] = {}
        self._kept: set[str] = set()
        self.set_aside_count = 0

    def sweep_at_start(self, present: Iterable[str], named: set[str]) -> None:
        """Sets aside what has no name when the server starts; see above. What cannot be moved stays."""
        unnamed = sorted(self._ours(present) - named)
        if self._store.is_shared:
            return
        for name in unnamed:
            try:
                self._put_away(name)
            except OSError as error:
                self._kept.add(name)
                _log.warning("a segment without a name could not be moved", file=name, reason=str(error))
        moved = [name for name in unnamed if not name.endswith(UNFINISHED) and name not in self._kept]
        self.set_aside_count += len(moved)
        if moved:
            _log.warning(
                "segments that the catalog does not name were moved to lost+found; if an older database was "
                "put here, they may hold rows that it does not know",
                count=len(moved),
                files=moved[:SHOWN_MAX],
                removed_after_days=SET_ASIDE_DAYS,
            )

    def _put_away(self, name: str) -> None:
        if name.endswith(UNFINISHED):
            self._store.remove(name)
        else:
            self._store.set_aside(name)

    def forget_set_aside(self) -> None:
        """Removes what was set aside long enough ago, and says so."""
        count = self._store.forget_set_aside(time.time() - SET_ASIDE_DAYS * SECONDS_PER_DAY)
        if count:
            _log.info("segments in lost+found were removed", count=count, after_days=SET_ASIDE_DAYS)

    def sweep(self, present: Iterable[str], named: set[str], *, grace_seconds: float) -> int:
        """Removes files that have had no name in the catalog for so long. Returns how many.

        `present` must have been listed before `named` was read: a file is named after it is there.
        """
        now = time.monotonic()
        candidates = self._ours(present) - named - self._kept
        unnamed = {name: self._unnamed_since.get(name, now) for name in candidates}
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
