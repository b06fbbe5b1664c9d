"""Every byte of a small journal and a small segment, and of what the catalog says of them, changed in turn.

Whatever was changed, a read gives the rows as they were inserted or an error, and what no read can see is
named by verify.
"""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowkeep.model.errors import RowkeepError
from rowkeep.model.resources import Segment
from rowkeep.storage.base import StorageError
from rowkeep.storage.verification import verify
from tests.unit.read_world import World

SCHEMA = [{"name": "id", "type": "integer"}, {"name": "text", "type": "string"}]
ROWS = [{"id": number, "text": f"row {number}"} for number in range(5)]
OTHERS = [{"id": number + 100, "text": f"row {number}"} for number in range(5)]
INTEGER_BITS = 63
# What a change of these spoils is found by verify alone: reads do not use them.
UNREAD = {"byte_count", "committed_at", "is_continued", "batches", "chain"}


@pytest.fixture
def world(quick_folder: Path, runner: asyncio.Runner) -> Iterator[World]:
    """Two uploads, each with a segment of five rows and an entry of five."""
    made = World(quick_folder, runner)
    for name, rows in (("s", ROWS), ("t", OTHERS)):
        made.create(name, SCHEMA)
        made.insert(name, rows)
    made.seal()
    for name, rows in (("s", ROWS), ("t", OTHERS)):
        made.insert(name, rows)
    yield made
    made.close()


def segments(world: World) -> list[Segment]:
    """The segment of each upload."""
    return [world.run(world.doors.read(lambda view, at=at: view.segments.page(at, 0, 9)))[0] for at in (1, 2)]


def reads(world: World) -> bool:
    """Whether the table can be read; if so, it is what was inserted."""
    try:
        found = world.listed()
    except (RowkeepError, StorageError, LookupError):
        return False
    assert found.to_pylist() == [*ROWS, *ROWS, *OTHERS, *OTHERS]
    return True


def is_whole(world: World) -> bool:
    """Whether verify has nothing to say."""
    return verify(world.database, world.directory).problems == ()


def check_seen(world: World) -> None:
    """Damage that a read does not give away, and verify does."""
    assert not reads(world)
    assert not is_whole(world)


def check_flips(world: World, bits: list[int]) -> None:
    """Changes these bits of every byte of a segment's file."""
    file = world.directory.segments / segments(world)[0].file_name
    whole = file.read_bytes()
    for position in range(len(whole)):
        for bit in bits:
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            file.write_bytes(damaged)
            check_seen(world)
    file.write_bytes(whole)
    assert reads(world)
    assert is_whole(world)


def test_every_byte_of_a_segment(world: World) -> None:
    """One bit of each byte."""
    check_flips(world, [3])


@pytest.mark.long
def test_every_bit_of_a_segment(world: World) -> None:
    """All of them."""
    check_flips(world, list(range(8)))


