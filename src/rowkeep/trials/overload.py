"""Overload: how much a server still does, and whether the rows that it refused are really not stored.

Peak is the rate of as many connections as the server's queue has room for. Then three times as many send as
fast as they are answered: once they wait as they are told when they are refused, and once they send again at
once, which no client should. The queue and the wait in it are set short for this, so that refusing begins
where the queue is full; with the defaults the same load is taken in and answered later. And a thousand
connections, with the defaults.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from rowkeep.storage.doors import read_snapshot
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.opening import open_database
from rowkeep.trials.load import LoadPlan, LoadResult
from rowkeep.trials.processes import end
from rowkeep.trials.report import Bar, bar_lines, table_text
from rowkeep.trials.run import carry_out
from rowkeep.trials.targets import ROWS_PATH, TOKEN, free_port, launch_rowkeep, make_stream

CONNECTIONS = 64
ROWS = 100
OVERLOAD = 3
# Room for the bodies of CONNECTIONS requests.
NARROW = {"ROWKEEP_QUEUE_BYTES_MAX": "1400000", "ROWKEEP_QUEUE_WAIT_SECONDS_MAX": "0.02"}
MANY_CONNECTIONS = 1_000
GOODPUT_MIN = 0.9
MANY_P99_MS_MAX = 250.0


class _Measured(msgspec.Struct, frozen=True):
    """The rounds of one load, and the number of rows that they left."""

    rounds: list[LoadResult]
    stored_rows: int

    @property
    def rate(self) -> float:
        """Returns the accepted requests per second."""
        return statistics.median(result.requests / result.seconds for result in self.rounds)

    @property
    def p99_ms(self) -> float:
        """Returns the p99 latency of accepted requests."""
        return statistics.median(result.p99_ms for result in self.rounds)

    @property
    def refused(self) -> int:
        """Returns the number of refused requests within the windows."""
        return sum(result.refused for result in self.rounds)

    def strayed_rows(self, rows_per_request: int) -> int:
        """Returns by how many rows the stored rows differ from the acknowledged ones."""
        acknowledged = sum(result.accepted_in_all for result in self.rounds)
        return abs(self.stored_rows - acknowledged * rows_per_request)


def run_overload(rounds: int, seconds: float, directory: Path) -> str:
    """Measures servers of its own, one after the other. Progress goes to stderr."""
    place = ("127.0.0.1", 0, ROWS_PATH, TOKEN)
    peak_plan = LoadPlan(*place, CONNECTIONS, ROWS, seconds)
    over_plan = LoadPlan(*place, OVERLOAD * CONNECTIONS, ROWS, seconds, expects_refusals=True)
    obeying_plan = msgspec.structs.replace(over_plan, waits_when_refused=True)
    peak, over, rude = _side_by_side([peak_plan, obeying_plan, over_plan], NARROW, rounds, directory)
    (many,) = _side_by_side([LoadPlan(*place, MANY_CONNECTIONS, 1, seconds)], {}, rounds, directory)
    lines = [
        _line(f"{CONNECTIONS} connections, {ROWS} rows a request", peak),
        _line(f"{OVERLOAD * CONNECTIONS} connections, which wait when they are refused", over),
        _line(f"{OVERLOAD * CONNECTIONS} connections, which do not", rude),
        _line(f"{MANY_CONNECTIONS:,} connections, 1 row a request, all defaults", many),
    ]
    strayed = over.strayed_rows(ROWS) + rude.strayed_rows(ROWS)
    bars = [
        Bar("goodput at 3 x overload, against peak", over.rate / peak.rate, GOODPUT_MIN, at_least=True),
        Bar("the same, of clients that do not wait", rude.rate / peak.rate, GOODPUT_MIN, at_least=True),
        Bar("rows more or less than acknowledged", strayed, 0.0, at_least=False),
        Bar("p99 ms at 1,000 connections", many.p99_ms, MANY_P99_MS_MAX, at_least=False),
    ]
    head = ["load", "accepted a second", "refused a second", "p99 ms of accepted"]
    return f"{table_text(head, lines)}\n{bar_lines(bars)}"


def _line(name: str, measured: _Measured) -> list[str]:
    seconds = sum(result.seconds for result in measured.rounds)
    return [name, f"{measured.rate:,.0f}", f"{measured.refused / seconds:,.0f}", f"{measured.p99_ms:.1f}"]


def _side_by_side(
    plans: list[LoadPlan], settings: dict[str, str], rounds: int, directory: Path
) -> list[_Measured]:
    """Runs the loads by turns, each on a server of its own. Raises RuntimeError when one fails."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory)))
        loads = [_load(stack, folder / str(number), plan, settings) for number, plan in enumerate(plans)]
        results: list[list[LoadResult]] = [[] for _ in plans]
        for _ in range(rounds):
            for number, load in enumerate(loads):
                results[number].append(load())
                done = results[number][-1]
                name = f"{plans[number].connections} connections"
                sys.stderr.write(f"{name}: {done.requests} requests, {done.refused} refused\n")
        return [_Measured(done, _stored_rows(folder / str(number))) for number, done in enumerate(results)]


def _load(
    stack: ExitStack, data_dir: Path, plan: LoadPlan, settings: dict[str, str]
) -> Callable[[], LoadResult]:
    make_stream(data_dir)
    port = free_port()
    stack.callback(end, launch_rowkeep(data_dir, port, settings))
    return lambda: carry_out(msgspec.structs.replace(plan, port=port))


def _stored_rows(data_dir: Path) -> int:
    database = open_database(DataDirectory(data_dir))
    try:
        return sum(
            upload.row_count for upload in read_snapshot(database, lambda view: view.uploads.page(1, 0, 9))
        )
    finally:
        database.close()
