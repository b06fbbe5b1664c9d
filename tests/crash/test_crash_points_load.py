"""A kill at every point of a load: from the first byte that is sent to the removal of the file.

Rows of the crash table: before a file is all there, while segments are written, after they have moved to the
others, after the transaction that names them.
"""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from rowkeep.storage.verification import verify
from tests.crash.copies import CopyingDatabase, CopyingDisk, Points
from tests.crash.test_crash_points import (
    COMMIT_POINTS,
    FILE_POINTS,
    REMOVAL_POINTS,
    SCHEMA,
    assert_nothing_is_left,
    start,
)
from tests.unit.read_world import World

STREAMED = list(range(20))
LOADED = list(range(1_000, 1_300))
CONTENT = b"id,text\n" + b"".join(b"%d,row %d\n" % (number, number) for number in LOADED)


def numbers_of(world: World) -> list[int]:
    """The numbers of all rows, each with the text that it came with."""
    found = world.listed()
    numbers: list[int] = found["id"].to_pylist()
    assert found["text"].to_pylist() == [f"row {number}" for number in numbers]
    return numbers


def upload_names(world: World) -> list[str]:
    """The uploads of the table."""
    return [
        view.upload.name for view in world.run(world.uploads.page(world.owner, "ada.survey.answers", 0, 10))
    ]


@pytest.fixture
def points(quick_folder: Path) -> Points:
    """Where copies are made."""
    return Points(quick_folder / "data", quick_folder / "copies")


def test_a_kill_at_every_point_of_a_load(quick_folder: Path, runner: asyncio.Runner, points: Points) -> None:
    """At every point: all rows of the file or none, and what was begun is ended after the next start."""
    database = partial(CopyingDatabase, points=points)
    world = World(quick_folder / "data", runner, disk=CopyingDisk(points), database=database)
    world.create("live", SCHEMA)
    world.insert("live", [{"id": number, "text": f"row {number}"} for number in STREAMED])
    with points.watching():
        world.load("file", CONTENT)
    world.close()
    assert {point for point, _ in points.found} == FILE_POINTS | COMMIT_POINTS | REMOVAL_POINTS
    states = [check_copy(copy, runner) for _, copy in points.found]
    # Each of them is met: not yet asked for, asked for and not done, done.
    assert sorted(set(states)) == ["asked for", "done", "nothing"]


def check_copy(folder: Path, runner: asyncio.Runner) -> str:
    """Starts on what a kill left, and ends the load or begins it anew. Returns how far it was."""
    world = start(folder, runner)
    try:
        found, is_known = numbers_of(world), "file" in upload_names(world)
        assert found in (STREAMED, STREAMED + LOADED)
        if is_known:
            world.finish_jobs()
        else:
            assert found == STREAMED
            world.load("file", CONTENT)
        assert numbers_of(world) == STREAMED + LOADED
        assert verify(world.database, world.directory).problems == ()
        world.seal()
        world.sweep()
        assert_nothing_is_left(world)
        assert list(world.directory.jobs.iterdir()) == []
    finally:
        world.close()
    if not is_known:
        return "nothing"
    return "done" if found == STREAMED + LOADED else "asked for"
