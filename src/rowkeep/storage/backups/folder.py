"""A folder of backups, one after the other: what `rowkeep backup --into` makes from a schedule.

Each is named after the moment it was begun (in UTC), and links the segments that it shares with the newest
one before it. One process at a time works in the folder. What an interrupted one left is taken up by the
next. Only folders with such a name are looked at; those that have a record are whole.
"""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from rowkeep.storage.backups.making import back_up
from rowkeep.storage.backups.record import RECORD, BackupRecord
from rowkeep.storage.backups.unfinished import UNFINISHED
from rowkeep.storage.base import StorageError
from rowkeep.storage.local_files import DataDirectory, hold_alone, sync_directory

_is_name = re.compile(r"\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z", re.ASCII).fullmatch


class FolderChange(msgspec.Struct, frozen=True):
    """The backup that was added to a folder, and the backups that were removed."""

    added: Path
    record: BackupRecord
    removed: tuple[Path, ...]


def add_backup(directory: DataDirectory, folder: Path, *, keep: int | None = None) -> FolderChange:
    """Adds a backup to a folder, then removes the oldest until `keep` are left. Raises StorageError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with hold_alone(folder):
            added = folder / _new_name()
            _take_up(folder, added)
            record = back_up(directory, added, earlier=max(_whole_ones(folder), default=None))
            return FolderChange(added, record, tuple(_remove_oldest(folder, added, keep)))
    except BlockingIOError as error:
        raise StorageError(f"Another backup into {folder} is under way.") from error


def _new_name() -> str:
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%dT%H%M%S}.{now.microsecond // 1000:03}Z"


def _whole_ones(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _is_name(path.name) and (path / RECORD).exists()]


def _take_up(folder: Path, added: Path) -> None:
    """Renames the last interrupted backup to the one that is made now. Removes all other interrupted ones."""
    interrupted = sorted(
        path
        for path in folder.iterdir()
        if path.name.endswith(UNFINISHED) and _is_name(path.name.removesuffix(UNFINISHED))
    )
    if interrupted:
        interrupted.pop().rename(folder / f"{added.name}{UNFINISHED}")
    for path in interrupted:
        shutil.rmtree(path)


def _remove_oldest(folder: Path, added: Path, keep: int | None) -> list[Path]:
    """Removes all but the newest backups.

    Each is renamed first, so that a half-removed backup does not look whole.
    """
    earlier = sorted(path for path in _whole_ones(folder) if path != added)
    surplus = [] if keep is None else earlier[: max(len(earlier) + 1 - keep, 0)]
    for path in surplus:
        nameless = path.rename(path.with_name(f"{path.name}{UNFINISHED}"))
        sync_directory(folder)
        shutil.rmtree(nameless)
    return surplus
