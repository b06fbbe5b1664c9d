"""The decoding process: large bodies checked elsewhere, with the outcome of the same body here."""

import asyncio
import gzip
import hashlib
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rowkeep.model.decoding.large import SLICE_ROWS_MAX
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.errors import ErrorCode, RowkeepError, RowsRefused
from rowkeep.model.inflating import ContentCoding
from rowkeep.model.inserts import BodyFormat
from rowkeep.model.schema import Schema
from rowkeep.storage.engines import LargeBody, LargeRows
from rowkeep.storage.journal.entries import decoded_lines
from rowkeep.workers import child_process
from rowkeep.workers.decoding_process import DecodingProcesses
from tests.unit.bodies import encoded, one, values_of

INFLATED_BYTES_MAX = 8 * 1024 * 1024
LARGE = encoded({"rows": [{"v": number} for number in range(400_000)]})


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[DecodingProcesses]:
    process = DecodingProcesses(folder, inflated_bytes_max=INFLATED_BYTES_MAX)
    await process.start()
    try:
        yield process
    finally:
        await process.close()
        assert files_of(folder) == []


def files_of(folder: Path) -> list[str]:
    return [file.suffix for file in folder.iterdir()]


async def decode(
    process: DecodingProcesses,
    body: bytes,
    schema: Schema,
    *,
    updates: bool = False,
    format_: BodyFormat = BodyFormat.JSON,
    coding: ContentCoding | None = None,
) -> LargeRows:
    spool = process.spool()
    try:
        for start in range(0, len(body), 100_000):
            await spool.write(body[start : start + 100_000])
        assert spool.byte_count == len(body)
        return await process.decode(LargeBody(spool, format_, coding), schema, updates_by_default=updates)
    finally:
        await spool.close()


async def under_way(process: DecodingProcesses, folder: Path) -> tuple["asyncio.Task[LargeRows]", Process]:
    """A large body that is being decoded: frames are written; and the process that does it."""
    working = asyncio.create_task(decode(process, LARGE, one("integer")))
    async with asyncio.timeout(20):
        while ".frames" not in files_of(folder):  # noqa: ASYNC110  # another process makes them
            await asyncio.sleep(0.001)
    child = process._children[-1]._process
    assert child is not None
    return working, child


def values(rows: LargeRows) -> list[object]:
    decoded: list[object] = []
    for frame in rows.frames:
        lines = decoded_lines(frame.codec, frame.payload)
        assert len(lines) == frame.byte_count
        found = [row[0] for row in values_of(row_decoder(rows.schema).read(lines))]
        assert len(found) == frame.row_count
        decoded += found
    return decoded


def test_rows_come_back_in_frames(tmp_path: Path) -> None:
    """All rows, in order, with the digest of the body as it was sent."""
    body = encoded({"rows": [{"v": number} for number in range(2 * SLICE_ROWS_MAX + 1)]}, indent=1)

    async def run() -> LargeRows:
        async with running(tmp_path) as process:
            return await decode(process, body, one("integer"))

    rows = asyncio.run(run())
    assert rows.row_count == 2 * SLICE_ROWS_MAX + 1
    assert values(rows) == list(range(rows.row_count))
    assert (rows.schema, rows.change) == (one("integer"), None)
    assert rows.body_sha256 == hashlib.sha256(body).digest()


def test_growth_comes_back_with_the_rows(tmp_path: Path) -> None:
    """A late row widens; the frames hold what the second pass wrote, and nothing of the first."""
    numbers = list(range(SLICE_ROWS_MAX))
    body = encoded({"rows": [{"v": value} for value in [*numbers, "x"]]})

    async def run() -> LargeRows:
        async with running(tmp_path) as process:
            return await decode(process, body, one("integer"), updates=True)

    rows = asyncio.run(run())
    assert rows.schema == one("string", version=2)
    assert rows.change is not None
    assert values(rows) == [*map(str, numbers), "x"]


def test_refusals_come_back_whole(tmp_path: Path) -> None:
    """Bad rows are named and counted as for a small body, other errors pass; the process lives on."""

    async def run() -> None:
        async with running(tmp_path) as process:
            with pytest.raises(RowsRefused) as refusal:
                await decode(process, encoded({"rows": [{"v": "x"}] * 300}), one("integer"))
            assert refusal.value.row_error_count == 300
            assert [error.row for error in refusal.value.row_errors] == list(range(100))
            for body, words in ((b'{"rows":[', "ends before"), (b'{"rows":[{"v":NaN}]}', "send null")):
                with pytest.raises(RowkeepError, match=words) as error:
                    await decode(process, body, one("integer"))
                assert error.value.code is ErrorCode.INVALID_REQUEST
            assert values(await decode(process, b'{"rows":[{"v":1}]}', one("integer"))) == [1]

    asyncio.run(run())


