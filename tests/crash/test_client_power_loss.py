"""Loss of power under `rowkeep insert`: what it remembers and the rows it set aside are there afterwards.

What is done to the files is recorded while it is done. Then states are built that a disk could be in if the
power went at some point: a file has what it had when it was synced, or more of what was written since. A name
is there for certain only once its folder was synced. This is the method of `test_power_loss.py` for files
that are written whole or appended to.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from rowkeep.client.batches import Batch, Outcome
from rowkeep.client.errors import Reason, RefusedRow
from rowkeep.client.files.checkpoint import Checkpoint, State
from rowkeep.client.files.chunks import Chunk
from rowkeep.client.files.ndjson import NdjsonPiece
from rowkeep.client.quarantine import QuarantineFile
from rowkeep.client.retrying import Receipt

STATES = 300
CHUNK = b'{"a":1}\n' * 40


class Moment(msgspec.Struct, frozen=True):
    """What could be found after a loss of power: contents and names, as they were synced and as they are."""

    durable: dict[int, bytes]
    latest: dict[int, bytes]
    durable_names: dict[str, int]
    latest_names: dict[str, int]
    acknowledged: int

    def state(self, chance: random.Random) -> dict[str, bytes]:
        """One of the states: names and contents, each as it was synced or anywhere beyond."""
        names = {**self.durable_names}
        for name in {*self.durable_names, *self.latest_names}:
            if chance.random() < 0.5:
                names.pop(name, None)
                if name in self.latest_names:
                    names[name] = self.latest_names[name]
        return {name: self._content(file, chance) for name, file in names.items()}

    def _content(self, file: int, chance: random.Random) -> bytes:
        durable, latest = self.durable.get(file, b""), self.latest.get(file, b"")
        if not latest.startswith(durable):
            return chance.choice([durable, latest])
        return latest[: chance.choice([len(durable), len(latest), chance.randint(len(durable), len(latest))])]


class RecordedFolder:
    """A folder whose files are written for real, and the moments at which the power could go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.moments: list[Moment] = []
        self._durable: dict[int, bytes] = {}
        self._durable_names: dict[str, int] = {}
        self._acknowledged = 0
        self._held: dict[int, BinaryIO] = {}  # a file that is open keeps its number to itself
        self.observe()

    def observe(self) -> None:
        """Looks at what there is now; the power may go before whatever comes next."""
        names = {path.name: path.stat().st_ino for path in self.folder.iterdir()}
        for name, file in names.items():
            if file not in self._held:
                self._held[file] = (self.folder / name).open("rb")
        latest = {file: _content(opened) for file, opened in self._held.items()}
        self.moments.append(
            Moment(dict(self._durable), latest, dict(self._durable_names), names, self._acknowledged)
        )

    def acknowledge(self) -> None:
        """Somebody relies on all that was done so far."""
        self._acknowledged += 1
        self.observe()

    def synced(self, descriptor: int) -> None:
        """A file, or the names of the folder, were made durable."""
        self.observe()
        file = os.fstat(descriptor).st_ino
        if file == self.folder.stat().st_ino:
            self._durable_names = self.moments[-1].latest_names
        elif file in self.moments[-1].latest:
            self._durable[file] = self.moments[-1].latest[file]
        self.observe()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Everything that is synced or renamed meanwhile is recorded."""
        sync, rename = os.fsync, os.rename

        def recorded_sync(descriptor: int) -> None:
            sync(descriptor)
            self.synced(descriptor)

        def recorded_rename(source: Path, target: Path) -> None:
            self.observe()
            rename(source, target)
            self.observe()

        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "fsync", recorded_sync)
                patch.setattr(os, "rename", recorded_rename)
                yield
        finally:
            for opened in self._held.values():
                opened.close()


def _content(opened: BinaryIO) -> bytes:
    opened.seek(0)
    return opened.read()


def check_states(
    recorded: RecordedFolder, tmp_path: Path, check: Callable[[Path, int], None], *, first: int = 0
) -> None:
    """Loses power at random moments, from an acknowledgement on, and looks at what is there."""
    chance = random.Random(1)
    moments = [moment for moment in recorded.moments if moment.acknowledged >= first]
    for number in range(STATES):
        moment = chance.choice(moments)
        folder = tmp_path / f"state {number}"
        folder.mkdir()
        for name, content in moment.state(chance).items():
            (folder / name).write_bytes(content)
        check(folder, moment.acknowledged)


def refused(number: int) -> RefusedRow:
    """A row that does not fit."""
    return RefusedRow(number, (Reason("a", f"row {number} does not fit"),), b'{"a":"x"}')


def test_what_is_remembered_before_it_is_sent(tmp_path: Path) -> None:
    """A planned chunk and what was taken out of it are there once they were noted; no state is half there."""
    source = tmp_path / "input"
    source.write_bytes(CHUNK * 6)
    descriptor = os.open(source, os.O_RDONLY)
    (tmp_path / "kept").mkdir()
    recorded = RecordedFolder(tmp_path / "kept")
    path = recorded.folder / "state"
    fresh = State("source", "target", "ndjson", 1_000)
    remembered: list[State] = [fresh]

    def acknowledge() -> None:
        remembered.append(msgspec.json.decode(path.read_bytes(), type=State))
        recorded.acknowledge()

    with recorded.recording():
        checkpoint = Checkpoint.open(path, descriptor, fresh, is_again=True)
        acknowledge()
        for number in range(6):
            start = number * len(CHUNK)
            piece = NdjsonPiece(CHUNK, is_full=False, is_certain=False)
            chunk = Chunk(start, piece, is_certain=False)
            key = chunk.key("source")
            batch = Batch(key, b"", [1, 2])
            assert checkpoint.begin(chunk, key, 40) == ()
            acknowledge()
            checkpoint.note_sent(batch)
            checkpoint.note_removed(batch, [refused(number)])
            acknowledge()
            receipt = Receipt(1, is_repeat=False, commit=number + 1, chain=f"chain {number}")
            checkpoint.settle(batch, Outcome(1, 0, (refused(number),), key, receipt))
            acknowledge()
        checkpoint.close()
    os.close(descriptor)

    def check(folder: Path, acknowledged: int) -> None:
        found = msgspec.json.decode((folder / "state").read_bytes(), type=State)
        assert found in remembered[acknowledged : acknowledged + 2]

    check_states(recorded, tmp_path, check, first=1)


def test_rows_that_were_set_aside(tmp_path: Path) -> None:
    """Refused rows are in their file once their batch counts as settled, and a line is never half there."""
    (tmp_path / "kept").mkdir()
    recorded = RecordedFolder(tmp_path / "kept")
    with recorded.recording():
        quarantine = QuarantineFile(recorded.folder / "quarantine", "source")
        for number in range(6):
            quarantine.add([refused(2 * number), refused(2 * number + 1)])
            recorded.acknowledge()
        quarantine.close()

    def check(folder: Path, acknowledged: int) -> None:
        path = folder / "quarantine"
        again = QuarantineFile(path, "source")
        numbers = [msgspec.json.decode(line)["row"] for line in path.read_bytes().splitlines()]
        assert numbers == list(range(len(numbers)))
        assert 2 * acknowledged <= len(numbers) <= 2 * acknowledged + 2
        again.add([refused(number) for number in range(12)])
        again.close()
        numbers = [msgspec.json.decode(line)["row"] for line in path.read_bytes().splitlines()]
        assert numbers == list(range(12))

    check_states(recorded, tmp_path, check)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nobody_else_reads_what_is_kept(tmp_path: Path, umask: int) -> None:
    """The state and the rows that were set aside are their owner's alone, whatever the umask."""
    (tmp_path / "input").write_bytes(CHUNK)
    descriptor = os.open(tmp_path / "input", os.O_RDONLY)
    before = os.umask(umask)
    try:
        quarantine = QuarantineFile(tmp_path / "quarantine", "source")
        quarantine.add([refused(1)])
        quarantine.close()
        fresh = State("source", "target", "ndjson", 1_000)
        Checkpoint.open(tmp_path / "state", descriptor, fresh, is_again=True).close()
    finally:
        os.umask(before)
        os.close(descriptor)
    for name in ("quarantine", "state"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
