"""`rowkeep recover`: makes a new catalog from the segments of a data directory that has lost its database.

The new database is made under another name and gets its own when it is whole and durable: a recovery that is
ended halfway leaves the directory as it was, and can be begun again. What is left of the old database is
moved to lost+found: a log of writes that lies beside the new one would be taken for its own.
"""

import time
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from rowkeep.model.audit import Origin
from rowkeep.storage.base import StorageError
from rowkeep.storage.doors import edit_catalog
from rowkeep.storage.local_files import DataDirectory, sync_directory, sync_file
from rowkeep.storage.marker import check_database_lost, mark
from rowkeep.storage.opening import DATABASE_ENDINGS, new_database, open_segments
from rowkeep.storage.recovery.finding import FoundUpload, find_uploads
from rowkeep.storage.recovery.writing import write_catalog
from rowkeep.storage.segments.naming import LOST_AND_FOUND

UNFINISHED = ".recovering"


class Recovery(msgspec.Struct, frozen=True):
    """The result of a recovery: what was recovered, and a sentence for each thing that could not be."""

    uploads: Sequence[FoundUpload]
    problems: Sequence[str]


def recover(directory: DataDirectory, origin: Origin) -> Recovery:
    """Makes a catalog of the segments of a data directory without a database.

    Raises StorageError when it has one, when a server runs, and when no segment can be used.
    """
    check_database_lost(directory.path)
    try:
        with directory.locked():
            return _recover(directory, origin)
    except BlockingIOError as error:
        raise StorageError(f"A server is using {directory.path}; stop it first.") from error


def _recover(directory: DataDirectory, origin: Origin) -> Recovery:
    found = find_uploads(open_segments(directory))
    if not found.uploads:
        reasons = " ".join(found.problems)
        raise StorageError(f"No segment in {directory.segments} can be used. {reasons}".strip())
    _write_database(directory, found.uploads, origin)
    return Recovery(found.uploads, found.problems)


def _write_database(directory: DataDirectory, uploads: Sequence[FoundUpload], origin: Origin) -> None:
    unfinished = directory.database.with_name(f"{directory.database.name}{UNFINISHED}")
    database = new_database(unfinished)
    try:
        edit_catalog(database, lambda editor: write_catalog(editor, uploads), origin)
    finally:
        database.close()
    sync_file(unfinished)
    _set_aside_remains(directory)
    unfinished.rename(directory.database)
    sync_directory(directory.path)
    with suppress(OSError):  # a full disk: the next opening marks it
        mark(directory.path)


def _set_aside_remains(directory: DataDirectory) -> None:
    """Moves what is left of the old database to lost+found."""
    lost = directory.path / LOST_AND_FOUND
    for ending in DATABASE_ENDINGS:
        remains = directory.database.with_name(f"{directory.database.name}{ending}")
        if remains.exists():
            lost.mkdir(mode=0o700, exist_ok=True)
            remains.rename(lost / f"{remains.name}.{time.time_ns()}")
            sync_directory(lost)
