"""Reading through the service: snapshots, sessions, streams, on a real database. Source: contract 4.7."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import msgspec
import pyarrow
import pytest

from rowkeep.model.access import NOBODY
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.resources import ReadFormat, ReadStream
from rowkeep.model.timing import InsertTimes
from rowkeep.services.insert.requests import InsertRequest
from rowkeep.services.read.read import ReadService, SessionLimits
from rowkeep.storage.segments import reader
from tests.api.stream import ALL_TYPES
from tests.arrow_streams import arrow_batches, table_of
from tests.unit.read_world import TABLE, Rows, World

ID_ONLY = [{"name": "id", "type": "integer"}]


def ids(count: int, start: int = 0) -> Rows:
    return [{"id": number} for number in range(start, start + count)]


def row_count(stream: ReadStream) -> int:
    return sum(slice_.row_end - slice_.first_row for slice_ in stream.slices)


def test_all_types_and_nulls(world: World) -> None:
    """Rows of all eight types come back as they were sent, missing values as nulls."""
    world.create("s", ALL_TYPES)
    texts = {
        "day": "2020-02-29",
        "measured_at": "2020-02-29T01:02:03.5",
        "local_time": "01:02:03",
        "position": "POINT(10 20)",
    }
    world.insert("s", [{"site": "日本", "count": 2**63 - 1, "temperature": 1, "valid": False, **texts}, {}])
    first, second = world.listed().to_pylist()
    assert {name: str(value) for name, value in first.items()} == {
        "site": "日本",
        "count": str(2**63 - 1),
        "temperature": "1.0",
        "valid": "False",
        "day": "2020-02-29",
        "measured_at": "2020-02-29 01:02:03.500000",
        "local_time": "01:02:03",
        "position": "POINT(10 20)",
    }
    assert set(second.values()) == {None}


def test_empty_table(world: World) -> None:
    """A table without rows or variables is a stream without batches, and one read stream."""
    assert world.listed().num_rows == 0
    world.create("s", ID_ONLY)
    assert world.listed().schema == pyarrow.schema([("id", pyarrow.int64())])
    session = world.session(stream_count=8)
    assert (session.row_count, len(session.streams)) == (0, 1)
    body = world.streamed(session.streams[0], with_sentinel=True)
    assert [batch.num_rows for batch in arrow_batches(body)] == [0]


def test_rows_of_an_older_schema_are_widened(world: World) -> None:
    """A stream that took its variables from its rows is read in the types it has now."""
    world.create("s")
    world.insert("s", [{"a": 1, "b": 1}, {"a": None}])
    world.insert("s", [{"a": 2.5, "b": True, "c": "new"}])
    world.insert("s", [{"a": "text", "b": "x"}])
    table = world.listed()
    assert table.to_pydict() == {
        "a": ["1", None, "2.5", "text"],
        "b": ["1", None, "true", "x"],
        "c": [None, None, "new", None],
    }
    assert table.equals(table_of(world.streamed(world.session("s").streams[0])))


def test_integers_and_dates_are_widened(world: World) -> None:
    """Integers become floats and dates become midnights when another upload of the table has those."""
    world.create("narrow", [{"name": "Number", "type": "integer"}, {"name": "at", "type": "date"}])
    world.create("wide", [{"name": "number", "type": "float"}, {"name": "AT", "type": "dateTime"}])
    world.insert("narrow", [{"number": 2**53, "at": "2020-01-02"}])
    world.insert("wide", [{"number": 0.5, "at": "2020-01-02 03:04:05"}])
    table = world.listed()
    assert [str(type_) for type_ in table.schema.types] == ["double", "timestamp[us]"]
    assert table["Number"].to_pylist() == [float(2**53), 0.5]
    assert list(map(str, table["at"].to_pylist())) == ["2020-01-02 00:00:00", "2020-01-02 03:04:05"]


def test_uploads_with_different_variables(world: World) -> None:
    """A table shows its uploads in the order of their creation, with nulls where a variable is missing."""
    world.create("second", [{"name": "x", "type": "string"}, {"name": "id", "type": "integer"}])
    world.create("first", [{"name": "ID", "type": "integer"}, {"name": "y", "type": "boolean"}])
    world.insert("first", [{"id": 1, "y": True}])
    world.insert("second", [{"id": 2, "x": "text"}])
    assert world.listed().to_pydict() == {"x": ["text", None], "id": [2, 1], "y": [None, True]}
    assert table_of(world.streamed(world.session("first").streams[0])).to_pydict() == {"ID": [1], "y": [True]}


def test_selection_decides_names_and_order(world: World) -> None:
    """Selected variables come alone, in the order asked for, spelled as declared."""
    world.create("s", [{"name": name, "type": "integer"} for name in ("Alpha", "beta", "gamma")])
    world.insert("s", [{"alpha": 1, "beta": 2, "gamma": 3}])
    assert list(world.listed(["GAMMA", "alpha"]).to_pydict().items()) == [("gamma", [3]), ("Alpha", [1])]
    [stream] = world.session(names=["beta"]).streams
    assert table_of(world.streamed(stream)).to_pydict() == {"beta": [2]}


@pytest.mark.parametrize(
    ("names", "complaint"),
    [(["id", "nope"], "'nope'"), (["id", ""], "''"), (["id", "ID"], "'ID' twice"), ([], "names no variable")],
)
def test_bad_selections(world: World, names: list[str], complaint: str) -> None:
    """A selection that names nothing, something unknown or something twice is refused by name."""
    world.create("s", ID_ONLY)
    with pytest.raises(RowkeepError, match=complaint) as refusal:
        world.listed(names)
    assert refusal.value.code is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize("rows_max", [0, 1, 7, 10, 11, 10**17])
def test_max_results(world: World, rows_max: int) -> None:
    """Exactly the first rows of the table come, across uploads and within an entry."""
    world.create("a", ID_ONLY)
    world.create("b", ID_ONLY)
    world.insert("a", ids(4))
    world.insert("b", ids(6, start=4))
    expected = list(range(min(rows_max, 10)))
    assert world.listed(rows_max=rows_max)["id"].to_pylist() == expected
    session = world.session(rows_max=rows_max, stream_count=2)
    assert session.row_count == len(expected)
    bodies = [table_of(world.streamed(stream)) for stream in session.streams]
    assert pyarrow.concat_tables(bodies)["id"].to_pylist() == expected


def test_every_offset_of_every_stream(world: World) -> None:
    """A stream is read again from any row, with and without the sentinel, also beyond its end."""
    world.create("s")
    for number in range(5):
        world.insert("s", ids(3, start=3 * number))
    world.insert("s", [{"id": 0.5}])
    for stream in world.session(stream_count=3).streams:
        whole = table_of(world.streamed(stream))
        for offset in range(row_count(stream) + 2):
            assert table_of(world.streamed(stream, offset=offset)).equals(whole.slice(offset))
            batches = arrow_batches(world.streamed(stream, offset=offset, with_sentinel=True))
            assert [batch.num_rows for batch in batches].count(0) == 1
            assert batches[-1].num_rows == 0
            assert sum(batch.num_rows for batch in batches) == max(whole.num_rows - offset, 0)


@pytest.mark.parametrize("asked", [-1, 0, 1, 2, 3, 7, 64, 1000])
def test_streams_are_balanced(world: World, asked: int) -> None:
    """A session's streams are of one size, in order, at least one and at most 64."""
    for number, size in enumerate((5, 190, 0, 1, 104)):
        world.create(f"u{number}", ID_ONLY)
        world.insert(f"u{number}", ids(size, start=1000 * number))
    session = world.session(stream_count=asked)
    sizes = [row_count(stream) for stream in session.streams]
    assert len(sizes) == min(max(asked, 1), 64)
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == session.row_count == 300
    assert sorted(stream.identifier for stream in session.streams) == [
        stream.identifier for stream in session.streams
    ]
    bodies = [table_of(world.streamed(stream)) for stream in session.streams]
    assert pyarrow.concat_tables(bodies).equals(world.listed())


