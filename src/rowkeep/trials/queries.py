"""Queries: twenty of the kind that ClickBench asks, against DuckDB reading the same Parquet files itself.

The rows are written as a load writes them, so that millions of them take a minute and not an hour. Both sides
take turns. Of rowkeep the whole request is measured: taking the query in, its snapshot, two workers, the
result made durable, the answer. DuckDB has the files open, gives its rows to Arrow, and keeps nothing.
"""

import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.segments import LoadedCounters
from rowkeep.storage.doors import edit_catalog, read_snapshot
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.opening import open_database
from rowkeep.storage.segments.loading import SegmentLoader
from rowkeep.trials.processes import end
from rowkeep.trials.targets import (
    ROWS_PATH,
    TOKEN,
    Target,
    free_port,
    launch_rowkeep,
    make_stream,
)
from rowkeep.trials.workload import bodies

QUERY_COUNTS = (50_000_000,)
ROUNDS = 3
THREADS = 2
BATCH_ROWS = 1_000_000
NEW_ROWS = 10_000
_DAY = "DATE '2026-03-01'"

# In BigQuery's words; where DuckDB's differ, both. {t} is the table.
QUERIES: tuple[tuple[str, str], ...] = tuple(
    (text, text) if isinstance(text, str) else text
    for text in (
        "SELECT COUNT(*) FROM {t}",
        "SELECT COUNT(*) FROM {t} WHERE count <> 0",
        "SELECT SUM(count), COUNT(*), AVG(temperature) FROM {t}",
        "SELECT AVG(count) FROM {t}",
        "SELECT COUNT(DISTINCT count) FROM {t} WHERE count < 1000000",
        "SELECT COUNT(DISTINCT site) FROM {t}",
        "SELECT MIN(day), MAX(day) FROM {t}",
        "SELECT valid, COUNT(*) FROM {t} WHERE valid IS NOT NULL GROUP BY valid ORDER BY COUNT(*) DESC",
        "SELECT site, COUNT(*) AS c FROM {t} GROUP BY site ORDER BY c DESC LIMIT 10",
        "SELECT site, SUM(count), COUNT(*) AS c, AVG(temperature) FROM {t} GROUP BY site "
        "ORDER BY c DESC LIMIT 10",
        "SELECT day, site, COUNT(*) AS c FROM {t} GROUP BY day, site ORDER BY c DESC LIMIT 10",
        (
            "SELECT EXTRACT(MINUTE FROM measured_at) AS m, COUNT(*) AS c FROM {t} GROUP BY m "
            "ORDER BY c DESC LIMIT 10",
            "SELECT minute(measured_at) AS m, count(*) AS c FROM {t} GROUP BY m ORDER BY c DESC LIMIT 10",
        ),
        "SELECT COUNT(*) FROM {t} WHERE site LIKE '%7%'",
        "SELECT site, MIN(count), COUNT(*) AS c FROM {t} WHERE site LIKE '%42%' AND valid GROUP BY site "
        "ORDER BY c DESC LIMIT 10",
        "SELECT count FROM {t} WHERE count = 435090932 OR count = 77",
        "SELECT * FROM {t} WHERE site LIKE '%13%' ORDER BY measured_at LIMIT 10",
        "SELECT site FROM {t} WHERE site <> '' ORDER BY measured_at, site LIMIT 10",
        f"SELECT day, COUNT(*) AS c FROM {{t}} WHERE day >= {_DAY} AND day <= DATE '2026-04-30' AND valid "
        "GROUP BY day ORDER BY c DESC LIMIT 10",
        (
            "SELECT DATETIME_TRUNC(measured_at, HOUR) AS h, COUNT(*) FROM {t} WHERE day = DATE '2026-03-14' "
            "GROUP BY h ORDER BY h",
            "SELECT date_trunc('hour', measured_at) AS h, count(*) FROM {t} WHERE day = DATE '2026-03-14' "
            "GROUP BY h ORDER BY h",
        ),
        "SELECT SUM(count + 1), SUM(count + 2), SUM(count + 3), SUM(count + 4), SUM(count + 5) FROM {t}",
    )
)


def run_queries(row_counts: tuple[int, ...], directory: Path) -> str:
    """Measures tables of so many rows, each in a data directory of its own. Progress goes to stderr."""
    return "\n".join(_measured(count, directory) for count in row_counts)


def _measured(row_count: int, directory: Path) -> str:
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        data_dir = Path(folder) / "data"
        make_stream(data_dir)
        _write_rows(data_dir, row_count)
        port = free_port()
        process = launch_rowkeep(data_dir, port)
        target = Target("rowkeep", "127.0.0.1", port, ROWS_PATH, TOKEN, process.pid)
        try:
            return f"{_table(target, data_dir, row_count)}\n{_newest_rows(target)}"
        finally:
            end(process)


