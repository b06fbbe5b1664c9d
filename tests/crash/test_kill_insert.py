"""kill -9 of the server and of `rowkeep insert`, again and again: every line is a row once, in order."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.api.stream import Stream
from tests.e2e.insert_command import insert_command
from tests.faulty_proxy import FaultyProxy
from tests.server_process import ServerProcess, wait_until

SCHEMA = [{"name": "number", "type": "integer"}, {"name": "note", "type": "string"}]
BAD_EVERY = 1_000
BATCH_BYTES = 3_000
START_SECONDS = 0.5  # until an inserting process sends its first request, about
INSERTING = frozenset({b"POST"})  # the command first asks for the upload, and that answer must come
LATE_SHARE = 0.04  # of the answers, by 0.2 s on average: no machine is through before the kills are over


class Extent(msgspec.Struct, frozen=True):
    """How much is tried: the lines of the file, and the kills, some of which meet a process at work."""

    lines: int
    kills: int
    kills_at_work_min: int


SHARE = Extent(lines=10_000, kills=2, kills_at_work_min=1)
WHOLE = Extent(lines=60_000, kills=6, kills_at_work_min=3)
each_extent = pytest.mark.parametrize(
    "extent", [pytest.param(SHARE, id="share"), pytest.param(WHOLE, id="whole", marks=pytest.mark.long)]
)


def line(number: int, *, is_bad: bool = False) -> bytes:
    """A numbered line."""
    value = "bad" if is_bad else number
    return json.dumps({"number": value, "note": f"the row numbered {number}"}).encode() + b"\n"


class RunningInsert:
    """`rowkeep insert` of one file, run again whenever it or the server was killed."""

    def __init__(
        self, server: ServerProcess, file: Path, *options: str, seed: int, in_flight: int = 1
    ) -> None:
        self._server = server
        self._proxy = FaultyProxy(server.url, seed, LATE_SHARE * in_flight)
        self._proxy.chosen = ["answer late"]
        self._stream = Stream(server.url, server.token, SCHEMA, server.user)
        self._port = urlsplit(server.url).port
        self._chance = random.Random(seed)
        self._file = file
        table = self._stream.table_uri.removeprefix("/tables/")
        settings = ["--batch-bytes", str(BATCH_BYTES), "--linger", "0.05", "--retry-seconds", "60"]
        settings += ["--in-flight", str(in_flight)]
        self._command = [
            *(sys.executable, "-m", "rowkeep", "insert", table, "s", str(file), *settings, *options)
        ]
        self.kills = 0  # while there was something to do

    def _start(self) -> "subprocess.Popen[str]":
        environment = {**os.environ, "ROWKEEP_URL": self._proxy.url, "ROWKEEP_TOKEN": self._server.token}
        return subprocess.Popen(
            self._command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def kill_once(self, *, loses_state: bool = False) -> None:
        """Waits a moment, then kills the server, the inserting process or both, and starts them again."""
        time.sleep(START_SECONDS + self._chance.uniform(0, 0.6))
        victims = self._chance.choice(["server", "insert", "both"])
        if self.process.poll() is None:
            self.kills += 1
        if victims != "server":
            self.process.kill()
        if victims != "insert":
            self._server.kill()
        if victims != "server":
            self.process.communicate()
            if loses_state:
                Path(f"{self._file}.rowkeep-state").unlink(missing_ok=True)
            self.process = self._start()
        if victims != "insert":
            self._server.start(self._port or 0)

    def __enter__(self) -> Self:
        self._proxy.__enter__()
        self.process = self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self._proxy.__exit__(kind, error, trace)
        self._stream.close()

    def end(self) -> int:
        """Waits until it is over; its exit status."""
        _, said = self.process.communicate(timeout=300)
        sys.stderr.write(said)  # shown when the test fails
        return self.process.returncode

    def stored(self) -> list[int]:
        """The numbers in the table, in its order."""
        rows = self._stream.client.get(f"{self._stream.table_uri}/rows?format=csv&selectedVariables=number")
        return [int(number) for number in rows.text.split()[1:]]


@each_extent
@pytest.mark.parametrize(
    ("in_flight", "loses_state"), [(1, False), (1, True), (4, False)], ids=["one", "state lost", "four"]
)
def test_file_is_inserted_once(
    own_server: ServerProcess, tmp_path: Path, in_flight: int, loses_state: bool, extent: Extent
) -> None:
    """A file goes in whole, over kills of both sides; in its order with one request at a time."""
    file = tmp_path / "rows.ndjson"
    file.write_bytes(b"".join(line(number) for number in range(extent.lines)))
    with RunningInsert(own_server, file, seed=in_flight, in_flight=in_flight) as insert:
        for _ in range(extent.kills):
            insert.kill_once(loses_state=loses_state)
        assert insert.end() == 0
        assert insert.kills >= extent.kills_at_work_min
        numbers = insert.stored()
    assert (numbers if in_flight == 1 else sorted(numbers)) == list(range(extent.lines))


@each_extent
def test_growing_file_is_inserted_once(own_server: ServerProcess, tmp_path: Path, extent: Extent) -> None:
    """Lines that are appended, in pieces of any length, while both sides are killed."""
    file = tmp_path / "rows.ndjson"
    file.touch()
    is_over = threading.Event()
    written = 0

    def append() -> None:
        nonlocal written
        chance = random.Random(1)
        with file.open("ab", buffering=0) as appended:
            while not is_over.is_set():
                lines = [line(number) for number in range(written, written + chance.randrange(1, 200))]
                data = b"".join(lines)
                cut = chance.randrange(len(data))
                appended.write(data[:cut])
                time.sleep(0.03)
                appended.write(data[cut:])
                written += len(lines)

    writer = threading.Thread(target=append)
    with RunningInsert(own_server, file, "--follow", seed=7) as insert:
        writer.start()
        for _ in range(extent.kills):
            insert.kill_once()
        is_over.set()
        writer.join()
        wait_until(lambda: has_caught_up(file), 300)
        insert.process.send_signal(signal.SIGTERM)
        assert insert.end() == 0
        assert insert.kills >= extent.kills_at_work_min
        numbers = insert.stored()
    assert numbers == list(range(written))


def has_caught_up(file: Path) -> bool:
    """Whether the state says that all of the file is in."""
    state = Path(f"{file}.rowkeep-state").read_bytes()
    return bool(state) and json.loads(state)["offset"] == file.stat().st_size


@each_extent
def test_quarantine_holds_each_refused_line_once(
    own_server: ServerProcess, tmp_path: Path, extent: Extent
) -> None:
    """Good lines are rows once, bad ones in the quarantine once, in order, over kills of both sides."""
    file = tmp_path / "rows.ndjson"
    bad = range(0, extent.lines, BAD_EVERY)
    file.write_bytes(b"".join(line(number, is_bad=number in bad) for number in range(extent.lines)))
    with RunningInsert(own_server, file, "--on-error", "quarantine", seed=3) as insert:
        for _ in range(extent.kills):
            insert.kill_once()
        assert insert.end() in (0, 4)  # 4 if the last run met a bad line
        assert insert.kills >= extent.kills_at_work_min
        numbers = insert.stored()
    assert numbers == [number for number in range(extent.lines) if number not in bad]
    kept = Path(f"{file}.rowkeep-quarantine.jsonl").read_text().splitlines()
    assert [json.loads(entry)["row"] - 1 for entry in kept] == list(bad)


def test_batch_that_had_no_answer_is_repeated_as_it_was(own_server: ServerProcess, tmp_path: Path) -> None:
    """A batch that ended with the file is in, its process dies before it hears so, and the file has grown."""
    file = tmp_path / "rows.ndjson"
    file.write_bytes(b"".join(line(number) for number in range(10)))
    with (
        insert_command(own_server, SCHEMA) as command,
        FaultyProxy(own_server.url, 1, fault_share=1) as proxy,
    ):
        proxy.chosen = ["answer lost"]
        proxy.methods = INSERTING
        with command.start(str(file), ROWKEEP_URL=proxy.url) as process:
            wait_until(lambda: command.stream.row_count() == 10)
            process.kill()
        proxy.fault_share = 0
        with file.open("ab") as appended:
            appended.write(line(10))
        done = command.run(str(file), ROWKEEP_URL=proxy.url)
        assert "11 rows inserted (10 of them were in already)" in done.stdout
        assert command.rows("number") == list(range(11))


def test_rows_that_were_left_out_stay_out(own_server: ServerProcess, tmp_path: Path) -> None:
    """The rest of a batch is in without an answer, then the refused row would fit: it is not a new batch."""
    file = tmp_path / "rows.ndjson"
    lines = [line(number) for number in range(10)]
    lines[4] = b'{"number": 4, "other": 1}\n'
    file.write_bytes(b"".join(lines))
    with (
        insert_command(own_server, SCHEMA) as command,
        FaultyProxy(own_server.url, 1, fault_share=1) as proxy,
    ):
        proxy.chosen = ["answer lost"]
        proxy.methods = INSERTING
        proxy.spared = 1  # the refusal
        options = (str(file), "--on-error", "skip")
        with command.start(*options, ROWKEEP_URL=proxy.url) as process:
            wait_until(lambda: command.stream.row_count() == 9)
            process.kill()
        proxy.fault_share = 0
        grown = {"rows": [{"other": 0}], "updateSchema": True}
        assert command.stream.insert(grown).status_code == 201
        done = command.run(*options, ROWKEEP_URL=proxy.url)
        assert "9 rows inserted (9 of them were in already), 1 refused" in done.stdout
        assert command.stream.row_count() == 10