def test_rows_that_come_later_are_not_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read shows the rows as of its beginning, in the types of then, however much arrives meanwhile."""
    monkeypatch.setattr(reader, "STEP_BATCHES_MAX", 1)
    monkeypatch.setattr(reader, "READ_BYTES_MAX", 1)
    world.create("s")
    for number in range(4):
        world.insert("s", ids(2, start=2 * number))
    session = world.session(stream_count=2)
    parts = world.parts()
    body = b""
    for number in itertools.count(8):
        part = world.run(_next(parts))
        if part is None:
            break
        body += part
        world.insert("s", [{"id": number + 0.5, "late": "yes"}])
    assert table_of(body).to_pydict() == {"id": list(range(8))}
    bodies = [table_of(world.streamed(stream)) for stream in session.streams]
    assert pyarrow.concat_tables(bodies).to_pydict() == {"id": list(range(8))}
    assert session.row_count == 8
    assert world.listed().num_rows > 8


async def _next(parts: AsyncIterator[bytes]) -> bytes | None:
    return await anext(parts, None)


def test_sessions_outlive_a_restart(world: World) -> None:
    """What a session promised stands in the database."""
    world.create("s", ID_ONLY)
    world.insert("s", ids(3))
    [stream] = world.session().streams
    world.reads = ReadService(world.doors, world.readings, limits=SessionLimits(hours=6))
    assert table_of(world.streamed(stream))["id"].to_pylist() == [0, 1, 2]


def test_a_session_outlives_its_upload(world: World) -> None:
    """Its rows stay readable until it expires, whatever has the upload's name by then; then they go."""
    world.create("s", ID_ONLY)
    world.insert("s", ids(3))
    world.insert("s", [{"id": 3}, {"id": 4}])
    [stream] = world.session().streams
    world.delete("s")
    world.create("s", ID_ONLY)
    world.insert("s", ids(1))
    world.forget_deleted()
    assert table_of(world.streamed(stream))["id"].to_pylist() == [0, 1, 2, 3, 4]
    assert table_of(world.streamed(stream, offset=2))["id"].to_pylist() == [2, 3, 4]
    world.expire_sessions()
    world.forget_deleted()
    with pytest.raises(RowkeepError, match="has expired"):
        world.open_stream(stream)
    assert world.listed()["id"].to_pylist() == [0]
    assert world.rows_kept() == 1


