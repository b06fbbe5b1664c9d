"""Loads, on the server's side: jailed workers write segments, the server moves them to the other segments."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from rowkeep.model.errors import invalid_request
from rowkeep.model.files import RecordsRefused
from rowkeep.model.loads import LoadAnswer, LoadArguments, LoadedFile
from rowkeep.model.quarantine import QuarantineBounds
from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure, WorkerJob, WorkerLimits
from rowkeep.storage.base import SegmentStore
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.segments.naming import checked_name
from rowkeep.workers.load import SEGMENTS, LoadJob, read_refused
from rowkeep.workers.pool import WorkerPool

FUNCTION = "rowkeep.workers.load:load"
# What is around the skipped records in their file: places, reasons.
_REFUSED_BYTES_FACTOR = 4
_REFUSED_BYTES_ROOM = 1024 * 1024


class LoadProcesses:
    """Reads files into segments, each in a worker of its own."""

    def __init__(
        self,
        pool: WorkerPool,
        directory: DataDirectory,
        store: SegmentStore,
        bounds: QuarantineBounds,
        limits: WorkerLimits,
    ) -> None:
        self._pool = pool
        self._directory = directory
        self._store = store
        self._bounds = bounds
        self._limits = limits

    async def load(
        self, upload_id: int, arguments: LoadArguments, listener: Callable[[float], None]
    ) -> LoadedFile:
        """Reads a file into durable segments that nothing names yet.

        Raises RowkeepError for a faulty file, and WorkerFailedError.
        """
        content = self._directory.temp_uploads / arguments.temp_upload
        if not content.exists():
            raise invalid_request("The file that was sent is not on the server any more. Send it again.")
        folder = Path(tempfile.mkdtemp(dir=self._directory.jobs, prefix="load-"))
        try:
            answer = await self._pool.run(self._job(upload_id, arguments, content, folder), listener)
            return await asyncio.to_thread(self._adopt, folder, answer)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _job(self, upload_id: int, arguments: LoadArguments, content: Path, folder: Path) -> WorkerJob:
        job = LoadJob(upload_id, str(content.resolve()), arguments, self._bounds)
        return WorkerJob(
            function=FUNCTION,
            arguments=msgspec.Raw(msgspec.json.encode(job)),
            folder=str(folder.resolve()),
            readable=(str(content.resolve()),),
            limits=self._limits,
        )

    def _adopt(self, folder: Path, answer: bytes) -> LoadedFile:
        """Moves a worker's segments to the other segments."""
        try:
            said = msgspec.json.decode(answer, type=LoadAnswer)
            bytes_max = _REFUSED_BYTES_FACTOR * self._bounds.bytes_max + _REFUSED_BYTES_ROOM
            refused = read_refused(folder, bytes_max)
        except (ValueError, msgspec.MsgspecError) as error:
            raise WorkerFailedError(WorkerFailure.CRASH, str(error)) from error
        loaded = said.loaded
        if loaded is None:
            raise RecordsRefused(said.bad_records, said.bad_record_count)
        for segment in loaded.segments:
            self._store.take(folder / SEGMENTS / checked_name(segment.file_name))
        return msgspec.structs.replace(loaded, refused=refused)

    async def discard(self, loaded: LoadedFile) -> None:
        """Removes the segments of a load that could not be named."""
        for segment in loaded.segments:
            await asyncio.to_thread(self._store.remove, segment.file_name)
