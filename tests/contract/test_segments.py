"""Rows that leave the journal: same rows, same order, whatever was sealed, compacted, deleted or swept."""

import asyncio
import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowkeep.model.resources import Segment, UnsealedUpload
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.services import maintenance as maintenance_module
from rowkeep.services.maintenance import SealingPolicy, segments_to_compact, uploads_due
from rowkeep.storage.local_files import Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.sweep import SegmentSweep
from rowkeep.storage.verification import verify
from tests.arrow_streams import table_of
from tests.unit.read_world import World

ALL_TYPES = [{"name": f"a_{type_.value}", "type": type_.value} for type_ in VariableType]
FULL_ROW = {
    "a_string": "é\u0000\U0001f600",
    "a_integer": 2**63 - 1,
    "a_float": -0.0,
    "a_boolean": True,
    "a_date": "0001-01-01",
    "a_dateTime": "9999-12-31T23:59:59.999999",
    "a_time": "23:59:59.000001",
    "a_geography": "POINT(1 2)",
}
POLICY = SealingPolicy(seal_bytes_min=1600, seal_minutes_max=10.0, journal_bytes_max=10_000)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A database with an empty table, and the services over it; nothing is sealed by itself."""
    with asyncio.Runner() as runner:
        made = World(tmp_path, runner)
        yield made
        made.close()


def ids(start: int, end: int) -> list[dict[str, Any]]:
    """Rows that count."""
    return [{"id": number} for number in range(start, end)]


def segments(world: World, upload_id: int = 1) -> list[Segment]:
    """The segments of an upload as the catalog has them."""
    return world.run(world.doors.read(lambda view: view.segments.page(upload_id, 0, 100)))


def files(world: World) -> set[str]:
    """What lies in the folder."""
    return {file.name for file in world.directory.segments.iterdir()}


def whole(world: World) -> bool:
    """Whether verify has nothing to say."""
    report = verify(world.database, world.directory)
    assert report.problems == ()
    return True


def test_every_type_is_the_same_out_of_a_segment(world: World) -> None:
    """All formats of all types, nulls and extremes among them, to the byte."""
    world.create("s", ALL_TYPES)
    world.insert("s", [FULL_ROW, {}, {"a_float": 1e308, "a_string": "", "a_date": "2024-02-29"}])
    before = {name: b"".join(world.rest(world.parts(format_name=name))) for name in ("arrow", "csv", "jsonl")}
    world.seal()
    assert world.rows_kept() == 3
    assert len(segments(world)) == 1
    for name, body in before.items():
        assert b"".join(world.rest(world.parts(format_name=name))) == body
    [last] = world.listed(["a_dateTime"]).slice(0, 1).to_pylist()
    assert last == {"a_dateTime": datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)}
    assert whole(world)


def test_sealed_and_unsealed_rows_are_one_table(world: World) -> None:
    """Rows keep their order over segments and entries, from any offset, in any number of streams."""
    world.create("s", [{"name": "id", "type": "integer"}])
    for start in range(0, 100, 10):
        world.insert("s", ids(start, start + 10))
        if start in (20, 30, 70):
            world.seal()
    assert [(segment.first_row, segment.row_count) for segment in segments(world)] == [
        (0, 30),
        (30, 10),
        (40, 40),
    ]
    assert world.listed()["id"].to_pylist() == list(range(100))
    streams = world.session(stream_count=7).streams
    found = [world.table(stream)["id"].to_pylist() for stream in streams]
    assert [number for part in found for number in part] == list(range(100))
    assert max(map(len, found)) - min(map(len, found)) <= 1
    [stream] = world.session().streams
    for offset in range(0, 101, 9):
        assert world.table(stream, offset=offset)["id"].to_pylist() == list(range(offset, 100))
    assert whole(world)


def test_a_reading_goes_on_while_rows_are_sealed_and_compacted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream read step by step, everything being moved between the steps, has each row once."""
    monkeypatch.setattr("rowkeep.storage.segments.reader.STEP_BATCHES_MAX", 1)
    monkeypatch.setattr("rowkeep.storage.segments.reader.BATCH_ROWS_MAX", 3)
    monkeypatch.setattr("rowkeep.storage.segments.reader.ARROW_BATCH_ROWS_MAX", 3)
    monkeypatch.setattr("rowkeep.storage.segments.reader.READ_BYTES_MAX", 100)
    monkeypatch.setattr(maintenance_module, "COMPACTED_OF_LARGEST_MIN", 1)
    world.create("s", [{"name": "id", "type": "integer"}])
    for start in range(0, 200, 10):
        world.insert("s", ids(start, start + 10))
        if start % 20:
            world.seal()
    parts = world.parts()
    received = [world.next_part(parts)]
    for step in range(1000):
        part = world.next_part(parts)
        if part is None:
            break
        received.append(part)
        world.insert("s", ids(1000 + step, 1001 + step))
        world.seal()
        world.compact("s")
        world.sweep()
    assert step > 50
    assert table_of(b"".join(part for part in received if part))["id"].to_pylist() == list(range(200))
    assert len(segments(world)) < 8
    assert whole(world)


