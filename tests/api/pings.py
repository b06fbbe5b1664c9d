"""Whether a server goes on answering others while it is kept busy."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests import plain_http
from tests.server_process import ServerProcess

# An answer that takes longer was held up: alone on two cores beside one busy process, few take a third of it.
HELD_UP_SECONDS = 0.06


def held_up_share(pauses: list[float]) -> float:
    """The share of the time in which an answer was waited for that came late.

    A server that does long work between two answers holds up others nearly all of that time. One that shares
    the cores with other processes is late now and then.
    """
    return sum(pause for pause in pauses if pause > HELD_UP_SECONDS) / sum(pauses)


@contextmanager
def pinged(server: ServerProcess) -> Iterator[list[float]]:
    """Asks a server for its health, one time after the other, as long as the block lasts.

    Gives how long each answer took, in seconds. The first has come before the block begins.
    """
    pauses: list[float] = []
    has_answered = threading.Event()
    done = threading.Event()

    def ping() -> None:
        with plain_http.client(base_url=server.url.removesuffix("/api/v1")) as client:
            while not done.is_set():
                started = time.perf_counter()
                assert client.get("/healthz").status_code == 200
                pauses.append(time.perf_counter() - started)
                has_answered.set()

    pinger = threading.Thread(target=ping)
    pinger.start()
    assert has_answered.wait(10)
    try:
        yield pauses
    finally:
        done.set()
        pinger.join()
