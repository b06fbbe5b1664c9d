"""Exports: rows of a table, an upload or a query become files that can be downloaded.

An export is a job (services/jobs.py): its rows are noted when it is asked for, a jailed worker writes the
files, one transaction names them. Whether its caller may still read the rows is asked again at every
download; so who has lost access, or what was deleted, gives nothing away. After some hours an export is
forgotten, and its files are swept. Source: contract 4.10.
"""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import msgspec

from rowkeep.model.access import Caller, Scope
from rowkeep.model.errors import ErrorCode, RowkeepError, conflict, invalid_request, not_found
from rowkeep.model.exports import (
    MEDIA_TYPES,
    ExportArguments,
    ExportedFile,
    ExportOptions,
    ExportPlan,
    ExportResult,
    check_fits,
    export_options,
)
from rowkeep.model.jobs import Job, JobKind, JobStatus
from rowkeep.model.links import LINK_SECONDS, DownloadLink, checked, signed
from rowkeep.model.references import parse_table_reference
from rowkeep.model.resources import ReadFormat, ReadStream
from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure
from rowkeep.services.access import principal_of, require_scope, signed_in
from rowkeep.services.export_rows import export_rows
from rowkeep.services.jobs import JobFailure, JobOutcome, JobService
from rowkeep.services.queries import rows_of_query
from rowkeep.services.read.grounds import require_grounds
from rowkeep.services.read.read import ReadRequest, find_source, slices_of, stream_of
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.catalog.jobs import NewJob
from rowkeep.storage.engines import ExportedFiles, ExportRunning, OpenFile

UNFINISHED_MAX = 20
POLL_SECONDS = 0.5
# Clients ask again after half a second at the earliest: what is done by then need not wait for that.
HOLD_SECONDS = 0.25
# One who asks for rows as a file waits for it; clients wait for 125 seconds.
REQUEST_SECONDS_MAX = 110.0
ONE_FILE_BYTES = 2**62
_no_word = re.compile(r"\W+")
_REASONS = {
    WorkerFailure.MEMORY: "Writing the files took more memory than an export may use. Select fewer "
    "variables, or export csv or parquet, which take least.",
    WorkerFailure.TIME: "Writing the files took longer than an export may take. Select fewer variables.",
    WorkerFailure.SCRATCH: "The files take more room on the server's disk than an export may use, or are too "
    "many. Select fewer variables, compress them, ask for larger parts, or have room made.",
    WorkerFailure.LOST: "The server ended the export, more than once. Ask for it again later.",
}
_CRASHED = "Writing the files ended the process that did it. Export another format."


class ExportDraft(msgspec.Struct, frozen=True, rename="camel"):
    """The properties of an export to create, as the caller sent them."""

    format: str | None = None
    compression: str | None = None
    null_marker: str | None = None
    bom: bool | None = None
    part_bytes_max: int | None = None
    selected_variables: tuple[str, ...] | None = None

    def options(self) -> ExportOptions:
        """Returns how the files are to be written. Raises invalid_request_error."""
        return export_options(
            self.format,
            compression=self.compression,
            null_marker=self.null_marker,
            bom=self.bom,
            part_bytes_max=self.part_bytes_max,
        )


class ExportView(msgspec.Struct, frozen=True):
    """An export as callers see it. `result` is set once it is completed."""

    job: Job
    arguments: ExportArguments
    result: ExportResult | None


class Download(msgspec.Struct, frozen=True):
    """An open file that may be sent to the caller."""

    file: ExportedFile
    name: str
    options: ExportOptions
    content: OpenFile

    @property
    def media_type(self) -> str:
        """Returns the media type of the file, for HTTP."""
        if self.name.endswith(".gz"):
            return "application/gzip"
        if self.name.endswith(".zst"):
            return "application/zstd"
        return MEDIA_TYPES[self.options.format]


class SharedFile(msgspec.Struct, frozen=True):
    """A link to a file, and the file's name."""

    link: str
    name: str
    expires_at: int