def test_a_deletion_midway_breaks_a_list_of_rows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that lost rows midway fails; it does not end as if it were whole."""
    monkeypatch.setattr(reader, "STEP_BATCHES_MAX", 1)
    for name in ("a", "b", "c"):
        world.create(name, ID_ONLY)
        world.insert(name, ids(3))
    parts = world.parts()
    assert world.run(_next(parts))
    for name in ("b", "c"):
        world.delete(name)
    world.forget_deleted()
    with pytest.raises(RowkeepError, match="gone"):
        world.rest(parts)


def test_a_stream_is_read_by_its_maker_alone(world: World) -> None:
    """Another user gets 404, nobody 401, a token of the maker with less scope 403."""
    world.create("s", ID_ONLY)
    world.insert("s", ids(3))
    [stream] = world.session().streams
    callers = [
        (world.token("eve"), ErrorCode.NOT_FOUND),
        (NOBODY, ErrorCode.INVALID_TOKEN),
        (world.token("ada", "data.data"), ErrorCode.INSUFFICIENT_SCOPE),
    ]
    for caller, code in callers:
        with pytest.raises(RowkeepError) as refusal:
            world.open_stream(stream, caller)
        assert refusal.value.code is code
    assert world.rest(world.open_stream(stream, world.token("ada")))


def test_streams_expire(world: World) -> None:
    """After its hours a stream is as if it had never been, and so is one that never was."""
    world.create("s", ID_ONLY)
    world.reads = ReadService(world.doors, world.readings, limits=SessionLimits(hours=0))
    [stream] = world.session().streams
    for identifier in (stream.identifier, "nope"):
        with pytest.raises(RowkeepError) as refusal:
            world.open_stream(msgspec.structs.replace(stream, identifier=identifier))
        assert refusal.value.code is ErrorCode.NOT_FOUND


def test_text_formats_are_streamed_too(world: World) -> None:
    """A session remembers the format it was made for."""
    world.create("s", ID_ONLY)
    world.insert("s", [{"id": 1}, {}])
    for format_name, body in (("csv", b'"id"\n1\n""\n'), ("jsonl", b'{"id":1}\n{"id":null}\n')):
        [stream] = world.session(format_name=format_name).streams
        assert world.streamed(stream, with_sentinel=True) == body
        assert stream.format is ReadFormat(format_name)
    with pytest.raises(RowkeepError, match="ndjson, arrow, csv, jsonl, not 'xml'"):
        world.parts(format_name="xml")


def test_large_reads_come_in_moderate_parts(world: World) -> None:
    """Batches and parts stay small, whether rows came one by one or many at once."""
    world.create("s", ID_ONLY)
    world.insert("s", ids(150_000))
    for number in range(20):
        world.insert("s", [{"id": 150_000 + number}])
    parts = world.rest(world.parts())
    assert max(map(len, parts)) < reader.STEP_BYTES_MAX + reader.BATCH_BYTES_MAX
    assert max(batch.num_rows for batch in arrow_batches(b"".join(parts))) <= reader.ARROW_BATCH_ROWS_MAX
    assert table_of(b"".join(parts))["id"].to_pylist() == list(range(150_020))


def test_wide_rows_are_decoded_piece_by_piece(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry of many short bodies with many variables is decoded some bodies at a time."""
    monkeypatch.setattr("rowkeep.storage.journal.rows.DECODED_CELLS_MAX", 100)
    monkeypatch.setattr(reader, "BATCH_CELLS_MAX", 60)
    world.create("s", [{"name": f"v{number}", "type": "integer"} for number in range(20)])

    async def insert_at_once() -> None:
        request = InsertRequest(world.owner, (TABLE, "s"), None)
        target = await world.inserts.look_up_target(request)
        bodies = [b'{"rows": [{"v3": %d}, {}]}' % number for number in range(40)]
        await asyncio.gather(
            *(world.inserts.insert(request, target, body, InsertTimes(0.0)) for body in bodies)
        )

    world.run(insert_at_once())
    body = b"".join(world.rest(world.parts()))
    assert {batch.num_rows for batch in arrow_batches(body)} <= {1, 2, 3}
    expected = [value for number in range(40) for value in (number, None)]
    assert table_of(body)["v3"].to_pylist() == expected
    [stream] = world.session().streams
    for offset in (1, 33, 79):
        assert table_of(world.streamed(stream, offset=offset))["v3"].to_pylist() == expected[offset:]


def test_uploads_beyond_one_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table with more uploads than one page holds shows them all."""
    monkeypatch.setattr("rowkeep.services.tables.UPLOADS_PER_PAGE", 2)
    for number in range(5):
        world.create(f"u{number}", ID_ONLY)
        world.insert(f"u{number}", [{"id": number}])
    assert world.listed()["id"].to_pylist() == list(range(5))
