"""Files of the data directory that are being sent to a caller."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

READ_BYTES = 1024 * 1024


class SentFile:
    """An open file."""

    def __init__(self, path: Path) -> None:
        # Closed with its last reference too: of an answer that is refused a place nobody reads a part.
        self._file = path.open("rb", buffering=0)

    async def parts(self, first: int, end: int) -> AsyncIterator[bytes]:
        """Yields the bytes from one place to another, part by part, then closes the file."""
        try:
            position = first
            while position < end:
                count = min(READ_BYTES, end - position)
                part = await asyncio.to_thread(os.pread, self._file.fileno(), count, position)
                if not part:
                    raise OSError("a file ends too early")
                position += len(part)
                yield part
        finally:
            self.close()

    def close(self) -> None:
        """Closes the file. Closing again does nothing."""
        self._file.close()
