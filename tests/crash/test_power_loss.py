"""Loss of power at any moment: what was acknowledged is there, in order, and nothing is half there.

The writes of a real run are recorded, and every state is built that the disk could be in if the power
went at some point of it, with what was not synced missing, there, or torn. Each is opened as after a restart.
"""

import random
from itertools import chain
from pathlib import Path

import apsw
import pytest

from rowkeep.model.errors import RowkeepError
from rowkeep.model.resources import Receipt
from rowkeep.storage.base import StorageError
from rowkeep.storage.journal.journal import Journal
from rowkeep.storage.sqlite import SqliteDatabase
from tests.contract.journaling import Uploads, batch, make_uploads, plain, stored
from tests.crash.disks import Acknowledgement, Event, RecordingDisk, Sync, state_after

GROUPS = 60
CHECKPOINT_PAGES = 12  # so that the run has many


def recorded_run(folder: Path) -> tuple[list[Event], list[list[int]], Uploads]:
    """The events of a run that commits group after group, the values of each group, and where they went."""
    disk = RecordingDisk()
    database = SqliteDatabase(folder / "rowkeep.db", vfs=disk.name, checkpoint_pages=CHECKPOINT_PAGES)
    uploads = make_uploads(database)
    journal, groups, number = Journal(), [], 0
    disk.events.append(Acknowledgement(0))
    for index in range(GROUPS):
        sizes = [1 + (index * 7 + part) % 40 for part in range(1 + index % 3)]
        values = [
            list(range(number + sum(sizes[:part]), number + sum(sizes[: part + 1])))
            for part in range(len(sizes))
        ]
        batches = [
            batch(uploads, part, padding=index % 4 * 300, key=f"k{index}-{at}" if index % 2 else None)
            for at, part in enumerate(values)
        ]
        assert all(isinstance(outcome, Receipt) for outcome in journal.commit_group(database, batches))
        disk.events.append(Acknowledgement(index + 1))
        number += sum(sizes)
        groups.append([value for part in values for value in part])
    database.close()
    disk.unregister()
    return disk.events, groups, uploads


def check_state(
    folder: Path, files: dict[str, bytes], groups: list[list[int]], acknowledged: int, uploads: Uploads
) -> None:
    """Opens a state: all acknowledged groups, and at most the one that was under way, whole."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    database = SqliteDatabase(folder / "rowkeep.db")
    with database.reading() as connection:
        assert connection.raw.pragma("integrity_check") == "ok"
    found = stored(database, uploads.first)
    possible = [list(chain.from_iterable(groups[: acknowledged + more])) for more in (0, 1)]
    assert found in possible
    assert [plain(outcome) for outcome in Journal().commit_group(database, [batch(uploads, [-1])])] == [
        Receipt(1)
    ]
    assert stored(database, uploads.first) == [*found, -1]
    database.close()


def check_states(tmp_path: Path, count: int, seed: int) -> None:
    """Loses power at `count` random moments of a run."""
    (tmp_path / "run").mkdir()
    events, groups, uploads = recorded_run(tmp_path / "run")
    chance = random.Random(seed)
    first = events.index(Acknowledgement(0)) + 1
    for number in range(count):
        end = chance.randrange(first, len(events) + 1)
        done = events[:end]
        acknowledged = max(event.number for event in done if isinstance(event, Acknowledgement))
        check_state(tmp_path / str(number), state_after(done, chance), groups, acknowledged, uploads)


def test_power_loss(tmp_path: Path) -> None:
    """Two hundred states."""
    check_states(tmp_path, 200, seed=1)


@pytest.mark.long
def test_power_loss_at_length(tmp_path: Path) -> None:
    """Three thousand states."""
    check_states(tmp_path, 3000, seed=2)


def test_the_method_sees_a_missing_sync(tmp_path: Path) -> None:
    """Had the journal not been synced before its answer, the same check would fail: the proof has teeth."""
    (tmp_path / "run").mkdir()
    events, groups, uploads = recorded_run(tmp_path / "run")
    unsynced = [event for event in events if event != Sync("rowkeep.db-wal")]
    chance = random.Random(3)
    failures = 0
    for number in range(20):
        end = chance.randrange(len(unsynced) // 2, len(unsynced))
        done = unsynced[:end]
        acknowledged = max(event.number for event in done if isinstance(event, Acknowledgement))
        try:
            check_state(tmp_path / str(number), state_after(done, chance), groups, acknowledged, uploads)
        except (AssertionError, LookupError, RowkeepError, StorageError, apsw.Error):
            failures += 1
    assert failures > 0
