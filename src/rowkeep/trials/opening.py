"""How long a server takes to open a data directory after it was killed, by number of uploads."""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rowkeep.trials.processes import end
from rowkeep.trials.run import send
from rowkeep.trials.targets import (
    ROWS_PATH,
    TOKEN,
    Target,
    add_streams,
    free_port,
    launch_rowkeep,
    make_stream,
)

OPENING_COUNTS = (1, 100, 10_000)
ROUNDS = 5
ROWS = 10
LOAD_SECONDS = 1.0


def run_opening(upload_counts: Sequence[int], directory: Path) -> str:
    """Measures data directories of its own, each upload with rows in the journal. Progress goes to stderr."""
    lines = ["| uploads | opened after a kill, seconds |", "| ---: | ---: |"]
    for count in upload_counts:
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            data_dir = Path(folder) / "data"
            make_stream(data_dir)
            add_streams(data_dir, count - 1, ROWS)
            seconds = [_killed_and_opened(data_dir) for _ in range(ROUNDS)]
        lines.append(f"| {count:,} | {statistics.median(seconds):.2f} |")
        sys.stderr.write(f"{lines[-1]}\n")
    return "\n".join(lines) + "\n"


def _killed_and_opened(data_dir: Path) -> float:
    port = free_port()
    process = launch_rowkeep(data_dir, port)
    target = Target("rowkeep", "127.0.0.1", port, ROWS_PATH, TOKEN, process.pid)
    send(target, 16, ROWS, LOAD_SECONDS, None)
    process.kill()
    process.wait()
    started = time.perf_counter()
    process = launch_rowkeep(data_dir, port)
    seconds = time.perf_counter() - started
    end(process)
    return seconds