class ExportService:
    """Creates exports, shows their state and result, and gives out their files."""

    def __init__(self, doors: Doors, jobs: JobService, files: ExportedFiles) -> None:
        self._doors = doors
        self._jobs = jobs
        self._files = files

    async def create(
        self, caller: Caller, table: str, upload_name: str | None, draft: ExportDraft
    ) -> ExportView:
        """Queues an export of a table, or of one upload of it.

        A small export is completed when this returns.
        """
        find = partial(_of_table, caller, table, upload_name, draft)
        return await self._held(await self._add(caller, find))

    async def rows_as_file(
        self,
        caller: Caller,
        table: str,
        upload_name: str | None,
        draft: ExportDraft,
        rows_max: int | None,
    ) -> Download:
        """Returns the rows of a table as one file, made while the request waits. The file is not kept."""
        said = msgspec.structs.replace(draft, part_bytes_max=ONE_FILE_BYTES)
        find = partial(_of_table, caller, table, upload_name, said, rows_max=rows_max)
        begun = await self._add(caller, find)
        identifier = begun.job.identifier
        try:
            await self._end_of(begun.job, REQUEST_SECONDS_MAX)
            return await self.download(caller, identifier, 0)
        except RowkeepError as error:
            if error.code is ErrorCode.CONFLICT:
                raise invalid_request(error.message) from error
            raise
        finally:
            await self.delete(caller, identifier)

    async def _held(self, begun: ExportView) -> ExportView:
        return export_view(await self._end_of(begun.job, HOLD_SECONDS))

    async def _end_of(self, job: Job, seconds: float) -> Job:
        """Returns an export when it is finished, or in its state after `seconds`."""
        with self._jobs.ending(job.id) as ended, suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not job.is_finished:
                    with suppress(TimeoutError):  # another process may run it
                        await asyncio.wait_for(ended.wait(), POLL_SECONDS)
                    ended.clear()
                    job = await self._now(job)
        return job

    async def _now(self, job: Job) -> Job:
        found = await self._doors.read(lambda view: view.jobs.find(job.id))
        if found is None:
            raise not_found("The export was deleted.")
        return found

    async def create_of_query(self, caller: Caller, identifier: str, draft: ExportDraft) -> ExportView:
        """Queues an export of a query's result. A small export is completed when this returns."""
        find = partial(_of_query, caller, identifier, draft)
        return await self._held(await self._add(caller, find))

    async def _add(self, caller: Caller, find: Callable[[CatalogView], ExportArguments]) -> ExportView:
        # Whoever is refused, and the lists of large tables, stay off the writer's thread.
        arguments = await self._doors.read(find)

        def add(editor: CatalogEditor) -> Job:
            user_id = principal_of(editor, caller).user_id or 0
            if editor.exports.unfinished_count(user_id) >= UNFINISHED_MAX:
                raise RowkeepError(
                    ErrorCode.RATE_LIMIT_EXCEEDED,
                    f"You have {UNFINISHED_MAX} exports that are not finished. Wait for some or cancel them.",
                    retry_after_seconds=5,
                )
            text = msgspec.json.encode(arguments).decode()
            return editor.jobs.add(NewJob(JobKind.EXPORT, user_id, text))

        job = await self._doors.write(add)
        self._jobs.wake()
        return ExportView(job, arguments, None)

    async def find(self, caller: Caller, identifier: str) -> ExportView:
        """Returns an export of the caller."""
        return await self._doors.read(lambda view: find_export(view, caller, identifier))

    async def page(self, caller: Caller, before_id: int | None, count: int) -> list[ExportView]:
        """Returns the caller's exports with smaller ids than `before_id`, newest first."""

        def read(view: CatalogView) -> list[ExportView]:
            user_id = signed_in(principal_of(view, caller)).user_id or 0
            return [export_view(job) for job in view.exports.of_user(user_id, before_id or 2**62, count)]

        return await self._doors.read(read)

    async def delete(self, caller: Caller, identifier: str) -> None:
        """Cancels an export that is not finished. Deletes a finished one with its files."""

        def delete(editor: CatalogEditor) -> ExportView:
            found = find_export(editor, caller, identifier)
            if not editor.jobs.cancel(found.job.id):
                editor.exports.delete(found.job.id)
            return found

        found = await self._doors.write_in_reserve(delete)
        await self._jobs.forget([found.job.id])
        for file in found.result.files if found.result else ():
            await self._files.remove(file.name)

    async def download(self, caller: Caller, identifier: str, part: int) -> Download:
        """Returns a file of a completed export.

        The caller must still be allowed to read the exported rows.
        """

        def find(view: CatalogView) -> ExportView:
            found = find_export(view, caller, identifier)
            check_access(view, caller, found.arguments)
            return found

        found = await self._doors.read(find)
        file = file_of(found, part)
        name = found.arguments.file_name(part, len(found.result.files) if found.result else 0)
        return Download(file, name, found.arguments.options, self._files.open(file.name))

    async def link(self, caller: Caller, identifier: str, part: int) -> SharedFile:
        """Returns a link by which anybody can fetch a file of a completed export for an hour."""
        now = time.time_ns() // 1_000_000
        link = DownloadLink(identifier, part, caller.token_hash, now + LINK_SECONDS * 1_000)

        def sign(view: CatalogView) -> SharedFile:
            found = find_export(view, caller, identifier)
            check_access(view, caller, found.arguments)
            file_of(found, part)
            name = found.arguments.file_name(part, len(found.result.files) if found.result else 0)
            return SharedFile(signed(link, view.exports.link_secret()), name, link.expires_at)

        return await self._doors.read(sign)

    async def download_linked(self, text: str) -> Download:
        """Returns the file of a link.

        The maker of the link must still be allowed to read the exported rows.
        """
        now = time.time_ns() // 1_000_000
        link = await self._doors.read(
            lambda view: checked(text, view.exports.link_secret(), now, DownloadLink)
        )
        return await self.download(Caller(link.token_hash), link.export, link.part)


