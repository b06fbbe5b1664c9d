"""Files whose every block is checked when it is read.

Theory
------
A segment is written once and read for years. Parquet can checksum its pages, but not its footer nor the
page headers, and a flipped bit there makes other rows out of good pages. So the file is cut in blocks of
64 KiB, and the CRC-32 of each is kept in the catalog, away from the file. A read takes whole blocks, checks
them and hands out the part that was asked for: whatever a disk has changed, cut off or exchanged is an
error, never an answer.

Rejected: mapping the file into memory (a bad sector would kill the server with a signal); one checksum
for the file (a reader of one column of one row group would have to read all of it).
"""

import io
import os
import zlib
from array import array
from collections.abc import Iterator

from rowkeep.model.errors import damaged
from rowkeep.storage.base import NewFile, SegmentStore, StoredFile

BLOCK_BYTES = 64 * 1024
_CHECKSUM_BYTES = 4


class CheckedSink(io.RawIOBase):
    """Writes to a new file and notes the checksum of each block.

    Whoever made the file keeps or discards it.
    """

    def __init__(self, file: NewFile) -> None:
        super().__init__()
        self._file = file
        self._checksums = array("I")
        self._current = 0
        self.byte_count = 0

    def writable(self) -> bool:
        """Returns True: the file can be written."""
        return True

    def tell(self) -> int:
        """Returns the position of the next byte."""
        return self.byte_count

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]  # whatever has a buffer
        """Adds data to the file. A closed file ignores it."""
        view = memoryview(data).cast("B")
        if self.closed:
            # Arrow's writer ends the file of a seal that failed when it is collected. By then the number of
            # its descriptor may be that of another file, such as the database.
            return len(view)
        self._file.write(view)
        self._note(view)
        return len(view)

    def _note(self, view: memoryview) -> None:
        while view:
            part = view[: BLOCK_BYTES - self.byte_count % BLOCK_BYTES]
            self._current = zlib.crc32(part, self._current)
            self.byte_count += len(part)
            if self.byte_count % BLOCK_BYTES == 0:
                self._end_block()
            view = view[len(part) :]

    def _end_block(self) -> None:
        self._checksums.append(self._current)
        self._current = 0

    def finish(self) -> bytes:
        """Ends the writing. Returns the checksums of the blocks."""
        if self.byte_count % BLOCK_BYTES:
            self._end_block()
        self.close()
        return self._checksums.tobytes()


class CheckedFile(io.RawIOBase):
    """A file that returns only what was written to it. Raises internal_error for damaged blocks."""

    def __init__(self, store: SegmentStore, name: str, byte_count: int, checksums: bytes) -> None:
        super().__init__()
        self._name = name
        self._byte_count = byte_count
        self._position = 0
        self._file: StoredFile | None = None
        try:
            self._file = store.get(name)
        except OSError as error:
            raise damaged(f"The segment {self._name} cannot be opened: {error.strerror}.") from error
        found = self._file.byte_count
        if found != byte_count or len(checksums) != -(-byte_count // BLOCK_BYTES) * _CHECKSUM_BYTES:
            raise damaged(f"The segment {self._name} has {found} bytes, not {byte_count}.")
        self._checksums = array("I", checksums)

    def readable(self) -> bool:
        """Returns True: the file can be read."""
        return True

    def seekable(self) -> bool:
        """Returns True: the file can be read from any place."""
        return True

    def tell(self) -> int:
        """Returns the position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a position in the file. Returns it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._byte_count}[whence]
        self._position = start + offset
        return self._position

    def read(self, size: int = -1) -> memoryview:
        """Returns the next bytes, after checking all of their blocks."""
        end = self._byte_count if size < 0 else min(self._position + size, self._byte_count)
        first_block = self._position // BLOCK_BYTES
        start = first_block * BLOCK_BYTES
        covering = -(-end // BLOCK_BYTES) * BLOCK_BYTES - start
        blocks = self._blocks(first_block, min(covering, self._byte_count - start))
        part = blocks[self._position - start : end - start]
        self._position += len(part)
        return part

    def _blocks(self, first_block: int, byte_count: int) -> memoryview:
        if self._file is None:
            raise damaged(f"The segment {self._name} is not open.")
        try:
            found = memoryview(self._file.read(first_block * BLOCK_BYTES, byte_count))
        except OSError as error:
            raise damaged(f"The segment {self._name} cannot be read: {error.strerror}.") from error
        if len(found) != byte_count:
            raise damaged(f"The segment {self._name} ends too early.")
        for index in range(-(-byte_count // BLOCK_BYTES)):
            block = found[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES]
            if zlib.crc32(block) != self._checksums[first_block + index]:
                raise damaged(f"Block {first_block + index} of the segment {self._name} was changed on disk.")
        return found

    def checked_blocks(self) -> Iterator[memoryview]:
        """Yields every block after checking it, to read a whole file back."""
        self.seek(0)
        while self._position < self._byte_count:
            yield self.read(BLOCK_BYTES)

    def close(self) -> None:
        """Closes the file."""
        if not self.closed and self._file is not None:
            self._file.close()
        super().close()
