"""Runs the benchmark: alternating rounds over all targets, medians, ratios."""

import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from rowkeep.storage.durability import fsync_p50_ms
from rowkeep.trials.load import LoadPlan, LoadResult
from rowkeep.trials.processes import (
    children_of,
    cpu_ms_by_part,
    cpu_seconds,
    end,
    peak_memory_mib,
    written_bytes,
)
from rowkeep.trials.report import Measurement, report_text
from rowkeep.trials.targets import Target, start_floor, start_rowkeep

FSYNCS = 300
LOAD_GRACE_SECONDS = 30
MEMORY_ROWS = 5_000_000
MEMORY_ROWS_PER_REQUEST = 1_000


class BenchmarkOptions(msgspec.Struct, frozen=True):
    """What to measure."""

    rounds: int
    seconds: float
    rows: tuple[int, ...]
    connections: tuple[int, ...]
    peers: tuple[Target, ...]
    directory: Path


def run_benchmark(options: BenchmarkOptions) -> str:
    """Measures everything and returns the report. Progress goes to stderr."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.directory)))
        targets = list(options.peers)
        for target, process in (start_floor(), start_rowkeep(folder / "data")):
            stack.callback(end, process)
            targets.append(target)
        fsync_ms = fsync_p50_ms(folder, FSYNCS)
        measurements = [
            _median(target, rows, connections, results)
            for rows in options.rows
            for connections in options.connections
            for target, results in _rounds(options, targets, rows, connections).items()
        ]
        return report_text(measurements, fsync_ms)


def run_memory(directory: Path) -> str:
    """Sends five million rows. Returns the most memory that rowkeep and its children held."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory)))
        target, process = start_rowkeep(folder / "data")
        stack.callback(end, process)
        requests = MEMORY_ROWS // MEMORY_ROWS_PER_REQUEST
        result = send(target, 16, MEMORY_ROWS_PER_REQUEST, 600.0, requests)
        peak = peak_memory_mib(process.pid)
        children = sum(peak_memory_mib(child) for child in children_of(process.pid))
        stored = sum(file.stat().st_size for file in (folder / "data").rglob("*") if file.is_file())
        rows = result.requests * MEMORY_ROWS_PER_REQUEST
        return (
            f"{rows:,} rows in {result.seconds:.0f} s ({rows / result.seconds:,.0f} rows/s), peak memory "
            f"{peak:.0f} MiB + {children:.0f} MiB in the processes that seal and decode, {stored / rows:.0f} "
            "bytes on disk a row"
        )


class _Sample(msgspec.Struct, frozen=True):
    """One measurement of one target. It has the costs of its processes where they are known."""

    result: LoadResult
    cpu_seconds: float | None
    written_bytes: float | None
    cpu_ms_by_part: Counter[str]


def _rounds(
    options: BenchmarkOptions, targets: Sequence[Target], rows: int, connections: int
) -> dict[Target, list[_Sample]]:
    samples: dict[Target, list[_Sample]] = {target: [] for target in targets}
    for number in range(options.rounds):
        for target in targets:
            sample = _sample(target, connections, rows, options.seconds)
            samples[target].append(sample)
            rate = sample.result.requests / sample.result.seconds
            sys.stderr.write(
                f"round {number + 1} {target.name:<10} {rows:>5} rows x {connections:>2} connections: "
                f"{rate:,.0f} requests/s\n"
            )
    return samples


def _sample(target: Target, connections: int, rows: int, seconds: float) -> _Sample:
    pids = [] if target.pid is None else [target.pid]
    cpu_before, written_before, parts_before = cpu_seconds(pids), written_bytes(pids), _parts(target)
    result = send(target, connections, rows, seconds, None)
    return _Sample(
        result,
        _difference(cpu_before, cpu_seconds(pids)),
        _difference(written_before, written_bytes(pids)),
        _parts(target) - parts_before,
    )


def _parts(target: Target) -> Counter[str]:
    return Counter() if target.pid is None else cpu_ms_by_part(target.pid)


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def send(target: Target, connections: int, rows: int, seconds: float, requests_max: int | None) -> LoadResult:
    """Sends rows from a process of its own, for some seconds or a number of requests.

    A refusal is an error.
    """
    place = (target.host, target.port, target.path, target.token)
    return carry_out(LoadPlan(*place, connections, rows, seconds, requests_max))


def carry_out(plan: LoadPlan) -> LoadResult:
    """Carries out one measurement in a process of its own. Raises RuntimeError for an unexpected answer."""
    done = subprocess.run(
        [sys.executable, "-m", "rowkeep.trials.load"],
        input=msgspec.json.encode(plan),
        stdout=subprocess.PIPE,
        check=True,
        timeout=plan.seconds + LOAD_GRACE_SECONDS,
    )
    result = msgspec.json.decode(done.stdout, type=LoadResult)
    if result.failures:
        raise RuntimeError(f"{plan.path} refused {result.failures} requests: {result.first_failure}")
    return result


def _median(target: Target, rows: int, connections: int, samples: Sequence[_Sample]) -> Measurement:
    stored = sum(sample.result.requests_in_all for sample in samples) * rows
    cpu = _total([sample.cpu_seconds for sample in samples])
    written = _total([sample.written_bytes for sample in samples])
    parts: Counter[str] = Counter()
    for sample in samples:
        parts.update(sample.cpu_ms_by_part)
    return Measurement(
        target=target.name,
        rows_per_request=rows,
        connections=connections,
        requests_per_second=statistics.median(
            sample.result.requests / sample.result.seconds for sample in samples
        ),
        p50_ms=statistics.median(sample.result.p50_ms for sample in samples),
        p99_ms=statistics.median(sample.result.p99_ms for sample in samples),
        cpu_us_per_row=None if cpu is None else cpu / stored * 1e6,
        cpu_us_per_row_by_part={part: used / stored * 1e3 for part, used in parts.most_common()},
        written_bytes_per_row=None if written is None else written / stored,
        memory_mib=None if target.pid is None else peak_memory_mib(target.pid),
    )


def _total(values: Sequence[float | None]) -> float | None:
    return None if None in values else sum(value for value in values if value is not None)