def export_view(job: Job) -> ExportView:
    """Returns the view of a job that is an export."""
    result = None
    if job.status is JobStatus.COMPLETED and job.result is not None:
        result = msgspec.json.decode(job.result, type=ExportResult)
    return ExportView(job, msgspec.json.decode(job.arguments, type=ExportArguments), result)


def find_export(view: CatalogView, caller: Caller, identifier: str) -> ExportView:
    """Returns an export of the caller. Raises not_found_error for any other.

    An export of public data that an anonymous caller asked for is open to anybody who knows its id.
    """
    principal = principal_of(view, caller)
    job = view.jobs.find_named(identifier)
    if job is None or job.kind is not JobKind.EXPORT or job.user_id not in (0, principal.user_id):
        signed_in(principal)
        raise not_found(f"There is no export {identifier}, or it has expired; ask for it again.")
    return export_view(job)


def file_of(found: ExportView, part: int) -> ExportedFile:
    """Returns a file of an export.

    Raises conflict until the export is completed, and invalid_request_error for a number without a file.
    """
    if found.result is None:
        reason = found.job.error or f"It is {found.job.status.value}."
        raise conflict(f"The export has no files to download. {reason}")
    files = found.result.files
    if part >= len(files):
        raise invalid_request(f"The export has {len(files)} files; `filePart` counts them from 0.")
    return files[part]


def check_access(view: CatalogView, caller: Caller, arguments: ExportArguments) -> None:
    """Raises the error that reading the rows would raise, unless the caller may read them now."""
    principal = principal_of(view, caller)
    stream = arguments.stream
    absent = not_found("What was exported is not there any more, or you can no longer see it.")
    require_grounds(view, principal, stream.grounds, absent)
    if stream.scope is not Scope.PUBLIC:
        require_scope(principal, stream.scope)


def _of_table(
    caller: Caller,
    table: str,
    upload_name: str | None,
    draft: ExportDraft,
    view: CatalogView,
    *,
    rows_max: int | None = None,
) -> ExportArguments:
    request = ReadRequest(
        parse_table_reference(table), upload_name, ReadFormat.ARROW, draft.selected_variables, None
    )
    source = find_source(view, caller, request)
    uploads = source.uploads(view)
    stream = stream_of(source, request, source.schema(uploads), slices_of(view, uploads, rows_max))
    name = source.table.name if upload_name is None else f"{source.table.name} {upload_name}"
    return _arguments(stream, draft, name, source.table.name)


def _of_query(caller: Caller, identifier: str, draft: ExportDraft, view: CatalogView) -> ExportArguments:
    find = rows_of_query(caller, identifier, ReadFormat.ARROW, draft.selected_variables, None)
    return _arguments(find(view), draft, f"query {identifier}", None)


def _arguments(stream: ReadStream, draft: ExportDraft, name: str, table_name: str | None) -> ExportArguments:
    options = draft.options()
    row_count = sum(slice_.row_end - slice_.first_row for slice_ in stream.slices)
    check_fits(options.format, stream.schema, row_count)
    file_name = _no_word.sub("_", name).strip("_").lower() or "rows"
    return ExportArguments(stream, options, file_name, table_name)


class ExportRunner:
    """Writes exports."""

    def __init__(self, doors: Doors, engine: ExportRunning) -> None:
        self._doors = doors
        self._engine = engine

    async def run(self, job: Job, report: Callable[[float], None]) -> JobOutcome:
        """Makes the files of an export."""
        arguments = msgspec.json.decode(job.arguments, type=ExportArguments)
        async with self._engine.folder() as folder:
            uploads = await self._doors.read(partial(export_rows, arguments.stream, folder))
            plan = ExportPlan(arguments.stream.schema, uploads, arguments.options)
            result = await self._engine.run(plan, f"{job.identifier}-{job.attempts}", folder, report)
        return JobOutcome(
            lambda _: msgspec.json.encode(result).decode(), partial(self._engine.discard, result)
        )

    def failure(self, error: RowkeepError | WorkerFailedError) -> JobFailure:
        """Returns why an export came to nothing."""
        if isinstance(error, WorkerFailedError):
            return JobFailure(_REASONS.get(error.failure, _CRASHED))
        return JobFailure(error.message)

    def forget(self, editor: CatalogEditor, job: Job) -> None:
        """Does nothing: an export keeps nothing in the catalog but its job."""

    async def tidy(self, job: Job) -> None:
        """Does nothing: an export needs no files beside those in its folder."""
