"""The figures of a running rowkeep, from its metrics and from Linux."""

import re
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import msgspec

from rowkeep.trials.processes import memory_mib, open_files, tree_of
from rowkeep.trials.targets import Target

SETTLE_SECONDS_MAX = 900
LOOK_SECONDS = 1.0


class Look(msgspec.Struct, frozen=True):
    """The figures of a server at one time."""

    rows_inserted: float
    rows_sealed: float
    journal_bytes: float
    database_bytes: int
    segment_bytes: int
    segment_files: int
    memory_mib: float
    open_files: int


def look_at(target: Target, data_dir: Path) -> Look:
    """Returns the figures of a server and its data directory."""
    metrics = urllib.request.urlopen(f"http://{target.host}:{target.port}/metrics").read().decode()
    sizes = _sizes(data_dir / "segments")
    assert target.pid is not None
    return Look(
        rows_inserted=_figure(metrics, "rowkeep_rows_inserted_total"),
        rows_sealed=_figure(metrics, "rowkeep_rows_sealed_total"),
        journal_bytes=_figure(metrics, "rowkeep_journal_bytes"),
        database_bytes=sum(_sizes(data_dir, "rowkeep.db*")),
        segment_bytes=sum(sizes),
        segment_files=len(sizes),
        memory_mib=sum(memory_mib(pid) for pid in tree_of(target.pid)),
        open_files=open_files(target.pid),
    )


def _sizes(folder: Path, pattern: str = "*") -> list[int]:
    sizes: list[int] = []
    for file in folder.glob(pattern):
        with suppress(FileNotFoundError):  # a running server renames and removes files
            sizes.append(file.stat().st_size)
    return sizes


def wait_until_sealed(target: Target, data_dir: Path, journal_bytes_max: float) -> Look:
    """Waits until the journal is below a bound and sealing rests. Returns the figures."""
    give_up_at = time.monotonic() + SETTLE_SECONDS_MAX
    before = look_at(target, data_dir)
    while True:
        time.sleep(2 * LOOK_SECONDS)
        now = look_at(target, data_dir)
        if now.journal_bytes <= journal_bytes_max and now.rows_sealed == before.rows_sealed:
            return now
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"the journal still holds {now.journal_bytes:,.0f} bytes")
        before = now


def _figure(metrics: str, name: str) -> float:
    match = re.search(rf"^{name} (\S+)$", metrics, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"the server has no metric {name}")
    return float(match[1])
