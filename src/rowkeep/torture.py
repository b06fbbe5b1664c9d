"""`rowkeep torture`: kills a real server again and again while rows stream in, and looks what is there.

Sixteen writers send numbered rows, each request until it is acknowledged, with an Idempotency-Key. The
server is killed (SIGKILL) at random moments and started again on its data. At any time must hold: what was
acknowledged is there exactly once, what was not is there at most once, and each writer's rows are in the
order in which they were sent; and `verify` finds everything whole. It is the proof of promises 1 to 4 on
the disk it is run on.
"""

import http.client
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import msgspec

from rowkeep.benchmark.processes import Process, end
from rowkeep.benchmark.targets import ROWS_PATH, TABLE_PATH, TOKEN, free_port, launch_rowkeep, make_stream
from rowkeep.storage.files import DataDirectory
from rowkeep.storage.sqlite import SqliteDatabase
from rowkeep.storage.verification import verify

WRITERS = 16
ROWS_PER_REQUEST = 3
KILL_SECONDS_MIN = 0.3
KILL_SECONDS_MAX = 3.0
CHECK_EVERY = 5
ANSWER_SECONDS_MAX = 30


class TortureOptions(msgspec.Struct, frozen=True):
    """How long, with which random moments, on which disk."""

    seconds: float
    seed: int
    directory: Path


class TortureOutcome(msgspec.Struct, frozen=True):
    """What came of it; `violations` is empty when every promise was kept."""

    restarts: int
    requests: int
    replays: int
    violations: tuple[str, ...]

    @property
    def text(self) -> str:
        """One line, and one for each violation."""
        verdict = "every promise was kept" if not self.violations else "PROMISES WERE BROKEN"
        head = (
            f"{self.restarts} kills, {self.requests} acknowledged requests, {self.replays} of them repeats: "
            f"{verdict}."
        )
        return "\n".join([head, *self.violations])


def run_torture(options: TortureOptions) -> TortureOutcome:
    """Tortures a server of its own for a while. Progress goes to stderr."""
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        torture = _Torture(Path(folder) / "data", random.Random(options.seed))
        try:
            return torture.run(options.seconds)
        finally:
            torture.close()


class _Writer(threading.Thread):
    """Sends numbered rows, one request at a time, each until it is acknowledged."""

    def __init__(self, number: int, port: int, is_over: threading.Event) -> None:
        super().__init__(name=f"writer-{number}")
        self.number = number
        self._port = port
        self._is_over = is_over
        self.acknowledged = 0
        self.replays = 0
        self.refusal: str | None = None

    def run(self) -> None:
        """Goes on until told to stop, over every loss of the connection."""
        while not self._is_over.is_set() and self.refusal is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS_MAX)
            try:
                while not self._is_over.is_set() and self.refusal is None:
                    self._send(connection)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)  # killed; the same request goes out again
            finally:
                connection.close()

    def _send(self, connection: http.client.HTTPConnection) -> None:
        first = self.acknowledged * ROWS_PER_REQUEST
        rows = [{"site": str(self.number), "count": first + index} for index in range(ROWS_PER_REQUEST)]
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Idempotency-Key": f"{self.number}-{self.acknowledged}",
            "Content-Type": "application/json",
        }
        connection.request("POST", ROWS_PATH, json.dumps({"rows": rows}), headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != http.client.CREATED:
            self.refusal = f"writer {self.number} was refused: {response.status} {body[:200]!r}"
            return
        self.replays += response.headers.get("Idempotency-Replayed") == "true"
        self.acknowledged += 1


class _Torture:
    def __init__(self, data_dir: Path, chance: random.Random) -> None:
        self._data_dir = data_dir
        self._chance = chance
        self._port = free_port()
        self._is_over = threading.Event()
        self._violations: list[str] = []
        self._writers = [_Writer(number, self._port, self._is_over) for number in range(WRITERS)]
        make_stream(data_dir)
        self._process: Process = launch_rowkeep(data_dir, self._port)

    def run(self, seconds: float) -> TortureOutcome:
        """Kills and checks until the time is over or something is wrong."""
        for writer in self._writers:
            writer.start()
        restarts = 0
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and not self._violations:
            time.sleep(self._chance.uniform(KILL_SECONDS_MIN, KILL_SECONDS_MAX))
            self._process.kill()
            self._process.wait()
            self._process = launch_rowkeep(self._data_dir, self._port)
            restarts += 1
            if restarts % CHECK_EVERY == 0:
                self._check()
                sys.stderr.write(f"{restarts} kills\n")
        self._is_over.set()
        for writer in self._writers:
            writer.join()
        self._check()
        return TortureOutcome(
            restarts=restarts,
            requests=sum(writer.acknowledged for writer in self._writers),
            replays=sum(writer.replays for writer in self._writers),
            violations=tuple(self._violations),
        )

    def close(self) -> None:
        """Ends the server and the writers."""
        self._is_over.set()
        end(self._process)

    def _check(self) -> None:
        """Compares what is there with what was acknowledged before it was read, and reads everything back."""
        acknowledged = {writer.number: writer.acknowledged for writer in self._writers}
        stored = self._stored()
        for writer in self._writers:
            numbers = stored.get(str(writer.number), [])
            self._violations += violations_of(writer.number, numbers, acknowledged[writer.number])
            if writer.refusal is not None:
                self._violations.append(writer.refusal)
        database = SqliteDatabase(DataDirectory(self._data_dir).database)
        self._violations += verify(database).problems
        database.close()

    def _stored(self) -> dict[str, list[int]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS_MAX)
        path = f"{TABLE_PATH}/rows?format=csv&selectedVariables=site,count"
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        lines = connection.getresponse().read().decode().splitlines()[1:]
        connection.close()
        numbers: dict[str, list[int]] = {}
        for line in lines:
            site, _, number = line.partition(",")
            numbers.setdefault(site.strip('"'), []).append(int(number))
        return numbers


def violations_of(writer: int, numbers: list[int], acknowledged: int) -> list[str]:
    """What is wrong with the rows of one writer, of whose requests this many were acknowledged before."""
    promised = acknowledged * ROWS_PER_REQUEST
    found: list[str] = []
    lost = sorted(set(range(promised)) - set(numbers))
    if lost:
        found.append(f"writer {writer}: {len(lost)} acknowledged rows are lost, the first is {lost[0]}")
    doubled = [number for number, count in Counter(numbers).items() if count > 1]
    if doubled:
        found.append(f"writer {writer}: {len(doubled)} rows are there twice, the first is {min(doubled)}")
    if numbers != sorted(numbers):
        found.append(f"writer {writer}: rows are not in the order in which they were sent")
    if len(set(numbers)) % ROWS_PER_REQUEST:
        found.append(f"writer {writer}: a request is there in part")
    return found
