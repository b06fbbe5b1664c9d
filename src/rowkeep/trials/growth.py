"""The costs in a large table: inserts, reads and disk space at 0, 10 and 50 million rows."""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from rowkeep.trials.processes import end, peak_memory_mib
from rowkeep.trials.reading import (
    open_session,
    plain_parquet_bytes_per_row,
    read_files,
    read_stream,
    read_together,
)
from rowkeep.trials.report import table_text
from rowkeep.trials.run import send
from rowkeep.trials.targets import Target, start_rowkeep
from rowkeep.trials.watching import look_at, wait_until_sealed
from rowkeep.trials.workload import bodies

GROWTH_COUNTS = (0, 10_000_000, 50_000_000)
ROUNDS = 5
SECONDS = 3.0
FILL_ROWS = 1_000
FILL_SECONDS_MAX = 3_600.0
NEWEST_ROWS = 1_000
SCANS = 3
CLIENTS = 4
SEALED_BYTES_MAX = 32 * 1024 * 1024


class GrowthFigures(msgspec.Struct, frozen=True):
    """The costs at one number of rows. Times in milliseconds, medians of rounds."""

    rows: int
    insert_p50: float
    insert_p99: float
    batch_p50: float
    batch_p99: float
    newest_ms: float
    first_ms: float
    scan_mb_per_second: float
    dataset_mb_per_second: float
    clients_mb_per_second: float
    memory_mib: float
    disk_bytes_per_row: float


def run_growth(row_counts: Sequence[int], directory: Path) -> str:
    """Fills one stream and measures at each number of rows. Reports progress on stderr."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory)))
        target, process = start_rowkeep(folder / "data")
        stack.callback(end, process)
        figures = []
        for count in row_counts:
            _fill(target, folder / "data", count)
            figures.append(_measure(target, folder / "data", count))
            sys.stderr.write(f"{figures[-1]}\n")
        plain = plain_parquet_bytes_per_row(folder / "data" / "segments", folder)
        return _text(figures, plain)


def _fill(target: Target, data_dir: Path, count: int) -> None:
    missing = count - int(look_at(target, data_dir).rows_inserted)
    if missing >= FILL_ROWS:
        result = send(target, 16, FILL_ROWS, FILL_SECONDS_MAX, missing // FILL_ROWS)
        sys.stderr.write(f"{result.requests * FILL_ROWS / result.seconds:,.0f} rows/s\n")
    wait_until_sealed(target, data_dir, SEALED_BYTES_MAX)


def _measure(target: Target, data_dir: Path, count: int) -> GrowthFigures:
    singles = [send(target, 1, 1, SECONDS, None) for _ in range(ROUNDS)]
    batches = [send(target, 16, 100, SECONDS, None) for _ in range(ROUNDS)]
    look = wait_until_sealed(target, data_dir, SEALED_BYTES_MAX)
    row_count, [stream] = open_session(target)
    newest = [read_stream(target, stream, row_count - NEWEST_ROWS) for _ in range(ROUNDS)]
    scans = [(read_stream(target, stream), read_files(data_dir / "segments")) for _ in range(SCANS)]
    assert target.pid is not None
    return GrowthFigures(
        rows=count,
        insert_p50=statistics.median(result.p50_ms for result in singles),
        insert_p99=statistics.median(result.p99_ms for result in singles),
        batch_p50=statistics.median(result.p50_ms for result in batches),
        batch_p99=statistics.median(result.p99_ms for result in batches),
        newest_ms=statistics.median(reading.seconds for reading in newest) * 1000,
        first_ms=statistics.median(scan.first_seconds for scan, _ in scans) * 1000,
        scan_mb_per_second=statistics.median(scan.mb_per_second for scan, _ in scans),
        dataset_mb_per_second=statistics.median(files.mb_per_second for _, files in scans),
        clients_mb_per_second=read_together(target, open_session(target, CLIENTS)[1]).mb_per_second,
        memory_mib=peak_memory_mib(target.pid),
        disk_bytes_per_row=(look.segment_bytes + look.database_bytes) / row_count,
    )


def _text(figures: Sequence[GrowthFigures], plain_parquet: float) -> str:
    body = next(bodies(FILL_ROWS))
    head = [
        "rows there",
        "insert of 1 row, 1 connection: p50 / p99 ms",
        "100 rows, 16 connections: p50 / p99 ms",
        "newest 1,000 rows ms",
        "first bytes ms",
        "scan MB/s",
        "pyarrow.dataset MB/s",
        "4 clients MB/s",
        "peak MiB",
        "disk bytes a row",
    ]
    json_bytes = len(body) / FILL_ROWS
    sizes = f"A row is {json_bytes:.0f} bytes as JSON, {plain_parquet:.1f} as pyarrow writes Parquet."
    return f"{table_text(head, [_cells(item) for item in figures])}\n{sizes}\n"


def _cells(item: GrowthFigures) -> list[str]:
    return [
        f"{item.rows:,}",
        f"{item.insert_p50:.2f} / {item.insert_p99:.2f}",
        f"{item.batch_p50:.2f} / {item.batch_p99:.2f}",
        f"{item.newest_ms:.1f}",
        f"{item.first_ms:.1f}",
        f"{item.scan_mb_per_second:,.0f}",
        f"{item.dataset_mb_per_second:,.0f}",
        f"{item.clients_mb_per_second:,.0f}",
        f"{item.memory_mib:.0f}",
        f"{item.disk_bytes_per_row:.1f}",
    ]
