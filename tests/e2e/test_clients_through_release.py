"""Clients go through a release: each row is in exactly one version, none is refused, none is twice."""

import itertools
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowkeep.client import RequestRefused, RetryPolicy, RowStream
from rowkeep.commands.insert import EXIT_REQUEST_REFUSED
from tests.api.stream import Stream
from tests.e2e.insert_command import InsertCommand
from tests.server_process import ServerProcess, wait_until

COUNT = [{"name": "count", "type": "integer"}]


class Collected:
    """A stream that is collected into, and released meanwhile."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.stream = Stream(server.url, server.token, COUNT, server.user)
        dataset = self.stream.client.get(self.stream.dataset_uri).json()
        self.dataset = f"{server.user}.{dataset['name'].replace(' ', '_')}"
        self.table = f"{self.dataset}.measurements"

    def rows_of(self, version: str) -> int:
        """How many rows the upload of a version has."""
        answer = self.stream.client.get(f"/tables/{self.dataset}:{version}.measurements/uploads/s")
        return int(answer.json()["numRows"])

    def release(self, **body: Any) -> None:
        """Releases the next version."""
        path = f"/datasets/{self.dataset}/versions/next/release"
        response = self.stream.client.post(path, json=body)
        assert response.status_code == 200, response.text

    def open_next(self) -> None:
        """Opens the next version by hand."""
        self.stream.post(f"/datasets/{self.dataset}/versions", {})
        self.stream.post(
            f"/tables/{self.dataset}:next.measurements/uploads",
            {"name": "s", "type": "stream", "schema": COUNT},
        )

    def release_while_rows_come(self) -> None:
        """Releases twice, each time when rows have come to the version."""
        for _ in range(2):
            wait_until(lambda: self.rows_of("next") > 3)
            self.release(continueStreams=True)
        wait_until(lambda: self.rows_of("next") > 3)

    def check(self, row_count: int) -> None:
        """Each row is in the table once and in order, and in the upload of one version."""
        answer = self.stream.client.get(f"/tables/{self.dataset}:next.measurements/rows")
        found = [int(line.partition(":")[2].rstrip("}")) for line in answer.text.splitlines()]
        assert found == list(range(row_count))
        assert sum(map(self.rows_of, ("v1.0", "v1.1", "next"))) == row_count


@pytest.fixture
def collected(server: ServerProcess) -> Iterator[Collected]:
    """A stream of its own."""
    made = Collected(server)
    yield made
    made.stream.close()


def test_a_row_stream(collected: Collected) -> None:
    """Rows are appended all the while."""
    server, is_over = collected.server, threading.Event()
    given = itertools.count()

    def append() -> None:
        with RowStream(server.url, server.token, collected.table, "s", linger_seconds=0.02) as rows:
            while not is_over.is_set():
                rows.append({"count": next(given)})
                time.sleep(0.002)

    thread = threading.Thread(target=append)
    thread.start()
    try:
        collected.release_while_rows_come()
    finally:
        is_over.set()
        thread.join()
    collected.check(next(given))


def test_a_file_that_is_followed(collected: Collected, tmp_path: Path) -> None:
    """Lines are appended all the while; another run afterwards has nothing to do."""
    file = tmp_path / "rows.ndjson"
    file.touch()
    command = InsertCommand(collected.server, collected.stream)
    command.table = collected.table
    given = itertools.count()
    is_over = threading.Event()

    def append() -> None:
        while not is_over.is_set():
            with file.open("a") as appended:
                appended.write(f'{{"count": {next(given)}}}\n')
            time.sleep(0.002)

    thread = threading.Thread(target=append)
    with command.start(str(file), "--follow", "--linger", "0.02") as process:
        thread.start()
        try:
            collected.release_while_rows_come()
        finally:
            is_over.set()
            thread.join()
            process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    row_count = next(given)
    assert command.run(str(file)).returncode == 0
    assert (process.returncode, said) == (0, "")
    collected.check(row_count)
    collected.release(continueStreams=True)
    again = command.run(str(file))
    assert (again.returncode, again.stdout.split(" rows")[0]) == (0, "0")
    assert "goes on in the next version: the rows sent before are in v1." in again.stderr


def test_a_loop_of_curl(collected: Collected, tmp_path: Path) -> None:
    """It knows nothing of versions, and every answer is a 201 that says which one took the row."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    server, stop = collected.server, tmp_path / "stop"
    rows = f"{server.url}/tables/{collected.table}/uploads/s/rows"
    script = (
        'n=0; while [ ! -e "$1" ]; do '
        'curl -sS --noproxy "*" -o /dev/null -w "%{http_code}\\n" "$2" -H "Authorization: Bearer $3" '
        '-H "Content-Type: application/json" -d "{\\"rows\\": [{\\"count\\": $n}]}"; n=$((n+1)); done'
    )
    with subprocess.Popen(
        ["bash", "-c", script, "loop", str(stop), rows, server.token], stdout=subprocess.PIPE, text=True
    ) as loop:
        try:
            collected.release_while_rows_come()
        finally:
            stop.touch()
        said, _ = loop.communicate(timeout=60)
    assert set(said.split()) == {"201"}
    collected.check(len(said.split()))


def test_a_row_stream_waits_for_the_next_version(collected: Collected) -> None:
    """Released without a successor: rows wait until someone opens the next version and its stream."""
    server = collected.server
    with RowStream(server.url, server.token, collected.table, "s", linger_seconds=0.02) as rows:
        rows.append({"count": 0})
        rows.flush()
        collected.release()
        rows.append({"count": 1})
        time.sleep(0.5)
        assert rows.inserted_count == 1
        collected.open_next()
    assert rows.inserted_count == 2
    assert (collected.rows_of("v1.0"), collected.rows_of("next")) == (1, 1)


def test_waiting_has_an_end(collected: Collected) -> None:
    """Then the error says how to open a version, and the rows are unsettled."""
    server = collected.server
    collected.release()
    policy = RetryPolicy(version_seconds_max=0.3)
    rows = RowStream(server.url, server.token, collected.table, "s", retry=policy)
    rows.append({"count": 0})
    with pytest.raises(RequestRefused, match=r"no next version.* POST ") as refused:
        rows.close()
    assert refused.value.unsettled_rows == [{"count": 0}]


def test_the_command_waits_for_the_next_version(collected: Collected, tmp_path: Path) -> None:
    """It says at once what it waits for; with --wait-for-version 0 it ends."""
    command = InsertCommand(collected.server, collected.stream)
    command.table = collected.table
    file = tmp_path / "rows.ndjson"
    file.write_text('{"count": 0}\n')
    collected.release()
    ended = command.run(str(file), "--wait-for-version", "0")
    assert ended.returncode == EXIT_REQUEST_REFUSED
    assert "has no next version" in ended.stderr
    with command.start(str(file)) as process:
        assert process.stderr is not None
        try:
            assert "Waiting for 600 seconds" in process.stderr.readline()
            collected.open_next()
        except BaseException:
            process.kill()
            raise
        said, _ = process.communicate(timeout=60)
    assert (process.returncode, said.split(" rows")[0]) == (0, "1")
    assert collected.rows_of("next") == 1
