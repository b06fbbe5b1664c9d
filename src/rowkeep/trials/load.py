"""The load generator, a process of its own: closed loops over keep-alive connections.

A protocol on the bare event loop, since it shares the machine with what it measures. Reads a LoadPlan as
JSON from stdin and prints a LoadResult.

Answers count that arrive within a window. It opens when every connection has had an answer (and the lead
is over), and is followed by the answers still due. Counting what was *sent* within a window, over the time
until the last of it is answered, would make slow servers look slower still: at 64 connections and 300 ms an
answer, by a tenth. An answer that is not what its kind of request should have, and a connection that closes
on a request, is a failure.
"""

import asyncio
import sys
import time
from typing import cast

import msgspec
import uvloop

from rowkeep.trials.kinds import RequestKind, request_maker

LEAD_SECONDS = 0.3
REFUSALS = (b"429", b"503")


class LoadPlan(msgspec.Struct, frozen=True):
    """One measurement: the server, the requests and the duration.

    With `requests_max` that number of requests is sent instead. All of them count, and `seconds` is a limit.
    """

    host: str
    port: int
    path: str
    token: str
    connections: int
    rows_per_request: int
    seconds: float
    requests_max: int | None = None
    kind: RequestKind = RequestKind.PLAIN
    expects_refusals: bool = False
    """Whether 429 and 503 are answers like others, and not failures."""
    waits_when_refused: bool = False
    """Whether a connection that was refused waits as long as it was told."""


class LoadResult(msgspec.Struct, frozen=True):
    """The result. Latencies in milliseconds."""

    requests: int
    """Answered within the window."""
    requests_in_all: int
    """Answered before, within and after it."""
    seconds: float
    """How long the window was open."""
    p50_ms: float
    p99_ms: float
    failures: int
    first_failure: str | None
    accepted_in_all: int = 0
    """Requests that were not refused, before, within and after the window."""
    refused: int = 0
    """Requests that were refused within the window; `requests` and latencies are of the others."""


class Run:
    """The shared state of the connections of one measurement. Times are those of `time.perf_counter`."""

    def __init__(self, plan: LoadPlan, now: float) -> None:
        self._plan = plan
        self._make = request_maker(plan.kind, request_head(plan), plan.path, plan.rows_per_request)
        self._good_statuses = (b"200", plan.kind.status)
        self._left = plan.requests_max
        self._sent = 0
        self._answered = 0
        self._refused_in_all = 0
        self._refused = 0
        self._first_answers = 0
        self._failures = 0
        self._first_failure: str | None = None
        self._latencies: list[float] = []
        self._began_at = now
        self._opened_at: float | None = None if self._left is None else now
        self._last_answer_at = now

    def next_request(self, now: float) -> bytes | None:
        """Returns the next request to send, or None when the measurement is over."""
        if self._failures or self._left == 0 or self._is_over(now):
            return None
        if self._left is not None:
            self._left -= 1
        self._sent += 1
        return self._make(self._sent)

    def takes(self, status: bytes) -> bool:
        """Returns whether the measurement goes on after an answer with this status."""
        return status in self._good_statuses or (self._plan.expects_refusals and status in REFUSALS)

    def note_answer(self, status: bytes, sent_at: float, now: float, *, is_first: bool) -> None:
        """Counts an answer. `is_first` says that it is the first on its connection."""
        is_refused = status in REFUSALS
        self._answered += 1
        self._refused_in_all += is_refused
        if self._opened_at is None:
            self._first_answers += is_first
            if self._first_answers == self._plan.connections and now >= self._began_at + LEAD_SECONDS:
                self._opened_at = now
        elif self._left is not None or not self._is_over(now):
            self._last_answer_at = now
            if is_refused:
                self._refused += 1
            else:
                self._latencies.append(now - sent_at)

    def pause_after(self, status: bytes, answer: bytes) -> float:
        """Returns how long a connection waits after an answer."""
        if not self._plan.waits_when_refused or status not in REFUSALS:
            return 0.0
        return float(answer.lower().partition(b"retry-after:")[2].split(b"\r\n")[0])

    def note_failure(self, text: str) -> None:
        """Ends the measurement as failed, because its figures would be wrong."""
        self._failures += 1
        self._first_failure = self._first_failure or text

    def result(self) -> LoadResult:
        """Returns the result, or a failure when nothing was measured."""
        if not self._latencies and not self._failures:
            self.note_failure(f"no answer came within the {self._plan.seconds:g} seconds of the measurement")
        latencies = sorted(self._latencies) or [0.0]
        window = self._plan.seconds
        if self._left is not None:
            window = self._last_answer_at - self._began_at
        return LoadResult(
            requests=len(self._latencies),
            requests_in_all=self._answered,
            seconds=window,
            p50_ms=latencies[len(latencies) // 2] * 1000,
            p99_ms=latencies[int(len(latencies) * 0.99)] * 1000,
            failures=self._failures,
            first_failure=self._first_failure,
            accepted_in_all=self._answered - self._refused_in_all,
            refused=self._refused,
        )

    def _is_over(self, now: float) -> bool:
        return self._opened_at is not None and now >= self._opened_at + self._plan.seconds


class _Connection(asyncio.Protocol):
    def __init__(self, run: Run) -> None:
        self._run = run
        self._transport: asyncio.WriteTransport | None = None
        self._sent_at: float | None = None
        self._is_first = True
        self._received = b""
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's does not inherit from it
        self._send(time.perf_counter())

    def _send(self, now: float) -> None:
        assert self._transport is not None
        request = self._run.next_request(now)
        if request is None:
            self._sent_at = None
            self._transport.close()
            return
        self._sent_at = now
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        if not is_complete(received):
            self._received = received
            return
        now = time.perf_counter()
        self._received = b""
        status = received[9:12]
        if self._sent_at is None or not self._run.takes(status):
            self._run.note_failure(received[:400].decode("latin-1"))
        else:
            self._run.note_answer(status, self._sent_at, now, is_first=self._is_first)
        self._is_first = False
        seconds = self._run.pause_after(status, received)
        if seconds:
            self._sent_at = None
            asyncio.get_running_loop().call_later(seconds, self._send_again)
        else:
            self._send(now)

    def _send_again(self) -> None:
        if not self.closed.done():
            self._send(time.perf_counter())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._sent_at is not None:
            self._run.note_failure(f"the server closed a connection instead of answering ({exc})")
        self.closed.set_result(None)


def is_complete(answer: bytes) -> bool:
    """Returns whether an HTTP answer is complete, by its length or its last chunk."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    lowered = head.lower()
    start = lowered.find(b"content-length:")
    if start < 0:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(lowered[start + 15 :].split(b"\r\n")[0])


def request_head(plan: LoadPlan) -> str:
    """Returns the head of a request, without its path, its length and its special headers."""
    return (
        f"HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\n"
        f"Authorization: Bearer {plan.token}\r\nContent-Type: {plan.kind.media_type}\r\n"
    )


async def run_plan(plan: LoadPlan) -> LoadResult:
    """Carries out one measurement. Returns the result."""
    loop = asyncio.get_running_loop()
    run = Run(plan, time.perf_counter())
    connections = [
        (await loop.create_connection(lambda: _Connection(run), plan.host, plan.port))[1]
        for _ in range(plan.connections)
    ]
    await asyncio.gather(*[connection.closed for connection in connections])
    return run.result()


def main() -> None:
    """Reads a plan, prints the result."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=LoadPlan)
    result = uvloop.run(run_plan(plan))
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
