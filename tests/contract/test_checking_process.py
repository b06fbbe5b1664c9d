"""The checking process: what it finds in a body is what would be found here."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rowkeep.model.decoding.strict import StrictRefusal, row_decoder
from rowkeep.model.decoding.strict_rows import StrictRows, line_of, strict_rows
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.inserts import BodyFormat
from rowkeep.model.schema import Schema
from rowkeep.workers.checking_process import CheckingProcess
from tests.unit.bodies import encoded, one

LARGE = encoded({"rows": [{"v": number} for number in range(50_000)]}, indent=1)
BODIES = {
    "rows": (BodyFormat.JSON, b'{"rows":[{"v":1},\n {"v":2}]}'),
    "no rows": (BodyFormat.JSON, b'{"rows":[]}'),
    "flags": (BodyFormat.JSON, b'{"rows":[{"v":1}],"validateOnly":true,"offsetToken":"b"}'),
    "expected": (BodyFormat.JSON, b'{"rows":[{}],"offsetToken":"b","expectedOffsetToken":null}'),
    "updates": (BodyFormat.JSON, b'{"rows":[{"v":1}],"updateSchema":true}'),
    "lines": (BodyFormat.LINES, b'{"v":1}\r\n\n{"v":2}'),
    "large": (BodyFormat.JSON, LARGE),
}
REFUSED = {
    "another type": (BodyFormat.JSON, b'{"rows":[{"v":"x"}]}'),
    "two on a line": (BodyFormat.LINES, b'{"v":1},{"v":2}'),
    "no JSON": (BodyFormat.JSON, b"["),
    "nothing": (BodyFormat.JSON, b""),
    "no UTF-8": (BodyFormat.JSON, b'{"rows":[{"v":"\xff"}]}'),
}


@asynccontextmanager
async def running() -> AsyncIterator[CheckingProcess]:
    process = CheckingProcess()
    try:
        yield process
    finally:
        await process.close()


async def check(process: CheckingProcess, name: str, schema: Schema) -> StrictRows:
    written_as, body = {**BODIES, **REFUSED}[name]
    return await process.check(body, schema, written_as)


def test_bodies_come_to_the_same_here_and_there() -> None:
    """Counts, digests and flags, of all bodies at once; and the line is the one that was checked."""

    async def run() -> list[StrictRows]:
        async with running() as process:
            return await asyncio.gather(*[check(process, name, one("integer")) for name in BODIES])

    found = asyncio.run(run())
    for (written_as, body), rows in zip(BODIES.values(), found, strict=True):
        here, line = strict_rows(row_decoder(one("integer")), body, written_as)
        assert rows == here
        assert line_of(body, written_as) == line
        assert b"\n" not in line
    assert [rows.row_count for rows in found] == [2, 0, 1, 1, 1, 2, 50_000]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_here_is_refused_there(name: str) -> None:
    """And the process lives on, with whatever schema comes next."""

    async def run() -> StrictRows:
        async with running() as process:
            with pytest.raises(StrictRefusal):
                await check(process, name, one("integer"))
            with pytest.raises(StrictRefusal):
                await check(process, "rows", one("string"))
            return await check(process, "rows", one("integer"))

    assert asyncio.run(run()).row_count == 2


def test_a_process_that_dies_is_replaced() -> None:
    """Who waits for its answer is told that nothing was inserted; who comes next gets another process."""

    async def run() -> StrictRows:
        async with running() as process:
            await process.start()
            child = process._child._process
            assert child is not None
            child.send_signal(signal.SIGSTOP)
            waiting = asyncio.create_task(check(process, "rows", one("integer")))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            child.kill()
            with pytest.raises(RowkeepError, match="could not check this body") as error:
                await waiting
            assert error.value.code is ErrorCode.UNAVAILABLE
            return await check(process, "rows", one("integer"))

    assert asyncio.run(run()).row_count == 2
