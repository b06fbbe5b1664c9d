"""Files of which every block is checked, at their edges."""

import errno
import os
from pathlib import Path

import pytest

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.storage.local_files import Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.checked_file import BLOCK_BYTES, CheckedFile, CheckedSink


def written(path: Path, content: bytes) -> bytes:
    """Writes a file; the checksums of its blocks."""
    file = store_of(path.parent).put(path.name)
    with CheckedSink(file) as sink:
        sink.write(content)
        checksums = sink.finish()
    file.keep()
    return checksums


def store_of(folder: Path) -> LocalSegments:
    """The files of a folder."""
    return LocalSegments(folder, Disk())


@pytest.mark.parametrize("byte_count", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
def test_a_file_of_any_length_reads_back(tmp_path: Path, byte_count: int) -> None:
    """Whole and by its blocks, also when its end is that of a block, which has one checksum."""
    content = bytes(number % 251 for number in range(byte_count))
    checksums = written(tmp_path / "f", content)
    assert len(checksums) == 4 * -(-byte_count // BLOCK_BYTES)
    with CheckedFile(store_of(tmp_path), "f", byte_count, checksums) as file:
        assert bytes(file.read()) == content
        assert b"".join(file.checked_blocks()) == content


def test_a_disk_that_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector is an error that names the segment, and other blocks are read."""
    content = bytes(2 * BLOCK_BYTES)
    checksums = written(tmp_path / "f", content)
    read = os.pread

    def pread(descriptor: int, byte_count: int, offset: int) -> bytes:
        if offset < BLOCK_BYTES:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, byte_count, offset)

    monkeypatch.setattr(os, "pread", pread)
    with CheckedFile(store_of(tmp_path), "f", len(content), checksums) as file:
        with pytest.raises(RowkeepError, match="The segment f cannot be read: Input/output error") as error:
            file.read(1)
        assert error.value.code is ErrorCode.INTERNAL
        file.seek(BLOCK_BYTES)
        assert bytes(file.read()) == content[BLOCK_BYTES:]


def test_a_file_that_is_cut_off_while_it_is_open(tmp_path: Path) -> None:
    """What was there when it was opened and is not there any more is an error, not a short answer."""
    content = bytes(2 * BLOCK_BYTES)
    checksums = written(tmp_path / "f", content)
    with CheckedFile(store_of(tmp_path), "f", len(content), checksums) as file:
        os.truncate(tmp_path / "f", BLOCK_BYTES + 1)
        assert len(file.read(BLOCK_BYTES)) == BLOCK_BYTES
        with pytest.raises(RowkeepError, match="The segment f ends too early"):
            file.read(1)
