"""Queries: what a caller asks in SQL becomes rows that can be read like those of a table.

A query is a job (services/jobs.py): a row in the catalog, a jailed worker, one transaction that names the
result. The server never looks into the text: a first worker says which tables it names, the server looks each
up as the caller would be shown it, and only then a second worker is given the rows.

All tables are read on one snapshot, which is taken when the query's turn has come, after the request was
taken in: rows that were acknowledged before it are in it. Source: contract 4.11.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import msgspec

from rowkeep.model.access import Caller, Principal, Scope
from rowkeep.model.errors import ErrorCode, RowkeepError, invalid_request, not_found
from rowkeep.model.jobs import Job, JobKind, JobStatus
from rowkeep.model.queries import (
    QUERY_CHARACTERS_MAX,
    Dialect,
    NamedTable,
    Parameters,
    QueryArguments,
    QueryPlan,
    QueryResult,
    RowFilter,
    result_upload_id,
)
from rowkeep.model.references import parse_dataset_reference
from rowkeep.model.resources import ReadFormat, ReadStream, RowSlice
from rowkeep.model.worker_jobs import WorkerFailedError, WorkerFailure
from rowkeep.services.access import principal_of, require_scope, signed_in
from rowkeep.services.jobs import JobFailure, JobOutcome, JobService
from rowkeep.services.query_snapshot import permit_filter, snapshot
from rowkeep.services.read.grounds import require_grounds
from rowkeep.services.read.read import selected_schema
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.catalog.jobs import NewJob
from rowkeep.storage.engines import QueryRunning

UNFINISHED_MAX = 100
HOLD_MS_DEFAULT = 30_000
HOLD_MS_MAX = 60_000
RESULT_BYTES_OF_USER_MAX = 64 * 1024**3
RESULT_RETRY_SECONDS = 3_600
POLL_SECONDS = 0.5
# A reader of filtered rows waits for them; clients wait for 125 seconds.
FILTER_SECONDS_MAX = 120.0
_REASONS = {
    WorkerFailure.MEMORY: "The query took more memory than a query may have. Read fewer columns or rows, or "
    "group before joining.",
    WorkerFailure.TIME: "The query took longer than a query may take. Filter earlier, or split it.",
    WorkerFailure.SCRATCH: "The query took more room on the disk than a query may have. Filter earlier, or "
    "select less.",
    WorkerFailure.LOST: "The server ended the query, more than once. Send it again later.",
}
_CRASHED = "The query ended the process that ran it. Write it in another way, or split it."


class QueryLimits(msgspec.Struct, frozen=True):
    """The limits of a query."""

    memory_bytes_max: int
    result_bytes_max: int
    threads: int


class QueryDraft(msgspec.Struct, frozen=True, rename="camel"):
    """What a caller sends. `default_workflow` and `default_project` name data sets here."""

    query: str
    default_dataset: str | None = None
    default_workflow: str | None = None
    default_project: str | None = None
    dialect: Dialect | None = None
    parameters: Parameters | None = None
    timeout_ms: int | None = None


class FilteredRows(msgspec.Struct, frozen=True):
    """Rows that a filter has found."""

    view: "QueryView"
    result: QueryResult

    def stream(self, format_: ReadFormat) -> ReadStream:
        """Returns the rows as one stream without a name. Only the caller who asked for them may read it."""
        found = result_stream(self.view, self.result, format_, None, None)
        if self.view.job.user_id:
            return found
        return msgspec.structs.replace(found, user_id=None, scope=Scope.PUBLIC)


class QueryView(msgspec.Struct, frozen=True):
    """A query as callers see it. `result` is set once it is completed."""

    job: Job
    arguments: QueryArguments
    result: QueryResult | None


def query_view(job: Job) -> QueryView:
    """Returns the view of a job that is a query."""
    result = None
    if job.status is JobStatus.COMPLETED and job.result is not None:
        result = msgspec.json.decode(job.result, type=QueryResult)
    return QueryView(job, msgspec.json.decode(job.arguments, type=QueryArguments), result)


class QueryService:
    """Creates queries and shows their state and result."""

    def __init__(self, doors: Doors, jobs: JobService) -> None:
        self._doors = doors
        self._jobs = jobs

    async def create(self, caller: Caller, draft: QueryDraft) -> QueryView:
        """Queues a query. Waits for its end as long as the caller asks."""
        hold_ms = HOLD_MS_DEFAULT if draft.timeout_ms is None else draft.timeout_ms
        if not 0 <= hold_ms <= HOLD_MS_MAX:
            raise invalid_request(f"`timeoutMs` must be from 0 to {HOLD_MS_MAX}.")

        def add(editor: CatalogEditor) -> Job:
            principal = signed_in(principal_of(editor, caller))
            arguments = _arguments(draft, principal)
            if editor.queries.unfinished_count(arguments.user_id) >= UNFINISHED_MAX:
                raise RowkeepError(
                    ErrorCode.RATE_LIMIT_EXCEEDED,
                    f"You have {UNFINISHED_MAX} unfinished queries. Wait for some or cancel them.",
                    retry_after_seconds=1,
                )
            _check_room(editor, arguments.user_id)
            text = msgspec.json.encode(arguments).decode()
            return editor.jobs.add(NewJob(JobKind.QUERY, arguments.user_id, text))

        job = await self._doors.write(add)
        with self._jobs.ending(job.id) as ended:
            self._jobs.wake()
            return await self._held(job, ended, hold_ms / 1000)

    async def _held(self, job: Job, ended: asyncio.Event, seconds: float) -> QueryView:
        """Returns a query when it is finished, or in its state after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not job.is_finished:
                    with suppress(TimeoutError):  # another process may run it
                        await asyncio.wait_for(ended.wait(), POLL_SECONDS)
                    ended.clear()
                    job = await self._now(job)
        return query_view(job)

    async def _now(self, job: Job) -> Job:
        found = await self._doors.read(lambda view: view.jobs.find(job.id))
        if found is None:
            raise not_found("The query was deleted.")
        return found

    async def filter(self, caller: Caller, asked: RowFilter) -> FilteredRows:
        """Returns the rows of a table that fulfil a filter. Raises invalid_request_error."""

        def add(editor: CatalogEditor) -> Job:
            principal = principal_of(editor, caller)
            user_id = principal.user_id or 0
            arguments = QueryArguments(
                text="",
                dialect=Dialect.BIGQUERY,
                default_dataset=None,
                parameters={},
                user_id=user_id,
                scopes=tuple(sorted(principal.scopes)),
                filter=asked,
            )
            permit_filter(editor, arguments)
            _check_room(editor, user_id)
            text = msgspec.json.encode(arguments).decode()
            return editor.jobs.add(NewJob(JobKind.FILTER, user_id, text))

        job = await self._doors.write(add)
        with self._jobs.ending(job.id) as ended:
            self._jobs.wake()
            view = await self._held(job, ended, FILTER_SECONDS_MAX)
        if view.result is None:
            raise invalid_request(view.job.error or "The rows took longer to find than a request may take.")
        return FilteredRows(view, view.result)

    async def find(self, caller: Caller, identifier: str) -> QueryView:
        """Returns a query of the caller."""
        return await self._doors.read(lambda view: find_query(view, caller, identifier))

    async def completed(self, caller: Caller, identifier: str) -> tuple[QueryView, QueryResult]:
        """Returns a completed query of the caller, and its result."""
        return await self._doors.read(lambda view: completed_query(view, caller, identifier))

    async def page(self, caller: Caller, before_id: int | None, count: int) -> list[QueryView]:
        """Returns the caller's queries with smaller ids than `before_id`, newest first."""

        def read(view: CatalogView) -> list[QueryView]:
            principal = signed_in(principal_of(view, caller))
            user_id = principal.user_id or 0
            jobs = view.queries.of_user(user_id, before_id or 2**62, count)
            return [query_view(job) for job in jobs]

        return await self._doors.read(read)

    async def cancel(self, caller: Caller, identifier: str) -> QueryView:
        """Cancels a query of the caller that is not finished."""

        def cancel(editor: CatalogEditor) -> QueryView:
            found = find_query(editor, caller, identifier)
            editor.jobs.cancel(found.job.id)
            return find_query(editor, caller, identifier)

        view = await self._doors.write_in_reserve(cancel)
        await self._jobs.forget([view.job.id])
        return view


