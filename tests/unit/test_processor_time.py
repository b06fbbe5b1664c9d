"""What the benchmark says of processor time: by thread of the server, by process below it."""

import os
import threading
import time

from rowkeep.storage.journal.lane import LANE_THREAD
from rowkeep.storage.journal.thread_names import show_thread_name
from rowkeep.trials.processes import cpu_ms_by_part

BURNT_SECONDS = 0.05


def burn() -> None:
    """Uses the processor for a while, in the thread that calls this."""
    end = time.thread_time() + BURNT_SECONDS
    while time.thread_time() < end:
        pass


def test_time_is_told_by_thread() -> None:
    """What the main thread uses is the event loop's, what the lane's thread uses the lane's."""

    def lane() -> None:
        show_thread_name()
        burn()
        has_burnt.set()
        may_end.wait()

    has_burnt, may_end = threading.Event(), threading.Event()
    before = cpu_ms_by_part(os.getpid())
    thread = threading.Thread(target=lane, name=LANE_THREAD)
    thread.start()
    has_burnt.wait()
    beside = cpu_ms_by_part(os.getpid()) - before
    may_end.set()
    thread.join()
    burn()
    assert beside["lane"] >= BURNT_SECONDS * 500  # the system counts in hundredths
    assert (cpu_ms_by_part(os.getpid()) - before)["event loop"] >= BURNT_SECONDS * 500
