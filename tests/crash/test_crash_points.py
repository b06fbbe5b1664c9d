"""A kill at every point of sealing, compacting, sweeping, forgetting, releasing and starting.

Rows of the crash table: while a segment is written, after its rename, after the transaction that names it,
after a compaction, while entries are dropped and files are removed.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from rowkeep.services import maintenance as maintenance_module
from rowkeep.storage.verification import verify
from tests.crash.copies import CopyingDatabase, CopyingDisk, Points
from tests.unit.read_world import World

SCHEMA = [{"name": "id", "type": "integer"}, {"name": "text", "type": "string"}]
FILE_POINTS = {
    f"{when} {what}"
    for what in ("creating", "a write", "the fsync", "the rename", "the folder's fsync")
    for when in ("before", "after")
} | {"within a write"}
COMMIT_POINTS = {f"{when} a transaction" for when in ("before", "within", "after")}
REMOVAL_POINTS = {"before a removal", "after a removal"}


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are dropped a few at a time, and few segments are worth a compaction."""
    monkeypatch.setattr(maintenance_module, "DROPPED_BYTES_MAX", 1_000)
    monkeypatch.setattr(maintenance_module, "COMPACTED_MIN", 3)
    monkeypatch.setattr(maintenance_module, "COMPACTED_OF_LARGEST_MIN", 1)


class Plain(NamedTuple):
    """The model: what each upload of the table holds, in the order of the uploads."""

    uploads: dict[str, list[int]]

    def insert(self, world: World, upload: str, count: int) -> None:
        """Inserts rows that go on counting, in the world and here."""
        start = 1_000 * len(self.uploads) + len(self.uploads.setdefault(upload, []))
        numbers = list(range(start, start + count))
        world.insert(upload, [{"id": number, "text": f"row {number}"} for number in numbers])
        self.uploads[upload] += numbers

    def check(self, world: World) -> None:
        """All rows are there, in order and once, and everything is whole."""
        found = world.listed()
        numbers = [number for upload in self.uploads.values() for number in upload]
        assert found["id"].to_pylist() == numbers
        assert found["text"].to_pylist() == [f"row {number}" for number in numbers]
        assert verify(world.database, world.directory).problems == ()


def fill(world: World, plain: Plain) -> None:
    """Two uploads: the first with four segments and twelve entries behind them, the second in the journal."""
    for name in ("a", "b"):
        world.create(name, SCHEMA)
        plain.uploads[name] = []
    for _ in range(4):
        plain.insert(world, "a", 10)
        world.seal()
    for _ in range(6):
        plain.insert(world, "a", 15)
        plain.insert(world, "b", 15)


def sealed(world: World, _: Plain) -> None:
    """All that waits in the journal."""
    world.seal()


def compacted(world: World, _: Plain) -> None:
    """The first upload's segments."""
    world.compact("a")


def swept(world: World, _: Plain) -> None:
    """The files that a compaction has replaced."""
    world.sweep()


def forgotten(world: World, _: Plain) -> None:
    """An upload that is deleted, with its segments and entries."""
    world.forget_deleted()
    world.sweep()


def released(world: World, _: Plain) -> None:
    """The release, unless a kill came after it, and what maintenance does about it."""
    dataset = world.run(world.doors.read(lambda view: view.datasets.find("ada", "survey", None, None)))
    assert dataset is not None
    if dataset.next_version_id is not None:
        world.release()
    for upload in world.run(world.maintenance.look()):
        assert world.run(world.maintenance.seal(upload))


def left_compacted(world: World, _: Plain) -> None:
    """Before the sweep: a compaction."""
    world.compact("a")


def left_deleted(world: World, plain: Plain) -> None:
    """Before the forgetting: an upload is deleted, of which no session was opened."""
    world.delete("a")
    del plain.uploads["a"]


def as_it_is(_: World, __: Plain) -> None:
    """Nothing is needed before the operation."""


Step = Callable[[World, Plain], None]
OPERATIONS: dict[str, tuple[Step, Step, set[str]]] = {
    "seal": (as_it_is, sealed, FILE_POINTS | COMMIT_POINTS),
    "compact": (as_it_is, compacted, FILE_POINTS | COMMIT_POINTS),
    "sweep": (left_compacted, swept, REMOVAL_POINTS),
    "forget": (left_deleted, forgotten, COMMIT_POINTS | REMOVAL_POINTS),
    "release and seal": (as_it_is, released, FILE_POINTS | COMMIT_POINTS),
}


def start(folder: Path, runner: asyncio.Runner) -> World:
    """What a server does when it starts: files without a name go, and what is half done is ended.

    What that compacts is swept too, as it would be ten minutes later.
    """
    world = World(folder, runner)
    world.sweep()
    world.run(world.maintenance.recover())
    world.sweep()
    return world


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_kill_at_every_point(name: str, quick_folder: Path, runner: asyncio.Runner) -> None:
    """At every point of every operation: no row lost, doubled or moved, and the operation can be ended."""
    prepare, operate, expected = OPERATIONS[name]
    points = Points(quick_folder / "data", quick_folder / "copies")
    world = World(
        quick_folder / "data",
        runner,
        disk=CopyingDisk(points),
        database=partial(CopyingDatabase, points=points),
    )
    plain = Plain({})
    fill(world, plain)
    prepare(world, plain)
    with points.watching():
        operate(world, plain)
    world.close()
    assert {point for point, _ in points.found} == expected
    for _, copy in points.found:
        check_copy(copy, runner, plain, operate, may_insert=name != "release and seal")


def check_copy(
    folder: Path, runner: asyncio.Runner, plain: Plain, operate: Step, *, may_insert: bool
) -> None:
    """Starts on what a kill left, ends the operation, and goes on."""
    world = start(folder, runner)
    plain.check(world)
    operate(world, plain)
    after = Plain({name: list(numbers) for name, numbers in plain.uploads.items()})
    if may_insert:
        after.insert(world, "b", 5)
        world.seal()
    world.sweep()
    after.check(world)
    assert_nothing_is_left(world)
    world.close()


def assert_nothing_is_left(world: World) -> None:
    """Every file is named, and no entry lies beside the segment that holds its rows."""
    named = world.run(world.doors.read(lambda view: view.segments.file_names()))
    assert {file.name for file in world.directory.segments.iterdir()} == named
    assert world.run(world.doors.read(lambda view: view.entries.sealed_ends())) == []


def test_a_kill_while_starting(quick_folder: Path, runner: asyncio.Runner) -> None:
    """A start that ends what a kill left half done may be killed too, at every point, again and again."""
    world = World(quick_folder / "made", runner)
    plain = Plain({})
    fill(world, plain)
    world.name_sealed(world.unnamed_segment("a", first_row=40))
    world.unnamed_segment("b")
    (world.directory.segments / "1-0-5-00000000.parquet.unfinished").write_bytes(b"half")
    world.close()
    points = Points(quick_folder / "made", quick_folder / "copies")
    disk, database = CopyingDisk(points), partial(CopyingDatabase, points=points)
    with points.watching():
        world = World(quick_folder / "made", runner, disk=disk, database=database)
    world.close()
    reached = Counter(point for point, _ in points.found)
    assert reached["after a removal"] >= 1  # of the unfinished file
    assert reached["after the rename"] >= 1  # of the one without a name, which is set aside
    assert reached["after a transaction"] >= 3
    for _, copy in points.found:
        check_copy(copy, runner, plain, sealed, may_insert=True)
