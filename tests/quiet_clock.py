"""Holds a default test to a bound in seconds that does not depend on what else the machine does.

The clock takes from the time on the wall what Linux says was spent waiting for a core or for a disk (pressure
stall information), and never shows less than the CPU time of the test and its ended child processes. Beside a
busy neighbour it may show too little, never too much. `.ci/run` enforces the bound; tests that need more are
marked long.
"""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PRESSURES = [Path("/proc/pressure/cpu"), Path("/proc/pressure/io")]


@contextmanager
def at_most(seconds_max: float) -> Iterator[None]:
    """Fails when what happens within takes longer than this on an idle machine."""
    wall, stalled, computed = time.monotonic(), _stalled_seconds(), _cpu_seconds()
    yield
    elapsed = time.monotonic() - wall
    quiet = 0.0 if stalled is None else elapsed - ((_stalled_seconds() or 0.0) - stalled)
    seconds = max(quiet, _cpu_seconds() - computed)
    assert seconds <= seconds_max, (
        f"The test took {seconds:.1f} s; a default test may take {seconds_max:g} s. "
        "Give the default run a share of it and mark the whole `long`."
    )


def _cpu_seconds() -> float:
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _stalled_seconds() -> float | None:
    """Seconds in which anything here waited for a core or a disk; None where Linux does not tell."""
    try:
        return sum(_total_microseconds(file) for file in _PRESSURES) / 1_000_000
    except OSError:
        return None


def _total_microseconds(file: Path) -> int:
    some = file.read_text(encoding="ascii").splitlines()[0]
    return int(some.rpartition("total=")[2])
