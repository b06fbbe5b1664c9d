"""The report: a table of medians, and the targets that rowkeep sets itself."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

# Less processor time a row than this is not shown for a part.
SHOWN_CPU_US_MIN = 0.01


class Measurement(msgspec.Struct, frozen=True):
    """The medians of one target at one load. An unknown figure is None."""

    target: str
    rows_per_request: int
    connections: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_row: float | None
    cpu_us_per_row_by_part: Mapping[str, float]
    written_bytes_per_row: float | None
    memory_mib: float | None

    @property
    def rows_per_second(self) -> float:
        """Returns rows a second."""
        return self.requests_per_second * self.rows_per_request


class Bar(msgspec.Struct, frozen=True):
    """A promise about speed: the measured figure and the promised one."""

    text: str
    value: float
    bound: float
    at_least: bool

    @property
    def holds(self) -> bool:
        """Returns whether the bar is reached."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def report_text(measurements: Sequence[Measurement], fsync_ms: float) -> str:
    """Returns the whole report as Markdown."""
    lines = [
        _machine(),
        "",
        f"Appending 4 KiB and fdatasync on this disk: p50 {fsync_ms:.2f} ms.",
        "",
        "| rows a request | connections | target | requests/s | rows/s | p50 ms | p99 ms | CPU µs a row "
        "| bytes written a row | peak MiB | CPU µs a row, by thread and process |",
        "| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        *[_line(measurement) for measurement in measurements],
        "",
    ]
    return "\n".join(lines) + "\n" + bar_lines(bars(measurements, fsync_ms))


def bar_lines(found: Sequence[Bar]) -> str:
    """Returns bars as a Markdown table."""
    lines = ["| bar | measured | bound | |", "| --- | ---: | ---: | --- |", *map(_bar_line, found)]
    return "\n".join(lines) + "\n"


def table_text(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table with its cells to the right."""
    lines = [head, ["---:"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def bars(measurements: Sequence[Measurement], fsync_ms: float) -> list[Bar]:
    """Returns the bars that can be judged by these measurements."""
    at = {(item.target, item.rows_per_request, item.connections): item for item in measurements}
    found: list[Bar] = []
    for peer, rows, bound, unit in (
        ("floor", 1, 0.5, "requests/s"),
        ("floor", 100, 0.4, "rows/s"),
        ("fastapi", 1, 5.0, "requests/s"),
        ("fastapi", 100, 10.0, "rows/s"),
        ("datasette", 1, 40.0, "requests/s"),
        ("datasette", 100, 40.0, "rows/s"),
    ):
        own, other = at.get(("rowkeep", rows, 64)), at.get((peer, rows, 64))
        if own and other:
            ratio = own.requests_per_second / other.requests_per_second
            text = f"{unit} against {peer}, 64 connections, {rows} rows a request"
            found.append(Bar(text, ratio, bound, at_least=True))
    own, floor = at.get(("rowkeep", 1, 1)), at.get(("floor", 1, 1))
    if own and floor:
        bound = floor.p50_ms + 2 * fsync_ms
        text = "p50 ms at 1 connection, against the floor's + 2 fsyncs"
        found.append(Bar(text, own.p50_ms, bound, at_least=False))
    crowd = at.get(("rowkeep", 1, 16))
    if crowd:
        found.append(Bar("p99 / p50 at 16 connections", crowd.p99_ms / crowd.p50_ms, 10.0, at_least=False))
    return found


def _line(item: Measurement) -> str:
    cells = (
        str(item.rows_per_request),
        str(item.connections),
        item.target,
        f"{item.requests_per_second:,.0f}",
        f"{item.rows_per_second:,.0f}",
        f"{item.p50_ms:.2f}",
        f"{item.p99_ms:.2f}",
        _known(item.cpu_us_per_row),
        _known(item.written_bytes_per_row),
        _known(item.memory_mib),
        " · ".join(
            f"{part} {value:.2f}"
            for part, value in item.cpu_us_per_row_by_part.items()
            if value >= SHOWN_CPU_US_MIN
        ),
    )
    return f"| {' | '.join(cells)} |"


def _known(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _bar_line(bar: Bar) -> str:
    relation = "≥" if bar.at_least else "≤"
    verdict = "reached" if bar.holds else "missed"
    return f"| {bar.text} | {bar.value:,.2f} | {relation} {bar.bound:,.2f} | {verdict} |"


def _machine() -> str:
    model = "unknown processor"
    cpu_facts = Path("/proc/cpuinfo")
    if cpu_facts.exists():
        names = [line for line in cpu_facts.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return (
        f"Machine: {os.cpu_count()} processors, {model}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}."
    )
