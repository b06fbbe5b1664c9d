"""kill -9 of the server and of a reader that follows: the reader has each row once, in order.

The reader is the function of the guide, as it stands there; a reader that dies keeps its rows and the
position behind the last of them.
"""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests import plain_http
from tests.api.stream import Stream
from tests.guides import python_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess, wait_until

GUIDE = (ROOT / "docs" / "guide-follow.md").read_text(encoding="utf-8")
WRITERS = 3
READER_LIFE_SECONDS = 0.6
REQUEST_SECONDS_MAX = 10


def guide_function() -> Any:
    """The function `follow` of the guide."""
    defined: dict[str, Any] = {}
    exec(python_of(GUIDE), defined)
    return defined["follow"]


class Writer:
    """Inserts numbered rows one after the other, each under a key until there is an answer."""

    def __init__(self, server: ServerProcess, stream: Stream, number: int) -> None:
        self._url = f"{server.url}{stream.upload_uri}/rows"
        self._headers = {"Authorization": f"Bearer {server.token}"}
        self._number = number
        self._is_over = threading.Event()
        self.acknowledged = 0
        self.thread = threading.Thread(target=self._write, daemon=True)

    def finish(self) -> None:
        """Ends after the row that it is at."""
        self._is_over.set()
        self.thread.join(60)
        assert not self.thread.is_alive()

    def _write(self) -> None:
        with plain_http.client(timeout=REQUEST_SECONDS_MAX) as client:
            while not self._is_over.is_set():
                row = {"writer": self._number, "number": self.acknowledged}
                headers = {**self._headers, "Idempotency-Key": f"{self._number}-{self.acknowledged}"}
                try:
                    response = client.post(self._url, json={"rows": [row]}, headers=headers)
                except httpx.TransportError:
                    time.sleep(0.05)
                    continue
                assert response.status_code in {201, 503}, response.text
                self.acknowledged += response.status_code == 201


class Reader:
    """Follows, dies after a while, and goes on from what it had."""

    def __init__(self, server: ServerProcess, stream: Stream, seed: int) -> None:
        self._place = (f"{server.url}{stream.table_uri}/rows", server.token)
        self._chance = random.Random(seed)
        self._follow = guide_function()
        self.rows: list[tuple[int, int]] = []
        self.deaths = 0
        self.thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        position: str | None = None
        while True:
            dies_at = time.monotonic() + self._chance.expovariate(1 / READER_LIFE_SECONDS)
            rows: Iterator[tuple[dict[str, Any], str]] = self._follow(*self._place, position)
            for row, behind in rows:
                self.rows.append((row["writer"], row["number"]))
                position = behind
                if time.monotonic() > dies_at:
                    break
            rows.close()  # type: ignore[attr-defined]  # it is a generator
            self.deaths += 1

    def wait_for(self, row_count: int) -> None:
        """Waits until it has so many rows; none may come after those."""
        deadline = time.monotonic() + 60
        while len(self.rows) < row_count:
            assert time.monotonic() < deadline, f"{len(self.rows)} rows of {row_count} came"
            time.sleep(0.05)
        time.sleep(0.3)


def kill_again_and_again(server: ServerProcess, seed: int, kills: int, deaths_min: int) -> None:
    """Kills the server while writers insert and a reader follows and dies; the reader has what is there."""
    chance = random.Random(seed)
    server.start()
    port = urlsplit(server.url).port or 0
    stream = Stream(server.url, server.token, None, server.user)
    writers = [Writer(server, stream, number) for number in range(WRITERS)]
    reader = Reader(server, stream, seed)
    for thread in (*(writer.thread for writer in writers), reader.thread):
        thread.start()
    for _ in range(kills):
        time.sleep(chance.uniform(0.3, 1.5))
        server.kill()
        server.start(port)
    wait_until(lambda: reader.deaths >= deaths_min, 300)
    for writer in writers:
        writer.finish()
    stored = [(row["writer"], row["number"]) for row in stream.rows()]
    reader.wait_for(len(stored))
    assert reader.rows == stored
    for number, writer in enumerate(writers):
        rows = [row for writer_number, row in stored if writer_number == number]
        assert rows == list(range(len(rows)))
        assert len(rows) - writer.acknowledged in {0, 1}  # the last may have had no answer
    assert stored
    stream.close()


def test_kill(tmp_path: Path) -> None:
    """Some kills of the server, and some deaths of the reader."""
    server = ServerProcess(tmp_path / "data", seal_bytes_min="2000", seal_minutes_max="0.01")
    try:
        kill_again_and_again(server, seed=1, kills=2, deaths_min=1)
    finally:
        server.close()


@pytest.mark.long
def test_many_kills(tmp_path: Path) -> None:
    """Fifty kills of the server, and as many deaths of the reader."""
    server = ServerProcess(tmp_path / "data", seal_bytes_min="20000", seal_minutes_max="0.01")
    try:
        kill_again_and_again(server, seed=2, kills=50, deaths_min=51)
    finally:
        server.close()
