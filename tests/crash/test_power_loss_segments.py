"""Loss of power while rows leave the journal: segments and SQLite's files, their events in one order.

The method is that of test_power_loss.py. What is recorded is a run of all that maintenance does, between
inserts: seal, compact, sweep, delete and forget; and files are loaded.
"""

import asyncio
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec
import pytest

from rowkeep.model.errors import RowkeepError
from rowkeep.services import maintenance as maintenance_module
from rowkeep.storage.base import StorageError
from rowkeep.storage.sqlite import SqliteDatabase
from rowkeep.storage.verification import verify
from tests.api.loading import parquet_of
from tests.crash.disks import (
    Acknowledgement,
    Created,
    Event,
    FolderSync,
    RecordingDisk,
    RecordingFiles,
    Removed,
    Renamed,
    Sync,
    state_after,
)
from tests.unit.read_world import World

STEPS = 120
CHECKPOINT_PAGES = 24
SCHEMA = [{"name": "id", "type": "integer"}, {"name": "text", "type": "string"}]
# Moments after these are looked at as often as all others together.
SEGMENT_EVENTS = (Created, Renamed, Removed, FolderSync)

Table = dict[str, list[int]]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are dropped a few at a time, and few segments are worth a compaction."""
    monkeypatch.setattr(maintenance_module, "DROPPED_BYTES_MAX", 2_000)
    monkeypatch.setattr(maintenance_module, "COMPACTED_MIN", 3)
    monkeypatch.setattr(maintenance_module, "COMPACTED_OF_LARGEST_MIN", 1)


class Run(NamedTuple):
    """What was written, and what the table held after each step that was acknowledged."""

    events: list[Event]
    tables: list[Table]


class _Recorder:
    """A world that is changed at random, and the model of it."""

    def __init__(self, folder: Path, runner: asyncio.Runner, seed: int) -> None:
        self._disk = RecordingDisk()
        self._chance = random.Random(seed)
        self._uploads = 0
        self._rows = 0
        self.table: Table = {}
        self.world = World(
            folder,
            runner,
            disk=RecordingFiles(self._disk.events, folder),
            database=partial(SqliteDatabase, vfs=self._disk.name, checkpoint_pages=CHECKPOINT_PAGES),
        )

    def record(self) -> Run:
        tables: list[Table] = []
        for number in range(STEPS):
            self._note(tables)
            if number == 0 or (len(self.table) < 3 and number % 10 == 0):
                self._create()
            else:
                self._chance.choices(
                    [
                        self._insert,
                        self.world.seal,
                        self._compact,
                        self.world.sweep,
                        self._delete,
                        self._forget,
                        self._load,
                    ],
                    weights=[60, 20, 10, 6, 2, 2, 4],
                )[0]()
        self._note(tables)
        self.world.close()
        self._disk.unregister()
        return Run(self._disk.events, tables)

    def _note(self, tables: list[Table]) -> None:
        self._disk.events.append(Acknowledgement(len(tables)))
        tables.append({name: list(numbers) for name, numbers in self.table.items()})

    def _some(self) -> str:
        return self._chance.choice(sorted(self.table))

    def _create(self) -> None:
        self._uploads += 1
        name = f"upload {self._uploads}"
        self.world.create(name, SCHEMA)
        self.table[name] = []

    def _insert(self) -> None:
        streams = sorted(name for name in self.table if name.startswith("upload"))
        if not streams:
            self._create()
            return
        name = self._chance.choice(streams)
        numbers = list(range(self._rows, self._rows + self._chance.randrange(1, 60)))
        self.world.insert(name, [{"id": number, "text": text_of(number)} for number in numbers])
        self.table[name] += numbers
        self._rows += len(numbers)

    def _load(self) -> None:
        if len(self.table) > 4:
            return
        self._uploads += 1
        name = f"file {self._uploads}"
        numbers = list(range(self._rows, self._rows + self._chance.randrange(1, 60)))
        content = parquet_of(id=numbers, text=[text_of(number) for number in numbers])
        self.world.load(name, content, "parquet")
        self.table[name] = numbers
        self._rows += len(numbers)

    def _compact(self) -> None:
        self.world.compact(self._some())

    def _delete(self) -> None:
        if len(self.table) > 1:
            name = self._some()
            self.world.delete(name)
            del self.table[name]

    def _forget(self) -> None:
        self.world.forget_deleted()
        self.world.sweep()


def text_of(number: int) -> str:
    """A text that compresses badly, so that segments are written in several parts."""
    return random.Random(number).randbytes(number % 40).hex()


def check_state(
    folder: Path, files: dict[str, bytes], run: Run, acknowledged: int, runner: asyncio.Runner
) -> None:
    """Starts on a state: what was acknowledged, and at most the step that was under way; then goes on."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    world = World(folder, runner)
    try:
        world.sweep()
        world.run(world.maintenance.recover())
        world.sweep()
        world.finish_jobs()
        assert world.failed_uploads() == []
        table = table_of(world)
        assert table in [numbers_of(held) for held in run.tables[acknowledged : acknowledged + 2]]
        assert verify(world.database, world.directory).problems == ()
        world.seal()
        assert table_of(world) == table
        assert verify(world.database, world.directory).problems == ()
    finally:
        world.close()
        shutil.rmtree(folder)


