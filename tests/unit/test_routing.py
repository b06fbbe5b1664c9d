"""Where bodies are decoded: the table, and that each body is decoded strictly once for a target."""

import asyncio
import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rowkeep.model.decoding.strict import RowDecoder, row_decoder
from rowkeep.model.decoding.strict_rows import StrictRows, strict_rows
from rowkeep.model.errors import RowsRefused
from rowkeep.model.inflating import ContentCoding
from rowkeep.model.inserts import BodyFormat
from rowkeep.model.resources import Receipt
from rowkeep.model.schema import Schema
from rowkeep.model.timing import InsertTimes
from rowkeep.services.insert.insert import InsertService
from rowkeep.services.insert.requests import InsertRequest
from rowkeep.services.insert.routing import (
    HELD_BYTES_MAX,
    INFLATED_HERE_BYTES_MAX,
    LENIENT_HERE_BYTES_MAX,
    SHARED_HERE_BYTES_MAX,
    Place,
    place_of,
    place_of_refused,
)
from rowkeep.storage.engines import LargeBody
from rowkeep.workers.decoding_process import DecodingProcesses
from tests.unit.inserting import INFLATED_BYTES_MAX, insert_service
from tests.unit.moving_doors import MovingDoors
from tests.unit.read_world import TABLE, World

KIBIBYTE = 1024
ROW_BYTES = len(b'{"id":1},')
HERE, CHECKER, DECODER = Place

# Format and size of a body, and where it is decoded: when its upload is alone, when others send too.
TABLE_OF_PLACES = [
    (body_format, byte_count, alone, beside)
    for body_format in (BodyFormat.JSON, BodyFormat.LINES)
    for byte_count, alone, beside in (
        (0, HERE, HERE),
        (16 * KIBIBYTE, HERE, HERE),
        (16 * KIBIBYTE + 1, HERE, CHECKER),
        (1024 * KIBIBYTE, HERE, CHECKER),
        (1024 * KIBIBYTE + 1, DECODER, DECODER),
    )
] + [(BodyFormat.ARROW, byte_count, DECODER, DECODER) for byte_count in (0, 1, 2048 * KIBIBYTE)]


@pytest.mark.parametrize(("body_format", "byte_count", "alone", "beside"), TABLE_OF_PLACES)
def test_the_table(body_format: BodyFormat, byte_count: int, alone: Place, beside: Place) -> None:
    """Every line of it, on both sides of its bounds."""
    assert place_of(body_format, byte_count, is_shared=False) is alone
    assert place_of(body_format, byte_count, is_shared=True) is beside


def test_what_is_refused_is_decoded_here_only_while_it_is_short() -> None:
    """Decoding leniently takes a millisecond a KiB."""
    assert place_of_refused(b" " * 32 * KIBIBYTE, 8) is HERE
    assert place_of_refused(b" " * (32 * KIBIBYTE + 1), 8) is DECODER


def test_short_rows_of_many_variables_are_long() -> None:
    """A row takes a place for each variable, also for those that it does not name."""
    assert place_of_refused(b"{}" * 26, 10_000) is HERE
    assert place_of_refused(b"{}" * 27, 10_000) is DECODER


class CountingChecker:
    """Checks bodies as the checking process does, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    async def check(self, body: bytes, schema: Schema, written_as: BodyFormat) -> StrictRows:
        self.count += 1
        decoder = RowDecoder(schema)
        return strict_rows(decoder, body, written_as)[0]


class Roads:
    """Inserts into upload `s`, and how often bodies are decoded strictly: here, and by the checking process.

    With `is_shared` upload `t` sends too.
    """

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.here: Counter[str] = Counter()
        self.checker = CountingChecker()
        self.decoding = DecodingProcesses(world.folder, inflated_bytes_max=INFLATED_BYTES_MAX)
        self.doors = MovingDoors(world)
        self.service: InsertService = insert_service(self.doors, self.decoding, self.checker)
        accept = RowDecoder.accept

        def counted(decoder: RowDecoder, body: bytes) -> Any:
            if decoder is row_decoder(decoder.schema):  # not the checker's own
                self.here["strict"] += 1
            return accept(decoder, body)

        monkeypatch.setattr(RowDecoder, "accept", counted)

    def insert(self, body: bytes, *, is_shared: bool, moves: int = 0) -> Receipt:
        async def run() -> Receipt:
            if is_shared:
                await self._insert("t", b'{"rows":[{"id":1}]}')
                self.here.clear()
            self.doors.moves = moves
            try:
                return await self._insert("s", body)
            finally:
                await self.decoding.close()

        return self.world.run(run())

    async def _insert(self, upload: str, body: bytes) -> Receipt:
        request = InsertRequest(self.world.owner, (TABLE, upload), None)
        target = await self.service.look_up_target(request)
        return await self.service.insert(request, target, body, InsertTimes(0.0))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Two empty uploads."""
    with asyncio.Runner() as runner:
        made = World(tmp_path, runner)
        for name in ("s", "t"):
            made.create(name, [{"name": "id", "type": "integer"}])
        yield made
        made.close()


