"""kill -9 under load, by `rowkeep torture`: the proof that users can run on disks of their own.

The rows of "before commit" and "after commit, before the answer" of the crash table (ARCHITECTURE.md), and
those of segments: the server seals, compacts and drops entries all the while.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rowkeep.trials.torture import TortureOptions, run_torture, violations_of


def test_kill_under_load(tmp_path: Path) -> None:
    """Some kills, by the command: nothing acknowledged is lost, nothing is doubled, order is kept."""
    options = ["--minutes", "0.1", "--seed", "1", "--directory", str(tmp_path)]
    command = [sys.executable, "-m", "rowkeep", "torture", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout
    assert "every promise was kept" in done.stdout
    kills, requests, segments, reads = figures(
        done.stdout, "kills,", "acknowledged", "segments", "streams of sessions"
    )
    assert kills >= 3
    assert requests > 0
    assert segments > 0
    assert reads > 0
    assert list(tmp_path.iterdir()) == []


def figures(text: str, *words: str) -> list[int]:
    """The numbers that stand before these words."""
    found = [re.search(rf"(\d+) {word}", text) for word in words]
    return [int(match[1]) for match in found if match is not None]


@pytest.mark.long
def test_many_kills_under_load(tmp_path: Path) -> None:
    """Three minutes and more than fifty kills."""
    outcome = run_torture(TortureOptions(seconds=180, seed=2, directory=tmp_path, kills_min=55))
    assert outcome.violations == ()
    assert outcome.restarts >= 55
    assert outcome.replays > 0  # requests that were committed, and had no answer
    assert outcome.sealer_kills > 0
    assert outcome.segments > 55
    assert outcome.sessions_over_kills > 0


@pytest.mark.parametrize(
    ("numbers", "complaint"),
    [
        ([0, 1, 2, 4, 5], "1 acknowledged rows are lost, the first is 3"),
        ([0, 1, 2, 3, 4, 5, 3, 4, 5], "3 rows are there twice, the first is 3"),
        ([3, 4, 5, 0, 1, 2], "not in the order"),
        ([0, 1, 2, 3, 4, 5, 6], "a request is there in part"),
    ],
)
def test_broken_promises_are_seen(numbers: list[int], complaint: str) -> None:
    """Rows lost, doubled, out of order or half there: of two acknowledged requests and one under way."""
    assert complaint in " ".join(violations_of(0, numbers, 2))
    for kept in ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6, 7, 8]):
        assert violations_of(0, kept, 2) == []
