"""The delay of followers: from sending an insert until its event arrives, the commit included.

One writer inserts a row at a time into an upload that all follow, first with the server otherwise idle, then
beside a load of 16 connections of 100 rows on another upload. Writer and followers run in this process, which
takes its share of what is measured.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from rowkeep.trials.processes import end
from rowkeep.trials.run import send
from rowkeep.trials.targets import TABLE_PATH, TOKEN, Target, add_streams, start_rowkeep
from rowkeep.trials.workload import bodies

FOLLOWER_COUNTS = (1, 10, 50)
INSERTS = 400
PAUSE_SECONDS = 0.01
LOAD_SECONDS = 15.0
READ_SECONDS_MAX = 60.0
_FOLLOWED_PATH = f"{TABLE_PATH}/uploads/{quote('bench 0')}/rows"


class _Times(msgspec.Struct):
    """Seconds since sending, by row: until the 201, and until each follower had the row."""

    answered: list[float]
    followed: list[float]


def run_following(follower_counts: Sequence[int], directory: Path) -> str:
    """Measures a server of its own. Returns a table in Markdown. Reports progress on stderr."""
    lines = [
        "| followers | beside | 201 p50 ms | p99 ms | followed p50 ms | p99 ms | max ms |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        target, process = start_rowkeep(Path(folder) / "data")
        add_streams(Path(folder) / "data", 1, 1)
        try:
            for count in follower_counts:
                for beside in ("nothing", "16 × 100 rows"):
                    times = asyncio.run(_measure(target, count, is_loaded=beside != "nothing"))
                    lines.append(_line(count, beside, times))
                    sys.stderr.write(f"{lines[-1]}\n")
        finally:
            end(process)
    return "\n".join(lines) + "\n"


async def _measure(target: Target, follower_count: int, *, is_loaded: bool) -> _Times:
    sent: list[float] = []
    times = _Times([], [])
    ready = [asyncio.Event() for _ in range(follower_count)]
    followers = [asyncio.create_task(_follow(target, event, sent, times)) for event in ready]
    await asyncio.wait_for(asyncio.gather(*(event.wait() for event in ready)), READ_SECONDS_MAX)
    load = (
        asyncio.create_task(asyncio.to_thread(send, target, 16, 100, LOAD_SECONDS, None))
        if is_loaded
        else None
    )
    if load is not None:
        await asyncio.sleep(1.0)  # its process starts
    await _insert(target, sent, times)
    await asyncio.wait_for(asyncio.gather(*followers), READ_SECONDS_MAX)
    if load is not None:
        await load
    return times


async def _insert(target: Target, sent: list[float], times: _Times) -> None:
    """Inserts rows one by one over one connection."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    for body in [body for body, _ in zip(bodies(1), range(INSERTS), strict=False)]:
        head = (
            f"POST {_FOLLOWED_PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        sent.append(time.perf_counter())
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        if not answer.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(f"a row was refused: {answer.decode('latin-1')}")
        times.answered.append(time.perf_counter() - sent[-1])
        await asyncio.sleep(PAUSE_SECONDS)
    writer.close()


async def _follow(target: Target, ready: asyncio.Event, sent: list[float], times: _Times) -> None:
    """Follows until all rows have come. They come in order, so counting them tells which is which."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    writer.write(
        f"GET {_FOLLOWED_PATH}?follow=true&format=sse HTTP/1.1\r\nHost: bench\r\n"
        f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
    )
    count = 0
    while count < INSERTS:
        line = await reader.readline()
        if not line:
            raise RuntimeError("a follower was cut off")
        if line.startswith(b'data: {"position"'):
            ready.set()
        elif line.startswith(b"data: "):
            times.followed.append(time.perf_counter() - sent[count])
            count += 1
    writer.close()


def _line(count: int, beside: str, times: _Times) -> str:
    figures = [_quantile(times.answered, 0.5), _quantile(times.answered, 0.99)]
    figures += [_quantile(times.followed, share) for share in (0.5, 0.99, 1.0)]
    return f"| {count} | {beside} | " + " | ".join(f"{figure * 1000:.1f}" for figure in figures) + " |"


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