def _check_room(view: CatalogView, user_id: int) -> None:
    """Raises rate_limit_exceeded for a user whose stored results are at the limit."""
    if view.queries.result_bytes(user_id) >= RESULT_BYTES_OF_USER_MAX:
        raise RowkeepError(
            ErrorCode.RATE_LIMIT_EXCEEDED,
            f"The results of your queries take {RESULT_BYTES_OF_USER_MAX // 1024**3} GiB, as much as they "
            "may. Ask again when some have expired.",
            retry_after_seconds=RESULT_RETRY_SECONDS,
        )


def find_query(view: CatalogView, caller: Caller, identifier: str) -> QueryView:
    """Returns a query of the caller. Raises not_found_error for any other."""
    principal = signed_in(principal_of(view, caller))
    job = view.jobs.find_named(identifier)
    if job is None or job.kind is not JobKind.QUERY or job.user_id != principal.user_id:
        raise not_found(f"There is no query {identifier}, or its result has expired; send it again.")
    return query_view(job)


def completed_query(view: CatalogView, caller: Caller, identifier: str) -> tuple[QueryView, QueryResult]:
    """Returns a query of the caller and its result.

    Raises invalid_request_error until the query is completed.
    """
    found = find_query(view, caller, identifier)
    principal = principal_of(view, caller)
    require_scope(principal, Scope.DATA_DATA)
    if found.result is None:
        reason = found.job.error or f"It is {found.job.status.value}."
        raise invalid_request(f"The query {identifier} has no rows to read. {reason}")
    absent = not_found(f"The query {identifier} read a table that you can no longer see.")
    require_grounds(view, principal, found.result.grounds, absent)
    return found, found.result


