"""Exports: how fast rows become files, how soon a small one can be read, and what memory that takes.

The reference is pyarrow reading the same segments and writing the same format in one process, with the
server's compression. Of rowkeep the whole of it is measured: asking for the export, reading with every block
checked, files made durable, and asking until it is completed. Memory is that of all processes, watched
meanwhile.
"""

import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet as pq

from rowkeep.trials.asking import send_json
from rowkeep.trials.many_rows import write_many_rows
from rowkeep.trials.processes import end, shared_memory_mib
from rowkeep.trials.report import Bar, bar_lines, table_text
from rowkeep.trials.targets import (
    ROWS_PATH,
    TABLE_PATH,
    TOKEN,
    Target,
    free_port,
    launch_rowkeep,
    make_stream,
)

EXPORT_COUNTS = (10_000_000,)
ROUNDS = 3
SMALL_ROUNDS = 11
SMALL_ROWS = 1_000
POLL_SECONDS = 0.01
WATCH_SECONDS = 0.2
SPEED_RATIO_MIN = 0.5
FIRST_BYTE_MS_MAX = 300.0
MEMORY_MIB_MAX = 1_024.0
_SMALL_PATH = "/api/v1/tables/bench.bench.small"


def run_exports(row_counts: tuple[int, ...], directory: Path) -> str:
    """Measures tables of these sizes, each in a data directory of its own. Reports progress on stderr."""
    return "\n".join(_measured(count, directory) for count in row_counts)


def _measured(row_count: int, directory: Path) -> str:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory)))
        make_stream(folder / "data")
        write_many_rows(folder / "data", row_count)
        port = free_port()
        process = launch_rowkeep(folder / "data", port)
        stack.callback(end, process)
        target = Target("rowkeep", "127.0.0.1", port, ROWS_PATH, TOKEN, process.pid)
        _make_small(target)
        first_bytes = [_first_byte(target) for _ in range(SMALL_ROUNDS + 1)][1:]
        peaks: dict[str, float] = {}
        measures = {
            "csv, pyarrow": lambda: _write_csv(folder),
            "csv, rowkeep": lambda: _export(target, "csv", peaks),
            "parquet, pyarrow": lambda: _write_parquet(folder),
            "parquet, rowkeep": lambda: _export(target, "parquet", peaks),
        }
        found = _in_turns(measures)
    return _text(row_count, found, peaks, statistics.median(first_bytes))


def _in_turns(measures: dict[str, Callable[[], float]]) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(ROUNDS):
        for name, measure in measures.items():
            times[name].append(measure())
            sys.stderr.write(f"{name}: {times[name][-1]:.2f} s\n")
    return {name: statistics.median(values) for name, values in times.items()}


def _make_small(target: Target) -> None:
    send_json(target, "POST", "/api/v1/datasets/bench.bench/tables", {"name": "small"})
    stream = {"name": "small", "type": "stream", "schema": [{"name": "n", "type": "integer"}]}
    send_json(target, "POST", f"{_SMALL_PATH}/uploads", stream)
    rows = {"rows": [{"n": number} for number in range(SMALL_ROWS)]}
    send_json(target, "POST", f"{_SMALL_PATH}/uploads/small/rows", rows)


def _first_byte(target: Target) -> float:
    """Returns the seconds from asking for a small export until the first byte of its file arrives."""
    started = time.perf_counter()
    export = _completed(target, send_json(target, "POST", f"{_SMALL_PATH}/exports", {"format": "csv"}))
    request = urllib.request.Request(
        f"http://{target.host}:{target.port}/api/v1{export['uri']}/download",
        headers={"Authorization": f"Bearer {target.token}"},
    )
    with urllib.request.urlopen(request) as answer:
        answer.read(1)
        return time.perf_counter() - started


def _export(target: Target, format_: str, peaks: dict[str, float]) -> float:
    with _watched(target, format_, peaks):
        started = time.perf_counter()
        export = _completed(target, send_json(target, "POST", f"{TABLE_PATH}/exports", {"format": format_}))
        seconds = time.perf_counter() - started
    send_json(target, "DELETE", f"/api/v1{export['uri']}", None)
    return seconds


def _completed(target: Target, export: dict[str, Any]) -> dict[str, Any]:
    while export["status"] in ("queued", "running"):
        time.sleep(POLL_SECONDS)
        export = send_json(target, "GET", f"/api/v1{export['uri']}", None)
    if export["status"] != "completed":
        raise RuntimeError(export["errorMessage"])
    return export


@contextmanager
def _watched(target: Target, name: str, peaks: dict[str, float]) -> Iterator[None]:
    """Notes the most memory that the server's processes hold meanwhile."""
    is_over = threading.Event()
    assert target.pid is not None
    pid = target.pid

    def watch() -> None:
        while not is_over.wait(WATCH_SECONDS):
            peaks[name] = max(peaks.get(name, 0.0), shared_memory_mib(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def _source(folder: Path) -> pyarrow.dataset.Dataset:
    files = sorted((folder / "data" / "segments").glob("*.parquet"))
    return pyarrow.dataset.dataset([str(file) for file in files], format="parquet")


def _write_csv(folder: Path) -> float:
    started = time.perf_counter()
    source = _source(folder)
    with pyarrow.csv.CSVWriter(str(folder / "reference.csv"), source.schema) as writer:
        for batch in source.to_batches():
            writer.write_batch(batch)
    return time.perf_counter() - started


def _write_parquet(folder: Path) -> float:
    started = time.perf_counter()
    source = _source(folder)
    with pq.ParquetWriter(str(folder / "reference.parquet"), source.schema, compression="zstd") as writer:
        for batch in source.to_batches():
            writer.write_batch(batch)
    return time.perf_counter() - started


def _text(row_count: int, found: dict[str, float], peaks: dict[str, float], first_byte: float) -> str:
    lines = [[name, f"{took:.2f}", f"{row_count / took / 1e6:.2f}"] for name, took in found.items()]
    bars = [
        Bar(
            f"{kind}: speed against pyarrow",
            found[f"{kind}, pyarrow"] / found[f"{kind}, rowkeep"],
            SPEED_RATIO_MIN,
            at_least=True,
        )
        for kind in ("csv", "parquet")
    ]
    bars += [
        Bar(f"MiB of all processes, {kind} of {row_count:,} rows", peak, MEMORY_MIB_MAX, at_least=False)
        for kind, peak in peaks.items()
    ]
    text = f"ms to the first byte of an export of {SMALL_ROWS:,} rows"
    bars.append(Bar(text, first_byte * 1000, FIRST_BYTE_MS_MAX, at_least=False))
    return f"{table_text([f'{row_count:,} rows', 's', 'million rows/s'], lines)}\n{bar_lines(bars)}"
