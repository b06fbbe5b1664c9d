"""Tells whether a folder is a data directory of rowkeep, and whether its database is still there.

A data directory has a marker file, which says so and names the version of the layout. It is written once
the database is there. So a folder that has the marker and no database has lost its database: nothing may
begin a new one there, because the segments beside it would have no name. A folder without the marker is a
data directory of an earlier rowkeep if it has a database. It may become a new one if it is empty. Any other
folder belongs to somebody else, and nothing is written there or removed.
"""

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec

from rowkeep import __version__
from rowkeep.storage.base import StorageError
from rowkeep.storage.local_files import DataDirectory, sync_directory
from rowkeep.storage.segments.naming import is_segment_file

MARKER = "rowkeep.json"
FORMAT = "rowkeep data directory"
FORMAT_VERSION = 1
SHOWN_MAX = 3

# What a start that died before its database was there may have left, and what a new file system holds.
_is_left_over = re.compile(
    rf"lock|lost\+found|rowkeep\.db-journal|{re.escape(MARKER)}\.\w+", re.ASCII
).fullmatch


class DirectoryError(StorageError):
    """The folder cannot be used as a data directory; the text says why and what to do."""


class Marker(msgspec.Struct, rename="camel"):
    """The content of the marker file."""

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    written_by: str = f"rowkeep {__version__}"


def check_directory(path: Path) -> None:
    """Raises DirectoryError when a folder is not rowkeep's, or has lost its database. Changes nothing."""
    if not path.exists():
        return
    if not path.is_dir():
        raise DirectoryError(f"{path} is a file; name a folder with --data-dir.")
    database = path / "rowkeep.db"
    if _is_marked(path) or _holds_segments(path):
        if _byte_count(database) == 0:
            raise DirectoryError(_lost_database(path))
    elif _byte_count(database) == 0 and (foreign := _foreign_names(path)):
        shown = ", ".join(foreign[:SHOWN_MAX]) + (", ..." if len(foreign) > SHOWN_MAX else "")
        raise DirectoryError(
            f"{path} is not empty and is no data directory of rowkeep (it holds {shown}). "
            "Nothing was changed there. Name another folder with --data-dir."
        )


def check_database_lost(path: Path) -> None:
    """Raises DirectoryError unless a folder is a data directory without its database. Changes nothing."""
    if not path.is_dir() or not (_is_marked(path) or _holds_segments(path)):
        raise DirectoryError(f"{path} is no data directory of rowkeep. Is --data-dir right?")
    if _byte_count(path / "rowkeep.db"):
        raise DirectoryError(
            f"{path} has its database, rowkeep.db, so there is nothing to recover. Where it is damaged, "
            "restore a backup; where there is none, move rowkeep.db away first."
        )


def mark(path: Path) -> None:
    """Writes the marker of a data directory, unless it exists. Raises OSError."""
    if (path / MARKER).exists():
        return
    descriptor, name = tempfile.mkstemp(dir=path, prefix=f"{MARKER}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(Marker())) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).rename(path / MARKER)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise
    sync_directory(path)


def _is_marked(path: Path) -> bool:
    """Returns whether the folder has a marker of a known layout. Raises DirectoryError for an unknown one."""
    try:
        text = (path / MARKER).read_bytes()
    except FileNotFoundError:
        return False
    try:
        marker = msgspec.json.decode(text, type=Marker)
    except msgspec.DecodeError as error:
        raise DirectoryError(
            f"{path / MARKER} cannot be read ({error}). If {path} is a data directory of rowkeep, remove "
            "that file and start again."
        ) from error
    if marker.format != FORMAT:
        raise DirectoryError(f"{path / MARKER} names another format, {marker.format!r}. Name another folder.")
    if marker.format_version > FORMAT_VERSION:
        raise DirectoryError(
            f"{path} has layout {marker.format_version}, written by {marker.written_by}; this version of "
            f"rowkeep knows layouts up to {FORMAT_VERSION}. Use that version or a newer one."
        )
    return True


def _holds_segments(path: Path) -> bool:
    folder = DataDirectory.segments_of(path)
    return folder.is_dir() and any(is_segment_file(file.name) for file in folder.iterdir())


def _foreign_names(path: Path) -> list[str]:
    """Returns the names in a folder that rowkeep cannot have left before it had a database, in order."""
    return sorted(
        file.name for file in path.iterdir() if not (_is_left_over(file.name) or _is_empty_and_ours(file))
    )


def _is_empty_and_ours(file: Path) -> bool:
    if file.name == "rowkeep.db":
        return file.is_file() and file.stat().st_size == 0
    return file.name in DataDirectory.FOLDER_NAMES and file.is_dir() and not any(file.iterdir())


def _byte_count(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _lost_database(path: Path) -> str:
    return (
        f"{path} has lost its database: rowkeep.db is missing or empty, and other files of the data "
        "directory are there. Nothing was changed. Put rowkeep.db back, with the files that have its name, "
        "or restore a backup into another folder with `rowkeep restore`. Where there is neither, "
        "`rowkeep recover` makes a new database of the segments. "
        "To begin anew, name an empty folder with --data-dir."
    )
