"""What bounds long inserts: places, silence, memory, rate limits, a server that stops."""

import http.client
import json
import socket
import time
from collections.abc import Iterator

import pytest

from rowkeep.trials.processes import memory_mib
from tests.api.stream import Stream
from tests.long_producer import LongProducer
from tests.server_process import ServerProcess, wait_until

NOTE = "x" * 1_000
PART_ROWS = 1_000


@pytest.fixture(scope="module")
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with two places, that waits two seconds for a part of a body and for an ack to be taken."""
    started = ServerProcess(
        tmp_path_factory.mktemp("narrow") / "data",
        long_inserts_max="2",
        long_insert_idle_seconds_max="2",
        body_stall_seconds_max="2",
    )
    started.start()
    yield started
    started.close()


@pytest.fixture
def stream(narrow_server: ServerProcess) -> Iterator[Stream]:
    """A stream on that server."""
    made = Stream(narrow_server.url, narrow_server.token, None, narrow_server.user)
    yield made
    made.close()


def producer_of(server: ServerProcess, stream: Stream, key: str = "k") -> LongProducer:
    """A long insert with a key."""
    return LongProducer(server.url, server.token, stream.upload_uri, {"Idempotency-Key": key})


def test_places(narrow_server: ServerProcess, stream: Stream) -> None:
    """One more gets 503 and when to come again; a producer that leaves makes room."""
    first, second = (producer_of(narrow_server, stream, key) for key in "ab")
    with first, second:
        assert (first.opened(), second.opened()) == (0, 0)
        with producer_of(narrow_server, stream, "c") as third:
            status, error = third.refused()
            assert (status, error["error"]) == (503, "unavailable")
            assert int(third.response.headers["retry-after"]) >= 1
    wait_until(lambda: is_free(narrow_server, stream))


def is_free(server: ServerProcess, stream: Stream) -> bool:
    """Whether there is a place."""
    with producer_of(server, stream) as producer:
        producer.end()
        producer.response.begin()
        return producer.response.status == 200


def test_silence_ends_it(narrow_server: ServerProcess, stream: Stream) -> None:
    """Blank lines keep it open, however long there is no row."""
    with producer_of(narrow_server, stream) as producer:
        producer.opened()
        for _ in range(6):
            time.sleep(0.4)
            producer.send(b"\n")
        producer.send_rows([{"count": 0}])
        producer.acks(1)
        ending = producer.ending()
    assert (ending["reason"], ending["sequence"]) == ("refused", 1)
    assert (ending["error"]["status"], ending["error"]["error"]) == (408, "request_timeout")


def test_a_server_that_stops(own_server: ServerProcess) -> None:
    """It acknowledges what it committed, says where to go on and takes no more; the next server goes on."""
    stream = Stream(own_server.url, own_server.token, None, own_server.user)
    with producer_of(own_server, stream) as producer:
        producer.opened()
        producer.send_rows([{"count": 0}])
        producer.acks(1)
        producer.send(b'{"count": 1')
        own_server.stop()
        ending = producer.ending()
    stream.close()
    assert ending == {"kind": "insertRowsEnded", "reason": "stopping", "sequence": 1}
    own_server.start()
    key = {"Idempotency-Key": "k"}
    with LongProducer(own_server.url, own_server.token, stream.upload_uri, key, sequence="1") as producer:
        assert producer.opened() == 1
        producer.send_rows([{"count": 1}])
        producer.acks(2)


def test_memory_is_bounded(narrow_server: ServerProcess, stream: Stream) -> None:
    """Two hundred MB go through one request, and most of what the server holds for them it holds at 20."""
    part = "".join(json.dumps({"count": count, "note": NOTE}) + "\n" for count in range(PART_ROWS)).encode()
    with producer_of(narrow_server, stream) as producer:
        producer.opened()
        send_parts(producer, part, range(1, 21))
        before = memory_mib(narrow_server.pid)
        send_parts(producer, part, range(21, 201))
        assert memory_mib(narrow_server.pid) - before < 60
    assert stream.row_count() == 200 * PART_ROWS


def send_parts(producer: LongProducer, part: bytes, numbers: range) -> None:
    """Sends a part of the body again and again, and takes the acks whenever it is 10 parts ahead."""
    for number in numbers:
        producer.send(part)
        if number % 10 == 0:
            producer.acks(number * PART_ROWS)


def test_acks_that_nobody_takes(narrow_server: ServerProcess, stream: Stream) -> None:
    """The server reads no more, gives the place to others, and knows what it committed."""
    before = memory_mib(narrow_server.pid)
    with producer_of(narrow_server, stream) as producer:
        producer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        producer.socket.settimeout(2)
        sent = send_until_blocked(producer)
        wait_until(lambda: are_free(narrow_server, stream))
        assert memory_mib(narrow_server.pid) - before < 60
        wait_until(lambda: is_free(narrow_server, stream))
        with producer_of(narrow_server, stream) as successor:
            settled = successor.opened()
    assert 0 < settled < sent
    assert stream.row_count() == settled


def send_until_blocked(producer: LongProducer) -> int:
    """Sends rows until nobody takes them any more; how many."""
    for sent in range(10_000_000):
        try:
            producer.send(b'{"count": 1}\n')
        except TimeoutError:
            return sent
    raise AssertionError("they were all taken")


def are_free(server: ServerProcess, stream: Stream) -> bool:
    """Whether nobody has either place."""
    with producer_of(server, stream, "a") as first, producer_of(server, stream, "b") as second:
        first.response.begin()  # and stays while the second begins
        second.response.begin()
        return first.response.status == second.response.status == 200


def test_rate_limits_slow_it_down(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A group that is over the limit waits, and is not refused."""
    server = ServerProcess(
        tmp_path_factory.mktemp("limited") / "data",
        upload_requests_per_second_max="4",
        rate_burst_seconds="1",
    )
    server.start()
    stream = Stream(server.url, server.token, None, server.user)
    try:
        began = time.monotonic()
        with LongProducer(server.url, server.token, stream.upload_uri) as producer:
            producer.opened()
            for number in range(6):
                producer.send_rows([{"count": number}])
                producer.acks(number + 1)
            producer.end()
            assert producer.ending()["reason"] == "complete"
        assert time.monotonic() - began > 0.7
        codes = {stream.insert({"rows": [{"count": 6}]}).status_code for _ in range(9)}
        assert codes == {201, 429}
        with LongProducer(server.url, server.token, stream.upload_uri) as producer:
            status, error = producer.refused()
            assert (status, error["error"]) == (429, "rate_limit_exceeded")
            assert producer.response.headers["ratelimit"]
    finally:
        stream.close()
        server.close()


def test_a_connection_that_is_cut_in_a_line(narrow_server: ServerProcess, stream: Stream) -> None:
    """What looks like a whole row without its end is none."""
    with producer_of(narrow_server, stream) as producer:
        producer.opened()
        producer.send(b'{"count": 1}')
        producer.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(http.client.IncompleteRead):
            producer.response.read()
    assert stream.row_count() == 0
