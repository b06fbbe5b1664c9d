"""Compares kinds of requests: the costs of keys, other spellings, bad rows and many streams."""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rowkeep.trials.kinds import STREAM_COUNT, RequestKind
from rowkeep.trials.load import LoadPlan, LoadResult
from rowkeep.trials.processes import end
from rowkeep.trials.report import Bar, bar_lines, table_text
from rowkeep.trials.run import carry_out
from rowkeep.trials.targets import (
    ROWS_PATH,
    TOKEN,
    add_streams,
    free_port,
    launch_rowkeep,
    make_stream,
)

CONNECTIONS = 64
ROWS = 100
LENIENT_ROWS_PER_SECOND_MIN = 100_000
VARIANTS = (
    RequestKind.PLAIN,
    RequestKind.KEYED,
    RequestKind.BAD,
    RequestKind.LENIENT,
    RequestKind.MANY_STREAMS,
)
FIRST_SECONDS_MAX = 120.0

Results = dict[RequestKind, list[LoadResult]]


def run_variants(rounds: int, seconds: float, directory: Path) -> str:
    """Sends each kind in turn, in `rounds` rounds. Reports progress on stderr."""
    with ExitStack() as stack:
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory))) / "data"
        make_stream(data_dir)
        add_streams(data_dir, STREAM_COUNT, 1)
        port = free_port()
        stack.callback(end, launch_rowkeep(data_dir, port))
        place = ("127.0.0.1", port, ROWS_PATH, TOKEN, CONNECTIONS, ROWS)
        streams = RequestKind.MANY_STREAMS
        first = carry_out(LoadPlan(*place, FIRST_SECONDS_MAX, STREAM_COUNT, kind=streams))
        found: Results = {kind: [] for kind in VARIANTS}
        for _ in range(rounds):
            for kind in VARIANTS:
                found[kind].append(carry_out(LoadPlan(*place, seconds, kind=kind)))
                sys.stderr.write(f"{kind}: {_rate(found[kind][-1:]):,.0f} requests/s\n")
        return _text(found, first)


def _rate(results: Sequence[LoadResult]) -> float:
    return statistics.median(result.requests / result.seconds for result in results)


def _line(name: str, results: Sequence[LoadResult]) -> list[str]:
    rate = _rate(results)
    return [
        name,
        f"{rate:,.0f}",
        f"{rate * ROWS:,.0f}",
        f"{statistics.median(result.p50_ms for result in results):.2f}",
        f"{statistics.median(result.p99_ms for result in results):.2f}",
    ]


def _text(found: Results, first: LoadResult) -> str:
    rates = {kind: _rate(results) for kind, results in found.items()}
    lines = [
        *(_line(kind, results) for kind, results in found.items()),
        _line("the first to each of them", [first]),
    ]
    plain = rates[RequestKind.PLAIN]
    shares = (
        (RequestKind.BAD, 0.5),
        (RequestKind.KEYED, 0.9),
        (RequestKind.MANY_STREAMS, 0.5),
    )
    bars = [
        Bar(f"requests/s {kind}, against plain ones", rates[kind] / plain, bound, at_least=True)
        for kind, bound in shares
    ]
    lenient = rates[RequestKind.LENIENT] * ROWS
    bars.append(Bar(f"rows/s {RequestKind.LENIENT}", lenient, LENIENT_ROWS_PER_SECOND_MIN, at_least=True))
    head = [f"request of {ROWS} rows, {CONNECTIONS} connections", "requests/s", "rows/s", "p50 ms", "p99 ms"]
    return f"{table_text(head, lines)}\n{bar_lines(bars)}"
