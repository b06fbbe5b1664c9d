"""kill -9 under load: what was acknowledged is there exactly once, what was not is there at most once.

The rows of "before commit" and "after commit, before the answer" of the crash table (ARCHITECTURE.md):
the server is killed at random moments, and every request that got no answer is sent again with its key.
"""

import random
import threading
import time
from collections import Counter

import httpx
import pytest

from tests.api.stream import Stream
from tests.serverprocess import ServerProcess

WRITERS = 8
SCHEMA = [{"name": "writer", "type": "integer"}, {"name": "number", "type": "integer"}]


class Writer(threading.Thread):
    """Sends numbered rows one request at a time, each until it is acknowledged."""

    def __init__(self, writer: int, server: ServerProcess, path: str, stop: threading.Event) -> None:
        super().__init__()
        self._writer = writer
        self._server = server
        self._path = path
        self._stop_writing = stop
        self.acknowledged = 0
        self.replayed = 0
        self.failure: str | None = None

    def run(self) -> None:
        while not self._stop_writing.is_set() and self.failure is None:
            with httpx.Client(trust_env=False, timeout=20) as client:
                try:
                    self._send_all(client)
                except httpx.TransportError:
                    time.sleep(0.02)  # killed; the same request goes out again

    def _send_all(self, client: httpx.Client) -> None:
        while not self._stop_writing.is_set():
            number = self.acknowledged
            rows = [{"writer": self._writer, "number": number * 3 + part} for part in range(3)]
            response = client.post(
                f"{self._server.url}{self._path}",
                json={"rows": rows},
                headers={
                    "Authorization": f"Bearer {self._server.token}",
                    "Idempotency-Key": f"{self._writer}-{number}",
                },
            )
            if response.status_code != 201:
                self.failure = response.text
                return
            self.replayed += "idempotency-replayed" in response.headers
            self.acknowledged += 1


def check_kills(server: ServerProcess, kills: int, seed: int) -> None:
    """Kills the server `kills` times under load and compares what is there with what was acknowledged."""
    chance = random.Random(seed)
    stream = Stream(server.url, server.token, SCHEMA, server.user)
    stream.close()
    port = int(server.url.split(":")[2].split("/")[0])
    stop = threading.Event()
    writers = [Writer(number, server, f"{stream.upload_uri}/rows", stop) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(kills):
        time.sleep(chance.uniform(0.1, 0.8))
        server.kill()
        server.start(port)
    time.sleep(0.3)
    stop.set()
    for writer in writers:
        writer.join()
    assert [writer.failure for writer in writers if writer.failure] == []
    reader = httpx.Client(headers={"Authorization": f"Bearer {server.token}"}, trust_env=False, timeout=60)
    with reader:
        lines = reader.get(f"{server.url}{stream.table_uri}/rows?format=csv").text.splitlines()[1:]
        count = reader.get(f"{server.url}{stream.upload_uri}").json()["numRows"]
    rows = [tuple(map(int, line.split(","))) for line in lines]
    assert len(rows) == count
    for writer, thread in enumerate(writers):
        numbers = [number for owner, number in rows if owner == writer]
        assert numbers == sorted(numbers)  # in the order they were sent
        assert max(Counter(numbers).values()) == 1  # none twice
        assert set(range(thread.acknowledged * 3)) <= set(numbers)  # all that were acknowledged
        assert len(numbers) <= thread.acknowledged * 3 + 3  # at most the request that had no answer yet


def test_kill_under_load(own_server: ServerProcess) -> None:
    """Six kills: nothing acknowledged is lost, nothing is doubled, order is kept."""
    check_kills(own_server, kills=6, seed=1)


@pytest.mark.long
def test_many_kills_under_load(own_server: ServerProcess) -> None:
    """The same, sixty kills."""
    check_kills(own_server, kills=60, seed=2)
