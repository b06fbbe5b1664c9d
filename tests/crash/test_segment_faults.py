"""Disks that fail under segments: the seal is put off, rows stay, reads go on, and a retry works."""

import asyncio
import errno
import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.services import maintenance as maintenance_module
from rowkeep.services.maintenance import Maintenance, SealingPolicy
from rowkeep.storage.local_files import Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.sealer import SegmentSealer
from rowkeep.storage.verification import verify
from rowkeep.workers.sealing_worker import SealingJob, run_job
from tests.unit.read_world import World

SCHEMA = [{"name": "id", "type": "integer"}, {"name": "text", "type": "string"}]
EAGER = SealingPolicy(seal_bytes_min=1, seal_minutes_max=10.0, journal_bytes_max=2**30)


class FaultyDisk(Disk):
    """A disk that refuses the calls that it is told to; `calls` counts those of each kind."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.faults: dict[tuple[str, int], int] = {}

    def fail(self, call: str, number: int, code: int) -> None:
        """Makes the n-th call of a kind, from now on counted from 1, and all later ones fail."""
        self.calls.clear()
        self.faults = {(call, number): code}

    def _pass(self, call: str) -> None:
        self.calls[call] = count = self.calls.get(call, 0) + 1
        for (name, number), code in self.faults.items():
            if name == call and count >= number:
                raise OSError(code, os.strerror(code))

    def create(self, path: Path) -> int:
        self._pass("create")
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> None:
        try:
            self._pass("write")
        except OSError:
            super().write(descriptor, data[: len(data) // 2])  # a full disk takes what it has room for
            raise
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._pass("sync")
        super().sync(descriptor)

    def rename(self, path: Path, new_path: Path) -> None:
        self._pass("rename")
        super().rename(path, new_path)

    def sync_directory(self, folder: Path) -> None:
        self._pass("sync_directory")
        super().sync_directory(folder)

    def remove(self, path: Path) -> None:
        self._pass("remove")
        super().remove(path)


FAULTS = {
    "a file cannot be made": ("create", 1, errno.EIO),
    "a write fails": ("write", 2, errno.EIO),
    "the disk is full at once": ("write", 1, errno.ENOSPC),
    "the disk is full after a while": ("write", 3, errno.ENOSPC),
    "the disk is full at the end": ("write", 5, errno.ENOSPC),
    "the fsync fails": ("sync", 1, errno.EIO),
    "the rename fails": ("rename", 1, errno.EIO),
    "the folder's fsync fails": ("sync_directory", 1, errno.EIO),
}


@pytest.fixture
def disk() -> FaultyDisk:
    """A disk that works until a test says otherwise."""
    return FaultyDisk()


@pytest.fixture
def world(quick_folder: Path, runner: asyncio.Runner, disk: FaultyDisk) -> Iterator[World]:
    """Twenty rows in a segment and forty in the journal."""
    made = World(quick_folder / "data", runner, disk=disk)
    made.create("s", SCHEMA)
    insert(made, 0, 20)
    made.seal()
    insert(made, 20, 40)
    insert(made, 40, 60)
    yield made
    made.close()


def insert(world: World, start: int, end: int) -> None:
    """Rows that count."""
    world.insert("s", [{"id": number, "text": f"row {number}"} for number in range(start, end)])


def check(world: World, count: int) -> None:
    """So many rows are there, in order and once."""
    assert world.listed()["id"].to_pylist() == list(range(count))


def restart(world: World, runner: asyncio.Runner) -> World:
    """Another server on the same files, which work again."""
    started = World(world.folder, runner)
    started.sweep()
    started.run(started.maintenance.recover())
    return started


def is_whole_once_swept(world: World) -> bool:
    """Whether nothing is wrong but what another server on the same files is writing right now."""
    world.sweep()
    return verify(world.database, world.directory).problems == ()


@contextmanager
def maintaining(world: World, maintenance: Maintenance) -> Iterator[Callable[[Callable[[], bool]], None]]:
    """Runs maintenance as the server does; what is given waits until something has come of it."""
    task = world.run(_start(maintenance))

    def wait_until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            world.run(asyncio.sleep(0.005))

    yield wait_until
    task.cancel()
    with suppress(asyncio.CancelledError):
        world.run(_ended(task))


async def _start(maintenance: Maintenance) -> "asyncio.Task[None]":
    return asyncio.create_task(maintenance.run())


async def _ended(task: "asyncio.Task[None]") -> None:
    await task


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seal_that_fails_is_put_off(
    world: World,
    disk: FaultyDisk,
    runner: asyncio.Runner,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    """Nothing is lost: reads and inserts go on, and the seal is done when the disk works again."""
    monkeypatch.setattr(maintenance_module, "PAUSE_SECONDS_MIN", 0.01)
    monkeypatch.setattr(maintenance_module, "RETRY_SECONDS", 0.05)
    maintenance = world.maintenance_under(EAGER)
    disk.fail(*FAULTS[fault])
    with maintaining(world, maintenance) as wait_until:
        wait_until(lambda: maintenance.health.failures >= 2)
        assert maintenance.health.rows_sealed == 0
        check(world, 60)
        insert(world, 60, 70)
        check(world, 70)
        started = restart(world, runner)
        wait_until(lambda: is_whole_once_swept(started))
        started.close()
        disk.faults.clear()
        wait_until(lambda: maintenance.health.rows_sealed >= 50)
    check(world, 70)
    world.sweep()
    assert verify(world.database, world.directory).problems == ()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_compaction_that_fails_changes_nothing(
    world: World, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The segments stay as they were, and it is done when the disk works."""
    monkeypatch.setattr(maintenance_module, "COMPACTED_MIN", 2)
    monkeypatch.setattr(maintenance_module, "COMPACTED_OF_LARGEST_MIN", 1)
    world.seal()
    disk.fail(*FAULTS[fault])
    with pytest.raises(OSError, match="Errno"):
        world.compact("s")
    check(world, 60)
    disk.faults.clear()
    world.sweep()
    assert verify(world.database, world.directory).problems == ()
    world.compact("s")
    assert len(world.run(world.doors.read(lambda view: view.segments.page(1, 0, 9)))) == 1
    check(world, 60)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_sealing_process_tells_what_failed(world: World, disk: FaultyDisk, fault: str) -> None:
    """An answer that names the error, and the process goes on to the next job."""
    sealer = SegmentSealer(world.database, LocalSegments(world.directory.segments, disk))
    disk.fail(*FAULTS[fault])
    answer = run_job(sealer, SealingJob(1, 20))
    assert (answer.segment, "OSError: [Errno" in str(answer.error)) == (None, True)
    assert list(world.directory.segments.glob("*.unfinished")) == []
    disk.faults.clear()
    assert run_job(sealer, SealingJob(1, 20)).segment is not None