def test_a_widened_variable_begins_a_new_segment(world: World) -> None:
    """A value keeps the text of its own type; added variables need no new segment."""
    world.create("s")
    world.insert("s", [{"v": 1}], updateSchema=True)
    world.insert("s", [{"v": 2, "w": "x"}], updateSchema=True)
    world.insert("s", [{"v": 3.5}], updateSchema=True)
    world.seal()
    world.insert("s", [{"v": "text"}], updateSchema=True)
    world.seal()
    assert [(segment.first_row, segment.row_count) for segment in segments(world)] == [(0, 2), (2, 1), (3, 1)]
    assert world.listed()["v"].to_pylist() == ["1", "2", "3.5", "text"]
    assert world.listed()["w"].to_pylist() == [None, "x", None, None]
    assert whole(world)


def test_rows_without_variables_wait_for_some(world: World) -> None:
    """They stay in the journal, and join the segment of the first rows that have a variable."""
    world.create("s", [])
    world.insert_empty("s", 2)
    world.seal()
    assert (segments(world), len(world.listed())) == ([], 2)
    world.insert("s", [{"v": 1}], updateSchema=True)
    world.seal()
    assert [segment.row_count for segment in segments(world)] == [3]
    assert world.listed()["v"].to_pylist() == [None, None, 1]


def test_wide_rows_make_short_row_groups(world: World) -> None:
    """A reader never has to hold more cells than a few MiB, however many variables there are."""
    world.create("s", [{"name": f"v{number}", "type": "integer"} for number in range(2000)])
    world.insert("s", [{"v7": number} for number in range(1500)])
    world.seal()
    assert world.row_group_sizes(segments(world)[0]) == [524, 524, 452]
    assert world.listed(["v7"])["v7"].to_pylist() == list(range(1500))


def test_compaction_keeps_rows_and_sweeping_takes_the_old_files(world: World) -> None:
    """Eight neighbours become one; the files they were go, and only those."""
    world.create("s", [{"name": "id", "type": "integer"}])
    for start in range(0, 80, 10):
        world.insert("s", ids(start, start + 10))
        world.seal()
    before = files(world)
    assert len(before) == 8
    world.compact("s")
    assert [segment.row_count for segment in segments(world)] == [80]
    assert len(files(world)) == 9
    assert world.sweep() == 8
    assert files(world) == {segments(world)[0].file_name}
    assert world.listed()["id"].to_pylist() == list(range(80))
    assert whole(world)


def test_files_are_swept_only_after_their_grace(tmp_path: Path) -> None:
    """A file that no row names stays for a while: a reader may be about to open it."""
    store = LocalSegments(tmp_path, Disk())
    sweep = SegmentSweep(store)
    named, unnamed, young = (f"1-{first_row}-00000000.parquet" for first_row in range(3))
    for name in (named, unnamed, young):
        (tmp_path / name).touch()
    assert sweep.sweep(store.names(), {named, young}, grace_seconds=3_600) == 0
    assert sweep.sweep(store.names(), {named}, grace_seconds=3_600) == 0
    time.sleep(0.02)
    assert sweep.sweep({named, unnamed}, {named}, grace_seconds=0.01) == 1
    assert {file.name for file in tmp_path.iterdir()} == {named, young}


def test_sealed_rows_of_a_deleted_upload_go_with_their_files(world: World) -> None:
    """When no session may ask for them any more; those of other uploads stay."""
    for name in ("s", "t"):
        world.create(name, [{"name": "id", "type": "integer"}])
        world.insert(name, ids(0, 5))
    world.seal()
    world.session()
    world.delete("s")
    world.forget_deleted()
    world.sweep()
    assert (world.rows_kept(), len(files(world))) == (10, 2)
    world.expire_sessions()
    world.forget_deleted()
    world.sweep()
    assert (world.rows_kept(), len(files(world))) == (5, 1)
    assert world.listed()["id"].to_pylist() == list(range(5))
    assert whole(world)


def test_a_seal_of_what_is_gone_names_nothing(world: World) -> None:
    """An upload deleted, or sealed by another, while its segment was written: the file stays unnamed."""
    world.create("s", [{"name": "id", "type": "integer"}])
    world.insert("s", ids(0, 5))
    twice = [world.unnamed_segment("s") for _ in range(2)]
    assert [world.name_sealed(segment) for segment in twice] == [True, False]
    world.insert("s", ids(5, 9))
    late = world.unnamed_segment("s", first_row=5)
    world.delete("s")
    assert world.name_sealed(late) is False
    assert world.sweep() == 2


def test_entries_that_a_segment_replaced_are_passed_over(world: World) -> None:
    """Those that a crash left beside their segment are seen by nobody; a start drops them."""
    world.create("s", [{"name": "id", "type": "integer"}])
    world.insert("s", ids(0, 5))
    assert world.name_sealed(world.unnamed_segment("s"))
    world.insert("s", ids(5, 7))
    assert world.rows_kept() == 12
    assert world.listed()["id"].to_pylist() == list(range(7))
    assert whole(world)
    world.run(world.maintenance.recover())
    assert world.rows_kept() == 7
    assert world.listed()["id"].to_pylist() == list(range(7))


