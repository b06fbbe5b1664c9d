"""A backup has its name only when everything in it is durable, and nothing is left of one that failed."""

import os
from pathlib import Path

import pytest

from rowkeep.storage.backup import back_up, restore
from rowkeep.storage.files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase
from tests.contract.journaling import make_uploads


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    """A data directory."""
    made = DataDirectory(tmp_path / "data")
    database = SqliteDatabase(made.database)
    make_uploads(database)
    database.close()
    return made


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is synced and renamed, in order: the real calls, noted."""
    noted: list[tuple[str, str]] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        noted.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))

    def noted_rename(self: Path, target: Path) -> Path:
        noted.append(("rename", self.name))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    return noted


def test_a_backup_is_durable_before_it_has_its_name(
    directory: DataDirectory, events: list[tuple[str, str]], tmp_path: Path
) -> None:
    """File, folder, rename, folder of the folder: in this order."""
    back_up(directory, tmp_path / "copy")
    assert events == [
        ("sync", "rowkeep.db"),
        ("sync", "copy.unfinished"),
        ("rename", "copy.unfinished"),
        ("sync", tmp_path.name),
    ]


def test_a_restore_is_durable_before_it_has_its_name(
    directory: DataDirectory, events: list[tuple[str, str]], tmp_path: Path
) -> None:
    """The same for a data directory."""
    back_up(directory, tmp_path / "copy")
    events.clear()
    assert restore(tmp_path / "copy", tmp_path / "restored").problems == ()
    assert events == [
        ("sync", "rowkeep.db"),
        ("sync", "restored.unfinished"),
        ("rename", "restored.unfinished"),
        ("sync", tmp_path.name),
    ]


def test_what_was_left_unfinished_is_begun_again(directory: DataDirectory, tmp_path: Path) -> None:
    """A backup that was interrupted has no name, and does not stand in the way of the next."""
    (tmp_path / "copy.unfinished").mkdir()
    (tmp_path / "copy.unfinished" / "rowkeep.db").write_text("half")
    back_up(directory, tmp_path / "copy")
    assert restore(tmp_path / "copy", tmp_path / "restored").problems == ()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy", "data", "restored"]
