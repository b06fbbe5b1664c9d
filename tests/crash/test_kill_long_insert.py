"""kill -9 of the server and of producers in the middle of long inserts: every row once, in order.

The producers are the class of the guide, as it stands there.
"""

import random
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api.stream import Stream
from tests.command_line import rowkeep
from tests.guides import python_of
from tests.house.sources import ROOT
from tests.server_process import ServerProcess, wait_until

GUIDE = (ROOT / "docs" / "guide-long-inserts.md").read_text(encoding="utf-8")
PRODUCERS = 4
PRODUCER_LIFES_SECONDS = 0.7


class Producers:
    """Producers that number their rows, each into a stream of its own, and die again and again."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self._server = server
        self._seed = seed
        self.streams = [Stream(server.url, server.token, None, server.user) for _ in range(PRODUCERS)]
        self._url = server.url
        defined: dict[str, Any] = {}
        exec(python_of(GUIDE), defined)
        self._long_insert = defined["LongInsert"]
        self._is_over = threading.Event()
        self.deaths = 0
        self.acknowledged = [0] * PRODUCERS
        self._threads = [
            threading.Thread(target=self._produce, args=(number,), daemon=True) for number in range(PRODUCERS)
        ]

    def start(self) -> None:
        """Starts all."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Has all rows acknowledged that were made."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()

    def _produce(self, number: int) -> None:
        """Lives again and again: each life asks where to go on, and only the last says goodbye."""
        chance = random.Random(f"{self._seed} {number}")
        url = f"{self._url}{self.streams[number].upload_uri}/rows"
        while True:
            insert = self._long_insert(url, self._server.token, "k")
            assert insert.settled >= self.acknowledged[number], "what was acknowledged is not there"
            self._live(insert, time.monotonic() + chance.expovariate(1 / PRODUCER_LIFES_SECONDS))
            if self._is_over.is_set():
                insert.flush()
            self.acknowledged[number] = insert.settled
            insert.connection.close()
            if self._is_over.is_set():
                return
            self.deaths += 1

    def _live(self, insert: Any, until: float) -> None:
        row = insert.settled
        while time.monotonic() < until and not self._is_over.is_set():
            insert.insert({"number": row})
            row += 1
            if row % 50 == 0:
                time.sleep(0.005)


def kill_again_and_again(server: ServerProcess, seed: int, kills: int, deaths_min: int) -> None:
    """Kills the server while producers insert, until so many of them have died, and checks what is there."""
    chance = random.Random(seed)
    server.start()
    port = urlsplit(server.url).port or 0
    producers = Producers(server, seed)
    producers.start()
    for _ in range(kills):
        time.sleep(chance.uniform(0.3, 1.5))
        server.kill()
        server.start(port)
    wait_until(lambda: producers.deaths >= deaths_min and min(producers.acknowledged) > 0, 300)
    producers.finish()
    for stream, acknowledged in zip(producers.streams, producers.acknowledged, strict=True):
        numbers = [row["number"] for row in stream.rows()]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= acknowledged  # the last rows of a dead producer may be in
        assert stream.client.get(f"{stream.upload_uri}/verify").json()["isIntact"]
        stream.close()
    server.stop()
    assert "everything is whole" in rowkeep("verify", data_dir=server.data_dir)


def test_kill(tmp_path: Path) -> None:
    """Some kills of the server, and some of each producer."""
    server = ServerProcess(tmp_path / "data")
    try:
        kill_again_and_again(server, seed=1, kills=2, deaths_min=PRODUCERS)
    finally:
        server.close()


@pytest.mark.long
def test_many_kills(tmp_path: Path) -> None:
    """Sixty kills of the server, and as many deaths of producers."""
    server = ServerProcess(tmp_path / "data", seal_bytes_min="100000")
    try:
        kill_again_and_again(server, seed=2, kills=60, deaths_min=60)
    finally:
        server.close()
