"""The files of exports: made by workers, named by the export that made them, read by whoever downloads them.

A file is durable under its name before the transaction that names it. One that no export names may be about
to be named, so it has a grace before it is removed.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rowkeep.model.errors import not_found
from rowkeep.storage.local_files import Disk, remove_and_log
from rowkeep.storage.sent_file import SentFile

GRACE_SECONDS = 600.0
# The identifier of the export, how often it was begun, the number of the file.
_is_export_name = re.compile(r"[0-9a-z]{4}-[0-9a-z]+-\d+-\d{6}").fullmatch


class ExportFolder:
    """The folder of the files."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._unnamed_since: dict[str, float] = {}

    def take(self, files: list[tuple[Path, str]]) -> None:
        """Moves durable files here, under new names, durably."""
        for path, name in files:
            self._disk.rename(path, self._folder / name)
        self._disk.sync_directory(self._folder)

    def open(self, name: str) -> SentFile:
        """Opens a file. Raises not_found_error when there is none."""
        try:
            return SentFile(self._folder / name)
        except FileNotFoundError as error:
            raise not_found("The file is not on the server any more. Export it again.") from error

    async def remove(self, name: str) -> None:
        """Removes a file that is no longer needed. A reader that has it open can read it to its end."""
        await asyncio.to_thread(remove_and_log, self._disk, self._folder / name, "its export ended")

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Removes files that no export has named for a while. Returns the number of files."""
        present = await asyncio.to_thread(self._names)
        unnamed = present - await named()
        now = time.monotonic()
        self._unnamed_since = {name: self._unnamed_since.get(name, now) for name in unnamed}
        removable = [name for name, since in self._unnamed_since.items() if now - since >= GRACE_SECONDS]
        for name in removable:
            await self.remove(name)
        return len(removable)

    def _names(self) -> set[str]:
        """Returns the names in the folder that rowkeep gave. Other files are not rowkeep's to remove."""
        return {file.name for file in self._folder.iterdir() if _is_export_name(file.name)}
