"""Rows through a network that fails: each is there once, those of a writer in order.

Writers stream numbered rows through a proxy that loses, delays, doubles and cuts requests and answers
(tests/faulty_proxy.py). What is then in the table is compared with what they appended.
"""

import threading
from collections import defaultdict

import pytest

from rowkeep.client import RetryPolicy, RowStream
from tests.api.stream import Stream
from tests.faulty_proxy import FaultyProxy
from tests.server_process import ServerProcess

SCHEMA = [{"name": "writer", "type": "integer"}, {"name": "number", "type": "integer"}]
WRITERS = 12
OUT_OF_ORDER_WRITER = 0  # with several requests in flight
SKIPPING_WRITER = 1  # every 50th of its rows does not fit
BAD_EVERY = 50
# Waits are short, as the proxy is near; it holds back what is late for longer than this client waits.
RETRY = RetryPolicy(seconds_max=60, wait_seconds_min=0.002, wait_seconds_max=0.05)
TIMEOUT_SECONDS = 0.25


class Writer(threading.Thread):
    """Appends numbered rows until the proxy has seen enough requests."""

    def __init__(self, number: int, proxy: FaultyProxy, stream: Stream, token: str, requests: int) -> None:
        super().__init__(name=f"writer-{number}")
        self._number = number
        self._proxy = proxy
        self._stream = stream
        self._token = token
        self._requests = requests
        self.sent: list[int] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        """Keeps what went wrong for the test to see."""
        try:
            self._append_rows()
        except Exception as error:  # noqa: BLE001  # raised by the test
            self.failure = error

    def _append_rows(self) -> None:
        with RowStream(
            self._proxy.url,
            self._token,
            self._stream.table_uri.removeprefix("/tables/"),
            "s",
            batch_rows_max=3,
            in_flight_max=4 if self._number == OUT_OF_ORDER_WRITER else 1,
            on_error="skip" if self._number == SKIPPING_WRITER else "abort",
            retry=RETRY,
            timeout_seconds=TIMEOUT_SECONDS,
        ) as rows:
            number = 0
            while self._proxy.requests < self._requests:
                is_bad = self._number == SKIPPING_WRITER and number % BAD_EVERY == 0
                rows.append({"writer": self._number, "number": "bad" if is_bad else number})
                if not is_bad:
                    self.sent.append(number)
                number += 1
        assert rows.inserted_count == len(self.sent)


def stored(stream: Stream) -> dict[int, list[int]]:
    """The numbers in the table by their writers, in the table's order."""
    response = stream.client.get(f"{stream.table_uri}/rows?format=csv&selectedVariables=writer,number")
    numbers: dict[int, list[int]] = defaultdict(list)
    for line in response.text.splitlines()[1:]:
        writer, number = line.split(",")
        numbers[int(writer)].append(int(number))
    return numbers


def stream_through_faults(server: ServerProcess, seed: int, requests: int) -> FaultyProxy:
    """Streams until the proxy has seen so many requests, and compares."""
    stream = Stream(server.url, server.token, SCHEMA, server.user)
    with FaultyProxy(server.url, seed) as proxy:
        writers = [Writer(number, proxy, stream, server.token, requests) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    numbers = stored(stream)
    stream.close()
    for number, writer in enumerate(writers):
        if writer.failure is not None:
            raise writer.failure
        assert writer.sent
        found = sorted(numbers[number]) if number == OUT_OF_ORDER_WRITER else numbers[number]
        assert found == writer.sent, f"writer {number}"
    return proxy


def test_nothing_is_lost_or_doubled(own_server: ServerProcess) -> None:
    """Some thousand requests, a third of them broken in each of the ways there are."""
    proxy = stream_through_faults(own_server, seed=5, requests=4_000)
    assert set(proxy.faults) == proxy.kinds
    assert sum(proxy.faults.values()) > 1_000


@pytest.mark.long
def test_nothing_is_lost_or_doubled_in_100_000_requests(own_server: ServerProcess) -> None:
    """The same for 100,000 requests."""
    proxy = stream_through_faults(own_server, seed=6, requests=100_000)
    assert proxy.requests >= 100_000
    assert sum(proxy.faults.values()) > 30_000
