"""The header Server-Timing of an insert: the milliseconds that each phase took.

    read     until the whole body was there, who calls and where to included
    decode   until its rows were checked; with its turn beside other uploads, or that of a large body in a
             decoding process; of one that had to start over (the schema changed meanwhile) everything up to
             the last check
    queue    until the commit of its group began
    commit   until all that its group changes was in its place, in memory
    fsync    until that had reached the disk: the write of the changed pages, their fsync, and now and then
             a checkpoint of the database

A phase that an insert did not reach is left out; the one that it ended in lasts until now.
"""

import time

from rowkeep.model.timing import InsertTimes


def server_timing(times: InsertTimes) -> bytes:
    """Returns the value of the header."""
    began_at, read_at, checked_at, commit = times.began_at, times.read_at, times.checked_at, times.commit
    if read_at is None or checked_at is None or commit is None:
        return _listed(began_at, read_at, checked_at, time.perf_counter())
    try:
        return _ALL % (
            _SHOWN[int((read_at - began_at) * 1e5)],
            _SHOWN[int((checked_at - read_at) * 1e5)],
            _SHOWN[int((commit.began_at - checked_at) * 1e5)],
            _SHOWN[int((commit.written_at - commit.began_at) * 1e5)],
            _SHOWN[int((commit.ended_at - commit.written_at) * 1e5)],
        )
    except IndexError:
        return _listed(began_at, read_at, checked_at, commit.began_at, commit.written_at, commit.ended_at)


def _listed(*moments: float | None) -> bytes:
    """Returns the phases between moments. A moment that was not reached is None."""
    came = [moment for moment in moments if moment is not None]
    phases = zip(_PHASES, came, came[1:], strict=False)
    return b", ".join(b"%b;dur=%.2f" % (name, (end - start) * 1000) for name, start, end in phases)


_PHASES = (b"read", b"decode", b"queue", b"commit", b"fsync")
_ALL = b", ".join(b"%b;dur=%%b" % name for name in _PHASES)
# The durations below 100 ms, by hundredths: formatting floats would make this twice as slow.
_SHOWN = tuple(b"%d.%02d" % divmod(hundredths, 100) for hundredths in range(10_000))
