"""`rowkeep torture`: kills a real server again and again while rows stream in, and looks what is there.

Sixteen writers send numbered rows, each request until it is acknowledged, with an Idempotency-Key. Three
readers hold read sessions and read them again and again. The server's bounds are so small that it seals,
compacts and drops entries all the time. It is killed (SIGKILL) at random moments and started again on its
data, and its sealing process is killed now and then while it lives. At any time must hold: what was
acknowledged is there exactly once, what was not is there at most once, each writer's rows are in the order
in which they were sent, and a session shows the same bytes as ever; and `verify` finds everything whole. It
is the proof of promises 1 to 5 on the disk it is run on.
"""

import http.client
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.opening import open_database
from rowkeep.storage.segments.naming import SUFFIX
from rowkeep.storage.verification import verify
from rowkeep.trials.processes import Process, children_of, command_of, end
from rowkeep.trials.targets import ROWS_PATH, TABLE_PATH, TOKEN, free_port, launch_rowkeep, make_stream

WRITERS = 16
ROWS_PER_REQUEST = 3
KILL_SECONDS_MIN = 0.3
KILL_SECONDS_MAX = 3.0
KILLS_MIN = 3
SEALER_KILL_SHARE = 0.3
# Some lives end just after a segment was written: while it is named, entries are dropped, or it is compacted.
SEALING_LIFE_SHARE = 0.4
SEALING_SECONDS_MAX = 20.0
CHECK_EVERY = 5
ANSWER_SECONDS_MAX = 30
PAUSE_SECONDS = 0.02
READERS = 3
READS_PER_SESSION = 40
SESSION_ROWS_MAX = 20_000
STREAMS_PATH = "/api/v1/readStreams"
# A segment for every few hundred rows: sealing, compacting and dropping never end.
SETTINGS = {
    "ROWKEEP_SEAL_BYTES_MIN": "16000",
    "ROWKEEP_SEAL_MINUTES_MAX": "0.002",
    "ROWKEEP_JOURNAL_BYTES_MAX": "64000",
    "ROWKEEP_TOKEN_ASKS_PER_SECOND_MAX": "0",
}


class TortureOptions(msgspec.Struct, frozen=True):
    """The duration, the random seed and the disk. It goes on until there were `kills_min`."""

    seconds: float
    seed: int
    directory: Path
    kills_min: int = KILLS_MIN


class TortureOutcome(msgspec.Struct, frozen=True):
    """The result. `violations` is empty when every promise was kept.

    `segments` counts the files that were there at a kill. `session_reads` counts the read streams that were
    read whole and compared. `sessions_over_kills` counts the sessions that were read both before and after a
    kill.
    """

    restarts: int
    requests: int
    replays: int
    sealer_kills: int
    segments: int
    session_reads: int
    sessions_over_kills: int
    violations: tuple[str, ...]

    @property
    def text(self) -> str:
        """Returns one line, and one for each violation."""
        verdict = "every promise was kept" if not self.violations else "PROMISES WERE BROKEN"
        head = (
            f"{self.restarts} kills, {self.requests} acknowledged requests, {self.replays} of them repeats; "
            f"{self.sealer_kills} kills of the sealing process, {self.segments} segments; "
            f"{self.session_reads} streams of sessions read, {self.sessions_over_kills} sessions over kills: "
            f"{verdict}."
        )
        return "\n".join([head, *self.violations])


def run_torture(options: TortureOptions) -> TortureOutcome:
    """Tortures a server of its own for a while. Progress goes to stderr."""
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        torture = _Torture(Path(folder) / "data", random.Random(options.seed))
        try:
            return torture.run(options)
        finally:
            torture.close()


class _Client(threading.Thread):
    """Works over a connection that is lost at every kill, until told to stop."""

    def __init__(self, name: str, port: int, is_over: threading.Event) -> None:
        super().__init__(name=name)
        self._port = port
        self._is_over = is_over
        self.complaint: str | None = None

    def run(self) -> None:
        """Works on after every loss of the connection."""
        while self._goes_on():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS_MAX)
            try:
                while self._goes_on():
                    self._act(connection)
            except (OSError, http.client.HTTPException):
                time.sleep(PAUSE_SECONDS)  # killed; the same request goes out again
            finally:
                connection.close()

    def _goes_on(self) -> bool:
        return not self._is_over.is_set() and self.complaint is None

    def _act(self, connection: http.client.HTTPConnection) -> None:
        raise NotImplementedError

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: object = None,
        key: str = "",
    ) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status not in (http.client.OK, http.client.CREATED):
            self.complaint = f"{self.name} was refused: {response.status} {answer[:200]!r}"
        return response, answer


class _Writer(_Client):
    """Sends numbered rows, one request at a time, each until it is acknowledged."""

    def __init__(self, number: int, port: int, is_over: threading.Event) -> None:
        super().__init__(f"writer {number}", port, is_over)
        self.number = number
        self.acknowledged = 0
        self.replays = 0

    def _act(self, connection: http.client.HTTPConnection) -> None:
        first = self.acknowledged * ROWS_PER_REQUEST
        rows = [{"site": str(self.number), "count": first + index} for index in range(ROWS_PER_REQUEST)]
        key = f"{self.number}-{self.acknowledged}"
        response, _ = self._ask(connection, "POST", ROWS_PATH, {"rows": rows}, key)
        if self.complaint is None:
            self.replays += response.headers.get("Idempotency-Replayed") == "true"
            self.acknowledged += 1


