"""Disks that fail: writes are refused with 503, reads go on, `/readyz` turns red, a restart heals.

Faults are made below SQLite (tests/crash/disks.py) for a lane in this process, and by limits that the
operating system holds a real server to.
"""

import asyncio
import resource
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.resources import Receipt
from rowkeep.model.timing import InsertTimes
from rowkeep.storage.disk_reserve import DiskReserve
from rowkeep.storage.doors import StorageDoors, read_snapshot
from rowkeep.storage.journal.lane import Lane
from rowkeep.storage.sqlite import SqliteDatabase
from tests import plain_http
from tests.api.stream import Stream
from tests.contract.journaling import Uploads, batch, make_uploads, plain, stored
from tests.crash.disks import FailingDisk
from tests.server_process import ServerProcess

FAULTS: dict[str, tuple[str, Callable[[], Exception]]] = {
    "the disk is full": ("write", lambda: apsw.FullError("no space left on device")),
    "a write fails": ("write", lambda: apsw.IOError("input/output error")),
    "an fsync fails": ("sync", lambda: apsw.IOError("input/output error")),
    "the disk is read-only": ("write", lambda: apsw.ReadOnlyError("read-only file system")),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("heals", [True, False], ids=["once", "for good"])
def test_a_fault_closes_the_lane(tmp_path: Path, fault: str, heals: bool) -> None:
    """Nothing is written after a fault, even if the disk recovers; what was acknowledged is read on."""
    call, error = FAULTS[fault]
    disk = FailingDisk()
    database = SqliteDatabase(tmp_path / "rowkeep.db", vfs=disk.name)
    uploads = make_uploads(database)
    faults = [error()]

    async def run() -> None:
        lane = Lane(database, group_bytes_max=2**20, queue_bytes_max=2**20, wait_seconds_max=1)
        doors = StorageDoors(database, lane, DiskReserve(tmp_path, bytes_min=0), readers_max=1)
        assert plain(await lane.submit(batch(uploads, [1]))) == Receipt(1)
        disk.failure = lambda made: faults[0] if made == call and faults else None
        await refused(lane, uploads)
        if heals:
            faults.clear()
        await refused(lane, uploads)
        assert lane.health().failure is not None
        counted = await doors.read(lambda view: view.tables.contents([uploads.table_id]))
        assert counted[uploads.table_id].row_count == 1
        faults.clear()
        await lane.close()
        doors.close()

    asyncio.run(run())
    database.close()
    check_restart(tmp_path / "rowkeep.db", uploads)


def test_a_slow_disk_is_seen_in_what_fsync_takes(tmp_path: Path) -> None:
    """Not in the part of the commit before it, which is the processor's."""
    disk = FailingDisk()
    database = SqliteDatabase(tmp_path / "rowkeep.db", vfs=disk.name)
    uploads = make_uploads(database)
    times = InsertTimes(time.perf_counter())

    def slow(call: str) -> None:
        if call == "sync":
            time.sleep(1)

    async def run() -> None:
        lane = Lane(database, group_bytes_max=2**20, queue_bytes_max=2**20, wait_seconds_max=1)
        await lane.submit(batch(uploads, [1]))
        disk.failure = slow
        await lane.submit(batch(uploads, [2]), times)
        await lane.close()

    asyncio.run(run())
    database.close()
    commit = times.commit
    assert commit is not None
    assert commit.ended_at - commit.written_at >= 1
    assert commit.written_at - commit.began_at < commit.ended_at - commit.written_at


async def refused(lane: Lane, uploads: Uploads) -> None:
    """An insert gets `unavailable`, which means that nothing of it was written."""
    with pytest.raises(RowkeepError) as refusal:
        await lane.submit(batch(uploads, [2]))
    assert refusal.value.code is ErrorCode.UNAVAILABLE
    assert refusal.value.retry_after_seconds is not None


def check_restart(path: Path, uploads: Uploads) -> None:
    """A restart reads what is durable (of a failed fsync either may be true) and takes rows again."""
    database = SqliteDatabase(path)
    found = stored(database, uploads.first)
    assert found in ([1], [1, 2])

    async def insert() -> object:
        lane = Lane(database, group_bytes_max=2**20, queue_bytes_max=2**20, wait_seconds_max=1)
        outcome = await lane.submit(batch(uploads, [3]))
        await lane.close()
        return outcome

    assert plain(asyncio.run(insert())) == Receipt(1)
    assert stored(database, uploads.first) == [*found, 3]
    database.close()


def test_a_page_that_cannot_be_read_fails_the_read_alone(tmp_path: Path) -> None:
    """A read that meets a bad sector fails; it does not make up rows, and others go on."""
    disk = FailingDisk()
    database = SqliteDatabase(tmp_path / "rowkeep.db", vfs=disk.name)
    make_uploads(database)
    database.close()
    database = SqliteDatabase(tmp_path / "rowkeep.db", vfs=disk.name)
    disk.failure = lambda call: apsw.IOError("bad sector") if call == "read" else None
    with pytest.raises(Exception, match=r"bad sector|disk I/O error|unable to open"):
        read_snapshot(database, lambda view: view.uploads.page(1, 0, 10))
    disk.failure = lambda _: None
    assert len(read_snapshot(database, lambda view: view.uploads.page(1, 0, 10))) == 2
    database.close()


def test_a_server_whose_files_may_not_grow(own_server: ServerProcess) -> None:
    """At the limit inserts get 503 and `/readyz` turns red, reads go on; a restart without it heals."""
    stream = Stream(own_server.url, own_server.token, [{"name": "text", "type": "string"}], own_server.user)
    file = own_server.data_dir / "rowkeep.db-wal"
    limit = file.stat().st_size + 400_000
    resource.prlimit(own_server.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    acknowledged = 0
    while (response := stream.insert({"rows": [{"text": f"{acknowledged}-" * 2000}]})).status_code == 201:
        acknowledged += 1
        assert acknowledged < 1000, "the limit did not hold"
    assert (response.status_code, response.json()["error"]) == (503, "unavailable")
    assert "Retry-After" in response.headers
    assert stream.insert({"rows": [{"text": "later"}]}).status_code == 503
    ready = plain_http.get(own_server.url.replace("/api/v1", "/readyz"))
    assert (ready.status_code, ready.json()["status"]) == (503, "failed")
    assert len(stream.rows()) == acknowledged
    resource.prlimit(own_server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert stream.insert({"rows": [{"text": "still closed"}]}).status_code == 503
    own_server.kill()
    own_server.start(int(own_server.url.split(":")[2].split("/")[0]))
    assert acknowledged <= len(stream.rows()) <= acknowledged + 1
    assert stream.insert({"rows": [{"text": "again"}]}).status_code == 201
    stream.close()
