"""A backup has its name only when everything in it is durable, and nothing is left of one that failed."""

import asyncio
import os
from pathlib import Path

import pytest

from rowkeep.storage.backups.making import back_up
from rowkeep.storage.backups.restoring import restore
from rowkeep.storage.base import StorageError
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.marker import MARKER
from rowkeep.storage.opening import open_database
from rowkeep.storage.sqlite import SqliteDatabase
from tests.contract.journaling import make_uploads
from tests.unit.read_world import World


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    """A data directory."""
    made = DataDirectory(tmp_path / "data")
    database = open_database(made)
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
        noted.append(("sync", without_chance(Path(f"/proc/self/fd/{descriptor}").readlink())))

    def noted_rename(self: Path, target: Path) -> Path:
        noted.append(("rename", without_chance(self)))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    return noted


def without_chance(path: Path) -> str:
    """The name of a file, and of the marker on its way, which has a part by chance."""
    return "marker" if path.name.startswith(f"{MARKER}.") else path.name


def test_a_backup_is_durable_before_it_has_its_name(
    directory: DataDirectory, events: list[tuple[str, str]], tmp_path: Path
) -> None:
    """File, folder, rename, folder of the folder: in this order."""
    back_up(directory, tmp_path / "copy")
    assert events == [
        ("sync", tmp_path.name),
        ("sync", "marker"),
        ("rename", "marker"),
        ("sync", "copy.unfinished"),
        ("sync", "backup.json"),
        ("sync", "raw_files"),
        ("sync", "rowkeep.db"),
        ("sync", "rowkeep.json"),
        ("sync", "segments"),
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
        ("sync", tmp_path.name),
        ("sync", "marker"),
        ("rename", "marker"),
        ("sync", "restored.unfinished"),
        ("sync", "lock"),
        ("sync", "raw_files"),
        ("sync", "rowkeep.db"),
        ("sync", "rowkeep.json"),
        ("sync", "segments"),
        ("sync", "restored.unfinished"),
        ("rename", "restored.unfinished"),
        ("sync", tmp_path.name),
    ]


def test_a_new_data_directory_is_durable(events: list[tuple[str, str]], tmp_path: Path) -> None:
    """Its own name, and those of the folders that it is in and that are in it."""
    DataDirectory(tmp_path / "new" / "data").sweep()
    assert events == [("sync", "new"), ("sync", tmp_path.name), ("sync", "data")]


def test_segments_are_backed_up(tmp_path: Path) -> None:
    """A copy holds the segments that its catalog names, and no other file, and is restored with them."""
    with asyncio.Runner() as runner:
        world = World(tmp_path / "data", runner, seals=True)
        world.create("s", [{"name": "id", "type": "integer"}])
        for number in range(3):
            world.insert("s", [{"id": number}])
        (world.directory.segments / "garbage").touch()
        back_up(world.directory, tmp_path / "copy")
        named = world.run(world.doors.read(lambda view: view.segments.file_names()))
        world.close()
        assert {file.name for file in (tmp_path / "copy/segments").iterdir()} == named
        assert restore(tmp_path / "copy", tmp_path / "restored").problems == ()
        restored = World(tmp_path / "restored", runner)
        assert restored.listed()["id"].to_pylist() == [0, 1, 2]
        restored.close()


def test_what_was_left_unfinished_is_begun_again(directory: DataDirectory, tmp_path: Path) -> None:
    """A backup that was interrupted has no name, and does not stand in the way of the next."""
    (tmp_path / "copy.unfinished").mkdir()
    (tmp_path / "copy.unfinished" / "rowkeep.db").write_text("half")
    back_up(directory, tmp_path / "copy")
    assert restore(tmp_path / "copy", tmp_path / "restored").problems == ()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy", "data", "restored"]


def test_what_holds_no_data_is_not_copied(directory: DataDirectory, tmp_path: Path) -> None:
    """Neither a folder without a database nor one that is taken: the reason is told, nothing is left."""
    back_up(directory, tmp_path / "copy")
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StorageError, match="empty holds no data"):
        back_up(DataDirectory(tmp_path / "empty"), tmp_path / "other")
    with pytest.raises(StorageError, match="copy exists already"):
        back_up(directory, tmp_path / "copy")
    with pytest.raises(StorageError, match="empty holds no backup"):
        restore(tmp_path / "empty", tmp_path / "restored")
    with pytest.raises(StorageError, match="data is not empty"):
        restore(tmp_path / "copy", directory.path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_backup_that_lost_its_empty_folder(directory: DataDirectory, tmp_path: Path) -> None:
    """What carries files and no folders, as object stores do, loses that of no segments; nothing is missing.

    It is restored into a folder that is there and empty, as a mounted disk is.
    """
    back_up(directory, tmp_path / "copy")
    (tmp_path / "copy/segments").rmdir()
    (tmp_path / "restored").mkdir()
    assert restore(tmp_path / "copy", tmp_path / "restored").problems == ()
    restored = SqliteDatabase(DataDirectory(tmp_path / "restored").database)
    assert restored.problems() == []
    restored.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy", "data", "restored"]
