"""The effect of one upload's flood on another: a polite sender's latency, alone and beside floods.

The polite sender has a pace and keeps it: a request is due at its time whether or not the one before was
answered, and its latency counts from then, so that a server that stands still is not let off. A flood is the
load generator in a process of its own, as fast as it can.

A flood takes processor time and the disk from everyone on the machine, whatever server it goes to. So the
same flood also runs against another server, with a data directory of its own: what the polite sender feels of
that one is the machine's, and only what it feels beyond it can be the server's doing. All of them take turns,
round by round, for the machine changes from minute to minute.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from rowkeep.trials.kinds import request_maker
from rowkeep.trials.load import LoadPlan, LoadResult, is_complete, request_head
from rowkeep.trials.processes import end
from rowkeep.trials.report import Bar, bar_lines, table_text
from rowkeep.trials.targets import (
    ROWS_PATH,
    TABLE_PATH,
    TOKEN,
    add_streams,
    free_port,
    launch_rowkeep,
    make_stream,
)

POLITE_PATH = f"{TABLE_PATH}/uploads/bench%200/rows"
POLITE_REQUESTS_PER_SECOND = 20
POLITE_ROWS = 10
POLITE_CONNECTIONS = 16
FLOOD_CONNECTIONS = 64
FLOOD_ROWS = (10, 100, 1_000)
LEAD_SECONDS = 1.0
GRACE_SECONDS = 30
RATIO_MAX = 3.0
OTHER_SERVER = "into another server"
OTHER_UPLOAD = "into another upload"
HEAD = ("flood", "rows a request", "its requests/s", "p50 ms", "p99 ms", "p99 × alone", "p99 × other server")


class _Round(msgspec.Struct, frozen=True):
    """The polite sender's latency in milliseconds, and the requests/s of the flood beside it."""

    latencies_ms: list[float]
    flood_requests_per_second: float


class _Load(msgspec.Struct, frozen=True):
    """A flood, or none, and the rounds beside it. `port` is that of the server it goes to."""

    name: str
    rows: int
    port: int
    rounds: list[_Round]

    @property
    def p50_ms(self) -> float:
        """Returns the median of all requests of all rounds."""
        return statistics.median(value for item in self.rounds for value in item.latencies_ms)

    @property
    def p99_ms(self) -> float:
        """Returns the median over the rounds, so that one disturbed round does not decide."""
        return statistics.median(_p99(item.latencies_ms) for item in self.rounds)

    @property
    def flood_requests_per_second(self) -> float:
        """Returns the median over the rounds."""
        return statistics.median(item.flood_requests_per_second for item in self.rounds)


def run_fairness(rounds: int, seconds: float, directory: Path) -> str:
    """Measures two servers of its own and returns the report. Progress goes to stderr."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory)))
        port, other_port = _start(stack, folder / "data"), _start(stack, folder / "other")
        loads = [_Load("none", 0, port, [])]
        for rows in FLOOD_ROWS:
            loads.append(_Load(OTHER_SERVER, rows, other_port, []))
            loads.append(_Load(OTHER_UPLOAD, rows, port, []))
        for _ in range(rounds):
            for load in loads:
                load.rounds.append(_round(load, port, seconds))
                sys.stderr.write(
                    f"{load.name} {load.rows}: p99 {_p99(load.rounds[-1].latencies_ms):.1f} ms\n"
                )
    return _report(loads)


def _start(stack: ExitStack, data_dir: Path) -> int:
    make_stream(data_dir)
    add_streams(data_dir, 1, 1)
    port = free_port()
    stack.callback(end, launch_rowkeep(data_dir, port))
    return port


def _report(loads: list[_Load]) -> str:
    alone = loads[0]
    controls = {load.rows: load for load in loads if load.name == OTHER_SERVER}
    beside = [load for load in loads if load.name == OTHER_UPLOAD]
    lines = [["none", "", "", *_latencies(alone), "", ""]]
    lines += [_line(load, alone, None) for load in controls.values()]
    lines += [_line(load, alone, controls[load.rows]) for load in beside]
    bars = [
        Bar(f"p99 beside {load.rows:,} rows, × alone", load.p99_ms / alone.p99_ms, RATIO_MAX, at_least=False)
        for load in beside
    ]
    return f"{table_text(HEAD, lines)}\n{bar_lines(bars)}"


def _line(load: _Load, alone: _Load, control: _Load | None) -> list[str]:
    against_control = f"{load.p99_ms / control.p99_ms:.1f}" if control is not None else ""
    against_alone = f"{load.p99_ms / alone.p99_ms:.1f}"
    flood = f"{load.flood_requests_per_second:,.0f}"
    return [load.name, f"{load.rows:,}", flood, *_latencies(load), against_alone, against_control]


def _latencies(load: _Load) -> tuple[str, str]:
    return f"{load.p50_ms:.1f}", f"{load.p99_ms:.1f}"


def _round(load: _Load, port: int, seconds: float) -> _Round:
    if not load.rows:
        return _Round(asyncio.run(_polite(port, seconds)), 0.0)
    with _flood(load, seconds + 3 * LEAD_SECONDS) as flood:
        time.sleep(LEAD_SECONDS)
        latencies = asyncio.run(_polite(port, seconds))
        printed, _ = flood.communicate(timeout=seconds + GRACE_SECONDS)
    result = msgspec.json.decode(printed, type=LoadResult)
    if result.failures:
        raise RuntimeError(f"the flood was refused: {result.first_failure}")
    return _Round(latencies, result.requests / result.seconds)


@contextmanager
def _flood(load: _Load, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    plan = LoadPlan(
        "127.0.0.1",
        load.port,
        ROWS_PATH,
        TOKEN,
        FLOOD_CONNECTIONS,
        load.rows,
        seconds,
    )
    flood = subprocess.Popen(
        [sys.executable, "-m", "rowkeep.trials.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert flood.stdin is not None
        flood.stdin.write(msgspec.json.encode(plan))
        flood.stdin.close()
        flood.stdin = None
        yield flood
    finally:
        flood.kill()
        flood.wait()


async def _polite(port: int, seconds: float) -> list[float]:
    """Returns latencies in milliseconds. Each counts from the moment when its request was due."""
    plan = LoadPlan("127.0.0.1", port, POLITE_PATH, TOKEN, POLITE_CONNECTIONS, POLITE_ROWS, seconds)
    request_of = request_maker(plan.kind, request_head(plan), plan.path, plan.rows_per_request)
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(POLITE_CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    first = int(LEAD_SECONDS * POLITE_REQUESTS_PER_SECOND)  # those before are not counted: all is new to them
    count = first + int(seconds * POLITE_REQUESTS_PER_SECOND)
    began_at = time.perf_counter()

    async def send(number: int) -> float:
        due_at = began_at + number / POLITE_REQUESTS_PER_SECOND
        await asyncio.sleep(max(0.0, due_at - time.perf_counter()))
        reader, writer = await free.get()
        writer.write(request_of(number))
        answer = b""
        while not is_complete(answer):
            answer += await reader.read(65_536)
        if answer[9:12] != b"201":
            raise RuntimeError(f"a polite request was refused: {answer[:400].decode('latin-1')}")
        free.put_nowait((reader, writer))
        return (time.perf_counter() - due_at) * 1000

    latencies = await asyncio.gather(*[send(number) for number in range(count)])
    while not free.empty():
        free.get_nowait()[1].close()
    return latencies[first:]


def _p99(latencies: list[float]) -> float:
    return sorted(latencies)[int(len(latencies) * 0.99)]
