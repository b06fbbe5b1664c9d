"""What is left of the disk when it is nearly full: it is kept for inserts.

Whatever else adds to the disk stops at the reserve: content of files, and changes of the catalog. Inserts go
on into it, and so does what gives room back (`Doors.write_in_reserve`), for else nobody could.
"""

from pathlib import Path

from rowkeep.model.errors import unavailable
from rowkeep.storage.local_files import free_bytes

RETRY_SECONDS = 30


class DiskReserve:
    """The number of bytes of a folder's disk that is kept for inserts."""

    def __init__(self, folder: Path, *, bytes_min: int) -> None:
        self._folder = folder
        self._bytes_min = bytes_min

    def is_reached(self, byte_count: int = 0) -> bool:
        """Returns whether writing `byte_count` more bytes would use the reserve."""
        return free_bytes(self._folder) - byte_count < self._bytes_min

    def check(self) -> None:
        """Raises `unavailable` while the reserve is reached."""
        if self.is_reached():
            raise unavailable(
                "The disk of the server is nearly full, and what is left is kept for inserts. Nothing was "
                "changed. Inserts, reads and deletions go on; try again when there is room.",
                retry_after_seconds=RETRY_SECONDS,
            )