def _table(target: Target, data_dir: Path, row_count: int) -> str:
    lines = [
        f"{row_count:,} rows",
        "",
        "| query | rowkeep ms | DuckDB ms | ratio |",
        "| --- | ---: | ---: | ---: |",
    ]
    ratios = []
    with duckdb.connect(config={"threads": THREADS}) as connection:
        files = [str(file) for file in sorted((data_dir / "segments").glob("*.parquet"))]
        connection.read_parquet(files).create_view("t")
        _ask(target, "SELECT 1")  # starts the process that workers are forked from
        for ours, theirs in QUERIES:
            mine, other = _turns(
                lambda text=ours: _ask(target, text.format(t="`bench.bench.bench`")),  # type: ignore[misc]
                lambda text=theirs: connection.execute(text.format(t="t")).to_arrow_table(),  # type: ignore[misc]
            )
            ratios.append(mine / other)
            lines.append(f"| `{ours}` | {mine * 1000:.0f} | {other * 1000:.0f} | {ratios[-1]:.2f} |")
            sys.stderr.write(f"{lines[-1]}\n")
    lines.append(f"| geometric mean | | | {statistics.geometric_mean(ratios):.2f} |")
    return "\n".join(lines)


def _turns(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """Medians of both, which take turns; each goes once unmeasured before."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for call, found in zip((one, other), times, strict=True):
            started = time.perf_counter()
            call()
            if number:
                found.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])


def _newest_rows(target: Target) -> str:
    """A query over what was just inserted, of which nothing is in a segment."""
    upload = "newest"
    _send(target, "POST", "/api/v1/datasets/bench.bench/tables", {"name": upload})
    path = f"/api/v1/tables/bench.bench.{upload}/uploads"
    _send(target, "POST", path, {"name": upload, "type": "stream"})
    body = msgspec.json.decode(next(bodies(NEW_ROWS)))
    _send(target, "POST", f"{path}/{upload}/rows", body)
    times = []
    for _ in range(2 * ROUNDS + 1):
        started = time.perf_counter()
        query = _ask(target, f"SELECT COUNT(*), MAX(count) FROM `bench.bench.{upload}`")
        times.append(time.perf_counter() - started)
        rows = _send(target, "GET", f"/api/v1{query['uri']}/rows", None)
        if rows["f0_"] != NEW_ROWS:
            raise RuntimeError(f"the query saw {rows} of {NEW_ROWS} rows")
    milliseconds = statistics.median(times) * 1000
    return f"\n{NEW_ROWS:,} rows just inserted, all of them in the query: {milliseconds:.0f} ms\n"


def _ask(target: Target, text: str) -> dict[str, Any]:
    query = _send(target, "POST", "/api/v1/queries", {"query": text, "timeoutMs": 60_000})
    while query["status"] in ("queued", "running"):
        time.sleep(0.1)
        query = _send(target, "GET", f"/api/v1{query['uri']}", None)
    if query["status"] != "completed":
        raise RuntimeError(f"{text}: {query['errorMessage']}")
    return query


def _send(target: Target, method: str, path: str, body: object) -> dict[str, Any]:
    connection = http.client.HTTPConnection(target.host, target.port, timeout=300)
    headers = {"Authorization": f"Bearer {target.token}", "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    if response.status not in (200, 201):
        raise RuntimeError(f"{method} {path} was answered {response.status}: {answer[:400]!r}")
    found: dict[str, Any] = json.loads(answer)
    return found


def _write_rows(data_dir: Path, row_count: int) -> None:
    """Puts rows into segments of the stream, as a load does it."""
    directory = DataDirectory(data_dir)
    directory.sweep()
    database = open_database(directory)
    upload = read_snapshot(database, lambda view: view.uploads.content_page(1, 0, 1))[0]
    loader = SegmentLoader(LocalSegments(directory.segments, Disk()), upload.id, upload.schema)
    try:
        for batch in _batches(row_count):
            loader.add(batch)
        loaded = loader.finish()
    finally:
        loader.close()

    def name(editor: CatalogEditor) -> None:
        counters = LoadedCounters(loaded.row_count, loaded.byte_count, loaded.chain)
        editor.segments.name_loaded(upload.id, loaded.segments, counters)

    edit_catalog(database, name)
    database.close()


def _batches(row_count: int) -> Iterator[pa.RecordBatch]:
    """Rows with a variable of each type; the times go up, as those of measurements do."""
    for start in range(0, row_count, BATCH_ROWS):
        count = min(BATCH_ROWS, row_count - start)
        numbers = pa.array(range(start, start + count), pa.int64())
        chance = pc.random(count, initializer=start)
        micros = pc.add(pc.multiply(numbers, 31_536_000_000_000 // row_count), 1_767_225_600_000_000)
        measured = micros.cast(pa.timestamp("us"))
        places = pc.floor(pc.multiply(chance, 180.0)).cast(pa.int64()).cast(pa.string())
        stations = pc.floor(pc.multiply(chance, 5000.0)).cast(pa.int64()).cast(pa.string())
        yield pa.RecordBatch.from_arrays(
            [
                pc.binary_join_element_wise("station", stations, "-"),
                numbers,
                pc.add(pc.multiply(chance, 140.0), 20.5),
                pc.less(chance, 0.5),
                measured.cast(pa.date32(), safe=False),
                measured,
                measured.cast(pa.time64("us")),
                pc.binary_join_element_wise("POINT(", places, " 50)", ""),
            ],
            names=["site", "count", "temperature", "valid", "day", "measured_at", "local_time", "position"],
        )
