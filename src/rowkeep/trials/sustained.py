"""Whether inserts keep their speed while rows are sealed: a burst, the same load for minutes, and both kinds
of latency: a server that seals beside one that does not."""

import os
import statistics
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from rowkeep.trials.load import LoadResult
from rowkeep.trials.processes import end
from rowkeep.trials.run import send
from rowkeep.trials.targets import Target, start_rowkeep
from rowkeep.trials.watching import Look, look_at, wait_until_sealed

BURST_SECONDS = 10.0
ROWS = 100
CONNECTIONS = 64
LOOK_SECONDS = 10.0
PAIRS = 5
PAIR_SECONDS = 10.0
# Half of what a crowd could send: enough that the disk and the sealing never rest.
PAIR_CONNECTIONS = 8
NEVER = str(2**60)
SEALED_BYTES_MAX = 32 * 1024 * 1024


def run_sustained(minutes: float, directory: Path) -> str:
    """Measures on servers of its own. Progress goes to stderr."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        return _sustained(minutes, Path(folder) / "sustained") + _latencies(Path(folder))


def _sustained(minutes: float, data_dir: Path) -> str:
    looks: list[Look] = []
    over = threading.Event()
    target, process = start_rowkeep(data_dir)
    try:
        burst = _rows_per_second(send(target, CONNECTIONS, ROWS, BURST_SECONDS, None))
        wait_until_sealed(target, data_dir, SEALED_BYTES_MAX)
        watcher = threading.Thread(target=_watch, args=(target, data_dir, looks, over))
        watcher.start()
        long = send(target, CONNECTIONS, ROWS, minutes * 60, None)
        over.set()
        watcher.join()
    finally:
        end(process)
    rate = _rows_per_second(long)
    journal = max(look.journal_bytes for look in looks)
    database = max(look.database_bytes for look in looks)
    return (
        f"{ROWS} rows a request, {CONNECTIONS} connections: {burst:,.0f} rows/s for {BURST_SECONDS:.0f} s, "
        f"{rate:,.0f} rows/s for {minutes:g} minutes ({rate / burst:.0%}; p50 {long.p50_ms:.1f} ms, p99 "
        f"{long.p99_ms:.1f} ms). The journal held at most {journal / 2**20:,.0f} MiB of rows as they were "
        f"sent, the database's files {database / 2**20:,.0f} MiB, and the processes "
        f"{max(look.memory_mib for look in looks):,.0f} MiB of memory.\n"
    )


def _watch(target: Target, data_dir: Path, looks: list[Look], over: threading.Event) -> None:
    while not over.wait(LOOK_SECONDS):
        looks.append(look_at(target, data_dir))
        sys.stderr.write(f"{looks[-1]}\n")


def _latencies(folder: Path) -> str:
    with ExitStack() as stack:
        servers = []
        for name, seal_bytes_min in (("sealing", "1048576"), ("not sealing", NEVER)):
            os.environ["ROWKEEP_SEAL_BYTES_MIN"] = seal_bytes_min
            target, process = start_rowkeep(folder / name)
            stack.callback(end, process)
            servers.append(target)
        del os.environ["ROWKEEP_SEAL_BYTES_MIN"]
        pairs = [[_latency(target) for target in servers] for _ in range(PAIRS)]
    p50, p50_without = (statistics.median(pair[index].p50_ms for pair in pairs) for index in (0, 1))
    p99, p99_without = (statistics.median(pair[index].p99_ms for pair in pairs) for index in (0, 1))
    return (
        f"{PAIR_CONNECTIONS} connections, {PAIRS} pairs of runs in turn: p99 {p99:.2f} ms while sealing and "
        f"{p99_without:.2f} ms without ({p99 / p99_without:.2f} x), p50 {p50:.2f} and {p50_without:.2f} ms.\n"
    )


def _latency(target: Target) -> LoadResult:
    result = send(target, PAIR_CONNECTIONS, ROWS, PAIR_SECONDS, None)
    sys.stderr.write(f"{target.port}: p50 {result.p50_ms:.2f} ms, p99 {result.p99_ms:.2f} ms\n")
    return result


def _rows_per_second(result: LoadResult) -> float:
    return result.requests * ROWS / result.seconds
