"""The files of temporary uploads: content that was sent and waits to be loaded.

A file is named by the identifier of its temporary upload, and is durable before the catalog says that it is
complete. Content may not fill the disk: it is refused while less than a reserve is left, so that inserts go
on.
"""

import asyncio
import errno
import os
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rowkeep.storage.disk_reserve import DiskReserve
from rowkeep.storage.local_files import Disk, no_room, remove_and_log

GRACE_SECONDS = 600.0

_is_identifier = re.compile(r"[0-9a-f]{32}", re.ASCII).fullmatch


class ContentFolder:
    """The folder of the files. A file without a temporary upload is kept for a grace period:

    its row may be coming.
    """

    def __init__(self, folder: Path, disk: Disk, reserve: DiskReserve) -> None:
        self._folder = folder
        self._disk = disk
        self._reserve = reserve
        self._unnamed_since: dict[str, float] = {}

    def new(self, identifier: str) -> "ContentFile":
        """Returns an empty file. Raises `unavailable` when the disk does not take it."""
        return self.resumed(identifier, 0)

    def resumed(self, identifier: str, byte_count: int) -> "ContentFile":
        """Returns a file with its first `byte_count` bytes. Bytes behind them are cut off."""
        return ContentFile(self._folder / identifier, self._disk, self._reserve, byte_count)

    async def remove(self, identifier: str) -> None:
        """Removes content that is no longer needed."""
        await asyncio.to_thread(
            remove_and_log, self._disk, self._folder / identifier, "its temporary upload ended"
        )

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Removes files that have had no temporary upload for a while. Returns the number of files."""
        present = await asyncio.to_thread(self._names)
        unnamed = present - await named()
        now = time.monotonic()
        self._unnamed_since = {name: self._unnamed_since.get(name, now) for name in unnamed}
        removable = [name for name, since in self._unnamed_since.items() if now - since >= GRACE_SECONDS]
        for name in removable:
            await asyncio.to_thread(
                remove_and_log, self._disk, self._folder / name, "it has no temporary upload"
            )
        return len(removable)

    def _names(self) -> set[str]:
        """Returns the names in the folder that rowkeep gave. Other files are not rowkeep's to remove."""
        return {file.name for file in self._folder.iterdir() if _is_identifier(file.name)}


class ContentFile:
    """One file that is being written. Raises `unavailable` when the disk does not take it."""

    def __init__(self, path: Path, disk: Disk, reserve: DiskReserve, byte_count: int) -> None:
        self._path = path
        self._disk = disk
        self._reserve = reserve
        self._byte_count = byte_count
        self._is_kept = False
        try:
            self._descriptor = disk.reopen(path, byte_count)
        except OSError as error:
            raise no_room(error) from error

    @property
    def byte_count(self) -> int:
        """Returns how many bytes have been written."""
        return self._byte_count

    async def write(self, chunk: bytes) -> None:
        """Adds to the content."""
        try:
            await asyncio.to_thread(self._write, memoryview(chunk))
        except OSError as error:
            raise no_room(error) from error
        self._byte_count += len(chunk)

    def _write(self, chunk: memoryview) -> None:
        if self._reserve.is_reached(len(chunk)):
            raise OSError(errno.ENOSPC, "what is left of the disk is kept for inserts")
        self._disk.write(self._descriptor, chunk)

    async def keep(self) -> None:
        """Makes the written bytes durable. Closing the file no longer removes it."""
        try:
            await asyncio.to_thread(self._sync)
        except OSError as error:
            raise no_room(error) from error
        self._is_kept = True

    def _sync(self) -> None:
        self._disk.sync(self._descriptor)
        self._disk.sync_directory(self._path.parent)

    async def close(self) -> None:
        """Closes the file, and removes it unless it is kept. Closing again does nothing."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)
        if not self._is_kept:
            self._disk.remove(self._path)
