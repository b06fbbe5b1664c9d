"""Puts faults into a room, one at a time, and counts how many its tests notice.

Run by `scripts/mutate ROOM [COUNT] [SEED]`; the scores stand in docs/teeth.md. The faults (tests/mutants.py)
are drawn by chance, spread over the room's functions. Not every one that nobody notices is a gap: some change
nothing that can be seen. They are listed to be read.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tests.mutants import Mutant, mutants_of
from tests.mutation_rooms import ROOMS, MutationRoom

ROOT = Path(__file__).parents[1]
PACKAGE = Path("src", "rowkeep")
COUNT = 40
# Tests of a fault that never end have noticed it; how long the sound code takes says when that is.
PATIENCE_FACTOR = 5
PATIENCE_SECONDS_MIN = 60


class Tree:
    """A copy of the project, for one fault after the other."""

    def __init__(self, folder: Path, room: MutationRoom) -> None:
        self._folder = folder
        self._log = folder / "tests.log"
        self._tests = [test for test in room.tests if (ROOT / test).exists()]
        for name in ("src", "tests", "docs"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "ARCHITECTURE.md"):
            shutil.copy(ROOT / name, folder)
        if (ROOT / ".venv-clients").exists():
            (folder / ".venv-clients").symlink_to(ROOT / ".venv-clients")

    def said(self) -> str:
        """What the tests printed last."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def write(self, file: Path, source: bytes) -> None:
        """Changes a file."""
        (self._folder / file).write_bytes(source)

    def passes(self, seconds_max: float | None = None) -> bool:
        """Whether the tests of the room pass, in time."""
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not long", *self._tests]
        environment = {**os.environ, "PYTHONPATH": str(self._folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            return process.wait(seconds_max) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            _end_group(process)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """Ends the tests and the servers that they have started."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        return
    finally:
        process.wait()


class Fault(msgspec.Struct, frozen=True):
    """A mutant, its file, and the file's text without it."""

    file: Path
    sound: bytes
    mutant: Mutant


def faults_of(room: MutationRoom) -> list[Fault]:
    """Every fault of a room."""
    files = [file for source in room.sources for file in _files_of(ROOT / PACKAGE / source)]
    sources = {file.relative_to(ROOT): file.read_bytes() for file in files}
    return [Fault(file, sound, mutant) for file, sound in sources.items() for mutant in mutants_of(sound)]


def _files_of(path: Path) -> Iterable[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def chosen(faults: list[Fault], count: int, seed: int) -> list[Fault]:
    """Some of them by chance: one of each function before a second one of any."""
    chance = random.Random(seed)
    by_function: dict[tuple[Path, str], list[Fault]] = {}
    for fault in chance.sample(faults, len(faults)):
        by_function.setdefault((fault.file, fault.mutant.function), []).append(fault)
    rounds = [
        fault
        for turn in range(max(map(len, by_function.values())))
        for faults_of_one in by_function.values()
        for fault in faults_of_one[turn : turn + 1]
    ]
    return rounds[:count]


def run(room: str, count: int, seed: int) -> None:
    """Tries some faults of a room; prints those that nobody noticed, and the score."""
    unnoticed = 0
    faults = chosen(faults_of(ROOMS[room]), count, seed)
    with tempfile.TemporaryDirectory(prefix="rowkeep-mutation-") as folder:
        tree = Tree(Path(folder), ROOMS[room])
        began_at = time.monotonic()
        if not tree.passes():
            raise SystemExit(f"{tree.said()}\nThe tests of the room fail without any fault.")
        seconds_max = max(PATIENCE_SECONDS_MIN, PATIENCE_FACTOR * (time.monotonic() - began_at))
        for fault in faults:
            tree.write(fault.file, fault.mutant.applied_to(fault.sound))
            if tree.passes(seconds_max):
                unnoticed += 1
                _say(f"not noticed: {fault.file}:{fault.mutant.told(fault.sound)}")
            tree.write(fault.file, fault.sound)
    _say(f"{room}: {len(faults) - unnoticed} of {len(faults)} faults were noticed (seed {seed}).")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Reads the room, how many faults and the seed from the command line."""
    if len(sys.argv) < 2 or sys.argv[1] not in ROOMS:
        raise SystemExit(f"Usage: scripts/mutate ROOM [COUNT] [SEED]; the rooms are {', '.join(ROOMS)}.")
    numbers = [int(text) for text in sys.argv[2:4]]
    count, seed = [*numbers, *(COUNT, 1)[len(numbers) :]]
    run(sys.argv[1], count, seed)


if __name__ == "__main__":
    main()
