"""What is not rowkeep's is left alone, and a data directory that lost its database is not begun anew."""

import asyncio
import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import apsw
import pytest

from rowkeep.storage import raw_contents
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.marker import MARKER
from rowkeep.storage.segments.sweep import SegmentSweep
from rowkeep.storage.statements import load_migrations
from tests import plain_http
from tests.api.stream import Stream
from tests.command_line import refusal, rowkeep, run
from tests.server_process import ServerProcess, wait_until

SEGMENT = "1-0-00000000.parquet"
# Files of somebody else, some with names and in folders that rowkeep uses too.
FOREIGN = (
    "notes.txt",
    "spool/photo.raw",
    "segments/mine.parquet",
    "jobs/payroll.csv",
    "temp_uploads/0a1b",
    "lost+found.txt",
    "rowkeep.db-wal",
)


def put(folder: Path, name: str) -> Path:
    """Makes a file that rowkeep did not make."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"the content of {name}")
    return file


def content(folder: Path) -> dict[str, str]:
    """Every file and folder, and what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "/"
        for path in folder.rglob("*")
    }


def refused_start(folder: Path) -> str:
    """Has the server refuse to start in a folder; returns what it says. Nothing in the folder may change."""
    before = content(folder)
    done = run("serve", "--data-dir", str(folder), "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert content(folder) == before
    return done.stderr


@pytest.mark.parametrize("name", FOREIGN)
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, name: str) -> None:
    """By the server and by every command, in words, and nothing in it is made, changed or removed."""
    put(tmp_path, name)
    before = content(tmp_path)
    said = refused_start(tmp_path)
    assert name.split("/", maxsplit=1)[0] in said
    assert "start refused" in said
    for command in (("user", "create", "ada"), ("token", "list"), ("verify",)):
        assert "no data directory of rowkeep" in refusal(*command, data_dir=tmp_path)
    assert content(tmp_path) == before


@pytest.mark.parametrize("damage", ["overwritten", "cut off"])
def test_a_damaged_database_is_refused_in_words(tmp_path: Path, damage: str) -> None:
    """A file that is no database, or half of one: by the server and by commands, with what to do next."""
    rowkeep("user", "create", "ada", data_dir=tmp_path)
    database = tmp_path / "rowkeep.db"
    database.write_bytes(b"no database" * 1_000 if damage == "overwritten" else database.read_bytes()[:9_000])
    before = database.read_bytes()
    start = run("serve", "--data-dir", str(tmp_path), "--port", "0").stderr
    for said in (start, refusal("token", "list", data_dir=tmp_path)):
        assert f"{database} cannot be opened" in said
        assert "rowkeep restore" in said
        assert "rowkeep recover" in said
    assert "start refused" in start
    assert database.read_bytes() == before


def test_what_is_empty_becomes_a_data_directory(tmp_path: Path) -> None:
    """An empty folder, a new file system, and what a start left that died before it had a database."""
    (tmp_path / "lost+found").mkdir()
    DataDirectory(tmp_path).sweep()
    (tmp_path / "lock").touch()
    (tmp_path / "rowkeep.db").touch()
    (tmp_path / f"{MARKER}.abcd1234").touch()
    assert rowkeep("user", "create", "ada", data_dir=tmp_path) == "ada"
    marker = json.loads((tmp_path / MARKER).read_text())
    assert (marker["format"], marker["formatVersion"]) == ("rowkeep data directory", 1)


def test_a_directory_of_an_earlier_version_gets_its_marker(tmp_path: Path) -> None:
    """It has a database and no marker."""
    rowkeep("user", "create", "ada", data_dir=tmp_path)
    (tmp_path / MARKER).unlink()
    rowkeep("token", "list", data_dir=tmp_path)
    assert (tmp_path / MARKER).exists()


def test_commands_make_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    """A directory that was misspelt is not made by asking for it; the first user makes it."""
    commands = (
        ("token", "list"),
        ("token", "create", "--user", "ada"),
        ("token", "revoke", "1"),
        ("organization", "create", "lab", "--admin", "ada"),
        ("access", "list", "ada.data"),
        ("verify",),
        ("backup", str(tmp_path / "copy")),
    )
    for command in commands:
        assert "is --data-dir right?" in refusal(*command, data_dir=tmp_path / "typo")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loss", ["missing", "empty"])
@pytest.mark.parametrize("is_marked", [True, False])
def test_a_lost_database_is_not_begun_anew(tmp_path: Path, loss: str, is_marked: bool) -> None:
    """Segments without their catalog stay where they are, by whatever command it is noticed."""
    rowkeep("user", "create", "ada", data_dir=tmp_path)
    put(tmp_path, f"segments/{SEGMENT}")
    (tmp_path / "rowkeep.db").unlink()
    if loss == "empty":
        (tmp_path / "rowkeep.db").touch()
    if not is_marked:
        (tmp_path / MARKER).unlink()
    assert "has lost its database" in refused_start(tmp_path)
    before = content(tmp_path)
    for command in (("user", "create", "eve"), ("token", "list"), ("verify",)):
        assert "has lost its database" in refusal(*command, data_dir=tmp_path)
    assert content(tmp_path) == before


