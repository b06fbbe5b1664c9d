"""Compares the formats of bodies: the same rows as JSON, as lines, as an Arrow stream."""

import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rowkeep.trials.kinds import RequestKind
from rowkeep.trials.load import LoadPlan
from rowkeep.trials.processes import end
from rowkeep.trials.report import Bar, bar_lines, table_text
from rowkeep.trials.run import carry_out
from rowkeep.trials.targets import ROWS_PATH, TOKEN, free_port, launch_rowkeep, make_stream

CONNECTIONS = 16
ROWS = (1_000, 10_000)
FORMATS = (RequestKind.PLAIN, RequestKind.LINES, RequestKind.ARROW)
ARROW_RATIO_MIN = 5.0


def run_formats(rounds: int, seconds: float, directory: Path) -> str:
    """Sends each format in turn, in so many rounds. Progress goes to stderr."""
    with ExitStack() as stack:
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory))) / "data"
        make_stream(data_dir)
        port = free_port()
        stack.callback(end, launch_rowkeep(data_dir, port))
        found = {rows: _rates(port, rows, rounds, seconds) for rows in ROWS}
    lines: list[list[str]] = []
    bars: list[Bar] = []
    for rows, rates in found.items():
        plain = rates[RequestKind.PLAIN]
        lines += [
            [f"{rows:,}", str(kind), f"{rate:,.0f}", f"{rate / plain:.2f}"] for kind, rate in rates.items()
        ]
        told = f"rows/s as an Arrow stream of {rows:,} rows, against plain ones"
        bars.append(Bar(told, rates[RequestKind.ARROW] / plain, ARROW_RATIO_MIN, at_least=True))
    head = ["rows a request", f"{CONNECTIONS} connections", "rows/s", "against plain ones"]
    return f"{table_text(head, lines)}\n{bar_lines(bars)}"


def _rates(port: int, rows: int, rounds: int, seconds: float) -> dict[RequestKind, float]:
    """Returns the rows/s of each format: the median of some rounds over all formats."""
    found: dict[RequestKind, list[float]] = {kind: [] for kind in FORMATS}
    for _ in range(rounds):
        for kind in FORMATS:
            plan = LoadPlan("127.0.0.1", port, ROWS_PATH, TOKEN, CONNECTIONS, rows, seconds, kind=kind)
            result = carry_out(plan)
            found[kind].append(result.requests * rows / result.seconds)
            sys.stderr.write(f"{rows} rows {kind}: {found[kind][-1]:,.0f} rows/s\n")
    return {kind: statistics.median(values) for kind, values in found.items()}
