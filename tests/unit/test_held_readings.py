"""Readings that wait for their readers: most of them hold no rows, and go on where they were."""

import asyncio
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowkeep.model.resources import ReadFormat, ReadStream
from rowkeep.services.read.held import HOLDING_MAX, MOMENT_SECONDS
from rowkeep.services.read.read import read_request, whole_stream
from rowkeep.storage.doors import read_snapshot
from rowkeep.storage.segments import reader
from tests.arrow_streams import table_of
from tests.unit.read_world import TABLE, World

SCHEMA = [{"name": "n", "type": "integer"}, {"name": "text", "type": "string"}]
MEBIBYTE = 2**20


@pytest.fixture(params=[False, True], ids=["journal", "segments"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A table of three inserts of some size, in the journal or in segments."""
    with asyncio.Runner() as runner:
        made = World(tmp_path, runner, seals=request.param)
        made.create("s", SCHEMA)
        for start in range(0, 9_000, 3_000):
            made.insert(
                "s", [{"n": number, "text": str(number) * 200} for number in range(start, start + 3_000)]
            )
        yield made
        made.close()


def stream(world: World, format_name: str) -> ReadStream:
    """The whole table."""
    asked = read_request(TABLE, None, format_name, None, None)
    return read_snapshot(world.database, lambda view: whole_stream(view, world.owner, asked))


@pytest.mark.parametrize("format_", ReadFormat)
def test_a_reading_goes_on_after_it_let_go(
    world: World, format_: ReadFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it lets go after each step or never, the rows are the same, each once and in order."""
    monkeypatch.setattr(reader, "STEP_BYTES_MAX", 10_000)
    monkeypatch.setattr(reader, "BATCH_BYTES_MAX", 100_000)
    bodies: list[bytes] = []
    for lets_go in (False, True):
        reading = world.readings(stream(world, format_), offset=7, with_sentinel=False)
        parts: list[bytes] = []
        while (part := read_snapshot(world.database, reading.step)) is not None:
            parts.append(part)
            if lets_go:
                reading.let_go()
        assert len(parts) > 3
        bodies.append(b"".join(parts))
    if format_ is ReadFormat.ARROW:
        assert table_of(bodies[0]).equals(table_of(bodies[1]))
        assert table_of(bodies[1])["n"].to_pylist() == list(range(7, 9_000))
    else:
        assert bodies[0] == bodies[1]


@pytest.mark.parametrize("world", [False], ids=["journal"], indirect=True)
def test_a_crowd_that_waits_holds_a_part_each(world: World) -> None:
    """Of many bodies that wait, a few hold the rows of their next parts; all go on when they are asked."""
    crowd = 16
    part = world.next_part(world.parts(format_name="jsonl"))
    assert part is not None
    tracemalloc.start()
    bodies = [world.parts(format_name="jsonl") for _ in range(crowd)]
    for body in bodies:
        assert world.next_part(body) == part
    world.run(asyncio.sleep(3 * MOMENT_SECONDS))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    decoded = 10 * MEBIBYTE  # of this table: its entries, their lines and rows
    assert held < crowd * len(part) + HOLDING_MAX * decoded
    for body in (bodies[0], bodies[-1]):
        rows = (part + b"".join(world.rest(body))).splitlines()
        assert [json.loads(row)["n"] for row in rows] == list(range(9_000))
