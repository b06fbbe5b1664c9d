"""Queries: SQL in, rows out. Source: contract 4.11."""

from typing import Annotated, Literal

import msgspec

from rowkeep.api.http.endpoint import StreamAnswer
from rowkeep.api.http.parameters import MAX_RESULTS, PAGED, SELECTED_VARIABLES, one_of
from rowkeep.api.http.request import ApiRequest, listed, page_of, page_of_results
from rowkeep.api.http.routes import (
    API,
    ASKED_ERRORS,
    CALLER_ERRORS,
    ROW_TYPES,
    SEEN_ERRORS,
    Route,
    RouteTable,
)
from rowkeep.api.http.shapes import Count, ListShape, LocatedShape, Shape, Time, located
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.api.resources.places import query_uri
from rowkeep.api.resources.reads import (
    MEDIA_TYPES,
    ReadSession,
    ReadSessionDraft,
    session_count,
    session_resource,
)
from rowkeep.api.resources.statistics import VariableStatistics, statistics_resource
from rowkeep.api.resources.variables import (
    VARIABLES_PER_PAGE_MAX,
    VariableInList,
    VariableList,
    VariableResource,
    variable_in_list,
    variable_resource,
)
from rowkeep.model.jobs import JobStatus
from rowkeep.model.queries import Dialect, QueryResult
from rowkeep.model.resources import ReadFormat
from rowkeep.model.types import VariableType
from rowkeep.services.queries import (
    QueryDraft,
    QueryService,
    QueryView,
    rows_of_query,
)
from rowkeep.services.read.read import ReadService, row_format
from rowkeep.services.statistics import StatisticsService
from rowkeep.services.variables import find_variable

QUERIES_PER_PAGE_MAX = 1_000


class OutputVariable(Shape, frozen=True, kw_only=True):
    """A variable of a result."""

    name: str
    type: VariableType


class Query(LocatedShape, frozen=True, kw_only=True, tag_field="kind", tag="query"):
    """A query; what it has put out is null until it is completed."""

    id: str
    query: str
    dialect: Dialect
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    percent_completed: Annotated[float, msgspec.Meta(ge=0, le=100)]
    error_message: str | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    output_num_rows: Count | None
    output_num_bytes: Count | None
    output_schema: tuple[OutputVariable, ...] | None


class QueryList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="queryList"):
    """A page of the caller's queries, newest first."""

    results: list[Query]