class _Reader(_Client):
    """Reads the streams of a read session again and again, then those of a new one."""

    def __init__(self, number: int, port: int, is_over: threading.Event, kills: Callable[[], int]) -> None:
        super().__init__(f"reader {number}", port, is_over)
        self._stream_count = number + 1
        self._kills = kills
        self._bodies: dict[str, bytes | None] = {}
        self._opened_at = 0
        self._reads_left = 0
        self.session_reads = 0
        self.sessions_over_kills = 0

    def _act(self, connection: http.client.HTTPConnection) -> None:
        if self._reads_left == 0:
            self._open(connection)
        for stream in list(self._bodies):
            _, body = self._ask(connection, "GET", f"{STREAMS_PATH}/{stream}")
            if self.complaint is not None:
                return
            if self._bodies[stream] not in (None, body):
                self.complaint = f"{self.name}: stream {stream} shows other rows than before"
                return
            self._bodies[stream] = body
            self.session_reads += 1
        self._reads_left -= 1
        if self._reads_left == 0:
            self.sessions_over_kills += self._kills() > self._opened_at

    def _open(self, connection: http.client.HTTPConnection) -> None:
        draft = {"format": "csv", "requestedStreamCount": self._stream_count, "maxResults": SESSION_ROWS_MAX}
        _, answer = self._ask(connection, "POST", f"{TABLE_PATH}/readSessions", draft)
        if self.complaint is None:
            self._bodies = {stream["id"]: None for stream in json.loads(answer)["streams"]}
            self._opened_at = self._kills()
            self._reads_left = READS_PER_SESSION


class _Torture:
    def __init__(self, data_dir: Path, chance: random.Random) -> None:
        self._data_dir = data_dir
        self._chance = chance
        self._port = free_port()
        self._is_over = threading.Event()
        self._violations: list[str] = []
        self._restarts = self._sealer_kills = 0
        self._segments: set[str] = set()
        self._writers = [_Writer(number, self._port, self._is_over) for number in range(WRITERS)]
        self._readers = [
            _Reader(number, self._port, self._is_over, lambda: self._restarts) for number in range(READERS)
        ]
        make_stream(data_dir)
        self._process: Process = launch_rowkeep(data_dir, self._port, SETTINGS)

    def run(self, options: TortureOptions) -> TortureOutcome:
        """Kills and checks for a time and a number of kills, or until something is wrong."""
        for client in self._clients:
            client.start()
        ends_at = time.monotonic() + options.seconds
        while not self._violations and (time.monotonic() < ends_at or self._restarts < options.kills_min):
            self._live_and_die()
            if self._restarts % CHECK_EVERY == 0:
                self._check()
                sys.stderr.write(f"{self._restarts} kills\n")
        self._is_over.set()
        for client in self._clients:
            client.join()
        self._check()
        return self._outcome()

    @property
    def _clients(self) -> list[_Client]:
        return [*self._writers, *self._readers]

    def _live_and_die(self) -> None:
        """Runs the server until it is killed. Its sealing process may be killed first."""
        if self._chance.random() < SEALING_LIFE_SHARE:
            self._wait_for_segment()
            time.sleep(self._chance.uniform(0, KILL_SECONDS_MIN))
        else:
            time.sleep(self._chance.uniform(KILL_SECONDS_MIN, KILL_SECONDS_MAX))
        if self._chance.random() < SEALER_KILL_SHARE:
            self._kill_sealer()
            time.sleep(self._chance.uniform(0, KILL_SECONDS_MIN))
        self._process.kill()
        self._process.wait()
        self._segments |= self._segment_files()
        self._process = launch_rowkeep(self._data_dir, self._port, SETTINGS)
        self._restarts += 1

    def _wait_for_segment(self) -> None:
        before = self._segment_files()
        deadline = time.monotonic() + SEALING_SECONDS_MAX
        while time.monotonic() < deadline and self._segment_files() <= before:
            time.sleep(PAUSE_SECONDS)

    def _segment_files(self) -> set[str]:
        return {file.name for file in DataDirectory(self._data_dir).segments.glob(f"*{SUFFIX}")}

    def _kill_sealer(self) -> None:
        for pid in children_of(self._process.pid):
            if "rowkeep.workers.sealing_worker" in command_of(pid):
                os.kill(pid, signal.SIGKILL)
                self._sealer_kills += 1

    def _outcome(self) -> TortureOutcome:
        return TortureOutcome(
            restarts=self._restarts,
            requests=sum(writer.acknowledged for writer in self._writers),
            replays=sum(writer.replays for writer in self._writers),
            sealer_kills=self._sealer_kills,
            segments=len(self._segments),
            session_reads=sum(reader.session_reads for reader in self._readers),
            sessions_over_kills=sum(reader.sessions_over_kills for reader in self._readers),
            violations=tuple(self._violations),
        )

    def close(self) -> None:
        """Ends the server and the writers."""
        self._is_over.set()
        end(self._process)

    def _check(self) -> None:
        """Compares the stored rows with the acknowledged ones, and reads everything back."""
        acknowledged = {writer.number: writer.acknowledged for writer in self._writers}
        stored = self._stored()
        for writer in self._writers:
            numbers = stored.get(str(writer.number), [])
            self._violations += violations_of(writer.number, numbers, acknowledged[writer.number])
        self._violations += [client.complaint for client in self._clients if client.complaint is not None]
        directory = DataDirectory(self._data_dir)
        database = open_database(directory)
        self._violations += verify(database, directory).problems
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
    """Returns what is wrong with the rows of one writer. Its first `acknowledged` requests must be there."""
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