def test_jobs_wait_for_their_turn(tmp_path: Path) -> None:
    """Several bodies at once get each its own answer."""

    async def run() -> list[LargeRows]:
        async with running(tmp_path) as process:
            bodies = [encoded({"rows": [{"v": number}] * (number + 1)}) for number in range(8)]
            return await asyncio.gather(*[decode(process, body, one("integer")) for body in bodies])

    assert [values(rows) for rows in asyncio.run(run())] == [[number] * (number + 1) for number in range(8)]


def test_a_large_body_does_not_hold_up_others(tmp_path: Path) -> None:
    """Others are decoded while one takes its time, here for as long as its process is stopped."""

    async def run() -> None:
        async with running(tmp_path) as process:
            working, child = await under_way(process, tmp_path)
            child.send_signal(signal.SIGSTOP)
            for number in range(5):
                body = encoded({"rows": [{"v": number}]})
                assert values(await decode(process, body, one("integer"))) == [number]
            assert not working.done()
            child.send_signal(signal.SIGCONT)
            more = [decode(process, LARGE, one("integer")) for _ in range(3)]
            assert [rows.row_count for rows in await asyncio.gather(working, *more)] == [400_000] * 4

    asyncio.run(run())


def test_a_process_that_dies_is_replaced(tmp_path: Path) -> None:
    """The request it worked on gets `unavailable`, the next one an answer."""

    async def run() -> None:
        async with running(tmp_path) as process:
            working, child = await under_way(process, tmp_path)
            child.kill()
            with pytest.raises(RowkeepError, match="Nothing was inserted") as error:
                await working
            assert error.value.code is ErrorCode.UNAVAILABLE
            assert error.value.retry_after_seconds
            assert values(await decode(process, b'{"rows":[{"v":1}]}', one("integer"))) == [1]

    asyncio.run(run())


def test_a_request_that_is_cancelled_leaves_no_answer_behind(tmp_path: Path) -> None:
    """The next job gets its own answer, not that of the one before."""

    async def run() -> None:
        async with running(tmp_path) as process:
            working, _ = await under_way(process, tmp_path)
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working
            assert values(await decode(process, b'{"rows":[{"v":1}]}', one("integer"))) == [1]

    asyncio.run(run())


def test_an_answer_that_is_too_long_is_not_mixed_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request gets `unavailable`, the next one its own answer."""
    monkeypatch.setattr(child_process, "ANSWER_BYTES_MAX", 4096)

    async def run() -> None:
        async with running(tmp_path) as process:
            with pytest.raises(RowkeepError) as error:
                await decode(process, encoded({"rows": [{"v": "x"}] * 200}), one("integer"))
            assert error.value.code is ErrorCode.UNAVAILABLE
            assert values(await decode(process, b'{"rows":[{"v":1}]}', one("integer"))) == [1]

    asyncio.run(run())


def test_errors_about_enormous_keys_fit_an_answer(tmp_path: Path) -> None:
    """A hundred keys of 200,000 characters are named in short."""
    body = encoded({"rows": [{f"{number}" * 100_000: 1} for number in range(10, 110)]})

    async def run() -> None:
        async with running(tmp_path) as process:
            with pytest.raises(RowsRefused) as refusal:
                await decode(process, body, one("integer"))
            assert refusal.value.row_error_count == 100

    asyncio.run(run())


@pytest.mark.parametrize("coding", [None, ContentCoding.GZIP])
def test_lines_come_back_in_frames(tmp_path: Path, coding: ContentCoding | None) -> None:
    """A body of lines, compressed or not: the rows as of JSON, the digest that of the lines."""
    count = 2 * SLICE_ROWS_MAX + 1
    body = b"\r\n".join(b'{"v":%d}' % number for number in range(count))

    async def run() -> LargeRows:
        async with running(tmp_path) as process:
            sent = body if coding is None else gzip.compress(body)
            return await decode(process, sent, one("integer"), format_=BodyFormat.LINES, coding=coding)

    rows = asyncio.run(run())
    assert values(rows) == list(range(count)) == list(range(rows.row_count))
    assert rows.body_sha256 == hashlib.sha256(body).digest()


def test_a_bomb_leaves_nothing_behind(tmp_path: Path) -> None:
    """It is refused as too large, with its code; what it was inflated to is gone; the process lives on."""

    async def run() -> None:
        async with running(tmp_path) as process:
            for size, code in (
                (INFLATED_BYTES_MAX + 1, ErrorCode.PAYLOAD_TOO_LARGE),
                (INFLATED_BYTES_MAX, ErrorCode.INVALID_REQUEST),  # which is no JSON, but not too large
                (0, ErrorCode.INVALID_REQUEST),
            ):
                bomb = gzip.compress(b" " * size)
                with pytest.raises(RowkeepError) as error:
                    await decode(process, bomb, one("integer"), coding=ContentCoding.GZIP)
                assert error.value.code is code
                assert files_of(tmp_path) == []
            assert values(await decode(process, b'{"rows":[{"v":1}]}', one("integer"))) == [1]

    asyncio.run(run())
