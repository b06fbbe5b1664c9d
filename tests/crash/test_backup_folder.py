"""Backups one after the other: each is whole by itself, costs what is new, and an interrupted one is none."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowkeep.storage.backups.folder import add_backup
from rowkeep.storage.backups.making import back_up
from rowkeep.storage.backups.record import read_record
from rowkeep.storage.backups.restoring import restore
from rowkeep.storage.base import StorageError
from rowkeep.storage.local_files import DataDirectory, hold_alone, holding_segments
from tests.command_line import refusal, rowkeep, run
from tests.unit.read_world import World

ROWS_PER_SEGMENT = 1_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A data directory whose rows are in segments, three to begin with."""
    with asyncio.Runner() as runner:
        made = World(tmp_path / "data", runner, seals=True)
        made.create("s", [{"name": "id", "type": "integer"}])
        for number in range(3):
            insert(made, number)
        yield made
        made.close()


def insert(world: World, number: int) -> None:
    """Adds a segment of rows that all hold one number."""
    world.insert("s", [{"id": number}] * ROWS_PER_SEGMENT)


def numbers_in(backup: Path, folder: Path) -> list[int]:
    """What is in the rows of a backup, in order and each number once; it is restored for that."""
    assert restore(backup, folder).problems == ()
    with asyncio.Runner() as runner:
        restored = World(folder, runner)
        found: list[int] = restored.listed()["id"].to_pylist()
        restored.close()
    assert len(found) == ROWS_PER_SEGMENT * len(set(found))
    return list(dict.fromkeys(found))


def segments_in(backup: Path) -> dict[str, os.stat_result]:
    """The segments of a backup by name."""
    return {file.name: file.stat() for file in (backup / "segments").iterdir()}


def own_bytes(backup: Path, earlier: Path) -> int:
    """What the segments of a backup take that an earlier one does not."""
    shared = {found.st_ino for found in segments_in(earlier).values()}
    return sum(found.st_size for found in segments_in(backup).values() if found.st_ino not in shared)


def test_a_second_backup_takes_the_room_of_what_is_new(world: World, tmp_path: Path) -> None:
    """Segments that were there before are the earlier backup's files by a second name; both restore whole."""
    first = back_up(world.directory, tmp_path / "first")
    insert(world, 3)
    second = back_up(world.directory, tmp_path / "second", earlier=tmp_path / "first")
    assert (first.segment_count, first.copied_count) == (3, 3)
    assert (second.segment_count, second.copied_count) == (4, 1)
    assert own_bytes(tmp_path / "second", tmp_path / "first") == second.copied_bytes
    assert second.copied_bytes <= first.copied_bytes // 2
    data = {found.st_ino for found in segments_in(world.folder).values()}
    copied = {found.st_ino for found in segments_in(tmp_path / "second").values()}
    assert not data & copied, "a backup must not share files with what it backs up"
    assert numbers_in(tmp_path / "second", tmp_path / "restored") == [0, 1, 2, 3]
    assert numbers_in(tmp_path / "first", tmp_path / "restored-first") == [0, 1, 2]


def test_an_earlier_backup_on_another_disk(world: World, tmp_path: Path) -> None:
    """There files cannot have a second name: they are copied, and the backup is as whole."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if Path(other).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is one file system here")
        back_up(world.directory, Path(other) / "first")
        second = back_up(world.directory, tmp_path / "second", earlier=Path(other) / "first")
    assert second.copied_count == 3
    assert numbers_in(tmp_path / "second", tmp_path / "restored") == [0, 1, 2]


def test_what_is_no_longer_whole_is_not_shared(world: World, tmp_path: Path) -> None:
    """A segment that was cut off in the earlier backup is copied anew."""
    back_up(world.directory, tmp_path / "first")
    cut = min(segments_in(tmp_path / "first"))
    os.truncate(tmp_path / "first" / "segments" / cut, 10)
    assert back_up(world.directory, tmp_path / "second", earlier=tmp_path / "first").copied_count == 1
    assert numbers_in(tmp_path / "second", tmp_path / "restored") == [0, 1, 2]


def test_nothing_is_shared_with_what_is_no_backup(world: World, tmp_path: Path) -> None:
    """Neither with the data directory itself nor with what was interrupted; nothing is made then."""
    back_up(world.directory, tmp_path / "first")
    (tmp_path / "first").rename(tmp_path / "first.unfinished")
    for earlier in (world.folder, tmp_path / "first.unfinished", tmp_path / "none"):
        with pytest.raises(StorageError, match="is no whole backup"):
            back_up(world.directory, tmp_path / "second", earlier=earlier)
    assert not (tmp_path / "second").exists()


def test_a_folder_keeps_the_newest(world: World, tmp_path: Path) -> None:
    """Each is after the one before; the oldest go, nothing else does, and what is left is whole."""
    folder = tmp_path / "backups"
    add_backup(world.directory, folder)
    (folder / "notes").mkdir()
    (folder / "2020-01-01T000000.000Z").mkdir()  # a name like a backup's, and no backup
    for number in (3, 4):
        insert(world, number)
        change = add_backup(world.directory, folder, keep=2)
        assert change.record.copied_count == 1
    (removed,) = change.removed
    assert not removed.exists()
    strangers = {"notes", "2020-01-01T000000.000Z"}
    first, second = sorted(path for path in folder.iterdir() if path.name not in strangers)
    assert {path.name for path in folder.iterdir()} == {first.name, second.name, *strangers}
    assert second == change.added
    assert numbers_in(first, tmp_path / "restored-first") == [0, 1, 2, 3]
    assert numbers_in(second, tmp_path / "restored") == [0, 1, 2, 3, 4]


# A process that kills itself once it has done something so many times: kill -9, at a moment that the test
# chooses.
KILLED = """
import os, signal, sys
from pathlib import Path
from rowkeep.storage import local_segments
from rowkeep.storage.backups import making
from rowkeep.storage.backups.folder import add_backup
from rowkeep.storage.local_files import DataDirectory

