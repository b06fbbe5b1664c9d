"""Segments are written in a process of their own, one at a time.

Rows into Arrow into Parquet take some microseconds of the interpreter lock a row, which the answering
process cannot spare. The sealing process gets at the rows itself, so that only a few facts go back and forth.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from rowkeep.model.resources import Segment
from rowkeep.storage.base import SealingError, SegmentStore
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.segments.sweep import SegmentSweep
from rowkeep.workers.child_process import ChildProcess
from rowkeep.workers.sealing_worker import SealingAnswer, SealingJob


class SealingProcess:
    """The parent's end of the sealing process, and the store that it writes to."""

    def __init__(
        self, directory: DataDirectory, store: SegmentStore, sweep: SegmentSweep, *, grace_seconds: float
    ) -> None:
        self._child = ChildProcess("rowkeep.workers.sealing_worker", str(directory.path))
        self._store = store
        self._sweep = sweep
        self._grace_seconds = grace_seconds

    async def seal(self, upload_id: int, first_row: int) -> Segment | None:
        """Writes the entries from a row on into a durable, unnamed segment.

        None when they cannot be sealed.
        """
        return await self._ask(SealingJob(upload_id, first_row))

    async def compact(self, upload_id: int, first_row: int, row_end: int) -> Segment:
        """Writes the rows of several segments into a durable, unnamed one."""
        segment = await self._ask(SealingJob(upload_id, first_row, row_end))
        if segment is None:
            raise SealingError("the sealing process wrote no segment")
        return segment

    async def _ask(self, job: SealingJob) -> Segment | None:
        try:
            line = await self._child.ask(msgspec.json.encode(job))
            answer = msgspec.json.decode(line, type=SealingAnswer)
        except (OSError, EOFError, ValueError) as error:
            raise SealingError(f"the sealing process failed: {error}") from error
        if answer.error is not None:
            raise SealingError(answer.error)
        if answer.segment is not None:
            self._sweep.note_written(answer.segment.file_name)
        return answer.segment

    async def sweep(self, named: Callable[[], Awaitable[set[str]]]) -> int:
        """Removes files that have had no name for a while. Returns the number of files."""
        present = await asyncio.to_thread(self._store.names)
        names = await named()
        await asyncio.to_thread(self._sweep.forget_set_aside)
        return await asyncio.to_thread(self._sweep.sweep, present, names, grace_seconds=self._grace_seconds)

    async def close(self) -> None:
        """Ends the process. An unfinished file of it is removed at the next start."""
        await self._child.close()
