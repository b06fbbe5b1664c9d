"""Counts of requests: answers by status, refusals by error code, and how long answers took.

The time of a route is that until its answer begins: how long the rest takes says more of the reader. Inserts
also have the time of each of their phases (server_timing.py). The hot path pays one to two microseconds.
"""

from collections import Counter, defaultdict
from time import perf_counter

from rowkeep.api.http.asgi import Message, Scope, Send
from rowkeep.model.histogram import Histogram
from rowkeep.model.timing import InsertTimes

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
NO_ROUTE = "none"
PHASES = ("read", "decode", "queue", "commit", "fsync")

# One count a process: what refuses requests is in many places.
REFUSALS: Counter[str] = Counter()


class Traffic:
    """Counts answers since the start of the process. Used on the event loop."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        self.seconds: defaultdict[tuple[str, str], Histogram] = defaultdict(Histogram)
        self.phases = {phase: Histogram() for phase in PHASES}
        self._insert_phases = tuple(self.phases.values())

    def note(self, status: int, method: str, route: str, seconds: float) -> None:
        """Counts an answer that begins."""
        self.answers[status] += 1
        self.seconds[method if method in METHODS else "other", route].note(seconds)

    def note_phases(self, times: InsertTimes) -> None:
        """Counts the phases of a committed insert."""
        read_at, checked_at, commit = times.read_at, times.checked_at, times.commit
        if read_at is None or checked_at is None or commit is None:
            return
        read, decode, queue, written, fsync = self._insert_phases
        read.note(read_at - times.began_at)
        decode.note(checked_at - read_at)
        queue.note(commit.began_at - checked_at)
        written.note(commit.written_at - commit.began_at)
        fsync.note(commit.ended_at - commit.written_at)

    def counted(self, send: Send, scope: Scope, route: str | None = None) -> Send:
        """Returns a `send` that counts the response that goes through it.

        Without a route it is the route that the router has found for the scope by then.
        """
        began_at = perf_counter()

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                found: str = route or getattr(scope.get("endpoint"), "route", None) or NO_ROUTE
                self.note(message["status"], scope["method"], found, perf_counter() - began_at)
            await send(message)

        return send_and_count