def waiting(upload_id: int, byte_count: int, oldest_at: int = 10**9) -> UnsealedUpload:
    """An upload with so much in the journal."""
    return UnsealedUpload(upload_id, 0, byte_count, oldest_at)


def due(uploads: list[UnsealedUpload], journal_bytes: int = 0, now: int = 10**9) -> list[int]:
    """The ids of those to be sealed."""
    return [upload.upload_id for upload in uploads_due(uploads, journal_bytes, now, POLICY)]


def test_uploads_are_sealed_by_size_age_and_room() -> None:
    """Large ones at once, middling ones when they are old, any of them when the journal is full."""
    uploads = [waiting(1, 5000), waiting(2, 1599), waiting(3, 100)]
    assert due(uploads) == [1]
    assert due(uploads, now=10**9 + 10 * 60_000) == [1, 2, 3]
    assert due([waiting(number, 100) for number in range(200)], journal_bytes=9_999) == []
    full = due([waiting(number, 100) for number in range(110)], journal_bytes=11_000)
    assert full == list(range(35))
    assert due([waiting(number, 1600 - number) for number in range(8)], journal_bytes=12_000) == [0, 1, 2]


def test_age_is_asked_only_of_what_is_worth_a_file(world: World) -> None:
    """Old rows of a trickle stay in the journal; those of a released version do not."""
    world.create("trickle", [{"name": "id", "type": "integer"}])
    world.insert("trickle", ids(0, 5))
    world.make_old()
    assert world.run(world.maintenance.look()) == []
    world.release()
    [found] = world.run(world.maintenance.look())
    assert world.run(world.maintenance.seal(found))
    assert world.run(world.maintenance.look()) == []
    assert len(segments(world)) == 1


def test_a_large_released_upload_is_sealed_once(world: World) -> None:
    """It is due for its size and for its release, and is one upload to seal all the same."""
    maintenance = world.maintenance_under(POLICY)
    world.create("s", [{"name": "id", "type": "integer"}])
    world.insert("s", ids(0, 500))
    world.release()
    [found] = world.run(maintenance.look())
    assert world.run(maintenance.seal(found))
    assert world.run(maintenance.look()) == []


SCHEMAS = {
    1: Schema(1, (Variable("v", VariableType.INTEGER),)),
    2: Schema(2, (Variable("v", VariableType.INTEGER), Variable("w", VariableType.STRING))),
    3: Schema(3, (Variable("v", VariableType.FLOAT), Variable("w", VariableType.STRING))),
}


def made_segments(*facts: tuple[int, int]) -> list[Segment]:
    """Neighbours of given sizes in bytes and versions of the schema, ten rows each."""
    return [
        Segment(1, index * 10, 10, size, version, f"{index}", size)
        for index, (size, version) in enumerate(facts)
    ]


@pytest.mark.parametrize(
    ("facts", "rows"),
    [
        ([(100, 1)] * 7, None),
        ([(100, 1)] * 8, (0, 80)),
        ([(2**28, 1), *[(100, 1)] * 8], (10, 90)),
        ([(100, 1)] * 4 + [(100, 2)] * 4, (0, 80)),
        ([(100, 2)] * 4 + [(100, 3)] * 4, None),
        ([(100, 2)] * 4 + [(100, 3)] * 8, (40, 120)),
        ([(2**20, 1)] * 3 + [(100, 1)] * 5, None),
        ([(2**20, 1)] * 8 + [(100, 1)] * 8, (80, 160)),
        ([(2**20, 1)] * 7 + [(100, 1)] * 3, (0, 100)),
        ([(2**26, 1)] * 12, None),
        ([(2**25, 1)] * 9, (0, 80)),
    ],
)
def test_what_is_compacted(facts: list[tuple[int, int]], rows: tuple[int, int] | None) -> None:
    """Eight or more neighbours of similar size whose rows fit one schema, smallest first, bounded in size."""
    run = segments_to_compact(made_segments(*facts), SCHEMAS)
    assert ((run[0].first_row, run[-1].row_end) if run else None) == rows


class SharedSegments(LocalSegments):
    """A folder that two servers write to."""

    is_shared = True


def test_a_start_beside_another_server_sweeps_nothing_of_its(tmp_path: Path) -> None:
    """A file that another server is about to name outlives a start; in a store of its own it is garbage."""
    shared = SharedSegments(tmp_path, Disk())
    file = shared.put("1-0-00000000.parquet")
    assert shared.names() == {"1-0-00000000.parquet.unfinished"}
    assert SegmentSweep(shared).sweep_alone(shared.names(), set()) == 0
    file.keep()
    assert SegmentSweep(shared).sweep_alone(shared.names(), set()) == 0
    assert shared.names() == {"1-0-00000000.parquet"}
    assert SegmentSweep(LocalSegments(tmp_path, Disk())).sweep_alone(shared.names(), set()) == 1
    assert shared.names() == set()
