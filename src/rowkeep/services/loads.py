"""Loads: the rows of a file that was sent become those of an upload. services/jobs.py runs them."""

from collections.abc import Callable
from functools import partial

import msgspec

from rowkeep.model.errors import RowkeepError
from rowkeep.model.files import RecordsRefused
from rowkeep.model.jobs import Job
from rowkeep.model.loads import LoadArguments, LoadedFile, LoadResult
from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure
from rowkeep.services.jobs import JobFailure, JobOutcome
from rowkeep.services.transfers import TransferService, transferred
from rowkeep.storage.catalog.catalog import CatalogEditor
from rowkeep.storage.catalog.segments import LoadedCounters
from rowkeep.storage.engines import ContentFiles, FileLoader

_REASONS = {
    WorkerFailure.MEMORY: "Reading the file took more memory than a load may use. Split the file, or send it "
    "in another format: CSV and Parquet take least.",
    WorkerFailure.TIME: "Reading the file took longer than a load may take. Split the file.",
    WorkerFailure.SCRATCH: "What is in the file takes more room on the server's disk than a load may use. "
    "Split the file, or have room made.",
    WorkerFailure.LOST: "The server ended the load, more than once. Send the file again later.",
}
_UNREADABLE = "The file cannot be read: what reads its format broke down over it. It may be damaged."


class LoadRunner:
    """Loads files."""

    def __init__(
        self, loader: FileLoader, files: ContentFiles, transfers: TransferService | None = None
    ) -> None:
        self._loader = loader
        self._files = files
        self._transfers = transfers

    async def run(self, job: Job, report: Callable[[float], None]) -> JobOutcome:
        """Reads a file into segments."""
        upload_id = job.upload_id
        if upload_id is None:
            raise LookupError("a load has no upload")
        arguments = _arguments(job)
        if arguments.transfer is None:
            loaded = await self._loader.load(upload_id, arguments, report)
        else:
            loaded = await self._fetched(upload_id, job, transferred(arguments), report)

        def name(editor: CatalogEditor) -> str:
            _name(editor, upload_id, loaded)
            editor.temp_uploads.delete(arguments.temp_upload)
            return msgspec.json.encode(loaded.result).decode()

        return JobOutcome(name, partial(self._loader.discard, loaded))

    async def _fetched(
        self, upload_id: int, job: Job, arguments: LoadArguments, report: Callable[[float], None]
    ) -> LoadedFile:
        """Fetches the content, then reads it into segments."""
        if self._transfers is None:
            raise LookupError("nothing is fetched here")
        size = await self._transfers.fetch(job, arguments)
        # What a table's rows are may be thousands of slices, which the worker has no use for.
        plain = msgspec.structs.replace(arguments, content_bytes=size, transfer=None)
        loaded = await self._loader.load(upload_id, plain, report)
        result = msgspec.structs.replace(loaded.result, fetched_bytes=size)
        return msgspec.structs.replace(loaded, result=result)

    def failure(self, error: RowkeepError | WorkerFailedError) -> JobFailure:
        """Returns why a load came to nothing, with the records that are bad."""
        if isinstance(error, WorkerFailedError):
            return JobFailure(_REASONS.get(error.failure, _UNREADABLE))
        if isinstance(error, RecordsRefused):
            result = LoadResult(bad_record_count=error.bad_record_count, bad_records=tuple(error.bad_records))
            return JobFailure(error.message, msgspec.json.encode(result).decode())
        return JobFailure(error.message)

    def forget(self, editor: CatalogEditor, job: Job) -> None:
        """Deletes the temporary upload that could not be loaded."""
        editor.temp_uploads.delete(_arguments(job).temp_upload)

    async def tidy(self, job: Job) -> None:
        """Removes the file that was sent, which is loaded or cannot be."""
        await self._files.remove(_arguments(job).temp_upload)


def _arguments(job: Job) -> LoadArguments:
    return msgspec.json.decode(job.arguments, type=LoadArguments)


def _name(editor: CatalogEditor, upload_id: int, loaded: LoadedFile) -> None:
    """Gives the loaded segments to the upload, in the transaction that completes the job."""
    editor.uploads.change_schema(upload_id, loaded.schema)
    counters = LoadedCounters(loaded.row_count, loaded.byte_count, loaded.chain)
    editor.segments.name_loaded(upload_id, loaded.segments, counters)
    if loaded.refused is not None:
        editor.quarantine.keep_refused(upload_id, None, loaded.refused)
