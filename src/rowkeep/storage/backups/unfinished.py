"""A folder under another name until it is whole: how backups and restored data directories are made.

While it is made its name ends with `.unfinished`, and the process that makes it holds a lock on it. It gets
its name when all of it is durable. So a folder without that ending is whole, and one with it that nobody
holds is what an interrupted try left. The next try goes on with its segments, which have their names only
when they are durable; everything else in it is thrown away.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rowkeep.storage.base import StorageError
from rowkeep.storage.local_files import DataDirectory, hold_alone, sync_directory, sync_file

UNFINISHED = ".unfinished"


@contextmanager
def unfinished(destination: Path) -> Iterator[DataDirectory]:
    """Yields the folder that becomes `destination` once finished.

    Raises StorageError while another process makes it.
    """
    folder = DataDirectory(destination.with_name(f"{destination.name}{UNFINISHED}"))
    try:
        with hold_alone(folder.path):
            _throw_away_all_but_segments(folder)
            yield folder
    except BlockingIOError as error:
        raise StorageError(f"Another process is making {destination} at this moment.") from error


def is_unfinished(folder: Path) -> bool:
    """Returns whether a folder is being made, or was left by a try that was interrupted."""
    return folder.name.endswith(UNFINISHED)


def finish(unfinished_folder: Path, destination: Path) -> None:
    """Makes a folder durable and gives it its name."""
    for path in sorted(unfinished_folder.rglob("*")):
        if path.is_dir():
            sync_directory(path)
        else:
            sync_file(path)
    sync_directory(unfinished_folder)
    unfinished_folder.rename(destination)
    sync_directory(destination.parent)


def _throw_away_all_but_segments(folder: DataDirectory) -> None:
    for path in folder.path.iterdir():
        if path == folder.segments:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