@pytest.mark.parametrize("length", ["nothing", "half", "all but a byte", "a byte more"])
def test_a_segment_of_another_length(world: World, length: str) -> None:
    """Cut off or grown."""
    file = world.directory.segments / segments(world)[0].file_name
    whole = file.read_bytes()
    parts = {
        "nothing": b"",
        "half": whole[: len(whole) // 2],
        "all but a byte": whole[:-1],
        "a byte more": whole + b"x",
    }
    file.write_bytes(parts[length])
    check_seen(world)


def test_exchanged_segments(world: World) -> None:
    """Another upload's file under the name, and another range's; also when the catalog names it so."""
    first, second = segments(world)
    folder = world.directory.segments
    whole = (folder / first.file_name).read_bytes()
    shutil.copyfile(folder / second.file_name, folder / first.file_name)
    check_seen(world)
    (folder / first.file_name).write_bytes(whole)
    world.seal()
    later = world.run(world.doors.read(lambda view: view.segments.page(1, 5, 9)))[0]
    for other in (second, later):
        copy_record(world, other, first)
        check_seen(world)
        copy_record(world, first, first, whole=True)


def copy_record(world: World, source: Segment, target: Segment, *, whole: bool = False) -> None:
    """Has the catalog name another file for a segment, with that file's own size and checksums."""
    with world.database.writing() as connection:
        if not whole:
            connection.raw.execute("CREATE TEMP TABLE kept AS SELECT * FROM segments")
            connection.raw.execute("UPDATE segments SET file_name = file_name || 'x'")
        connection.raw.execute(
            "UPDATE segments SET (file_name, file_bytes, checksums) ="
            " (SELECT file_name, file_bytes, checksums FROM kept WHERE upload_id = ? AND first_row = ?)"
            " WHERE upload_id = ? AND first_row = ?",
            (source.upload_id, source.first_row, target.upload_id, target.first_row),
        )
        if whole:
            connection.raw.execute(
                "UPDATE segments SET file_name = (SELECT file_name FROM kept WHERE kept.upload_id ="
                " segments.upload_id AND kept.first_row = segments.first_row)"
            )
            connection.raw.execute("DROP TABLE kept")


def test_missing_and_unnamed_files(world: World) -> None:
    """A file that is gone fails its reads; one too many is named by verify alone, and is swept."""
    extra = world.directory.segments / "1-5-00000000.parquet"
    extra.write_bytes(b"x")
    assert reads(world)
    report = verify(world.database, world.directory)
    assert report.problems == (f"segments/{extra.name} is named by nothing",)
    assert world.sweep() == 1
    (world.directory.segments / segments(world)[0].file_name).unlink()
    check_seen(world)
    assert "cannot be opened" in verify(world.database, world.directory).text


def flipped(value: object) -> Iterator[object]:
    """The value with each of its bytes changed in turn; an integer with each of its bits."""
    if isinstance(value, int):
        yield from (value ^ 1 << bit for bit in range(INTEGER_BITS))
    elif isinstance(value, str):
        yield from (item.decode() for item in flipped(value.encode()) if isinstance(item, bytes))
    elif isinstance(value, bytes):
        for position in range(len(value)):
            damaged = bytearray(value)
            damaged[position] ^= 1
            yield bytes(damaged)


@pytest.mark.parametrize("table", ["segments", "entries"])
def test_every_byte_of_a_record(world: World, table: str) -> None:
    """What the catalog says of a segment, and all of an entry: seen by reads, and always by verify."""
    with world.database.writing() as connection:
        cursor = connection.raw.execute(f"SELECT * FROM {table} WHERE upload_id = 1")
        names = [column[0] for column in cursor.get_description()]
        [record] = cursor.fetchall()
    first_row = record[names.index("first_row")]
    tried = 0
    for name, value in zip(names, record, strict=True):
        for damaged in flipped(value):
            if damage(world, table, name, first_row, damaged):
                tried += 1
                if name not in UNREAD:
                    check_seen(world)
                elif reads(world) and name != "committed_at":
                    assert not is_whole(world)
                repair(world, table, names, record)
    assert tried > 300
    assert reads(world)
    assert is_whole(world)


def test_every_bit_of_the_counters(world: World) -> None:
    """What an upload is said to hold, and how much of it is sealed: verify counts it all."""
    names = ["row_count", "byte_count", "sealed_row_count", "sealed_byte_count", "chain_first_row"]
    for name in names:
        for bit in range(INTEGER_BITS):
            for is_changed in (True, False):
                with world.database.writing() as connection:
                    connection.raw.execute(
                        f"UPDATE streams SET {name} = ({name} | :bit) - ({name} & :bit) WHERE upload_id = 1",
                        {"bit": 1 << bit},
                    )
                assert is_whole(world) is not is_changed
    assert is_whole(world)
    assert reads(world)


def test_a_segment_that_the_catalog_has_lost(world: World) -> None:
    """A hole before, between or after segments."""
    world.seal()
    for first_row, complaint in ((0, "segment after row 0 begins at row 5"), (5, "10 rows and")):
        with world.database.writing() as connection:
            connection.raw.execute("CREATE TEMP TABLE kept AS SELECT * FROM segments")
            connection.raw.execute("DELETE FROM segments WHERE upload_id = 1 AND first_row = ?", (first_row,))
        assert not reads(world)
        assert complaint in verify(world.database, world.directory).text
        with world.database.writing() as connection:
            connection.raw.execute("INSERT OR IGNORE INTO segments SELECT * FROM kept")
            connection.raw.execute("DROP TABLE kept")
    assert is_whole(world)


def damage(world: World, table: str, name: str, first_row: int, value: object) -> bool:
    """Changes a column; False where a constraint of the database keeps it from being so."""
    statement = f"UPDATE OR IGNORE {table} SET {name} = ? WHERE upload_id = 1 AND first_row = ?"
    with world.database.writing() as connection:
        connection.raw.execute(statement, (value, first_row))
        return connection.raw.changes() == 1


def repair(world: World, table: str, names: list[str], record: tuple[object, ...]) -> None:
    """Puts a record back, wherever it has gone."""
    key = names.index("upload_id"), names.index("first_row")
    marks = ", ".join("?" * len(names))
    with world.database.writing() as connection:
        for at in (1, 2):
            connection.raw.execute(f"DELETE FROM {table} WHERE upload_id = {at} AND first_row NOT IN (0, 5)")
        connection.raw.execute(f"DELETE FROM {table} WHERE upload_id NOT IN (1, 2)")
        connection.raw.execute(
            f"DELETE FROM {table} WHERE upload_id = ? AND first_row = ?", (record[key[0]], record[key[1]])
        )
        connection.raw.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", record)
        if table == "entries":
            # The trigger counts what is put back as new.
            connection.raw.execute("UPDATE streams SET row_count = row_count - 5 WHERE upload_id = 1")
            size = record[names.index("byte_count")]
            connection.raw.execute(
                "UPDATE streams SET byte_count = byte_count - ? WHERE upload_id = 1", (size,)
            )