class QueryHandlers:
    """Queries and their results."""

    def __init__(self, queries: QueryService, reads: ReadService, statistics: StatisticsService) -> None:
        self._queries = queries
        self._reads = reads
        self._statistics = statistics

    def table(self) -> RouteTable:
        """Returns the routes."""
        queries = f"{API}/queries"
        query = f"{queries}/{{query}}"
        variables = f"{query}/variables"
        variable = f"{variables}/{{variable}}"
        listing = (
            one_of("format", ["jsonl", "ndjson", "csv", "arrow"], "jsonl"),
            SELECTED_VARIABLES,
            MAX_RESULTS,
        )
        return [
            Route("POST", queries, self.create, Query, (*CALLER_ERRORS, 429), body=QueryDraft),
            Route("GET", queries, self.list_own, QueryList, (400, *CALLER_ERRORS), PAGED),
            Route("GET", query, self.get, Query, SEEN_ERRORS),
            Route("POST", f"{query}/cancel", self.cancel, Query, SEEN_ERRORS),
            Route("GET", variables, self.list_variables, VariableList, ASKED_ERRORS, PAGED),
            Route("GET", variable, self.get_variable, VariableResource, ASKED_ERRORS),
            Route(
                "GET", f"{variable}/statistics", self.get_statistics, VariableStatistics, (*ASKED_ERRORS, 503)
            ),
            Route(
                "GET",
                f"{query}/rows",
                self.list_rows,
                None,
                (*ASKED_ERRORS, 429, 503),
                listing,
                media_types=ROW_TYPES,
            ),
            Route(
                "POST",
                f"{query}/readSessions",
                self.open_session,
                ReadSession,
                (*ASKED_ERRORS, 429),
                body=ReadSessionDraft,
            ),
        ]

    async def create(self, request: ApiRequest) -> Answer:
        """Runs a query; the answer comes when it is finished, or when `timeoutMs` is over."""
        draft = await request.json(QueryDraft)
        return json_answer(_resource(await self._queries.create(request.caller, draft)))

    async def list_own(self, request: ApiRequest) -> Answer:
        """A page of the caller's queries, newest first."""
        page = page_of(request, QUERIES_PER_PAGE_MAX)
        before_id = page.after_id or None
        found = await self._queries.page(request.caller, before_id, page.count + 1)
        return listed(QueryList, found, page, _resource, lambda view: view.job.id)

    async def get(self, request: ApiRequest) -> Answer:
        """A query of the caller's."""
        view = await self._queries.find(request.caller, request.segment("query"))
        return json_answer(_resource(view))

    async def cancel(self, request: ApiRequest) -> Answer:
        """Ends a query that is not finished."""
        view = await self._queries.cancel(request.caller, request.segment("query"))
        return json_answer(_resource(view))

    async def _result(self, request: ApiRequest) -> tuple[QueryView, QueryResult]:
        return await self._queries.completed(request.caller, request.segment("query"))

    async def list_variables(self, request: ApiRequest) -> Answer:
        """A page of the variables of a query's result."""
        found, result = await self._result(request)
        page = page_of(request, VARIABLES_PER_PAGE_MAX)
        results = [
            VariableInList(**variable_in_list(variable, index, query_uri(found)))
            for index, variable in enumerate(result.variables)
        ][page.after_id : page.after_id + page.count + 1]
        return json_answer(page_of_results(VariableList, results, page, page.after_id + page.count))

    async def get_variable(self, request: ApiRequest) -> Answer:
        """A variable of a query's result."""
        found, result = await self._result(request)
        index, variable = find_variable(result.schema, request.segment("variable"))
        return json_answer(variable_resource(variable, index, query_uri(found)))

    async def get_statistics(self, request: ApiRequest) -> Answer:
        """Statistics of a variable of a query's result; ask again while they are running."""
        view = await self._statistics.of_query(
            request.caller, request.segment("query"), request.segment("variable")
        )
        return json_answer(statistics_resource(view))

    async def list_rows(self, request: ApiRequest) -> StreamAnswer:
        """The rows of a query's result."""
        format_ = row_format(request.text("format") or ReadFormat.JSON_LINES)
        names, count = request.names("selectedVariables"), request.natural("maxResults")
        find = rows_of_query(request.caller, request.segment("query"), format_, names, count)
        parts = await self._reads.list_stream(find)
        return StreamAnswer([(b"content-type", MEDIA_TYPES[format_])], parts)

    async def open_session(self, request: ApiRequest) -> Answer:
        """Creates a read session of a query's result."""
        draft = await request.json(ReadSessionDraft)
        format_ = row_format(draft.format or ReadFormat.ARROW)
        names, count = draft.selected_variables, session_count("maxResults", draft.max_results)
        find = rows_of_query(request.caller, request.segment("query"), format_, names, count)
        stream_count = session_count("requestedStreamCount", draft.requested_stream_count)
        stream_count = 1 if stream_count is None else stream_count
        session = await self._reads.open_session_of(request.caller, find, stream_count)
        return json_answer(session_resource(session))


def _resource(view: QueryView) -> Query:
    job, result = view.job, view.result
    schema = None
    if result is not None:
        schema = tuple(OutputVariable(name=each.name, type=each.type) for each in result.variables)
    return Query(
        **located(query_uri(view)),
        id=job.identifier,
        query=view.arguments.text,
        dialect=view.arguments.dialect,
        status=job.status.value,
        percent_completed=100 if job.status is JobStatus.COMPLETED else round(job.fraction * 100, 1),
        error_message=job.error,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        output_num_rows=None if result is None else result.row_count,
        output_num_bytes=None if result is None else result.byte_count,
        output_schema=schema,
    )
