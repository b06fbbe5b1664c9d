"""A file that is held in memory while it is small: whatever its size, all of it is in one place."""

from pathlib import Path

import pytest

from rowkeep.storage.local_files import Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.workers.held_file import HELD_BYTES_MAX, HeldFile


@pytest.mark.parametrize("byte_count", [0, 1, HELD_BYTES_MAX - 1, HELD_BYTES_MAX, HELD_BYTES_MAX + 1, 10**6])
@pytest.mark.parametrize("piece_bytes", [1009, 10**7])
def test_content_is_held_or_in_the_file(tmp_path: Path, byte_count: int, piece_bytes: int) -> None:
    """Up to the bound it is held and there is no file; beyond it the file has all of it."""
    content = bytes(index % 251 for index in range(byte_count))
    file = HeldFile(lambda: LocalSegments(tmp_path, Disk()).put("name"))
    for start in range(0, byte_count, piece_bytes):
        file.write(memoryview(content[start : start + piece_bytes]))
    file.keep()
    if byte_count <= HELD_BYTES_MAX:
        assert file.content == content
        assert not list(tmp_path.iterdir())
    else:
        assert file.content is None
        assert (tmp_path / "name").read_bytes() == content


@pytest.mark.parametrize("byte_count", [10, 10**6])
def test_what_is_discarded_leaves_nothing(tmp_path: Path, byte_count: int) -> None:
    """Neither in memory nor on the disk."""
    file = HeldFile(lambda: LocalSegments(tmp_path, Disk()).put("name"))
    file.write(memoryview(bytes(byte_count)))
    file.discard()
    assert not file.content
    assert not list(tmp_path.iterdir())
