"""One upload beside another's flood: how much of it a commit takes in, and where it is checked."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from rowkeep.services.insert import turns
from rowkeep.services.insert.turns import REQUESTS_MAX
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase
from tests.api.access_table import API
from tests.api.counting import CountingServer, counting_server
from tests.api.stream import ALL_TYPES, Stream
from tests.server_process import ServerProcess

POLITE_REQUESTS = 200
SENDERS = 4 * REQUESTS_MAX
ROWS = f"{API}/tables/ada.d.t/uploads"
ROW = {"rows": [{"site": "a"}]}
_queue_bytes = re.compile(r"^rowkeep_queue_bytes (\S+)$", re.MULTILINE).search


async def make_uploads(server: CountingServer, *names: str) -> None:
    """Makes streams in one table."""
    await server.done("POST", f"{API}/users/ada/datasets", {"name": "d", "publicAccessLevel": "none"})
    await server.done("POST", f"{API}/datasets/ada.d/tables", {"name": "t"})
    schema = [{"name": "site", "type": "string"}]
    for name in names:
        await server.done("POST", ROWS, {"name": name, "type": "stream", "schema": schema})
        await server.done("POST", f"{ROWS}/{name}/rows", ROW)


async def queue_bytes(server: CountingServer) -> float:
    """What waits to be committed."""
    match = _queue_bytes((await server.done("GET", "/metrics")).text)
    assert match is not None
    return float(match[1])


async def queue_above(server: CountingServer, bound: float) -> float:
    """Waits until more than this waits to be committed; returns how much it is."""
    while (found := await queue_bytes(server)) <= bound:  # noqa: ASYNC110  # the queue has no event for it
        await asyncio.sleep(0)
    return found


async def wave(server: CountingServer, holder: SqliteDatabase, queued: int) -> Counter[int]:
    """Sends a flood while nobody can commit, until so many wait for it; returns what each commit took in."""
    with holder.writing():
        first = asyncio.create_task(server.done("POST", f"{ROWS}/flood/rows", ROW))
        size = await queue_above(server, 0)
        others = [server.done("POST", f"{ROWS}/flood/rows", ROW) for _ in range(SENDERS - 1)]
        requests = [first, *map(asyncio.create_task, others)]
        await queue_above(server, queued * size - 1)
        for _ in range(SENDERS):  # more would come now, if more could
            assert await queue_bytes(server) == queued * size
    return Counter(answer.json()["commit"] for answer in await asyncio.gather(*requests))


def test_a_flood_waits_in_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone a flood fills its commits; beside another upload no more than a turn of it is under way."""
    monkeypatch.setattr(turns, "SHARED_SECONDS", 3_600)  # however slow this machine is

    async def run() -> None:
        async with counting_server(tmp_path) as server:
            await make_uploads(server, "flood")
            holder = SqliteDatabase(DataDirectory(tmp_path / "data").database)
            assert max((await wave(server, holder, SENDERS)).values()) > REQUESTS_MAX
            polite = {"name": "polite", "type": "stream"}
            await server.done("POST", ROWS, polite)
            await server.done("POST", f"{ROWS}/polite/rows", ROW)
            beside = await wave(server, holder, REQUESTS_MAX)
            assert max(beside.values()) <= REQUESTS_MAX
            assert sum(beside.values()) == SENDERS
            count = (await server.done("GET", f"{ROWS}/flood")).json()["numRows"]
            assert count == 1 + 2 * SENDERS
            holder.close()

    asyncio.run(run())


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The checking process of a server stands still meanwhile."""
    (checker,) = [
        child
        for child in psutil.Process(pid).children()
        if "rowkeep.workers.checking_worker" in child.cmdline()
    ]
    checker.suspend()
    try:
        yield
    finally:
        checker.resume()


def test_bodies_of_some_size_hold_up_nobody(own_server: ServerProcess) -> None:
    """Beside another upload they are checked in another process; while that stands still, only they wait."""
    stream = Stream(own_server.url, own_server.token, ALL_TYPES, own_server.user)
    polite = Stream(own_server.url, own_server.token, ALL_TYPES, own_server.user)
    body = {"rows": [{"site": "flood", "count": number} for number in range(1_000)]}
    with ThreadPoolExecutor(1) as other:
        with stopped(own_server.pid):
            alone = stream.insert(body)  # it is checked where it comes in
            assert alone.status_code == 201
            waiting = None
            for number in range(POLITE_REQUESTS):
                assert polite.insert({"rows": [{"site": "polite"}]}).status_code == 201
                if number == POLITE_REQUESTS // 2:
                    waiting = other.submit(stream.insert, body)
            assert waiting is not None
            assert not waiting.done()
        beside = waiting.result(timeout=60)
    assert beside.status_code == 201
    assert beside.json()["sha256"] == alone.json()["sha256"]
    assert [row["count"] for row in stream.rows()] == [*range(1_000)] * 2
    stream.close()
    polite.close()


def test_a_bad_row_beside_another_upload_is_named(server: ServerProcess) -> None:
    """What the checking process refuses is looked at as every refused body is; lines and JSON alike."""
    stream = Stream(server.url, server.token, ALL_TYPES, server.user)
    polite = Stream(server.url, server.token, ALL_TYPES, server.user)
    rows = [{"site": "beside", "count": number} for number in range(1_000)]
    assert polite.insert({"rows": [{"site": "polite"}]}).status_code == 201
    refused = stream.insert({"rows": [*rows, {"site": "beside", "count": "many"}]})
    assert refused.status_code == 400
    assert [error["row"] for error in refused.json()["errors"]] == [1_000]
    lines = b"\n".join(json.dumps(row).encode() for row in rows)
    assert polite.insert({"rows": [{"site": "polite"}]}).status_code == 201
    assert stream.insert(lines, **{"Content-Type": "application/x-ndjson"}).status_code == 201
    assert stream.row_count() == 1_000
    stream.close()
    polite.close()
