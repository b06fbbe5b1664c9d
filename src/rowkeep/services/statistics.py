"""Statistics of variables: computed in the background over a snapshot, kept while the content stays.

A result belongs to a content hash, a variable and a type, so it never goes stale: other content has
another hash. A request waits a moment for the result and else says that it is running; clients ask again.
Whoever asks for the same shares one computation. Source: contract 4.6.
"""

import asyncio
from enum import StrEnum

import msgspec
import structlog

from rowkeep.model.access import AccessLevel, Caller, Scope
from rowkeep.model.bounded_cache import BoundedCache
from rowkeep.model.errors import unavailable
from rowkeep.model.references import parse_table_reference
from rowkeep.model.resources import ReadFormat, ReadStream, RowSlice
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.statistics import Statistics
from rowkeep.services.access import find_table, find_upload, principal_of
from rowkeep.services.queries import QueryView, completed_query, result_stream
from rowkeep.services.read.read import slices_of
from rowkeep.services.tables import TableView, content_uploads, table_view
from rowkeep.services.uploads import UploadView, upload_hash
from rowkeep.services.variables import described_table_schema, find_variable
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import StatisticsEngine

WAIT_SECONDS_MAX = 1.0
RESULTS_BYTES_MAX = 32 * 1024 * 1024
# How much larger a result is as objects than encoded, generously.
PYTHON_FACTOR = 8
RUNNING_MAX = 100
RETRY_SECONDS = 5

_log = structlog.get_logger("rowkeep.statistics")
_Key = tuple[str, str, str]


class ComputationStatus(StrEnum):
    """The state of a computation, in the words of the API."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class StatisticsView(msgspec.Struct, frozen=True):
    """A variable with its statistics, which are None until they are completed."""

    parent: TableView | UploadView | QueryView
    index: int
    variable: Variable
    status: ComputationStatus
    statistics: Statistics | None = None


class _Question(msgspec.Struct, frozen=True):
    parent: TableView | UploadView | QueryView
    index: int
    variable: Variable
    content_hash: str
    stream: ReadStream

    @property
    def key(self) -> _Key:
        return self.content_hash, self.variable.name.lower(), self.variable.type.value


class StatisticsService:
    """Returns statistics of variables, computed when they are first asked for. Used on one event loop."""

    def __init__(self, doors: Doors, engine: StatisticsEngine) -> None:
        self._doors = doors
        self._engine = engine
        self._results: BoundedCache[_Key, Statistics] = BoundedCache(RESULTS_BYTES_MAX)
        self._running: dict[_Key, asyncio.Task[Statistics]] = {}

    async def of_table(self, caller: Caller, reference: str, name: str) -> StatisticsView:
        """Returns the statistics of a table's variable."""
        parsed = parse_table_reference(reference)

        def read(view: CatalogView) -> _Question:
            principal = principal_of(view, caller)
            found = table_view(view, *find_table(view, principal, parsed, AccessLevel.METADATA))
            index, variable = find_variable(described_table_schema(view, found), name)
            slices = slices_of(view, list(content_uploads(view, found.table.id)), None)
            return _Question(found, index, variable, found.content.hash, _stream(variable, slices))

        return await self._answer(await self._doors.read(read))

    async def of_upload(self, caller: Caller, reference: str, upload_name: str, name: str) -> StatisticsView:
        """Returns the statistics of an upload's variable."""
        parsed = parse_table_reference(reference)

        def read(view: CatalogView) -> _Question:
            found = UploadView(*find_upload(view, principal_of(view, caller), parsed, upload_name))
            index, variable = find_variable(found.upload.schema, name)
            stream = _stream(variable, slices_of(view, [found.upload], None))
            return _Question(found, index, variable, upload_hash(found.upload), stream)

        return await self._answer(await self._doors.read(read))

    async def of_query(self, caller: Caller, identifier: str, name: str) -> StatisticsView:
        """Returns the statistics of a variable of a query's result."""

        def read(view: CatalogView) -> _Question:
            found, result = completed_query(view, caller, identifier)
            index, variable = find_variable(result.schema, name)
            slices = result_stream(found, result, ReadFormat.ARROW, None, None).slices
            return _Question(found, index, variable, f"query {identifier}", _stream(variable, list(slices)))

        return await self._answer(await self._doors.read(read))

    async def _answer(self, question: _Question) -> StatisticsView:
        status, statistics = await self._look_up(question)
        return StatisticsView(question.parent, question.index, question.variable, status, statistics)

    async def _look_up(self, question: _Question) -> tuple[ComputationStatus, Statistics | None]:
        key = question.key
        known = self._results.get(key)
        if known is not None:
            self._results.renew(key)
            return ComputationStatus.COMPLETED, known
        task = self._running.get(key)
        if task is None:
            self._require_room()
            task = self._running[key] = asyncio.create_task(self._engine.compute(question.stream))
            task.add_done_callback(lambda task: self._keep(key, task))
        await asyncio.wait([task], timeout=WAIT_SECONDS_MAX)
        if not task.done():
            return ComputationStatus.RUNNING, None
        if task.cancelled() or task.exception() is not None:
            return ComputationStatus.FAILED, None
        return ComputationStatus.COMPLETED, task.result()

    def _require_room(self) -> None:
        if len(self._running) >= RUNNING_MAX:
            raise unavailable(
                f"The statistics of {RUNNING_MAX} variables are being computed, as many as this server "
                "takes. Ask again later.",
                retry_after_seconds=RETRY_SECONDS,
            )

    def _keep(self, key: _Key, task: asyncio.Task[Statistics]) -> None:
        del self._running[key]
        if task.cancelled():
            return
        if task.exception() is not None:
            _log.error("statistics failed", variable=key[1], exc_info=task.exception())
            return
        result = task.result()
        byte_count = sum(map(len, key)) + len(msgspec.msgpack.encode(result)) * PYTHON_FACTOR
        self._results.keep(key, result, byte_count)


def _stream(variable: Variable, slices: list[RowSlice]) -> ReadStream:
    return ReadStream(
        identifier="",
        user_id=None,
        scope=Scope.PUBLIC,
        expires_at=0,
        format=ReadFormat.ARROW,
        schema=Schema(0, (variable,)),
        slices=tuple(slices),
    )