def table_of(world: World) -> list[int]:
    """The numbers of all rows, each with the text that it came with."""
    found = world.listed()
    if not len(found):
        return []
    numbers: list[int] = found["id"].to_pylist()
    assert found["text"].to_pylist() == [text_of(number) for number in numbers]
    return numbers


def numbers_of(table: Table) -> list[int]:
    """All rows of a table, upload after upload."""
    return [number for numbers in table.values() for number in numbers]


def moments(events: list[Event], count: int, chance: random.Random) -> Iterator[int]:
    """Where the power goes: half of the time soon after something was done to a segment's name."""
    first = events.index(Acknowledgement(0)) + 1
    near = [index for index in range(first, len(events)) if isinstance(events[index], SEGMENT_EVENTS)]
    for number in range(count):
        if number % 2:
            yield chance.randrange(first, len(events) + 1)
        else:
            yield min(chance.choice(near) + chance.randrange(8), len(events))


def check_states(
    quick_folder: Path,
    runner: asyncio.Runner,
    count: int,
    seed: int,
    lost: Callable[[Event], bool] | None = None,
) -> int:
    """Loses power at `count` moments of a run; how many states were not as promised.

    `lost` says which events the disk ignores, for the proof that it would be noticed.
    """
    run = _Recorder(quick_folder / "run", runner, seed).record()
    events = [event for event in run.events if lost is None or not lost(event)]
    chance = random.Random(seed)
    broken = 0
    for number, end in enumerate(moments(events, count, chance)):
        done = events[:end]
        acknowledged = max(event.number for event in done if isinstance(event, Acknowledgement))
        files = state_after(done, chance)
        try:
            check_state(quick_folder / str(number), files, run, acknowledged, runner)
        except (AssertionError, LookupError, RowkeepError, StorageError, apsw.Error, msgspec.MsgspecError):
            if lost is None:
                raise
            broken += 1
    return broken


def test_power_loss(quick_folder: Path, runner: asyncio.Runner) -> None:
    """A hundred states."""
    check_states(quick_folder, runner, 100, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 20))
def test_power_loss_at_length(quick_folder: Path, runner: asyncio.Runner, seed: int) -> None:
    """Two hundred states of each of ten runs."""
    check_states(quick_folder, runner, 200, seed)


@pytest.mark.parametrize(
    "lost",
    [
        lambda event: isinstance(event, Sync) and event.file.startswith("file "),
        lambda event: isinstance(event, FolderSync) and event.folder == "segments",
        lambda event: isinstance(event, FolderSync) and event.folder == "temp_uploads",
    ],
    ids=["the file", "the folder of the segments", "the folder of the files that were sent"],
)
def test_the_method_sees_a_missing_sync(
    quick_folder: Path, runner: asyncio.Runner, lost: Callable[[Event], bool]
) -> None:
    """Were a file or its folder not synced before the catalog names it, the same check would fail."""
    assert check_states(quick_folder, runner, 60, seed=3, lost=lost) > 0
