"""Releases with continueStreams while everything that sends and reads rows goes on.

Each row is in exactly one version, before or after; none is refused, none is in twice, and a follower of
`next` is sent all of them, once each.
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rowkeep.client import RowStream
from tests.api.publishing import Publication
from tests.e2e.insert_command import start_insert
from tests.follower import Follower
from tests.long_producer import LongProducer
from tests.server_process import ServerProcess, wait_until

RELEASES = 4
SCHEMA = [
    {"name": "who", "type": "string"},
    {"name": "n", "type": "integer"},
    {"name": "pad", "type": "string"},
]
# Bodies that are checked in the event loop, in another process, and decoded from a file.
PADS = {"small": 0, "middle": 30_000, "large": 1_500_000}

Load = Callable[["Releasing", threading.Event], int]


class Releasing:
    """A dataset that is released again and again, and how its stream is reached."""

    def __init__(self, server: ServerProcess, strategy: str) -> None:
        self.server = server
        self.publication = Publication(server)
        self.publication.add_table("answers", uploadMergeStrategy=strategy)
        self.publication.add_upload("answers", "live", [], SCHEMA)
        self.path = f"/tables/{self.publication.reference}:next.answers/uploads/live"
        self.unversioned = self.path.replace(":next", "")
        self.tags: list[str] = []
        # How often each producer has been told that rows are in: releases wait for all to go on.
        self.settled: Counter[str] = Counter()

    def release(self) -> None:
        """Releases once every producer has had rows in this version."""
        before = Counter(self.settled)
        wait_until(lambda: all(self.settled[who] > before[who] for who in PRODUCERS))
        self.tags.append(self.publication.release(continueStreams=True)["tag"])

    def rows_by_version(self) -> dict[str, list[tuple[str, int]]]:
        """The rows of the stream's own upload in each version, in order."""
        return {tag: self._own_rows(tag) for tag in [*self.tags, "next"]}

    def _own_rows(self, tag: str) -> list[tuple[str, int]]:
        path = f"{self.publication.table('answers', tag)}/uploads/live/rows?selectedVariables=who,n"
        response = self.publication.ask("GET", path)
        assert response.status_code == 200, response.text
        return [(row["who"], row["n"]) for row in map(json.loads, response.text.splitlines())]


def curl_loop(who: str) -> Load:
    """A program that posts one request after the other, each once, and knows nothing of releases."""

    def run(releasing: Releasing, is_over: threading.Event) -> int:
        parts = urlsplit(releasing.server.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        path = releasing.unversioned if who == "small" else releasing.path
        count = 0
        while not is_over.is_set():
            body = json.dumps({"rows": [{"who": who, "n": count, "pad": "x" * PADS[who]}]})
            headers = {
                "Authorization": f"Bearer {releasing.server.token}",
                "Content-Type": "application/json",
            }
            if count % 2:
                headers["Idempotency-Key"] = f"{who}-{count}"
            connection.request("POST", f"{parts.path}{path}/rows", body, headers)
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 201, answer
            count += 1
            releasing.settled[who] += 1
            time.sleep(0.02)
        connection.close()
        return count

    return run


def long_insert(releasing: Releasing, is_over: threading.Event) -> int:
    """One request that lasts through all releases."""
    server = releasing.server
    count = 0
    with LongProducer(server.url, server.token, releasing.path, {"Idempotency-Key": "long"}) as producer:
        assert producer.opened() == 0
        while not is_over.is_set():
            producer.send_rows([{"who": "long", "n": count}, {"who": "long", "n": count + 1}])
            count += 2
            producer.acks(count)
            releasing.settled["long"] += 1
            time.sleep(0.02)
        producer.end()
        assert producer.line() == {"kind": "insertRowsEnded", "reason": "complete", "sequence": count}
    return count


def row_stream(releasing: Releasing, is_over: threading.Event) -> int:
    """The Python class, with small batches."""
    reference = releasing.publication.reference
    count = 0
    with RowStream(
        releasing.server.url, releasing.server.token, f"{reference}.answers", "live", linger_seconds=0.02
    ) as stream:
        while not is_over.is_set():
            stream.append({"who": "stream", "n": count})
            count += 1
            releasing.settled["stream"] = stream.inserted_count
            time.sleep(0.01)
    return count


def following_command(file: Path) -> Load:
    """`rowkeep insert --follow` on a file that grows."""

    def run(releasing: Releasing, is_over: threading.Event) -> int:
        count = 0
        table = f"{releasing.publication.reference}:next.answers"
        file.touch()
        state, noted = Path(f"{file}.rowkeep-state"), b""
        with start_insert(
            releasing.server, table, "live", "--follow", "--linger", "0.02", str(file)
        ) as process:
            while not is_over.is_set():
                with file.open("a") as grown:
                    grown.write(json.dumps({"who": "file", "n": count}) + "\n")
                count += 1
                if state.exists() and state.read_bytes() != noted:  # it has had a batch confirmed
                    noted = state.read_bytes()
                    releasing.settled["file"] += 1
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
            process.terminate()
            _, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
        with start_insert(releasing.server, table, "live", str(file)) as process:  # what was appended last
            _, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
        return count

    return run


PRODUCERS = ("small", "middle", "large", "long", "stream", "file")


@pytest.fixture(params=["append", "replace"])
def releasing(server: ServerProcess, request: pytest.FixtureRequest) -> Iterator[Releasing]:
    """A dataset to release, whose table keeps or replaces the rows of the versions before."""
    made = Releasing(server, request.param)
    yield made
    made.publication.close()


def test_nothing_is_lost_doubled_or_refused(releasing: Releasing, tmp_path: Path) -> None:
    """Whatever sends or reads goes through several releases and notices none of them."""
    loads: dict[str, Load] = {
        **{who: curl_loop(who) for who in PADS},
        "long": long_insert,
        "stream": row_stream,
        "file": following_command(tmp_path / "rows.ndjson"),
    }
    is_over = threading.Event()
    server = releasing.server
    paths = [releasing.path, releasing.path.partition("/uploads/")[0]]
    with ThreadPoolExecutor(len(loads) + len(paths)) as pool:
        followers = [Follower(server.url, server.token, path, selectedVariables="who,n") for path in paths]
        running = {who: pool.submit(load, releasing, is_over) for who, load in loads.items()}
        try:
            for _ in range(RELEASES):
                releasing.release()
        finally:
            is_over.set()
        sent = {who: future.result() for who, future in running.items()}
        expected = sorted((who, n) for who, count in sent.items() for n in range(count))
        reading = [pool.submit(followed, follower, len(expected)) for follower in followers]
        received = [future.result() for future in reading]
    by_version = releasing.rows_by_version()
    assert all(rows for tag, rows in by_version.items() if tag != "next")
    assert sorted(row for rows in by_version.values() for row in rows) == expected
    in_order = [row for rows in by_version.values() for row in rows]
    assert received == [in_order, in_order]
    for who in PRODUCERS:  # each one's rows in the order in which they were sent
        assert [n for sender, n in in_order if sender == who] == list(range(sent[who]))


def followed(follower: Follower, count: int) -> list[tuple[Any, Any]]:
    """So many rows that a follower is sent, and its end."""
    with follower:
        follower.opened()
        return [(row["who"], row["n"]) for row in follower.rows(count)]
