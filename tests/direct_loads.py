"""Loading at once and in this process, with the parts that the server uses; only the jail is missing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.jobs import JobKind
from rowkeep.model.quarantine import QuarantineBounds
from rowkeep.model.worker_jobs import WorkerJob, WorkerLimits
from rowkeep.services.jobs import JobService
from rowkeep.services.loads import LoadRunner
from rowkeep.services.temp_uploads import TempUploadDraft, TempUploadService
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.content_files import ContentFolder
from rowkeep.storage.disk_reserve import DiskReserve
from rowkeep.storage.local_files import DataDirectory, Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.workers.load import LoadJob, load_file
from rowkeep.workers.load_process import LoadProcesses

BOUNDS = QuarantineBounds(100, 2**20)


class OpenPool:
    """Runs loads without a process and without walls."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def run(self, job: WorkerJob, _: Callable[[float], None] = lambda _: None) -> bytes:
        arguments = msgspec.json.decode(job.arguments, type=LoadJob)
        return msgspec.json.encode(load_file(arguments, Path(job.folder), self._disk))


class DirectLoads:
    """The jobs of a data directory, and a way to send it files."""

    def __init__(self, doors: Doors, directory: DataDirectory, disk: Disk) -> None:
        self._doors = doors
        store = LocalSegments(directory.segments, disk)
        loader = LoadProcesses(OpenPool(disk), directory, store, BOUNDS, WorkerLimits())  # type: ignore[arg-type]
        files = ContentFolder(directory.temp_uploads, disk, DiskReserve(directory.temp_uploads, bytes_min=0))
        self.jobs = JobService(doors, {JobKind.LOAD: LoadRunner(loader, files)}, {JobKind.LOAD: 1})
        self._temp_uploads = TempUploadService(doors, files, bytes_max=2**30)

    async def send(self, caller: Caller, table: str, content: bytes) -> str:
        """Sends a file. Returns the identifier of its temporary upload."""
        [temp_upload] = await self._temp_uploads.create(caller, table, [TempUploadDraft()])

        async def parts() -> AsyncIterator[bytes]:
            yield content

        await self._temp_uploads.receive(temp_upload, parts())
        return temp_upload.identifier

    async def finish(self) -> None:
        """Runs jobs until there are none."""
        running = asyncio.create_task(self.jobs.run())
        while self.jobs.running_count or await self._has_work():  # noqa: ASYNC110  # no event tells the end
            await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.wait({running})

    async def _has_work(self) -> int:
        return await self._doors.read(lambda view: view.jobs.unfinished_count())
