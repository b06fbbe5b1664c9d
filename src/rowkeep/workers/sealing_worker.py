"""The sealing process: reads jobs, a line of JSON each, from stdin and answers each with a line.

Started by `sealing_process.py`. It reads the database and writes files; what is true is decided by the
answering process, which names the files. It gives way to the process that answers requests.
"""

import os
import sys
from pathlib import Path

import msgspec

from rowkeep.model.errors import RowkeepError
from rowkeep.model.resources import Segment
from rowkeep.storage.base import StorageError
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.opening import open_database, open_segments
from rowkeep.storage.segments.sealer import SegmentSealer
from rowkeep.workers.child_loop import answer_jobs

NICENESS = 3


class SealingJob(msgspec.Struct, frozen=True):
    """Rows to write into a segment: the entries from `first_row` on, or the segments up to `row_end`."""

    upload_id: int
    first_row: int
    row_end: int | None = None


class SealingAnswer(msgspec.Struct, frozen=True):
    """The segment that was written, if there was anything to write, or the error."""

    segment: Segment | None = None
    error: str | None = None


def run_job(sealer: SegmentSealer, job: SealingJob) -> SealingAnswer:
    """Writes one segment."""
    try:
        if job.row_end is None:
            return SealingAnswer(sealer.seal(job.upload_id, job.first_row))
        return SealingAnswer(sealer.compact(job.upload_id, job.first_row, job.row_end))
    except (RowkeepError, StorageError, LookupError, OSError) as error:
        return SealingAnswer(error=f"{type(error).__name__}: {error}")


def main() -> None:
    """Answers jobs until stdin ends."""
    os.nice(NICENESS)
    directory = DataDirectory(Path(sys.argv[1]))
    sealer = SegmentSealer(open_database(directory), open_segments(directory))
    answer_jobs(lambda line: run_job(sealer, msgspec.json.decode(line, type=SealingJob)))


if __name__ == "__main__":
    main()
