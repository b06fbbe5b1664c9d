"""Transfers: content that the server fetches before it is loaded. services/loads.py loads it.

What a table holds is noted when it is asked for, as its caller may read it then: one snapshot, whatever comes
in later. It goes through a Parquet file, as an export would write it, so the load of it is a load like any
other, and types are told by the variables. What another server has is fetched in the job, so that a slow
one holds up no request. A job that is begun again fetches again.
"""

from collections.abc import AsyncIterator
from functools import partial

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.errors import invalid_request
from rowkeep.model.exports import ExportFormat, ExportPlan, export_options
from rowkeep.model.files import FileOptions
from rowkeep.model.jobs import Job
from rowkeep.model.loads import LoadArguments
from rowkeep.model.resources import ReadFormat, ReadStream
from rowkeep.model.schema import VariableMetadata
from rowkeep.model.transfers import TABLE, Source, TableTransfer, Transfer, UrlTransfer, checked_url
from rowkeep.services.export_rows import export_rows
from rowkeep.services.read.read import read_request, whole_stream
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import ContentFiles, ExportedFiles, ExportRunning, UrlFetching

ONE_FILE_BYTES = 2**62


class TransferPermits(msgspec.Struct, frozen=True):
    """The hosts from which content may be fetched."""

    hosts: frozenset[tuple[str, int | None]] = frozenset()

    def transfer(self, view: CatalogView, caller: Caller, source: Source) -> Transfer:
        """Returns the transfer for a source, if the caller may read it. Raises RowkeepError."""
        if source.kind == TABLE:
            asked = read_request(source.path, None, ReadFormat.ARROW, None, None)
            stream = whole_stream(view, caller, asked)
            if not stream.schema.variables:
                raise invalid_request(
                    f"The table {source.path} has no variables yet, so nothing can be copied."
                )
            return TableTransfer(stream)
        checked_url(source.path, self.hosts)
        return UrlTransfer(source.path)

    def file_name(self, source: Source) -> str:
        """Returns the name of the file that is fetched."""
        if source.kind == TABLE:
            return f"{source.path.rpartition('.')[2].partition(':')[0]}.parquet"
        return checked_url(source.path, self.hosts).file_name


# Tables of this server can be copied all the same.
NO_HOSTS = TransferPermits()


def transferred(arguments: LoadArguments) -> LoadArguments:
    """Returns the arguments of a load, completed with what is known of content that comes from a table."""
    if not isinstance(arguments.transfer, TableTransfer):
        return arguments
    variables = arguments.transfer.stream.schema.variables
    known = {
        each.name: VariableMetadata(each.label, each.description, each.value_labels) for each in variables
    }
    options = FileOptions(
        file_name=arguments.options.file_name,
        type="parquet",
        types={variable.name: variable.type for variable in variables},
    )
    said = {name: facts for name, facts in known.items() if facts != VariableMetadata()}
    return msgspec.structs.replace(arguments, options=options, metadata={**said, **arguments.metadata})


class TransferService:
    """Fetches content into the files of temporary uploads."""

    def __init__(
        self,
        doors: Doors,
        files: ContentFiles,
        exporting: ExportRunning,
        exported: ExportedFiles,
        urls: UrlFetching,
        *,
        bytes_max: int,
    ) -> None:
        self._doors = doors
        self._files = files
        self._exporting = exporting
        self._exported = exported
        self._urls = urls
        self._bytes_max = bytes_max

    async def fetch(self, job: Job, arguments: LoadArguments) -> int:
        """Fetches the content of a load and makes it durable. Returns its size. Raises as a load does."""
        transfer = arguments.transfer
        if isinstance(transfer, UrlTransfer):
            return await self._take(arguments.temp_upload, self._urls.parts(transfer.url))
        if transfer is None:
            raise LookupError("the load of a file that was sent fetches nothing")
        return await self._take(arguments.temp_upload, self._rows(job, transfer.stream))

    async def _rows(self, job: Job, stream: ReadStream) -> AsyncIterator[bytes]:
        options = export_options(ExportFormat.PARQUET, part_bytes_max=ONE_FILE_BYTES)
        async with self._exporting.folder() as folder:
            uploads = await self._doors.read(partial(export_rows, stream, folder))
            plan = ExportPlan(stream.schema, uploads, options)
            result = await self._exporting.run(
                plan, f"{job.identifier}-{job.attempts}", folder, lambda _: None
            )
        try:
            for file in result.files:
                async for part in self._exported.open(file.name).parts(0, file.byte_count):
                    yield part
        finally:
            await self._exporting.discard(result)

    async def _take(self, identifier: str, parts: AsyncIterator[bytes]) -> int:
        spool = self._files.new(identifier)
        try:
            async for part in parts:
                if spool.byte_count + len(part) > self._bytes_max:
                    raise invalid_request(f"A file has at most {self._bytes_max} bytes on this server.")
                await spool.write(part)
            await spool.keep()
            size = spool.byte_count
            await self._doors.write(lambda editor: editor.temp_uploads.complete(identifier, size))
            return size
        finally:
            await spool.close()
