"""Stores of segments' files: what each of them promises, whatever keeps the files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rowkeep.storage.base import SegmentStore
from rowkeep.storage.local_files import Disk
from rowkeep.storage.local_segments import LocalSegments

NAME = "1-0-0123abcd.parquet"
CONTENT = bytes(range(256)) * 16
STORES: dict[str, Callable[[Path], SegmentStore]] = {"local": lambda folder: LocalSegments(folder, Disk())}


@pytest.fixture(params=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SegmentStore:
    """An empty store of each kind."""
    folder = tmp_path / "segments"
    folder.mkdir()
    return STORES[request.param](folder)


def put(store: SegmentStore, name: str, content: bytes) -> None:
    """Writes a file in two parts."""
    file = store.put(name)
    file.write(memoryview(content)[:100])
    file.write(memoryview(content)[100:])
    file.keep()


def test_a_kept_file_is_read_in_ranges(store: SegmentStore) -> None:
    """Any part of it, in any order; less than was asked for where it ends."""
    put(store, NAME, CONTENT)
    file = store.get(NAME)
    assert file.byte_count == len(CONTENT)
    for offset, byte_count in ((4000, 50), (0, 1), (0, len(CONTENT)), (255, 3)):
        assert file.read(offset, byte_count) == CONTENT[offset : offset + byte_count]
    assert file.read(len(CONTENT) - 5, 100) == CONTENT[-5:]
    file.close()


def test_a_file_is_there_whole_or_not_at_all(store: SegmentStore) -> None:
    """Before it is kept it cannot be read; once it is discarded nothing of it is left."""
    file = store.put(NAME)
    file.write(memoryview(CONTENT))
    with pytest.raises(OSError, match=NAME):
        store.get(NAME)
    assert NAME not in store.names()
    file.discard()
    assert store.names() == set()


def test_a_kept_file_is_not_discarded(store: SegmentStore) -> None:
    """Who discards on every error may do so after the file was kept."""
    file = store.put(NAME)
    file.write(memoryview(CONTENT))
    file.keep()
    file.discard()
    assert store.names() == {NAME}


def test_a_local_file_is_taken(store: SegmentStore, tmp_path: Path) -> None:
    """It is in the store under its own name, and no longer where it was."""
    local = tmp_path / NAME
    local.write_bytes(CONTENT)
    store.take(local)
    assert not local.exists()
    assert store.names() == {NAME}
    file = store.get(NAME)
    assert file.read(0, len(CONTENT)) == CONTENT
    file.close()


def test_what_is_removed_is_gone(store: SegmentStore) -> None:
    """From the list and for readers to come, others stay. Removing it again is no error."""
    put(store, NAME, CONTENT)
    put(store, "2-0-0123abcd.parquet", b"other" * 100)
    for _ in range(2):
        store.remove(NAME)
        assert store.names() == {"2-0-0123abcd.parquet"}
    with pytest.raises(OSError, match=NAME):
        store.get(NAME)


def test_what_is_held_can_be_read_when_it_is_removed(store: SegmentStore) -> None:
    """A backup goes on reading the files that it found, whatever becomes of them."""
    put(store, NAME, CONTENT)
    with store.held([NAME]) as held:
        store.remove(NAME)
        file = held.get(NAME)
        assert file.read(0, len(CONTENT)) == CONTENT
        file.close()
        assert held.names() == {NAME}
    with pytest.raises(OSError, match=NAME), store.held([NAME]):
        pytest.fail("nothing can be held that is not there")
