"""Exports, on the server's side:

jailed workers write files, the server moves them to the other exports' files.

The segments that an export reads are linked into a folder of its own, so that they stay while it runs,
whatever becomes of them meanwhile, and so that the worker can read no others.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from rowkeep.model.exports import ExportedFile, ExportPlan, ExportResult
from rowkeep.model.resources import Entry
from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure, WorkerJob, WorkerLimits
from rowkeep.storage.export_files import ExportFolder
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.segments.naming import checked_name
from rowkeep.workers.entries_file import write_entry
from rowkeep.workers.pool import WorkerPool

FUNCTION = "rowkeep.workers.export:export"
ENTRIES = "entries"
FILES = "files"


class ExportWorkFolder:
    """The folder of one export: links to segments, and the worker's own with the entries."""

    def __init__(self, path: Path, segments: Path) -> None:
        self.links = path.resolve() / "segments"
        self.work = path.resolve() / "work"
        self.links.mkdir()
        self.work.mkdir()
        self._segments = segments
        self._entries: BinaryIO = (self.work / ENTRIES).open("wb")

    def add_entry(self, entry: Entry) -> None:
        """Adds rows of the journal for the export to read."""
        write_entry(self._entries, entry)

    def segment_path(self, name: str) -> str:
        """Links a segment for the export. Returns the path of the link."""
        link = self.links / checked_name(name)
        with suppress(FileExistsError):
            os.link(self._segments / name, link)
        return str(link)

    def close(self) -> Path:
        """Ends the file of entries. Returns its folder."""
        self._entries.close()
        return self.work


class ExportProcesses:
    """Writes exports, each in a worker of its own."""

    def __init__(
        self, pool: WorkerPool, directory: DataDirectory, files: ExportFolder, limits: WorkerLimits
    ) -> None:
        self._pool = pool
        self._directory = directory
        self._files = files
        self._limits = limits

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[ExportWorkFolder]:
        """Yields a folder for one export, which is removed afterwards."""
        path = Path(tempfile.mkdtemp(dir=self._directory.jobs, prefix="export-"))
        folder = ExportWorkFolder(path, self._directory.segments)
        try:
            yield folder
        finally:
            folder.close()
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    async def run(
        self, plan: ExportPlan, identifier: str, folder: ExportWorkFolder, listener: Callable[[float], None]
    ) -> ExportResult:
        """Writes durable files that nothing names yet. Raises RowkeepError, WorkerFailedError."""
        folder.close()
        said = msgspec.structs.replace(
            plan, segments=str(folder.links), memory_bytes_max=self._limits.memory_bytes_max
        )
        job = WorkerJob(
            function=FUNCTION,
            arguments=msgspec.Raw(msgspec.json.encode(said)),
            folder=str(folder.work),
            readable=(str(folder.links),),
            limits=self._limits,
        )
        answer = await self._pool.run(job, listener)
        return await asyncio.to_thread(self._adopt, folder.work / FILES, answer, identifier)

    def _adopt(self, folder: Path, answer: bytes, identifier: str) -> ExportResult:
        """Moves a worker's files to the other exports' files, under names that the server chooses."""
        try:
            said = msgspec.json.decode(answer, type=ExportResult)
        except msgspec.MsgspecError as error:
            raise WorkerFailedError(WorkerFailure.CRASH, str(error)) from error
        moved: list[tuple[Path, str]] = []
        files: list[ExportedFile] = []
        for index, file in enumerate(said.files):
            made = folder / f"{index:06d}{Path(file.name).name[6:]}"
            name = f"{identifier}-{index:06d}"
            moved.append((made, name))
            files.append(ExportedFile(name, made.stat().st_size, file.md5))
        self._files.take(moved)
        return ExportResult(tuple(files), said.row_count, said.warnings)

    async def discard(self, result: ExportResult) -> None:
        """Removes the files of an export that could not be named."""
        for file in result.files:
            await self._files.remove(file.name)
