"""What is deleted while its rows are on their way into a segment, and what is sealed when it has been."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rowkeep.model.errors import RowkeepError
from rowkeep.services import maintenance as maintenance_module
from rowkeep.services.maintenance import SealingPolicy
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.doors import edit_catalog
from rowkeep.storage.local_files import Disk
from rowkeep.storage.sqlite import SqliteConnection, SqliteDatabase
from rowkeep.storage.verification import verify
from tests.unit.read_world import World

SCHEMA = [{"name": "id", "type": "integer"}]


class InterruptedDisk(Disk):
    """Something happens before a file is written, or when it has its name and no catalog row says so."""

    def __init__(self) -> None:
        self.before: Callable[[], None] | None = None
        self.after: Callable[[], None] | None = None

    def create(self, path: Path) -> int:
        if self.before is not None:
            self.before()
        return super().create(path)

    def sync_directory(self, folder: Path) -> None:
        super().sync_directory(folder)
        if self.after is not None:
            self.after()


@pytest.fixture
def disk() -> InterruptedDisk:
    """The disk under `world`."""
    return InterruptedDisk()


@pytest.fixture
def world(tmp_path: Path, disk: InterruptedDisk) -> Iterator[World]:
    """Two uploads, of which `t` stays as it is."""
    with asyncio.Runner() as runner:
        made = World(tmp_path, runner, disk=disk)
        for name in ("s", "t"):
            made.create(name, SCHEMA)
            made.insert(name, ids(0, 5))
        yield made
        made.close()


def ids(start: int, end: int) -> list[dict[str, Any]]:
    """Rows that count."""
    return [{"id": number} for number in range(start, end)]


def forget(world: World) -> None:
    """What a deletion and the next upkeep do to the first upload, at once."""

    def edit(editor: CatalogEditor) -> None:
        editor.uploads.delete(1)
        editor.entries.drop(1, 2**40, 2**40)
        editor.uploads.forget(1)

    edit_catalog(world.database, edit)


def files(world: World) -> set[str]:
    """What lies in the folder of segments."""
    return {file.name for file in world.directory.segments.iterdir()}


def only_the_other_is_there(world: World) -> bool:
    """Whether the rows of `t` are whole and nothing is left of `s`."""
    assert world.listed()["id"].to_pylist() == list(range(5))
    assert verify(world.database, world.directory).problems == ()
    return world.rows_kept() == 5


def test_rows_that_go_before_they_are_written(world: World, disk: InterruptedDisk) -> None:
    """Nothing is sealed, no file is left, and the next look finds nothing of it."""
    [first, _] = world.run(world.doors.read(lambda view: view.entries.uploads_to_seal(0, 10)))
    disk.before = lambda: forget(world)
    with pytest.raises(RowkeepError, match="holds 0 rows from 0 on, not 5"):
        world.run(world.maintenance.seal(first))
    assert files(world) == set()
    [other] = world.run(world.doors.read(lambda view: view.entries.uploads_to_seal(0, 10)))
    assert other.upload_id == 2
    assert only_the_other_is_there(world)


def test_rows_that_go_before_their_segment_is_named(world: World, disk: InterruptedDisk) -> None:
    """Its file stays without a name and is swept; it does not count as sealed."""
    [first, _] = world.run(world.doors.read(lambda view: view.entries.uploads_to_seal(0, 10)))
    disk.after = lambda: forget(world)
    assert world.run(world.maintenance.seal(first))
    assert (world.maintenance.health.segments_sealed, world.maintenance.health.rows_sealed) == (0, 0)
    assert len(files(world)) == 1
    assert world.sweep() == 1
    assert only_the_other_is_there(world)


def test_segments_that_go_before_their_compaction_is_named(world: World, disk: InterruptedDisk) -> None:
    """The same of a compaction, which then finds nothing more to do."""
    for start in range(5, 40, 5):
        world.seal()
        world.insert("s", ids(start, start + 5))
    world.seal()
    disk.after = lambda: forget(world)
    world.run(world.maintenance.compact(1))
    assert world.maintenance.health.segments_compacted == 0
    assert world.sweep() == 8 + 1
    assert only_the_other_is_there(world)


def test_what_was_sealed_meanwhile_is_not_sealed_again(world: World) -> None:
    """A list of uploads to seal grows old: rows that are in a segment are told to be none."""
    [first, _] = world.run(world.doors.read(lambda view: view.entries.uploads_to_seal(0, 10)))
    assert world.run(world.maintenance.seal(first))
    assert not world.run(world.maintenance.seal(first))
    assert world.maintenance.health.segments_sealed == 1


def test_sealing_stops_to_look_again(
    world: World, disk: InterruptedDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due and how fast rows arrive changes while much is sealed: it is not all taken at one look."""
    monkeypatch.setattr(maintenance_module, "SEALING_SECONDS_MAX", 0)
    looks: list[int] = []
    policy = SealingPolicy(seal_bytes_min=1, seal_minutes_max=10, journal_bytes_max=2**20)
    maintenance = maintenance_module.Maintenance(
        world.doors, world.sealer, policy, lambda _: looks.append(maintenance.health.segments_sealed)
    )

    async def run() -> None:
        running = asyncio.create_task(maintenance.run())
        async with asyncio.timeout(60):
            while maintenance.health.segments_sealed < 2:  # noqa: ASYNC110  # it says so nowhere else
                await asyncio.sleep(0.001)
        running.cancel()

    world.run(run())
    assert looks[:2] == [0, 1]


