"""`rowkeep backup`: a copy of a data directory that is whole.

A backup is one snapshot: everything that was acknowledged before it began, nothing in part, whatever a
server writes meanwhile. It is the database as of one moment, and the segments and the contents of raw files
that it names. A server may give up such a file while it is copied, and remove it after a grace; so all of
them are held at once, and are copied from there.

A segment never changes. So a backup that comes after an earlier one gives the segments that are in both a
second name (a hard link), and copies the others: it costs the room of what is new, and each backup is whole
by itself. Whichever is removed, the others keep what they name. Where the file system has no such links, or
the earlier backup is on another one, segments are copied.

It is made under another name (unfinished.py), and ends with a record that says when it was made (record.py).
"""

from datetime import UTC, datetime
from pathlib import Path

from rowkeep.storage.backups.record import RECORD, BackupRecord, read_record, write_record
from rowkeep.storage.backups.unfinished import finish, is_unfinished, unfinished
from rowkeep.storage.base import SegmentStore, StorageError, StoredFile
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.doors import read_snapshot
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.opening import open_database, open_segments

PIECE_BYTES = 4 * 1024 * 1024


def back_up(directory: DataDirectory, destination: Path, *, earlier: Path | None = None) -> BackupRecord:
    """Makes a backup of a data directory, also while its server runs. Links the segments that `earlier` has.

    Raises StorageError.
    """
    if destination.exists():
        raise StorageError(f"{destination} exists already; name a folder that does not.")
    if is_unfinished(destination):
        raise StorageError(f"{destination} has the ending of an unfinished backup; choose another name.")
    if not directory.database.exists():
        raise StorageError(f"{directory.path} holds no data.")
    if earlier is not None and (is_unfinished(earlier) or read_record(earlier) is None):
        # A data directory is none either: a backup that shared its files would be lost with it.
        raise StorageError(f"{earlier} is no whole backup with a {RECORD}; share with another, or with none.")
    made_at = datetime.now(UTC)
    with unfinished(destination) as copy:
        copy.reserve_database()
        _copy_database(directory, copy)
        names = named_segments(copy)
        with open_segments(directory).held(names) as held:
            segments = FileCopy(held, copy.segments, earlier and DataDirectory.segments_of(earlier))
            segments.take(names)
        _copy_contents(directory, copy, earlier)
        record = BackupRecord(made_at, len(names), segments.copied_count, segments.copied_bytes)
        write_record(copy.path, record)
        finish(copy.path, destination)
    return record


def _copy_contents(directory: DataDirectory, copy: DataDirectory, earlier: Path | None) -> None:
    """Copies the contents of raw files, which never change, as segments are copied."""
    names = named_contents(copy)
    with LocalSegments(directory.raw_files, Disk()).held(names) as held:
        FileCopy(held, copy.raw_files, earlier and DataDirectory.raw_files_of(earlier)).take(names)


def _copy_database(directory: DataDirectory, copy: DataDirectory) -> None:
    database = open_database(directory)
    try:
        database.copy(copy.database)
    finally:
        database.close()


def named_segments(directory: DataDirectory) -> list[str]:
    """Returns the names of the segments that the catalog of a data directory names, in order."""
    database = open_database(directory)
    try:
        return sorted(read_snapshot(database, _segment_names))
    finally:
        database.close()


def named_contents(directory: DataDirectory) -> list[str]:
    """Returns the names of the contents that the raw files of a data directory have, in order."""
    database = open_database(directory)
    try:
        return sorted(read_snapshot(database, _content_names))
    finally:
        database.close()


def _content_names(view: CatalogView) -> set[str]:
    return set(view.raw_files.contents())


def _segment_names(view: CatalogView) -> set[str]:
    return view.segments.file_names()


class FileCopy:
    """Files that never change: copied into a folder, or linked from an earlier backup."""

    def __init__(self, source: SegmentStore, folder: Path, earlier: Path | None = None) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._source = source
        self._store = LocalSegments(folder, Disk())
        self._earlier = LocalSegments(earlier or folder, Disk())
        self.copied_count = 0
        self.copied_bytes = 0

    def take(self, names: list[str]) -> None:
        """Makes the folder hold exactly these segments. Raises StorageError."""
        for name in sorted(self._store.names() - set(names)):
            self._store.remove(name)
        for name in names:
            file = self._source.get(name)
            try:
                self._take(name, file)
            finally:
                file.close()

    def _take(self, name: str, file: StoredFile) -> None:
        if _byte_count(self._store, name) == file.byte_count:
            return  # an earlier try got as far as this
        self._store.remove(name)
        if _byte_count(self._earlier, name) == file.byte_count and self._store.link(self._earlier, name):
            return
        self._copy(name, file)
        self.copied_count += 1
        self.copied_bytes += file.byte_count

    def _copy(self, name: str, file: StoredFile) -> None:
        copy = self._store.put(name)
        try:
            for offset in range(0, file.byte_count, PIECE_BYTES):
                copy.write(memoryview(file.read(offset, PIECE_BYTES)))
            copy.keep()
        finally:
            copy.discard()


def _byte_count(store: SegmentStore, name: str) -> int | None:
    """Returns the size of a file, or None when there is no such file."""
    try:
        file = store.get(name)
    except FileNotFoundError:
        return None
    try:
        return file.byte_count
    finally:
        file.close()
