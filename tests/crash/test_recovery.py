"""`rowkeep recover`: with rowkeep.db lost, the segments alone make a catalog again."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import parquet

from rowkeep.services import maintenance as maintenance_module
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.segments.parquet import RECOVERY_FACTS, SegmentWriter
from rowkeep.storage.verification import verify
from tests.command_line import Done, refusal, rowkeep, run
from tests.unit.read_world import World

SCHEMA = [{"name": "id", "type": "integer"}, {"name": "place", "type": "geography"}]
POINT = "POINT (1 2)"


def rows(first: int, end: int) -> list[dict[str, object]]:
    """Rows that count."""
    return [{"id": number, "place": POINT} for number in range(first, end)]


def filled(folder: Path, runner: asyncio.Runner) -> World:
    """A stream of 40 sealed rows in four segments and five in the journal, a file, one in the journal."""
    world = World(folder, runner)
    world.create("answers", SCHEMA)
    for first in range(0, 40, 10):
        world.insert("answers", rows(first, first + 10))
        world.seal()
    world.load("file.csv", b"id\n100\n101\n")
    world.create("waiting", SCHEMA)
    world.insert("waiting", rows(200, 205))
    world.insert("answers", rows(40, 45))
    return world


def lose(world: World) -> Path:
    """Closes a world and removes its database; returns the data directory."""
    world.close()
    world.directory.database.unlink()
    return world.folder


def recovered(folder: Path) -> Done:
    """Runs the command."""
    return run("recover", "--data-dir", str(folder))


def reopened(folder: Path, runner: asyncio.Runner) -> World:
    """The world of a recovered directory, all of which must be whole."""
    world = World(folder, runner)
    assert verify(world.database, world.directory).problems == ()
    return world


def uploads_of(world: World) -> dict[str, int]:
    """How many rows each upload of the table has."""
    token = world.token("ada")
    views = world.run(world.uploads.page(token, "ada.survey.answers", 0, 100))
    return {view.upload.name: view.upload.row_count for view in views}


def test_what_was_sealed_comes_back(tmp_path: Path, runner: asyncio.Runner) -> None:
    """Uploads, rows, types, names, identifiers and chains; and streams take rows and are sealed on."""
    world = filled(tmp_path, runner)
    find = world.doors.read(lambda view: view.datasets.find("ada", "survey", None, None))
    before = world.run(find)
    done = recovered(lose(world))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Recovered 2 uploads with 42 rows:\n  ada.survey  42 rows\n")
    world = reopened(tmp_path, runner)
    assert uploads_of(world) == {"answers": 40, "file.csv": 2}
    found = world.listed()
    assert found["id"].to_pylist() == [*range(40), 100, 101]
    assert found["place"].to_pylist() == [POINT] * 40 + [None] * 2
    after = world.run(world.doors.read(lambda view: view.datasets.find("ada", "survey", None, None)))
    assert before is not None
    assert after is not None
    assert (after.identifier, after.public_access_level) == (before.identifier, 0)
    world.insert("answers", rows(40, 50))
    world.seal()
    world.create("more", SCHEMA)
    assert uploads_of(world) == {"answers": 50, "file.csv": 2, "more": 0}
    assert verify(world.database, world.directory).problems == ()
    world.close()


def test_what_cannot_be_known_is_said(tmp_path: Path, runner: asyncio.Runner) -> None:
    """What only the database knew is named, and what to do next works as it is printed."""
    folder = lose(filled(tmp_path, runner))
    said = recovered(folder).stdout
    for words in ("not sealed", "tokens", "grants", "released", "undone", "audit log", "quarantine"):
        assert words in said
    assert rowkeep("token", "list", data_dir=folder).count("\n") == 0
    advice = said.partition("Next:\n")[2].splitlines()
    assert advice == ["  rowkeep token create --user ada", "  rowkeep verify"]
    for line in advice:
        assert rowkeep(*line.split()[1:], data_dir=folder)
    entries = json.loads(rowkeep("audit", "--format", "json", data_dir=folder))
    assert entries[-1]["action"] == "catalog.recover"
    assert entries[-1]["details"] == "uploads=2, rows=42"


def test_segments_that_were_replaced_do_not_count_twice(
    tmp_path: Path, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that a compaction replaced lie beside it until they are swept: the larger one is taken."""
    monkeypatch.setattr(maintenance_module, "COMPACTED_MIN", 3)
    monkeypatch.setattr(maintenance_module, "COMPACTED_OF_LARGEST_MIN", 1)
    world = filled(tmp_path, runner)
    world.compact("answers")
    assert len(list(world.directory.segments.iterdir())) == 6
    assert recovered(lose(world)).returncode == 0
    world = reopened(tmp_path, runner)
    assert uploads_of(world) == {"answers": 40, "file.csv": 2}
    world.close()