VERIFY_READINGS_MAX = 30


class WatchedDatabase(SqliteDatabase):
    """A database in which something happens before the next readings, each as often as it is listed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.before: list[Callable[[], None]] = []

    @contextmanager
    def reading(self) -> Iterator[SqliteConnection]:
        if self.before:
            self.before.pop(0)()
        with super().reading() as connection:
            yield connection


def test_verify_passes_over_what_goes_meanwhile(tmp_path: Path) -> None:
    """An upload that is deleted before any of verify's readings is not missing; the others are read."""
    row_counts = []
    with asyncio.Runner() as runner:
        for reading in range(VERIFY_READINGS_MAX):
            world = World(tmp_path / str(reading), runner, database=WatchedDatabase)
            for name in ("s", "t"):
                world.create(name, SCHEMA)
                world.insert(name, ids(0, 5))
            database = world.database
            assert isinstance(database, WatchedDatabase)
            database.before = [*([lambda: None] * reading), partial(forget, world)]
            report = verify(database, world.directory)
            is_over = bool(database.before)  # verify had no such reading
            database.before.clear()
            assert report.problems == ()
            row_counts.append(report.row_count)
            assert is_over or only_the_other_is_there(world)
            world.close()
            if is_over:
                break
    assert is_over, "verify reads more often than this test looks"
    assert set(row_counts) == {5, 10}
    assert row_counts == sorted(row_counts)
    assert row_counts.count(5) >= 3  # also after it was listed


@pytest.mark.parametrize(("format_name", "body"), [("csv", b"\n\n"), ("jsonl", b"{}\n{}\n")])
def test_a_session_of_rows_that_had_no_variables(tmp_path: Path, format_name: str, body: bytes) -> None:
    """It shows as many rows without any, also when they have got some and lie in a segment by now."""
    with asyncio.Runner() as runner:
        world = World(tmp_path, runner)
        world.create("s", [])
        world.insert_empty("s", 2)
        arrow, text = world.session(), world.session(format_name=format_name)
        before = world.streamed(text.streams[0])
        world.insert("s", [{"v": 1}], updateSchema=True)
        world.seal()
        assert world.streamed(text.streams[0]) == before
        assert before.endswith(body)
        assert (world.table(arrow.streams[0]).num_rows, world.table(arrow.streams[0]).num_columns) == (2, 0)
        world.close()