def test_nothing_is_written_after_a_failure(world: World, tmp_path: Path) -> None:
    """Arrow ends a failed file late, when its descriptor may be another file's: not a byte goes there."""

    class Reusing(Disk):
        """Fails the second write, and has the descriptor's number taken by another file soon after."""

        victim = -1
        used = -1

        def write(self, descriptor: int, data: memoryview) -> None:
            if self.victim < 0 and descriptor == self.used:
                raise OSError(errno.EIO, "write")
            self.used = descriptor
            super().write(descriptor, data)

        def remove(self, path: Path) -> None:
            super().remove(path)
            self.victim = os.open(tmp_path / "victim", os.O_RDWR | os.O_CREAT)

    disk = Reusing()
    sealer = SegmentSealer(world.database, LocalSegments(world.directory.segments, disk))
    assert run_job(sealer, SealingJob(1, 20)).error is not None
    gc.collect()
    assert disk.victim == disk.used
    assert os.fstat(disk.victim).st_size == 0
    os.close(disk.victim)


def forget_entry(world: World, first_row: int) -> None:
    """Takes an entry out of the journal."""
    with world.database.writing() as connection:
        connection.raw.execute("DELETE FROM entries WHERE upload_id = 1 AND first_row = ?", (first_row,))


def test_rows_that_are_not_there_are_not_sealed(world: World) -> None:
    """A hole in the journal: an error that names it, and no segment over it."""
    insert(world, 60, 80)
    forget_entry(world, 40)
    sealer = SegmentSealer(world.database, LocalSegments(world.directory.segments, Disk()))
    assert "from 40 on are missing" in str(run_job(sealer, SealingJob(1, 20)).error)


def test_rows_that_go_while_they_are_sealed(world: World) -> None:
    """An upload that is forgotten meanwhile: the file is short, and becomes no segment."""

    class Forgetting(Disk):
        def create(self, path: Path) -> int:
            forget_entry(world, 40)
            return super().create(path)

    sealer = SegmentSealer(world.database, LocalSegments(world.directory.segments, Forgetting()))
    answer = run_job(sealer, SealingJob(1, 20))
    assert answer.segment is None
    assert len(list(world.directory.segments.iterdir())) == 1


def test_a_compaction_of_other_segments_is_not_named(world: World) -> None:
    """Where the rows are others, nothing is replaced; where they are gone, nothing is named."""
    world.seal()
    made = world.run(world.sealer.compact(1, 0, 60))
    view = world.run(world.doors.read(lambda view: view.segments.page(1, 0, 9)))
    for rows in (59, 61):
        other = msgspec.structs.replace(made, row_count=rows)
        with pytest.raises(LookupError, match="not those that were compacted"):
            world.run(world.doors.write(lambda editor, other=other: editor.segments.name_compacted(other)))
        assert world.run(world.doors.read(lambda view: view.segments.page(1, 0, 9))) == view
    gone = msgspec.structs.replace(made, upload_id=9)
    assert world.run(world.doors.write(lambda editor: editor.segments.name_compacted(gone))) is False
    assert world.run(world.doors.read(lambda view: view.segments.page(9, 0, 9))) == []
    check(world, 60)


def test_a_removal_that_fails_is_tried_again(world: World, disk: FaultyDisk) -> None:
    """A sweep that meets a bad folder takes nothing that is named; the next one ends it."""
    world.unnamed_segment("s", first_row=20)
    disk.fail("remove", 1, errno.EIO)
    with pytest.raises(OSError, match="Errno"):
        world.sweep()
    check(world, 60)
    disk.faults.clear()
    assert world.sweep() == 1
    assert verify(world.database, world.directory).problems == ()


def test_a_segment_that_cannot_be_read_fails_its_read_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad sector under a segment: a clear error, and rows that do not lie there are read on."""
    world.create("other", SCHEMA)
    world.insert("other", [{"id": 1, "text": "x"}])
    real = os.pread

    def fails(descriptor: int, size: int, offset: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", fails)
    with pytest.raises(RowkeepError, match="cannot be read: Input/output error") as refusal:
        world.listed()
    assert refusal.value.code is ErrorCode.INTERNAL
    [stream] = world.session("other").streams
    assert world.table(stream)["id"].to_pylist() == [1]
    insert(world, 60, 61)
    assert "cannot be read" in verify(world.database, world.directory).text
    monkeypatch.setattr(os, "pread", real)
    assert verify(world.database, world.directory).problems == ()