def test_a_damaged_copy_gives_way_to_a_good_one(
    tmp_path: Path, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two files with the same rows the one whose rows are as they were accepted is taken."""
    monkeypatch.setattr(maintenance_module, "COMPACTED_MIN", 3)
    monkeypatch.setattr(maintenance_module, "COMPACTED_OF_LARGEST_MIN", 1)
    world = filled(tmp_path, runner)
    world.compact("answers")
    compacted = max(world.directory.segments.glob("1-0-*"), key=rows_of)
    folder = lose(world)
    exchange_rows(compacted)
    done = recovered(folder)
    assert done.returncode == 1
    assert f"segments/{compacted.name} was not taken" in done.stderr
    world = reopened(folder, runner)
    assert uploads_of(world) == {"answers": 40, "file.csv": 2}
    world.close()


@pytest.mark.parametrize("damage", ["changed", "cut off", "gone"])
def test_rows_behind_a_gap_are_not_taken(tmp_path: Path, runner: asyncio.Runner, damage: str) -> None:
    """Changed rows are never shown as if they were good; what lies behind them is told, and not taken."""
    world = filled(tmp_path, runner)
    folder = lose(world)
    (second,) = DataDirectory(folder).segments.glob("1-10-*")
    damages: dict[str, Callable[[Path], object]] = {
        "changed": exchange_rows,
        "cut off": lambda file: file.write_bytes(file.read_bytes()[:-50]),
        "gone": Path.unlink,
    }
    damages[damage](second)
    done = recovered(folder)
    assert done.returncode == 1
    assert "the rows from 10 to 19 are missing, so 20 later rows in 2 files were not taken" in done.stderr
    assert (second.name in done.stderr) is (damage != "gone")
    world = reopened(folder, runner)
    assert uploads_of(world) == {"answers": 10, "file.csv": 2}
    world.close()


def rows_of(file: Path) -> int:
    """How many rows a segment has."""
    count: int = parquet.read_metadata(file).num_rows
    return count


def exchange_rows(file: Path) -> None:
    """Writes a segment anew with its rows in another order, and with all that it says of itself."""
    table = parquet.read_table(file)
    facts = parquet.read_metadata(file).metadata[RECOVERY_FACTS]
    order = list(range(table.num_rows))[::-1]
    with parquet.ParquetWriter(file, table.schema) as writer:
        writer.write_table(table.take(order))
        writer.add_key_value_metadata({RECOVERY_FACTS: facts})


def test_segments_of_an_earlier_version(
    tmp_path: Path, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They say neither names nor chains: their rows come back under made-up names, and that is said."""
    finish = SegmentWriter.finish
    monkeypatch.setattr(SegmentWriter, "finish", lambda writer, _=None: finish(writer))
    folder = lose(filled(tmp_path, runner))
    monkeypatch.undo()
    done = recovered(folder)
    assert done.returncode == 0
    assert "recovered.recovered" in done.stdout
    assert "an earlier rowkeep wrote them" in done.stdout
    world = reopened(folder, runner)
    token = world.token("recovered")
    views = world.run(world.uploads.page(token, "recovered.recovered.upload_1", 0, 10))
    assert [(view.upload.name, view.upload.row_count) for view in views] == [("upload_1", 40)]
    world.close()


def test_a_stream_that_went_on_in_the_next_version(tmp_path: Path, runner: asyncio.Runner) -> None:
    """Its upload of the newest version keeps the name; those of versions before get a number."""
    world = World(tmp_path, runner)
    world.create("answers", SCHEMA)
    world.insert("answers", rows(0, 10))
    world.release(continue_streams=True)
    world.insert("answers", rows(10, 15))
    world.seal()
    assert recovered(lose(world)).returncode == 0
    world = reopened(tmp_path, runner)
    assert uploads_of(world) == {"answers_2": 10, "answers": 5}
    assert world.listed()["id"].to_pylist() == list(range(15))
    world.close()


def test_what_is_left_of_the_old_database_is_kept(tmp_path: Path, runner: asyncio.Runner) -> None:
    """An empty file, a WAL of nothing and a recovery that was ended halfway are in nobody's way."""
    folder = lose(filled(tmp_path, runner))
    (folder / "rowkeep.db").touch()
    (folder / "rowkeep.db-wal").write_bytes(b"the last commits")
    (folder / "rowkeep.db.recovering").write_bytes(b"half")
    assert recovered(folder).returncode == 0
    kept = sorted(file.name.rpartition(".")[0] for file in (folder / "lost+found").iterdir())
    assert kept == ["rowkeep.db", "rowkeep.db-wal"]
    reopened(folder, runner).close()
    assert not (folder / "rowkeep.db.recovering").exists()


def test_nothing_is_recovered_where_nothing_is_lost(tmp_path: Path, runner: asyncio.Runner) -> None:
    """A directory with its database, one of somebody else, one without segments, one that is in use."""
    world = filled(tmp_path / "data", runner)
    assert "has its database" in refusal("recover", data_dir=tmp_path / "data")
    folder = lose(world)
    with DataDirectory(folder).locked():
        assert "stop it first" in refusal("recover", data_dir=folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").touch()
    assert "no data directory" in refusal("recover", data_dir=tmp_path / "other")
    assert "no data directory" in refusal("recover", data_dir=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    for file in DataDirectory(folder).segments.iterdir():
        file.write_bytes(b"no segment")
    assert "No segment" in refusal("recover", data_dir=folder)