directory, folder, moment, count = sys.argv[1:]
def die_after(owner, name, calls):
    original = getattr(owner, name)
    seen = []
    def done_and_dead(*arguments):
        result = original(*arguments)
        seen.append(1)
        if len(seen) == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, done_and_dead)
if moment == "segment":
    die_after(local_segments.NewLocalFile, "keep", int(count))
elif moment == "database":
    die_after(making, "_copy_database", 1)
else:
    die_after(making, "write_record", 1)
add_backup(DataDirectory(Path(directory)), Path(folder))
"""


@pytest.mark.parametrize(
    ("moment", "copied_later"), [("database", 3), ("segment", 1), ("record", 0)], ids=lambda value: str(value)
)
def test_a_backup_that_was_killed(world: World, tmp_path: Path, moment: str, copied_later: int) -> None:
    """It is no backup, and says so; the next goes on from what it copied and leaves nothing of it."""
    folder = tmp_path / "backups"
    arguments = [str(world.folder), str(folder), moment, "2"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = folder.iterdir()
    assert left.name.endswith(".unfinished")
    with pytest.raises(StorageError, match="was interrupted, and not whole"):
        restore(left, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()
    change = add_backup(world.directory, folder)
    assert [path.name for path in folder.iterdir()] == [change.added.name]
    assert change.record.copied_count == copied_later
    assert not [path for path in world.folder.iterdir() if path.name.startswith("backup-")]
    assert numbers_in(change.added, tmp_path / "restored") == [0, 1, 2]


def test_a_start_removes_what_a_dead_backup_held(tmp_path: Path) -> None:
    """Second names of segments take room: they go when nobody holds them, and not before."""
    directory = DataDirectory(tmp_path / "data")
    directory.sweep()
    (held := directory.path / "backup-abcd1234").mkdir()
    (mine := directory.path / "backup-mine").mkdir()
    with holding_segments(directory.path):
        held.mkdir(exist_ok=True)
        directory.sweep()
        assert held.exists()
    directory.sweep()
    assert not held.exists()
    assert mine.exists()


def test_one_backup_at_a_time_in_a_folder(world: World, tmp_path: Path) -> None:
    """A second one is refused while the first runs, and changes nothing; so are two of one name."""
    folder = tmp_path / "backups"
    folder.mkdir()
    with hold_alone(folder), pytest.raises(StorageError, match="is under way"):
        add_backup(world.directory, folder)
    assert list(folder.iterdir()) == []
    (unfinished := tmp_path / "copy.unfinished").mkdir()
    with hold_alone(unfinished), pytest.raises(StorageError, match="Another process is making"):
        back_up(world.directory, tmp_path / "copy")
    assert list(unfinished.iterdir()) == []


def test_the_commands(tmp_path: Path) -> None:
    """The path alone on stdout, figures on stderr; options that do not go together are refused."""
    data, folder = tmp_path / "data", tmp_path / "backups"
    rowkeep("user", "create", "ada", data_dir=data)
    made = [Path(rowkeep("backup", "--into", str(folder), "--keep", "1", data_dir=data)) for _ in range(2)]
    assert [path.exists() for path in made] == [False, True]
    assert read_record(made[1]) is not None
    since = ("backup", str(tmp_path / "next"), "--since", str(made[1]))
    assert rowkeep(*since, data_dir=data) == str(tmp_path / "next")
    (made[1] / "backup.json").write_text("half")
    assert "backup is damaged" in refusal("restore", str(made[1]), data_dir=tmp_path / "restored")
    for wrong in (
        [],
        [str(tmp_path / "a"), "--into", str(folder)],
        [str(tmp_path / "a"), "--keep", "2"],
        ["--into", str(folder), "--since", str(made[1])],
        ["--into", str(folder), "--keep", "0"],
    ):
        done = run("backup", *wrong, "--data-dir", str(data))
        assert (done.returncode, done.stdout) == (2, ""), wrong
    assert not (tmp_path / "a").exists()


def test_what_an_old_backup_brings_back(tmp_path: Path) -> None:
    """A restore says how old the backup is and that revoked tokens work again, unless it revokes all."""
    data = tmp_path / "data"
    rowkeep("user", "create", "ada", data_dir=data)
    rowkeep("token", "create", "--user", "ada", data_dir=data)
    backup = rowkeep("backup", str(tmp_path / "backup"), data_dir=data)
    rowkeep("token", "revoke", "1", data_dir=data)
    again = run("restore", backup, "--data-dir", str(tmp_path / "again"))
    assert "everything is whole" in again.stdout
    assert "UTC (today)" in again.stderr
    assert "Tokens that were revoked" in again.stderr
    assert " valid " in rowkeep("token", "list", data_dir=tmp_path / "again")
    without = run("restore", backup, "--revoke-tokens", "--data-dir", str(tmp_path / "without"))
    assert "Every token was revoked" in without.stderr
    assert " revoked " in rowkeep("token", "list", data_dir=tmp_path / "without")
    assert "token.revoke" in rowkeep("audit", data_dir=tmp_path / "without")