def body_of(byte_count: int, last: str = "1", flags: str = "") -> bytes:
    """A body of about so many bytes; `last` is the value of its last row."""
    rows = '{"id":1},' * (byte_count // ROW_BYTES)
    return ('{"rows":[' + rows + '{"id":' + last + "}]" + flags + "}").encode()


@pytest.mark.parametrize("byte_count", [SHARED_HERE_BYTES_MAX + 10, LENIENT_HERE_BYTES_MAX + 10])
def test_what_the_checking_process_refuses_is_not_decoded_strictly_again(
    world: World, monkeypatch: pytest.MonkeyPatch, byte_count: int
) -> None:
    """It is looked at leniently at once: here while it is short, in a decoding process above that."""
    roads = Roads(world, monkeypatch)
    with pytest.raises(RowsRefused) as error:
        roads.insert(body_of(byte_count, '"many"'), is_shared=True)
    assert [refused.row for refused in error.value.row_errors] == [byte_count // ROW_BYTES]
    assert (roads.checker.count, roads.here["strict"]) == (1, 0)


def test_a_retry_goes_the_same_road(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the catalog has moved, a body of some size is checked elsewhere again while others send too."""
    roads = Roads(world, monkeypatch)
    receipt = roads.insert(body_of(SHARED_HERE_BYTES_MAX + 10), is_shared=True, moves=3)
    assert receipt.row_count == SHARED_HERE_BYTES_MAX // ROW_BYTES + 2
    assert (roads.checker.count, roads.here["strict"]) == (4, 0)


def test_a_body_is_decoded_once_for_a_target(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is only to be validated, and one that is refused."""
    roads = Roads(world, monkeypatch)
    assert roads.insert(body_of(100, flags=',"validateOnly":true'), is_shared=False).validate_only
    assert roads.here == {"strict": 1}
    with pytest.raises(RowsRefused):
        roads.insert(body_of(100, '"many"'), is_shared=False)
    assert roads.here == {"strict": 2}
    assert world.rows_kept() == 0


def test_compressed_bodies_come_in_plain_while_they_are_small(world: World) -> None:
    """What is large, compressed or plain, stays in a file; so do Arrow streams of any size."""
    decoding = DecodingProcesses(world.folder, inflated_bytes_max=INFLATED_BYTES_MAX)
    service = insert_service(world.doors, decoding)

    async def taken(
        content: bytes, coding: ContentCoding | None, body_format: BodyFormat
    ) -> bytes | LargeBody:
        body = await service.take_in(content, body_format, coding)
        if isinstance(body, LargeBody):
            await body.spool.close()
        return body

    async def run() -> None:
        small, large = body_of(10_000), body_of(HELD_BYTES_MAX + 100)
        assert await taken(small, None, BodyFormat.JSON) == small
        assert await taken(gzip.compress(small), ContentCoding.GZIP, BodyFormat.LINES) == small
        bomb = await taken(gzip.compress(large), ContentCoding.GZIP, BodyFormat.JSON)
        long = await taken(gzip.compress(b" " * 2**19, 0), ContentCoding.GZIP, BodyFormat.JSON)
        arrow = await taken(small, None, BodyFormat.ARROW)
        for body in (bomb, long, arrow):
            assert isinstance(body, LargeBody)
        assert msgspec.structs.asdict(bomb)["coding"] is ContentCoding.GZIP

    assert INFLATED_HERE_BYTES_MAX < 2**19
    world.run(run())
    assert not list(world.folder.glob("*.body"))
