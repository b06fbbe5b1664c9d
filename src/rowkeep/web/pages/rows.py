"""The rows of a table: a page at a time, filtered and sorted, and as files.

However wide or heavy a table is, a page shows a bounded part of it: some rows of some variables, read up to
a number of bytes, long cells cut. What was cut off says so, and leads to the whole.
"""

from urllib.parse import quote, urlencode

import msgspec

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.exports import ExportFormat
from rowkeep.model.queries import RowFilter
from rowkeep.model.resources import ReadFormat
from rowkeep.services.queries import QueryService
from rowkeep.services.read.read import ReadService, read_request
from rowkeep.services.row_links import RowLinkDraft, RowLinkService
from rowkeep.services.tables import TableService, TableView
from rowkeep.web.answers import PageAnswer, csv_answer, html_answer, redirect
from rowkeep.web.grid import Grid, cells_of
from rowkeep.web.places import shown_table, table_path, table_reference
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import PageRoute, PageTable
from rowkeep.web.sessions import Session

ROWS_PER_PAGE = 50
VARIABLES_PER_PAGE = 40
# The formats offered beside CSV, which filtered rows have too, with what people call them.
FILES = (
    (ExportFormat.XLSX, "Excel"),
    (ExportFormat.PARQUET, "Parquet"),
    (ExportFormat.JSON_LINES, "JSON lines"),
    (ExportFormat.DTA, "Stata"),
    (ExportFormat.SAV, "SPSS"),
)


class Filter(msgspec.Struct, frozen=True):
    """The rows that a person asks for, and their order.

    An empty filter means all, in the order of arrival.
    """

    where: str
    order_by: str

    def __bool__(self) -> bool:
        """Returns whether the filter has any condition or order."""
        return bool(self.where or self.order_by)

    @property
    def query(self) -> str:
        """Returns the filter as the query of an address."""
        pairs = (("where", self.where), ("orderBy", self.order_by))
        return urlencode([(name, value) for name, value in pairs if value])

    def of(self, reference: str, names: tuple[str, ...] | None, offset: int, count: int | None) -> RowFilter:
        """Returns the filter as the service takes it."""
        return RowFilter(reference, None, names, self.where or None, self.order_by or None, offset, count)


class _Rows(msgspec.Struct, frozen=True):
    """The rows of a page, whether more follow, and the error if the filter is wrong."""

    grid: Grid
    has_more: bool
    problem: str | None = None


class RowPages:
    """Rows."""

    def __init__(
        self, tables: TableService, reads: ReadService, queries: QueryService, links: RowLinkService
    ) -> None:
        self._tables = tables
        self._reads = reads
        self._queries = queries
        self._links = links

    def table(self) -> PageTable:
        """Returns the routes."""
        return [
            PageRoute("GET", ("tables", "*"), self.show),
            PageRoute("GET", ("tables", "*", "rows.csv"), self.csv),
            PageRoute("GET", ("tables", "*", "download"), self.download),
        ]

    async def show(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows some rows of some variables."""
        view = await self._find(request, session)
        first = request.natural("variable")
        variables = view.schema.variables[first : first + VARIABLES_PER_PAGE]
        names = tuple(variable.name for variable in variables)
        offset, filter_ = request.natural("row"), _filter(request)
        rows = await self._rows(session, view, names, filter_, offset)
        page = render(
            "rows.html",
            **shown_table(session, view, "rows"),
            variables=variables,
            rows=rows.grid,
            has_more=rows.has_more,
            problem=rows.problem,
            filter=filter_,
            offset=offset,
            row_end=offset + len(rows.grid),
            rows_before=max(0, offset - ROWS_PER_PAGE),
            first_variable=first,
            variable_end=first + len(variables),
            variable_count=len(view.schema.variables),
            variables_before=max(0, first - VARIABLES_PER_PAGE),
            files=FILES,
            api_address=_api_address(request, view, filter_),
        )
        return html_answer(page)

    async def _rows(
        self, session: Session, view: TableView, names: tuple[str, ...], filter_: Filter, offset: int
    ) -> _Rows:
        if not names:
            return _Rows([], has_more=False)
        reference = table_reference(view)
        if not filter_:
            asked = read_request(reference, None, ReadFormat.JSON_LINES, names, offset + ROWS_PER_PAGE)
            parts = await self._reads.list_rows(session.caller, asked, offset=offset)
            grid = await cells_of(parts, names)
            return _Rows(grid, has_more=offset + len(grid) < view.content.row_count)
        try:
            asked_for = filter_.of(reference, names, offset, ROWS_PER_PAGE + 1)
            found = await self._queries.filter(session.caller, asked_for)
        except RowkeepError as error:
            if error.code is not ErrorCode.INVALID_REQUEST:
                raise
            return _Rows([], has_more=False, problem=error.message)
        grid = await cells_of(
            await self._reads.list_stream(lambda _: found.stream(ReadFormat.JSON_LINES)), names
        )
        return _Rows(grid[:ROWS_PER_PAGE], has_more=found.result.row_count > len(grid[:ROWS_PER_PAGE]))

    async def csv(self, request: PageRequest, session: Session) -> PageAnswer:
        """Sends all rows, or all that fulfil a filter, as a file."""
        view = await self._find(request, session)
        filter_, reference = _filter(request), table_reference(view)
        name = f"{view.table.name_key}.csv"
        if filter_:
            found = await self._queries.filter(session.caller, filter_.of(reference, None, 0, None))
            return csv_answer(name, await self._reads.list_stream(lambda _: found.stream(ReadFormat.CSV)))
        asked = read_request(reference, None, ReadFormat.CSV, None, None)
        return csv_answer(name, await self._reads.list_rows(session.caller, asked))

    async def download(self, request: PageRequest, session: Session) -> PageAnswer:
        """Sends all rows as a file of a format, by a link like those of programs."""
        view = await self._find(request, session)
        draft = RowLinkDraft(format=request.text("format"))
        shared = await self._links.create(session.caller, table_reference(view), None, draft)
        return redirect(f"/api/v1/downloads/rows/{shared.link}/{quote(shared.name)}")

    async def _find(self, request: PageRequest, session: Session) -> TableView:
        (reference,) = request.segments
        return await self._tables.find(session.caller, reference)


def _filter(request: PageRequest) -> Filter:
    return Filter(request.text("where").strip(), request.text("orderBy").strip())


def _api_address(request: PageRequest, view: TableView, filter_: Filter) -> str:
    """Returns the API address of the rows that the page shows."""
    path = table_path(table_reference(view)).rpartition("/")[2]
    ending = f"&{filter_.query}" if filter_ else ""
    return f"{request.base_url}/api/v1/tables/{path}/rows?maxResults={ROWS_PER_PAGE}{ending}"
