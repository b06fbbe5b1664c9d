"""What verify finds beside damage on the disk: what a mistake of ours, or a strange hand, would leave."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rowkeep.storage.journal.journal import Journal
from rowkeep.storage.verification import verify
from tests.contract.journaling import Uploads, batch, make_uploads
from tests.unit.read_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Rows of one upload in two segments."""
    with asyncio.Runner() as runner:
        made = World(tmp_path, runner, seals=True)
        made.create("s", [{"name": "id", "type": "integer"}])
        for number in range(2):
            made.insert("s", [{"id": number}] * 3)
        yield made
        made.close()


@pytest.fixture
def uploads(world: World) -> Uploads:
    """Two more uploads, which are empty."""
    return make_uploads(world.database)


def problems(world: World) -> tuple[str, ...]:
    """What verify says."""
    return verify(world.database, world.directory).problems


@pytest.mark.parametrize("said", [2, 4])
def test_rows_are_counted(world: World, uploads: Uploads, said: int) -> None:
    """An entry of which all checksums are right and that holds other rows than it says is found out."""
    assert problems(world) == ()
    wrong = msgspec.structs.replace(batch(uploads, [1, 2, 3]), row_count=said)
    Journal().commit_group(world.database, [wrong])
    assert problems(world) == (f"upload {uploads.first}: the entry at row 0 holds 3 rows, not {said}",)


def test_a_segment_that_says_it_holds_nothing(world: World) -> None:
    """It is named, and found out by the database's own rules too."""
    with world.database.writing() as connection:
        connection.raw.execute("PRAGMA ignore_check_constraints = ON")
        connection.raw.execute("UPDATE segments SET row_count = 0 WHERE first_row = 3")
    found = problems(world)
    assert "upload 1: the segment at row 3 cannot be found" in found
    assert any("CHECK constraint failed in segments" in problem for problem in found)
