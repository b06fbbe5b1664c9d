"""The load generator, a process of its own: closed loops over keep-alive connections.

A protocol on the bare event loop, since it shares the machine with what it measures. Reads a LoadPlan as
JSON from stdin and prints a LoadResult. Answers other than 200 and 201 are counted as failures.
"""

import asyncio
import sys
import time
from typing import cast

import msgspec
import uvloop

from rowkeep.benchmark.workload import bodies

LEAD_SECONDS = 0.3


class LoadPlan(msgspec.Struct, frozen=True):
    """One measurement: where to, with what, for how long (or for how many requests)."""

    host: str
    port: int
    path: str
    token: str
    connections: int
    rows_per_request: int
    seconds: float
    requests_max: int | None = None


class LoadResult(msgspec.Struct, frozen=True):
    """What came of it. Latencies in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failures: int
    first_failure: str | None


class _Run:
    """What the connections of one run share."""

    def __init__(self, plan: LoadPlan) -> None:
        self.requests = [_request(plan, body) for body in bodies(plan.rows_per_request)]
        self.latencies: list[float] = []
        self.failures = 0
        self.first_failure: str | None = None
        self.starts_at = time.perf_counter() + LEAD_SECONDS
        self.ends_at = self.starts_at + plan.seconds
        self.left = plan.requests_max
        self.sent = 0

    def next_request(self) -> bytes | None:
        """The next request to send, or None when the run is over."""
        if time.perf_counter() >= self.ends_at or self.left == 0:
            return None
        if self.left is not None:
            self.left -= 1
        self.sent += 1
        return self.requests[self.sent % len(self.requests)]

    def note(self, started: float, answer: bytes) -> None:
        """Counts an answer, unless it belongs to the lead."""
        now = time.perf_counter()
        if answer[9:12] not in (b"200", b"201"):
            self.failures += 1
            self.first_failure = self.first_failure or answer[:400].decode("latin-1")
        elif started >= self.starts_at or self.left is not None:
            self.latencies.append(now - started)


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.WriteTransport | None = None
        self._started = 0.0
        self._received = b""
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's does not inherit from it
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        request = self._run.next_request()
        if request is None:
            self._transport.close()
            return
        self._started = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        if not _is_complete(received):
            self._received = received
            return
        self._received = b""
        self._run.note(self._started, received)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.closed.set_result(None)


def _is_complete(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    lowered = head.lower()
    start = lowered.find(b"content-length:")
    if start < 0:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(lowered[start + 15 :].split(b"\r\n")[0])


def _request(plan: LoadPlan, body: bytes) -> bytes:
    head = (
        f"POST {plan.path} HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\n"
        f"Authorization: Bearer {plan.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def run_plan(plan: LoadPlan) -> LoadResult:
    """Carries out one measurement."""
    loop = asyncio.get_running_loop()
    run = _Run(plan)
    connections = [
        (await loop.create_connection(lambda: _Connection(run), plan.host, plan.port))[1]
        for _ in range(plan.connections)
    ]
    await asyncio.gather(*[connection.closed for connection in connections])
    latencies = sorted(run.latencies) or [0.0]
    return LoadResult(
        requests=len(run.latencies),
        seconds=time.perf_counter() - run.starts_at,
        p50_ms=latencies[len(latencies) // 2] * 1000,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1000,
        failures=run.failures,
        first_failure=run.first_failure,
    )


def main() -> None:
    """Reads a plan, prints the result."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=LoadPlan)
    result = uvloop.run(run_plan(plan))
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
