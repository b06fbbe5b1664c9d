"""What is taken for a request is given back when it fails: places, turns, readers, files.

The server has one place of each kind and little patience, so that what is not given back is missed at once.
"""

import sqlite3
from collections.abc import Iterator

import psutil
import pytest

from rowkeep.services.insert.turns import REQUESTS_MAX
from tests.api.stream import Stream
from tests.follower import Follower
from tests.long_producer import LongProducer
from tests.server_process import ServerProcess, wait_until

FAILURES = 2 * REQUESTS_MAX
LARGE_ROWS = 150_000
SCHEMA = [{"name": "n", "type": "integer"}]


@pytest.fixture(scope="module")
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One reader, one follower, one long insert; nobody waits longer than two seconds."""
    started = ServerProcess(
        tmp_path_factory.mktemp("narrow") / "data",
        readers_max="1",
        followers_max="1",
        long_inserts_max="1",
        queue_wait_seconds_max="2",
    )
    started.start()
    yield started
    started.close()


@pytest.fixture
def stream(narrow_server: ServerProcess) -> Iterator[Stream]:
    """A stream of integers."""
    made = Stream(narrow_server.url, narrow_server.token, SCHEMA, narrow_server.user)
    yield made
    made.close()


def test_places_of_followers(narrow_server: ServerProcess, stream: Stream) -> None:
    """A reader that is refused holds no place, whatever it was refused for."""
    asks = [
        ("bad token", stream.table_uri, {}),
        (narrow_server.token, "/tables/no.such.table", {}),
        (narrow_server.token, stream.table_uri, {"from": "no position"}),
        (narrow_server.token, stream.table_uri, {"selectedVariables": "none"}),
        (narrow_server.token, stream.table_uri, {"tail": "-1"}),
    ]
    for token, path, query in asks:
        with Follower(narrow_server.url, token, path, **query) as refused:
            assert refused.response.status_code in (400, 401, 404), (path, query)
    with Follower(narrow_server.url, narrow_server.token, stream.table_uri) as follower:
        follower.opened()
        with Follower(narrow_server.url, narrow_server.token, stream.table_uri) as second:
            assert second.response.status_code == 503
    wait_until(lambda: may_follow(narrow_server, stream))


def may_follow(server: ServerProcess, stream: Stream) -> bool:
    """Whether the place is free."""
    with Follower(server.url, server.token, stream.table_uri) as follower:
        return follower.response.status_code == 200


def test_places_of_long_inserts(narrow_server: ServerProcess, stream: Stream) -> None:
    """A producer that is refused, at once or for its rows, holds no place."""
    url, token, uri = narrow_server.url, narrow_server.token, stream.upload_uri
    refused = [
        LongProducer(url, "bad token", uri),
        LongProducer(url, token, "/tables/no.such.table/uploads/s"),
        LongProducer(url, token, uri, {"Content-Type": "text/csv"}),
        LongProducer(url, token, uri, {"Idempotency-Key": "k" * 300}),
    ]
    for producer in refused:
        with producer:
            status, _ = producer.refused()
            assert 400 <= status < 500
    for number in range(3):
        with LongProducer(url, token, uri) as producer:
            producer.opened()
            producer.send_rows([{"n": number}, {"n": "not a number"}])
            producer.end()
            assert [line["kind"] for line in (producer.line(),)] == ["insertRowsEnded"]
    with LongProducer(url, token, uri) as producer:
        assert producer.opened() == 0
        with LongProducer(url, token, uri) as second:
            assert second.refused()[0] == 503
        producer.send_rows([{"n": 1}])
        producer.acks(1)


def test_turns(narrow_server: ServerProcess, stream: Stream) -> None:
    """Bodies that are refused leave their turns: beside another upload, the next good one goes in at once."""
    other = Stream(narrow_server.url, narrow_server.token, SCHEMA, narrow_server.user)
    bodies: list[bytes | dict[str, object]] = [
        {"rows": [{"n": "x"}]},
        {"rows": [{"unknown": 1}]},
        b"no JSON",
        b'{"rows":[{"n":1}],"validateOnly":true}',
    ]
    for number in range(FAILURES):
        assert other.insert({"rows": [{"n": number}]}).status_code == 201
        assert stream.insert(bodies[number % len(bodies)]).status_code in (200, 201, 400)
    assert other.insert({"rows": [{"n": 0}]}).status_code == 201
    assert stream.insert({"rows": [{"n": 1}]}).status_code == 201
    assert stream.row_count() == 1
    other.close()


@pytest.mark.parametrize(
    "last", [b'{"n":"x"}', b'{"unknown":1}', b"{", b'{"n":1}]}}'], ids=["value", "name", "half", "more"]
)
def test_large_bodies(narrow_server: ServerProcess, stream: Stream, last: bytes) -> None:
    """Large bodies that are refused leave nothing in the spool and no file open; the next one goes in."""
    body = b'{"rows":[' + b'{"n":1},' * LARGE_ROWS
    assert stream.insert(body + b'{"n":1}]}').status_code == 201
    before = psutil.Process(narrow_server.pid).num_fds()
    for _ in range(4):
        assert stream.insert(body + last + b"]}").status_code == 400
    assert list((narrow_server.data_dir / "spool").iterdir()) == []
    assert psutil.Process(narrow_server.pid).num_fds() <= before
    assert stream.insert(body + b'{"n":1}]}').status_code == 201
    assert stream.row_count() == 2 * (LARGE_ROWS + 1)


def test_the_reader(narrow_server: ServerProcess, stream: Stream) -> None:
    """A read of rows that are damaged, or of what is not there, leaves the one reader to the next."""
    damaged = Stream(narrow_server.url, narrow_server.token, SCHEMA, narrow_server.user)
    damaged.insert({"rows": [{"n": number} for number in range(10)]})
    stream.insert({"rows": [{"n": 1}]})
    with sqlite3.connect(narrow_server.data_dir / "rowkeep.db") as database:
        database.execute(
            "UPDATE entries SET checksum = checksum + 1 WHERE upload_id = (SELECT max(upload_id) FROM entries"
            " WHERE row_count = 10)"
        )
    database.close()
    for _ in range(3):
        for name in ("arrow", "csv", "jsonl"):
            assert damaged.client.get(f"{damaged.table_uri}/rows?format={name}").status_code == 500
            refused = stream.client.get(f"{stream.table_uri}/rows?format={name}&selectedVariables=none")
            assert refused.status_code == 400
    assert stream.rows() == [{"n": 1}]
    damaged.close()
