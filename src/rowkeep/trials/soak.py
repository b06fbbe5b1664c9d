"""Half an hour of mixed load with figures for every round, and the curves of those that must stay flat.

A round is some seconds of many rows a request, some of one row a request, and readers beside them: a
session over everything that reads the newest million rows in four streams. Rows pile up all the while.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rowkeep.trials.curves import Curve, curves_svg
from rowkeep.trials.processes import end
from rowkeep.trials.reading import open_session, read_stream
from rowkeep.trials.report import table_text
from rowkeep.trials.run import send
from rowkeep.trials.targets import Target, start_rowkeep
from rowkeep.trials.watching import look_at

PART_SECONDS = 12.0
NEWEST_ROWS = 1_000_000
READER_REST_SECONDS = 1.0
CURVES_FILE = "soak.svg"


class Round(msgspec.Struct, frozen=True):
    """The figures of one round."""

    minute: float
    rows: float
    memory_mib: float
    open_files: int
    journal_mib: float
    database_mib: float
    batch_p99_ms: float
    single_p99_ms: float


def run_soak(minutes: float, directory: Path) -> str:
    """Soaks a server of its own; writes the curves to `soak.svg` in the directory."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        data_dir = Path(folder) / "data"
        target, process = start_rowkeep(data_dir)
        over = threading.Event()
        reader = threading.Thread(target=_read_on, args=(target, over))
        reader.start()
        try:
            rounds = _rounds(target, data_dir, minutes)
        finally:
            over.set()
            reader.join()
            end(process)
    (directory / CURVES_FILE).write_text(_svg(rounds), encoding="utf-8")
    return _text(rounds)


def _rounds(target: Target, data_dir: Path, minutes: float) -> list[Round]:
    rounds: list[Round] = []
    started = time.monotonic()
    while time.monotonic() < started + minutes * 60:
        batches = send(target, 8, 100, PART_SECONDS, None)
        singles = send(target, 16, 1, PART_SECONDS, None)
        look = look_at(target, data_dir)
        rounds.append(
            Round(
                minute=(time.monotonic() - started) / 60,
                rows=look.rows_inserted,
                memory_mib=look.memory_mib,
                open_files=look.open_files,
                journal_mib=look.journal_bytes / 2**20,
                database_mib=look.database_bytes / 2**20,
                batch_p99_ms=batches.p99_ms,
                single_p99_ms=singles.p99_ms,
            )
        )
        sys.stderr.write(f"{rounds[-1]}\n")
    return rounds


def _read_on(target: Target, over: threading.Event) -> None:
    while not over.wait(READER_REST_SECONDS):
        row_count, streams = open_session(target, 4)
        for stream in streams:
            # Each stream holds a quarter of the rows.
            read_stream(target, stream, max(0, row_count // 4 - NEWEST_ROWS // 4))


def _text(rounds: Sequence[Round]) -> str:
    head = (
        "minute",
        "rows",
        "memory MiB",
        "open files",
        "journal MiB",
        "database MiB",
        "p99 ms of 100 rows",
        "p99 ms of 1 row",
    )
    return table_text(head, [_cells(item) for item in rounds[:: max(1, len(rounds) // 10)]])


def _cells(item: Round) -> list[str]:
    return [
        f"{item.minute:.0f}",
        f"{item.rows:,.0f}",
        f"{item.memory_mib:.0f}",
        f"{item.open_files}",
        f"{item.journal_mib:.0f}",
        f"{item.database_mib:.0f}",
        f"{item.batch_p99_ms:.1f}",
        f"{item.single_p99_ms:.1f}",
    ]


def _svg(rounds: Sequence[Round]) -> str:
    minutes = [item.minute for item in rounds]
    return curves_svg(
        [
            Curve("rows, millions", minutes, [item.rows / 1e6 for item in rounds]),
            Curve("memory of all processes, MiB", minutes, [item.memory_mib for item in rounds]),
            Curve("open files", minutes, [float(item.open_files) for item in rounds]),
            Curve("journal, MiB as sent", minutes, [item.journal_mib for item in rounds]),
            Curve("p99 of 100 rows, ms", minutes, [item.batch_p99_ms for item in rounds]),
            Curve("p99 of 1 row, ms", minutes, [item.single_p99_ms for item in rounds]),
        ]
    )
