"""Queries: twenty of the kind that ClickBench asks, against DuckDB reading the same Parquet files itself.

The rows are written as a load writes them, so that millions of them take a minute and not an hour. Both sides
take turns. Of rowkeep the whole request is measured: taking the query in, its snapshot, the workers, the
result made durable, the answer. DuckDB has the files open, gives its rows to Arrow, and keeps nothing.

Three figures sum up the twenty. The geometric mean of the ratios counts a query that DuckDB answers from the
footers of files within a millisecond as much as one that reads every row. ClickBench adds 10 ms to both sides
for that reason. The ratio of the sums is what who waits for all twenty sees.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from rowkeep.trials.asking import send_json
from rowkeep.trials.load import LoadPlan, LoadResult
from rowkeep.trials.many_rows import write_many_rows
from rowkeep.trials.processes import end
from rowkeep.trials.report import Bar, bar_lines, table_text
from rowkeep.trials.run import carry_out
from rowkeep.trials.targets import ROWS_PATH, TOKEN, Target, free_port, launch_rowkeep, make_stream
from rowkeep.trials.workload import SCHEMA, bodies

QUERY_COUNTS = (50_000_000,)
ROUNDS = 3
THREADS = 2
NEW_ROWS = 10_000
CLICKBENCH_SECONDS = 0.010
SPEED_RATIO_MAX = 1.5
NEWEST_MS_MAX = 100.0
P99_RATIO_MAX = 2.0
CONNECTIONS, ROWS_PER_REQUEST, INSERT_SECONDS = 16, 10, 15.0
ASKING_THREADS = 2
_NEWEST = "newest"
_NEWEST_ROWS_PATH = f"/api/v1/tables/bench.bench.{_NEWEST}/uploads/{_NEWEST}/rows"
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


class _Times(msgspec.Struct, frozen=True):
    """Medians of one query, in seconds."""

    text: str
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """Returns how many times longer rowkeep takes."""
        return self.ours / self.theirs


def run_queries(row_counts: tuple[int, ...], directory: Path) -> str:
    """Measures tables of these sizes, each in a data directory of its own. Reports progress on stderr."""
    return "\n".join(_measured(count, directory) for count in row_counts)


def _measured(row_count: int, directory: Path) -> str:
    with ExitStack() as stack:
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory))) / "data"
        make_stream(data_dir)
        write_many_rows(data_dir, row_count)
        port = free_port()
        process = launch_rowkeep(data_dir, port)
        stack.callback(end, process)
        target = Target("rowkeep", "127.0.0.1", port, ROWS_PATH, TOKEN, process.pid)
        times = _in_turns(target, data_dir)
        nothing = statistics.median(_seconds(lambda: _ask(target, "SELECT 1")) for _ in range(9))
        newest = _newest_rows(target)
        alone, beside = _inserts(target)
    return _text(row_count, times, nothing, newest, alone, beside)


def _in_turns(target: Target, data_dir: Path) -> list[_Times]:
    found = []
    with duckdb.connect(config={"threads": THREADS}) as connection:
        files = [str(file) for file in sorted((data_dir / "segments").glob("*.parquet"))]
        connection.read_parquet(files).create_view("t")
        _ask(target, "SELECT 1")  # starts the process that workers are forked from
        for ours, theirs in QUERIES:
            seconds = _turns(
                lambda text=ours: _ask(target, text.format(t="`bench.bench.bench`")),  # type: ignore[misc]
                lambda text=theirs: connection.execute(text.format(t="t")).to_arrow_table(),  # type: ignore[misc]
            )
            found.append(_Times(ours, *seconds))
            sys.stderr.write(f"{' | '.join(_cells(found[-1]))}\n")
    return found


def _turns(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """Returns the medians of two functions, called by turns after one unmeasured call each."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for call, found in zip((one, other), times, strict=True):
            seconds = _seconds(call)
            if number:
                found.append(seconds)
    return statistics.median(times[0]), statistics.median(times[1])


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _newest_rows(target: Target) -> float:
    """Returns the seconds of a query over rows that were just inserted and are in no segment."""
    send_json(target, "POST", "/api/v1/datasets/bench.bench/tables", {"name": _NEWEST})
    schema = [{"name": name, "type": type_} for name, type_ in SCHEMA]
    stream = {"name": _NEWEST, "type": "stream", "schema": schema}
    send_json(target, "POST", f"/api/v1/tables/bench.bench.{_NEWEST}/uploads", stream)
    send_json(target, "POST", _NEWEST_ROWS_PATH, msgspec.json.decode(next(bodies(NEW_ROWS))))
    times = []
    for number in range(2 * ROUNDS + 1):
        text = f"SELECT COUNT(*) AS n, MAX(count) AS m, {number} AS k FROM `bench.bench.{_NEWEST}`"
        started = time.perf_counter()
        query = _ask(target, text)
        times.append(time.perf_counter() - started)
        rows = send_json(target, "GET", f"/api/v1{query['uri']}/rows", None)
        if rows["n"] != NEW_ROWS:
            raise RuntimeError(f"the query saw {rows} of {NEW_ROWS} rows")
    return statistics.median(times)