def result_stream(
    found: QueryView,
    result: QueryResult,
    format_: ReadFormat,
    selected_variables: Sequence[str] | None,
    rows_max: int | None,
) -> ReadStream:
    """Returns the rows of a query's result as one stream without a name."""
    row_end = result.row_count if rows_max is None else min(rows_max, result.row_count)
    slices = (RowSlice(result_upload_id(found.job.id), 0, row_end),) if row_end else ()
    return ReadStream(
        identifier="",
        user_id=found.job.user_id,
        scope=Scope.DATA_DATA,
        expires_at=0,
        format=format_,
        schema=selected_schema(result.schema, selected_variables),
        slices=slices,
        grounds=result.grounds,
    )


def rows_of_query(
    caller: Caller,
    identifier: str,
    format_: ReadFormat,
    selected_variables: Sequence[str] | None,
    rows_max: int | None,
) -> Callable[[CatalogView], ReadStream]:
    """Returns a function that finds the rows of a query's result in a catalog view, for this caller."""

    def find(view: CatalogView) -> ReadStream:
        found, result = completed_query(view, caller, identifier)
        return result_stream(found, result, format_, selected_variables, rows_max)

    return find


def _arguments(draft: QueryDraft, principal: Principal) -> QueryArguments:
    if not draft.query.strip():
        raise invalid_request("`query` is empty.")
    if len(draft.query) > QUERY_CHARACTERS_MAX:
        raise invalid_request(f"`query` has more than {QUERY_CHARACTERS_MAX:,} characters.")
    default = draft.default_dataset or draft.default_workflow or draft.default_project
    if default is not None:
        try:
            parse_dataset_reference(default)
        except RowkeepError as error:
            raise invalid_request(f"`defaultDataset`: {error.message}") from error
    parameters: Parameters = {} if draft.parameters is None else draft.parameters
    return QueryArguments(
        text=draft.query,
        dialect=draft.dialect or Dialect.BIGQUERY,
        default_dataset=default,
        parameters=parameters,
        user_id=principal.user_id or 0,
        scopes=tuple(sorted(principal.scopes)),
    )


class QueryRunner:
    """Runs queries."""

    def __init__(self, doors: Doors, engine: QueryRunning, limits: QueryLimits) -> None:
        self._doors = doors
        self._engine = engine
        self._limits = limits

    async def run(self, job: Job, report: Callable[[float], None]) -> JobOutcome:
        """Makes the result of a query."""
        arguments = msgspec.json.decode(job.arguments, type=QueryArguments)
        if arguments.filter is None:
            named = await self._engine.name_tables(arguments)
        else:
            named = [NamedTable(arguments.filter.table)]
        async with self._engine.folder() as folder:
            tables = await self._doors.read(partial(snapshot, arguments, named, folder))
            plan = QueryPlan(
                arguments=arguments,
                tables=tables,
                now=time.time_ns() // 1_000,
                result_upload_id=result_upload_id(job.id),
                result_bytes_max=self._limits.result_bytes_max,
                memory_bytes_max=self._limits.memory_bytes_max,
                threads=self._limits.threads,
            )
            answer = await self._engine.run(plan, folder, report)

        def name(editor: CatalogEditor) -> str:
            editor.uploads.keep_schema(plan.result_upload_id, answer.result.schema)
            if answer.segment is not None:
                editor.segments.name_result(answer.segment)
            grounds = tuple(table.ground for table in tables)
            return msgspec.json.encode(msgspec.structs.replace(answer.result, grounds=grounds)).decode()

        return JobOutcome(name, partial(self._engine.discard, answer))

    def failure(self, error: RowkeepError | WorkerFailedError) -> JobFailure:
        """Returns why a query came to nothing."""
        if isinstance(error, WorkerFailedError):
            return JobFailure(_REASONS.get(error.failure, _CRASHED))
        return JobFailure(error.message)

    def forget(self, editor: CatalogEditor, job: Job) -> None:
        """Does nothing: a query keeps nothing in the catalog but its job."""

    async def tidy(self, job: Job) -> None:
        """Does nothing: a query needs no files beside those in its folder."""
