"""A file counts as checked only while it is the one that was checked."""

import os
from pathlib import Path

from rowkeep.workers.query.checked_files import CheckedFiles, mark_of


def test_a_file_that_is_written_to_or_exchanged_is_checked_again(tmp_path: Path) -> None:
    """Another time, another length, another file under the name, or none: none of them was checked."""
    path = tmp_path / "segment"
    path.write_bytes(b"as written")
    checked = CheckedFiles()
    before = mark_of(path)
    assert not checked.holds(path, before)
    checked.add({path: before})
    assert checked.holds(path, mark_of(path))

    os.utime(path, ns=(0, 1))
    assert not checked.holds(path, mark_of(path))
    checked.add({path: mark_of(path)})
    path.write_bytes(b"as written, and more")
    assert not checked.holds(path, mark_of(path))
    checked.add({path: mark_of(path)})
    other = tmp_path / "other"
    other.write_bytes(b"as written, but not")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)
    assert not checked.holds(path, mark_of(path))
    path.unlink()
    assert not checked.holds(path, mark_of(path))


def test_what_changes_while_it_is_checked_is_not_checked(tmp_path: Path) -> None:
    """The mark is of the moment before the check."""
    path = tmp_path / "segment"
    path.write_bytes(b"as written")
    before = mark_of(path)
    path.write_bytes(b"as it is after that")
    checked = CheckedFiles()
    checked.add({path: before})
    assert not checked.holds(path, mark_of(path))