def _inserts(target: Target) -> tuple[LoadResult, LoadResult]:
    """Measures inserts alone, and beside queries over all rows that follow each other."""
    place = (target.host, target.port, _NEWEST_ROWS_PATH, target.token)
    plan = LoadPlan(*place, CONNECTIONS, ROWS_PER_REQUEST, INSERT_SECONDS)
    carry_out(plan)
    alone = carry_out(plan)
    is_over = threading.Event()
    askers = [threading.Thread(target=_ask_until, args=(target, is_over)) for _ in range(ASKING_THREADS)]
    for asker in askers:
        asker.start()
    try:
        return alone, carry_out(plan)
    finally:
        is_over.set()
        for asker in askers:
            asker.join()


def _ask_until(target: Target, is_over: threading.Event) -> None:
    while not is_over.is_set():
        for text, _ in QUERIES:
            if not is_over.is_set():
                _ask(target, text.format(t="`bench.bench.bench`"))


def _ask(target: Target, text: str) -> dict[str, Any]:
    query = send_json(target, "POST", "/api/v1/queries", {"query": text, "timeoutMs": 60_000})
    while query["status"] in ("queued", "running"):
        time.sleep(0.1)
        query = send_json(target, "GET", f"/api/v1{query['uri']}", None)
    if query["status"] != "completed":
        raise RuntimeError(f"{text}: {query['errorMessage']}")
    return query


def _cells(times: _Times) -> list[str]:
    return [f"`{times.text}`", f"{times.ours * 1000:.0f}", f"{times.theirs * 1000:.0f}", f"{times.ratio:.2f}"]


def _text(
    row_count: int,
    times: list[_Times],
    nothing: float,
    newest: float,
    alone: LoadResult,
    beside: LoadResult,
) -> str:
    geometric = statistics.geometric_mean(each.ratio for each in times)
    clickbench = statistics.geometric_mean(
        (each.ours + CLICKBENCH_SECONDS) / (each.theirs + CLICKBENCH_SECONDS) for each in times
    )
    whole = sum(each.ours for each in times) / sum(each.theirs for each in times)
    p99_ratio = beside.p99_ms / alone.p99_ms
    bars = [
        Bar("20 queries against DuckDB, geometric mean", geometric, SPEED_RATIO_MAX, at_least=False),
        Bar("the same with 10 ms added to both (ClickBench)", clickbench, SPEED_RATIO_MAX, at_least=False),
        Bar("the same, sums of all 20", whole, SPEED_RATIO_MAX, at_least=False),
        Bar(f"ms of a query over {NEW_ROWS:,} newest rows", newest * 1000, NEWEST_MS_MAX, at_least=False),
        Bar("p99 of inserts beside queries, against alone", p99_ratio, P99_RATIO_MAX, at_least=False),
    ]
    head = [f"{row_count:,} rows", "rowkeep ms", "DuckDB ms", "ratio"]
    inserts = table_text(
        [f"inserts of {ROWS_PER_REQUEST} rows, {CONNECTIONS} connections", "requests/s", "p50 ms", "p99 ms"],
        [
            [name, f"{result.requests / result.seconds:,.0f}", f"{result.p50_ms:.2f}", f"{result.p99_ms:.2f}"]
            for name, result in (("alone", alone), (f"beside {ASKING_THREADS} that ask queries", beside))
        ],
    )
    said = f"A query of no table: {nothing * 1000:.0f} ms."
    return f"{table_text(head, [_cells(each) for each in times])}\n{said}\n\n{inserts}\n{bar_lines(bars)}"
