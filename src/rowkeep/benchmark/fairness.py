"""What one upload feels of another's flood: the latency of a polite sender, alone and beside the flood.

The polite sender has a pace and keeps it: a request is due at its time whether or not the one before was
answered, and its latency counts from then, so that a server that stands still is not let off. The flood
is the load generator in a process of its own, as fast as it can. The two take turns, round by round, for
the machine changes from minute to minute.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec

from rowkeep.benchmark.kinds import request_maker
from rowkeep.benchmark.load import LoadPlan, LoadResult, is_complete, request_head
from rowkeep.benchmark.processes import end
from rowkeep.benchmark.targets import (
    TABLE_PATH,
    TOKEN,
    Target,
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
FLOOD_ROWS = 100
LEAD_SECONDS = 1.0
GRACE_SECONDS = 30
RATIO_MAX = 3.0


class _Round(msgspec.Struct, frozen=True):
    alone_ms: list[float]
    beside_ms: list[float]
    flood: LoadResult


def run_fairness(rounds: int, seconds: float, directory: Path) -> str:
    """Measures a server of its own and returns the report. Progress goes to stderr."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory)))
        make_stream(folder / "data")
        add_streams(folder / "data", 1, 1)
        port = free_port()
        stack.callback(end, launch_rowkeep(folder / "data", port))
        found: list[_Round] = []
        for number in range(rounds):
            found.append(_round(port, seconds))
            sys.stderr.write(f"round {number + 1}: {_line(found[-1:])}\n")
    ratio = statistics.median(_p99(item.beside_ms) / _p99(item.alone_ms) for item in found)
    verdict = "reached" if ratio <= RATIO_MAX else "missed"
    return (
        f"{_line(found)}\nRatio of p99, median of {rounds} rounds: {ratio:.2f} (≤ {RATIO_MAX:g}), {verdict}\n"
    )


def _round(port: int, seconds: float) -> _Round:
    alone = asyncio.run(_polite(port, seconds))
    target = Target("flood", "127.0.0.1", port, f"{TABLE_PATH}/uploads/bench/rows", TOKEN)
    plan = LoadPlan(
        target.host, port, target.path, TOKEN, FLOOD_CONNECTIONS, FLOOD_ROWS, seconds + 3 * LEAD_SECONDS
    )
    flood = subprocess.Popen(
        [sys.executable, "-m", "rowkeep.benchmark.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert flood.stdin is not None
    flood.stdin.write(msgspec.json.encode(plan))
    flood.stdin.close()
    flood.stdin = None
    time.sleep(LEAD_SECONDS)
    beside = asyncio.run(_polite(port, seconds))
    printed, _ = flood.communicate(timeout=seconds + GRACE_SECONDS)
    result = msgspec.json.decode(printed, type=LoadResult)
    if result.failures:
        raise RuntimeError(f"the flood was refused: {result.first_failure}")
    return _Round(alone, beside, result)


async def _polite(port: int, seconds: float) -> list[float]:
    """Latencies in milliseconds, each from the moment its request was due."""
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


def _line(found: list[_Round]) -> str:
    alone = [value for item in found for value in item.alone_ms]
    beside = [value for item in found for value in item.beside_ms]
    flood = statistics.median(item.flood.requests / item.flood.seconds for item in found)
    return (
        f"{POLITE_REQUESTS_PER_SECOND} requests/s of {POLITE_ROWS} rows: alone p50 "
        f"{statistics.median(alone):.1f} ms, p99 {_p99(alone):.1f} ms; beside {FLOOD_CONNECTIONS} "
        f"connections at {FLOOD_ROWS} rows ({flood:,.0f} requests/s) p50 {statistics.median(beside):.1f} ms, "
        f"p99 {_p99(beside):.1f} ms"
    )