def test_a_lost_database_without_segments_is_noticed(tmp_path: Path) -> None:
    """Its rows may all have been in the journal."""
    rowkeep("user", "create", "ada", data_dir=tmp_path)
    (tmp_path / "rowkeep.db").unlink()
    assert "has lost its database" in refused_start(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ('{"format": "another"}', "names another format"),
        ('{"formatVersion": 2, "writtenBy": "rowkeep 9"}', "has layout 2, written by rowkeep 9"),
    ],
)
def test_a_marker_that_this_version_does_not_know(tmp_path: Path, text: str, said: str) -> None:
    """It is refused, and says what to do."""
    rowkeep("user", "create", "ada", data_dir=tmp_path)
    (tmp_path / MARKER).write_text(text)
    assert said in refused_start(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"PRAGMA user_version = {len(load_migrations('sqlite')) + 1}", "A newer rowkeep wrote it"),
        ("PRAGMA user_version = -1", "A newer rowkeep wrote it"),
        ("PRAGMA user_version = 1", "a schema that rowkeep did not make"),
        ("CREATE TABLE notes (text)", "table notes differ"),
        ("ALTER TABLE tokens ADD COLUMN mood TEXT", "table tokens differ"),
        ("DROP TABLE quarantined_rows", "table quarantined_rows"),
    ],
)
def test_a_schema_that_this_version_does_not_know(tmp_path: Path, change: str, said: str) -> None:
    """A newer one and an altered one are refused in words, before anything is changed."""
    rowkeep("user", "create", "ada", data_dir=tmp_path)
    raw = apsw.Connection(str(tmp_path / "rowkeep.db"))
    raw.execute(change).fetchall()
    raw.close()
    assert said in refusal("token", "list", data_dir=tmp_path)
    done = run("serve", "--data-dir", str(tmp_path), "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


def test_only_what_rowkeep_named_is_removed(tmp_path: Path) -> None:
    """Files of somebody else in its folders outlive starts, stops and sweeps; its own leftovers go."""
    server = ServerProcess(tmp_path / "data", seal_bytes_min="1")
    foreign = [put(server.data_dir, name) for name in FOREIGN if "/" in name]
    foreign.append(put(server.data_dir, "segments/1-0-5-0-00000000.parquet"))
    ours = [
        put(server.data_dir, "spool/body-abcd1234.body"),
        put(server.data_dir, "spool/tmpabcd1234.body"),
        put(server.data_dir, "spool/statistics-abcd1234/spill.tmp"),
        put(server.data_dir, "jobs/load-abcd1234/segments/half"),
        put(server.data_dir, f"segments/{SEGMENT}.unfinished"),
    ]
    for _ in range(2):
        server.start()
        stream = Stream(server.url, server.token, None, server.user)
        stream.insert({"rows": [{"n": 1}], "updateSchema": True})
        wait_until(lambda: any((server.data_dir / "segments").glob("1-0-????????.parquet")))
        stream.close()
        assert server.stop() == 0
    server.close()
    assert [file for file in foreign if not file.exists()] == []
    assert [file for file in ours if file.exists()] == []


def metrics_of(server: ServerProcess) -> str:
    """The metrics of a running server."""
    return plain_http.get(server.url.removesuffix("/api/v1") + "/metrics").text


def test_an_older_database_beside_newer_segments(tmp_path: Path) -> None:
    """Rows that it does not know are moved, told, counted, kept, and whole with the newer database."""
    server = ServerProcess(tmp_path / "data", seal_bytes_min="1")
    server.start()
    stream = Stream(server.url, server.token, None, server.user)
    stream.insert({"rows": [{"n": 1}], "updateSchema": True})
    wait_until(lambda: "rowkeep_segments_sealed_total 1.0" in metrics_of(server))
    assert server.stop() == 0
    older, newer = tmp_path / "older.db", tmp_path / "newer.db"
    database = server.data_dir / "rowkeep.db"
    shutil.copyfile(database, newer)
    rowkeep("user", "create", "ada", data_dir=tmp_path / "seed")
    shutil.copyfile(tmp_path / "seed" / "rowkeep.db", older)
    before = content(server.data_dir / "segments")
    assert len(before) == 1

    shutil.copyfile(older, database)
    server.start()
    assert "rowkeep_segments_set_aside_total 1.0" in metrics_of(server)
    assert server.stop() == 0
    newer_rows = server.data_dir / "lost+found" / "newer"
    assert content(newer_rows) == before
    assert content(server.data_dir / "segments") == {}
    lines = [json.loads(line) for line in server.log().splitlines()]
    (told,) = [line for line in lines if "older than the segments" in line["event"]]
    assert (told["level"], told["files"]) == ("error", list(before))
    (moved,) = [line for line in lines if line["event"] == "file moved"]
    assert moved["to"] == f"lost+found/newer/{next(iter(before))}"
    os.utime(newer_rows / next(iter(before)), (0, 0))
    LocalSegments(server.data_dir / "segments", Disk()).forget_set_aside(time.time())
    assert content(newer_rows) == before

    shutil.copyfile(newer, database)
    for name in before:
        (newer_rows / name).rename(server.data_dir / "segments" / name)
    assert "1 row" in rowkeep("verify", data_dir=server.data_dir)
    server.close()
    stream.close()


def test_what_was_set_aside_goes_after_its_days(tmp_path: Path) -> None:
    """Two files of one name are both kept; files of somebody else stay for ever."""
    segments = tmp_path / "segments"
    store = LocalSegments(segments, Disk())
    sweep = SegmentSweep(store)
    for text in ("first", "second"):
        put(tmp_path, f"segments/{SEGMENT}").write_text(text)
        put(tmp_path, "segments/mine.parquet")
        sweep.sweep_at_start(store.names(), set())
    lost = tmp_path / "lost+found"
    assert sorted(file.read_text() for file in lost.iterdir()) == ["first", "second"]
    assert sweep.set_aside_count == 2
    put(tmp_path, "lost+found/#12345")
    sweep.forget_set_aside()
    assert len(list(lost.iterdir())) == 3
    for file in lost.iterdir():
        os.utime(file, (0, 0))
    sweep.forget_set_aside()
    assert [file.name for file in lost.iterdir()] == ["#12345"]
    assert [file.name for file in segments.iterdir()] == ["mine.parquet"]


def test_what_is_put_there_while_the_server_runs_is_set_aside(tmp_path: Path) -> None:
    """The server's own garbage is removed; a file that it neither wrote nor named goes to lost+found."""
    store = LocalSegments(tmp_path / "segments", Disk())
    sweep = SegmentSweep(store)
    own, released, foreign = (f"1-{row}-00000000.parquet" for row in range(3))
    for name in (own, released, foreign):
        put(tmp_path, f"segments/{name}")
    sweep.note_written(own)
    assert sweep.sweep(store.names(), {released}, grace_seconds=3_600) == 0
    assert sweep.sweep(store.names(), set(), grace_seconds=0) == 3
    assert store.names() == set()
    assert [file.name for file in (tmp_path / "lost+found").iterdir()] == [foreign]
    assert sweep.set_aside_count == 1


def test_contents_that_an_older_database_does_not_know_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server kept and let go is removed; a content that it never knew goes to lost+found."""
    monkeypatch.setattr(raw_contents, "GRACE_SECONDS", 0.0)
    named, foreign = (hashlib.sha256(text).hexdigest() for text in (b"named", b"foreign"))
    for name in (named, foreign):
        put(tmp_path, f"raw_files/{name}")
    folder = raw_contents.RawContentFolder(tmp_path / "raw_files", tmp_path / "temp_uploads", Disk())

    async def sweep_twice() -> list[int]:
        async def names() -> set[str]:
            return {named}

        async def none() -> set[str]:
            return set()

        return [await folder.sweep(names), await folder.sweep(none)]

    assert asyncio.run(sweep_twice()) == [1, 1]
    assert list((tmp_path / "raw_files").iterdir()) == []
    assert [file.name for file in (tmp_path / "lost+found" / "raw_files").iterdir()] == [foreign]


def test_what_cannot_be_moved_stays(tmp_path: Path) -> None:
    """A folder that nobody may write to, or a file in its place, keeps no server from its start."""
    store = LocalSegments(tmp_path / "segments", Disk())
    sweep = SegmentSweep(store)
    put(tmp_path, f"segments/{SEGMENT}")
    put(tmp_path, "lost+found")
    sweep.sweep_at_start(store.names(), set())
    assert sweep.sweep_alone(store.names(), set()) == 0
    assert store.names() == {SEGMENT}


def test_looser_modes_are_mended_at_start(tmp_path: Path) -> None:
    """As an earlier version left them, under any umask; the log says which. Links are not followed."""
    server = ServerProcess(tmp_path / "data")
    outside = put(tmp_path, "outside.txt")
    (server.data_dir / "segments").mkdir()
    (server.data_dir / "segments" / "link").symlink_to(outside)
    loose = [server.data_dir, server.data_dir / "segments", server.data_dir / "rowkeep.db"]
    for path in (outside, *loose):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for _ in range(2):
        server.start()
        assert server.stop() == 0
    server.close()
    paths = [server.data_dir, *server.data_dir.rglob("*")]
    assert [path for path in paths if path.lstat().st_mode & 0o077 and not path.is_symlink()] == []
    assert outside.stat().st_mode & 0o777 == 0o644
    (line,) = [line for line in server.log().splitlines() if "open to other users" in line]
    assert {str(path) for path in loose} <= set(json.loads(line)["files"])
