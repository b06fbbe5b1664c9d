"""Rows of a file in several segments: whole, in order, with the chain and the marks of streamed rows."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from rowkeep.model.errors import RowkeepError
from rowkeep.model.resources import UploadType
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.segments import LoadedCounters
from rowkeep.storage.catalog.uploads import NewUpload
from rowkeep.storage.local_files import Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.loading import LoadedRows, SegmentLoader
from rowkeep.storage.verification import verify
from tests.unit.read_world import World

SCHEMA = Schema(2, (Variable("id", VariableType.INTEGER), Variable("text", VariableType.STRING)))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A database with an empty table."""
    with asyncio.Runner() as runner:
        made = World(tmp_path / "data", runner)
        yield made
        made.close()


def batches(numbers: list[int], size: int) -> Iterator[pa.RecordBatch]:
    """Rows with a number and a text, so many in a batch."""
    for start in range(0, len(numbers), size):
        part = numbers[start : start + size]
        yield pa.record_batch({"id": part, "text": [f"row {number}" for number in part]})


def written(
    world: World, rows: Iterator[pa.RecordBatch], schema: Schema = SCHEMA, bytes_max: int = 2**28
) -> LoadedRows:
    """What a loader makes of rows, for upload 1."""
    store = LocalSegments(world.directory.segments, Disk())
    loader = SegmentLoader(store, 1, schema, segment_bytes_max=bytes_max)
    try:
        for batch in rows:
            loader.add(batch)
        return loader.finish()
    finally:
        loader.close()


def test_many_segments_are_one_upload(world: World) -> None:
    """Segments follow each other; what is read is the rows, and what is verified is their chain."""
    numbers = list(range(20_000))
    loaded = written(world, batches(numbers, 700), bytes_max=100_000)
    assert len(loaded.segments) > 4
    assert [segment.first_row for segment in loaded.segments[1:]] == [
        segment.row_end for segment in loaded.segments[:-1]
    ]

    def make(editor: CatalogEditor) -> None:
        table = editor.tables.find(1, "answers", None)
        assert table is not None
        new = NewUpload(table.id, "file", UploadType.FILE, Schema(1, ()), updates_by_default=False)
        assert editor.uploads.add(new).id == 1
        editor.uploads.change_schema(1, loaded.schema)
        counters = LoadedCounters(loaded.row_count, loaded.byte_count, loaded.chain)
        editor.segments.name_loaded(1, loaded.segments, counters)

    world.run(world.doors.write(make))
    assert world.listed()["id"].to_pylist() == numbers
    assert verify(world.database, world.directory).problems == ()
    world.compact("file")
    assert world.listed()["id"].to_pylist() == numbers
    assert verify(world.database, world.directory).problems == ()
    nothing = LoadedCounters(0, 0, b"")
    with pytest.raises(LookupError):  # an upload is filled once
        world.run(world.doors.write(lambda editor: editor.segments.name_loaded(1, (), nothing)))


def test_the_digest_does_not_depend_on_the_batches(world: World) -> None:
    """However the rows come, in one segment they have one chain."""
    numbers = list(range(3_000))
    chains = {written(world, batches(numbers, size)).chain for size in (1, 64, 3_000)}
    assert len(chains) == 1


def test_integers_that_a_double_cannot_hold_are_marked(world: World) -> None:
    """As for streamed rows, so that the variable never widens to float."""
    marks = [
        written(world, batches([1, number], 1)).schema.variables[0].inexact
        for number in (2**53, 2**53 + 1, -(2**53) - 1, -(2**63))
    ]
    assert marks == [False, True, True, True]


@pytest.mark.parametrize(
    ("type_", "column"),
    [
        (VariableType.GEOGRAPHY, pa.array(["POINT(1 2)", "nowhere"])),
        (VariableType.STRING, pa.array(["x", "y" * (16 * 1024 * 1024 + 1)])),
        (VariableType.DATE, pa.array([0, 2_932_897], pa.int32()).cast(pa.date32())),  # the year 10000
    ],
)
def test_what_no_variable_holds_is_told_by_its_row(
    world: World, type_: VariableType, column: pa.Array
) -> None:
    """A reader that lets such a value pass fails its load; no file of it stays."""
    schema = Schema(2, (Variable("value", type_),))
    with pytest.raises(RowkeepError, match="Row 2, column 'value'"):
        written(world, iter([pa.record_batch({"value": column})]), schema)
    assert list(world.directory.segments.iterdir()) == []


def test_nothing_is_no_segment(world: World) -> None:
    """A file without rows makes no segment; one without columns is refused."""
    assert written(world, iter(())).segments == ()
    with pytest.raises(RowkeepError, match="no columns"):
        written(world, iter([pa.record_batch({"id": [1]})]), Schema(2, ()))
