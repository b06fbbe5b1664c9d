"""The contents of raw files, each stored once under its SHA-256, however many files have it.

The content of a file that is added is there already, as that of a temporary upload; it gets its second name
here (a hard link), durable before the transaction that names it. Content that no file names may be about to
be named, so sweeping and adding take turns: what is swept is looked up and removed in one turn.

Content that this server neither kept nor has seen named is no garbage of its own: an older database was put
here, or a new one was made of the segments. It is moved to `lost+found/raw_files`, where nothing is removed.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from rowkeep.model.errors import not_found
from rowkeep.model.raw_files import ContentDigest
from rowkeep.storage.local_files import Disk, log_moved, no_room, remove_and_log, set_aside
from rowkeep.storage.sent_file import SentFile

READ_BYTES = 1024 * 1024
LOST_CONTENTS = "lost+found/raw_files"
GRACE_SECONDS = 600.0
_is_content = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch


class RawContentFolder:
    """The folder of the contents. One per process; used on one event loop."""

    def __init__(self, folder: Path, sent: Path, disk: Disk) -> None:
        self._folder = folder
        self._sent = sent
        self._disk = disk
        self._turn = asyncio.Lock()
        self._unnamed_since: dict[str, float] = {}
        # Contents that this server kept, or that had a name when it last looked.
        self._known: set[str] = set()

    async def digest(self, temp_upload: str) -> ContentDigest:
        """Returns the digest of what was sent. Raises not_found_error when it is gone."""
        try:
            return await asyncio.to_thread(digest_of_file, self._sent / temp_upload)
        except FileNotFoundError as error:
            raise not_found("The file that was sent is not on the server any more. Send it again.") from error

    @asynccontextmanager
    async def kept(self, contents: Mapping[str, str]) -> AsyncIterator[None]:
        """Keeps contents while a transaction names them. They are given by temporary upload."""
        async with self._turn:
            try:
                await asyncio.to_thread(self._keep, contents)
            except OSError as error:
                raise no_room(error) from error
            yield

    def _keep(self, contents: Mapping[str, str]) -> None:
        for sha256, temp_upload in contents.items():
            self._disk.link(self._sent / temp_upload, self._folder / sha256)
            self._known.add(sha256)
        self._disk.sync_directory(self._folder)

    def open(self, sha256: str) -> SentFile:
        """Opens a content. Raises not_found_error when it is missing."""
        try:
            return SentFile(self._folder / sha256)
        except FileNotFoundError as error:
            raise not_found("The content of this file is not on the server any more.") from error

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Takes away contents that no file has named for a while. Returns their number."""
        async with self._turn:
            present, names = await asyncio.to_thread(self._names), await named()
            unnamed = present - names
            now = time.monotonic()
            self._unnamed_since = {name: self._unnamed_since.get(name, now) for name in unnamed}
            since = self._unnamed_since.items()
            removable = [name for name, first_seen in since if now - first_seen >= GRACE_SECONDS]
            for name in removable:
                await asyncio.to_thread(self._take_away, name)
            self._known = (self._known & unnamed) | names
        return len(removable)

    def _take_away(self, name: str) -> None:
        """Removes a content that is known to be garbage, and sets any other aside."""
        if name in self._known:
            remove_and_log(self._disk, self._folder / name, "no file has this content")
        else:
            place = set_aside(self._disk, self._folder / name, self._folder.parent, LOST_CONTENTS)
            log_moved(self._folder / name, place, "the catalog names no file with this content")

    def _names(self) -> set[str]:
        """Returns the names in the folder that rowkeep gave. Other files are not rowkeep's to remove."""
        return {file.name for file in self._folder.iterdir() if _is_content(file.name)}


def digest_of_file(path: Path) -> ContentDigest:
    """Returns the digest of a file's content. Raises OSError."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            md5.update(part)
            sha256.update(part)
            size += len(part)
    return ContentDigest(size, md5.digest(), sha256.hexdigest())
