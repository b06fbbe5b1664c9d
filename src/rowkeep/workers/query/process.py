"""Queries, on the server's side: jailed workers parse and run them, the server keeps the results."""

import asyncio
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from rowkeep.model.queries import Dialect, NamedTable, QueryAnswer, QueryArguments, QueryPlan
from rowkeep.model.resources import Entry
from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure, WorkerJob, WorkerLimits
from rowkeep.storage.base import SegmentStore
from rowkeep.storage.engines import EntrySink
from rowkeep.storage.local_files import DataDirectory
from rowkeep.storage.segments.naming import checked_name
from rowkeep.workers.entries_file import write_entry
from rowkeep.workers.pool import WorkerPool
from rowkeep.workers.query.checked_files import CheckedFiles, FileMark, mark_of
from rowkeep.workers.query.running import ENTRIES, RESULT, ParseJob

MODULE = "rowkeep.workers.query.running"
PREPARATION = "rowkeep.workers.query.engine:prepare"
PARSE_SECONDS_MAX = 10.0
PARSE_SCRATCH_BYTES_MAX = 1024 * 1024
NAMED_MAX = 200

Answer = TypeVar("Answer")


class QueryFolder:
    """The folder of one query: entries go in, its result comes out."""

    def __init__(self, path: Path, segments: Path, entries: BinaryIO, checked: CheckedFiles) -> None:
        self._path = path
        self._checked = checked
        self.marks: dict[Path, FileMark | None] = {}
        self._segments = segments
        self._entries = entries

    def add_entry(self, entry: Entry) -> None:
        """Adds rows of the journal for the query to read."""
        write_entry(self._entries, entry)

    def segment_path(self, name: str) -> str:
        """Returns the path of a segment."""
        return str(self._segments / name)

    def is_checked(self, name: str) -> bool:
        """Returns whether a query of this process has checked every block of a segment, as it is now."""
        path = self._segments / name
        mark = self.marks[path] = mark_of(path)
        return self._checked.holds(path, mark)

    def close(self) -> Path:
        """Ends the file of entries. Returns its folder."""
        self._entries.close()
        return self._path


class QueryProcesses:
    """Parses and runs queries, each in a worker of its own."""

    def __init__(
        self, pool: WorkerPool, directory: DataDirectory, store: SegmentStore, limits: WorkerLimits
    ) -> None:
        self._pool = pool
        self._directory = directory
        self._store = store
        self._limits = limits
        # The workers that may still be in a folder, and what removes folders.
        self._users: dict[Path, asyncio.Task[None]] = {}
        self._removals: set[asyncio.Task[None]] = set()
        self._checked = CheckedFiles()
        self._marks: dict[Path, dict[Path, FileMark | None]] = {}  # by the folder of the query
        # What the last texts name: whoever asks the same again need not wait for a worker to parse it.
        self._named: OrderedDict[tuple[str, Dialect], list[NamedTable]] = OrderedDict()

    async def name_tables(self, arguments: QueryArguments) -> list[NamedTable]:
        """Returns the tables that a query names.

        Raises RowkeepError for a query that is refused, and WorkerFailedError.
        """
        key = arguments.text, arguments.dialect
        known = self._named.get(key)
        if known is None:
            known = self._named[key] = await self._named_by_worker(arguments)
        self._named.move_to_end(key)
        if len(self._named) > NAMED_MAX:
            self._named.popitem(last=False)
        return known

    async def _named_by_worker(self, arguments: QueryArguments) -> list[NamedTable]:
        job = ParseJob(arguments.text, arguments.dialect)
        limits = msgspec.structs.replace(
            self._limits,
            seconds_max=min(PARSE_SECONDS_MAX, self._limits.seconds_max),
            scratch_bytes_max=PARSE_SCRATCH_BYTES_MAX,
        )
        with self._path("parse-") as path:
            answer = await self._pool.ask(_job("name_tables", job, path, (), limits))
            self._users[path] = answer.gone
            return _decoded(answer.value, list[NamedTable])

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[QueryFolder]:
        """Yields a folder for one query, which is removed afterwards."""
        with self._path("query-") as path, (path / ENTRIES).open("wb") as entries:
            folder = QueryFolder(path, self._directory.segments.resolve(), entries, self._checked)
            self._marks[path] = folder.marks
            try:
                yield folder
            finally:
                del self._marks[path]

    @contextmanager
    def _path(self, prefix: str) -> Iterator[Path]:
        """Yields a new folder. It is removed when its worker has ended, without making the caller wait."""
        path = Path(tempfile.mkdtemp(dir=self._directory.jobs, prefix=prefix))
        try:
            yield path
        finally:
            removal = asyncio.create_task(self._remove(path))
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)

    async def _remove(self, path: Path) -> None:
        user = self._users.pop(path, None)
        if user is not None:
            await asyncio.wait({user})
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    async def run(self, plan: QueryPlan, folder: EntrySink, listener: Callable[[float], None]) -> QueryAnswer:
        """Runs a query. Returns its durable result, which nothing names yet. Raises as `name_tables` does."""
        path = folder.close()
        readable = tuple(
            segment.path for table in plan.tables for upload in table.uploads for segment in upload.segments
        )
        said = await self._pool.ask(_job("run_query", plan, path, readable, self._limits), listener)
        self._users[path] = said.gone
        answer = _decoded(said.value, QueryAnswer)
        self._checked.add(self._marks[path])
        if answer.content is None:
            await asyncio.wait({said.gone})  # until then it could write to the file that it has made
        await asyncio.to_thread(self._adopt, path, answer)
        return answer

    def _adopt(self, folder: Path, answer: QueryAnswer) -> None:
        if answer.segment is None:
            return
        name = checked_name(answer.segment.file_name)
        if answer.content is None:
            self._store.take(folder / RESULT / name)
        else:
            self._write(name, answer.content)

    def _write(self, name: str, content: bytes) -> None:
        try:
            file = self._store.put(name)
            try:
                file.write(memoryview(content))
                file.keep()
            except BaseException:
                file.discard()
                raise
        except OSError as error:
            raise WorkerFailedError(WorkerFailure.SCRATCH, str(error)) from error

    async def discard(self, answer: QueryAnswer) -> None:
        """Removes the result of a query that could not be named."""
        if answer.segment is not None:
            await asyncio.to_thread(self._store.remove, answer.segment.file_name)


def _job(
    function: str, arguments: msgspec.Struct, folder: Path, readable: tuple[str, ...], limits: WorkerLimits
) -> WorkerJob:
    return WorkerJob(
        function=f"{MODULE}:{function}",
        preparation=PREPARATION,
        arguments=msgspec.Raw(msgspec.json.encode(arguments)),
        folder=str(folder.resolve()),
        readable=readable,
        limits=limits,
    )


def _decoded(answer: bytes, type_: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(answer, type=type_)
    except msgspec.MsgspecError as error:
        raise WorkerFailedError(WorkerFailure.CRASH, str(error)) from error
