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

Unnamed files go while the server runs, `GRACE_SECONDS` after they were first seen without a name: a reader
that found one in its snapshot has opened it by then. When it stops they go at once: nobody reads any more.
In a store that servers share, the grace counts then too. A file that this server wrote and did not name, or
that had a name when it last looked, is removed. Any other was put there by somebody, and may be the only copy
of rows: it is set aside.

What is unnamed when the server starts is set aside too. A crash leaves such files, and they are worth
nothing; but so does an older database that was put beside newer segments. The two are told apart (newer.py):
what holds rows that the catalog does not know is kept for ever, what a crash left for `SET_ASIDE_DAYS`. The
log says which. Unfinished files are removed: they were never whole.

Rejected: rewriting a file in place (a snapshot would change); pinning files for a read session (row
numbers are enough); dropping entries in the transaction that names the segment (see above).
"""

import time
from collections.abc import Iterable

import structlog

from rowkeep.storage.base import SegmentStore
from rowkeep.storage.segments.naming import LOST_AND_FOUND, NEWER, UNFINISHED, is_segment_file

GRACE_SECONDS = 600.0
SET_ASIDE_DAYS = 14
SECONDS_PER_DAY = 86_400
SHOWN_MAX = 10

_log = structlog.get_logger("rowkeep.segments")


def _tell_of_start(moved: list[str], preserved: list[str]) -> None:
    """Logs what a start has set aside."""
    if moved:
        _log.warning(
            "segments that the catalog does not name were moved to lost+found",
            count=len(moved),
            files=moved[:SHOWN_MAX],
            removed_after_days=SET_ASIDE_DAYS,
        )
    if preserved:
        _log.error(
            "the database is older than the segments beside it, or they are damaged: files that may hold "
            "rows that it does not know were moved to lost+found/newer, and nothing removes them; to have "
            "the rows back, stop the server, put the newer database back and these files into segments",
            count=len(preserved),
            files=preserved[:SHOWN_MAX],
        )


class SegmentSweep:
    """Removes the files of a store that have no name in the catalog."""

    def __init__(self, store: SegmentStore) -> None:
        self._store = store
        self._unnamed_since: dict[str, float] = {}
        # Files that this server wrote, or that had a name when it last looked.
        self._known: set[str] = set()
        self._kept: set[str] = set()
        self.set_aside_count = 0

    def note_written(self, name: str) -> None:
        """Notes that this server wrote a file. The file is garbage unless the catalog names it later."""
        self._known.add(name)

    def sweep_at_start(
        self, present: Iterable[str], named: set[str], newer: frozenset[str] = frozenset()
    ) -> None:
        """Sets aside the files without a name when the server starts; see above.

        Files that cannot be moved stay. `newer` are the files with rows that the catalog does not know.
        """
        self._known |= named
        if self._store.is_shared:
            return
        unnamed = sorted(self._ours(present) - named)
        moved = [name for name in unnamed if name not in newer and self._put_away(name)]
        preserved = [name for name in unnamed if name in newer and self._moved(name, NEWER)]
        _tell_of_start(moved, preserved)
        missing = sorted(named - set(present))
        if missing:
            _log.error(
                "segments are missing: their rows cannot be read; restore a backup, or put the files back",
                count=len(missing),
                files=missing[:SHOWN_MAX],
            )

    def _put_away(self, name: str) -> bool:
        """Removes an unfinished file; sets any other aside. Returns whether it was set aside."""
        if not name.endswith(UNFINISHED):
            return self._moved(name, LOST_AND_FOUND)
        self._store.remove(name)
        _log.info("file removed", file=f"segments/{name}", reason="it was never finished")
        return False

    def _moved(self, name: str, folder: str) -> bool:
        """Moves a file, counts it and logs it. Returns False when it cannot be moved."""
        try:
            place = self._store.set_aside(name, folder)
        except OSError as error:
            self._kept.add(name)
            _log.warning("a segment without a name could not be moved", file=name, reason=str(error))
            return False
        self.set_aside_count += 1
        _log.info("file moved", file=f"segments/{name}", to=place, reason="the catalog does not name it")
        return True

    def forget_set_aside(self) -> None:
        """Removes what was set aside long enough ago, and logs it."""
        count = self._store.forget_set_aside(time.time() - SET_ASIDE_DAYS * SECONDS_PER_DAY)
        if count:
            _log.info("segments in lost+found were removed", count=count, after_days=SET_ASIDE_DAYS)

    def sweep(self, present: Iterable[str], named: set[str], *, grace_seconds: float) -> int:
        """Takes away files that have had no name in the catalog for `grace_seconds`. Returns their number.

        `present` must have been listed before `named` was read: a file is named only after it exists.
        """
        now = time.monotonic()
        candidates = self._ours(present) - named - self._kept
        unnamed = {name: self._unnamed_since.get(name, now) for name in candidates}
        due = [name for name, since in unnamed.items() if now - since >= grace_seconds]
        for name in due:
            self._take_away(name)
            del unnamed[name]
        self._unnamed_since = unnamed
        self._known = (self._known & unnamed.keys()) | named
        return len(due)

    def _take_away(self, name: str) -> None:
        """Removes a file that is known to be garbage, and sets any other aside."""
        if name in self._known or self._store.is_shared:
            self._store.remove(name)
            _log.info("file removed", file=f"segments/{name}", reason="nothing names it any more")
        elif self._put_away(name):
            _log.warning(
                "a segment that this server neither wrote nor named was moved to lost+found",
                file=name,
                removed_after_days=SET_ASIDE_DAYS,
            )

    @staticmethod
    def _ours(present: Iterable[str]) -> set[str]:
        """Returns the names that rowkeep gave. Other files are not rowkeep's to remove."""
        return {name for name in present if is_segment_file(name)}

    def sweep_alone(self, present: Iterable[str], named: set[str]) -> int:
        """Takes away files without a name, while no sealing process of this server runs.

        Returns their number. In a store that others share, another server may be about to name such a file,
        so it keeps its grace there.
        """
        return self.sweep(present, named, grace_seconds=GRACE_SECONDS if self._store.is_shared else 0.0)
