"""A table: its rows a page at a time, its variables, and how programs reach it.

However wide or heavy a table is, a page shows a bounded part of it: some rows of some variables, read up to
a number of bytes, long cells cut. What was cut off says so, and leads to the whole.
"""

from rowkeep.model.resources import ReadFormat
from rowkeep.model.schema import Variable
from rowkeep.services.read.read import ReadService, read_request
from rowkeep.services.tables import TableService, TableView
from rowkeep.web.answers import PageAnswer, csv_answer, html_answer
from rowkeep.web.grid import Grid, cells_of
from rowkeep.web.places import dataset_reference, table_reference
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import PageRoute, PageTable
from rowkeep.web.sessions import Session

ROWS_PER_PAGE = 50
VARIABLES_PER_PAGE = 40
LISTED_VARIABLES = 500


class TablePages:
    """Tables."""

    def __init__(self, tables: TableService, reads: ReadService) -> None:
        self._tables = tables
        self._reads = reads

    def table(self) -> PageTable:
        """Returns the routes."""
        return [
            PageRoute("GET", ("tables", "*"), self.rows),
            PageRoute("GET", ("tables", "*", "rows.csv"), self.csv),
            PageRoute("GET", ("tables", "*", "variables"), self.variables),
            PageRoute("GET", ("tables", "*", "use"), self.use),
        ]

    async def rows(self, request: PageRequest, session: Session) -> PageAnswer:
        """Some rows of some variables."""
        view = await self._find(request, session)
        reference = table_reference(view)
        first = request.natural("variable")
        variables = view.schema.variables[first : first + VARIABLES_PER_PAGE]
        offset = request.natural("row")
        rows = await self._page_of_rows(session, reference, variables, offset)
        page = render(
            "rows.html",
            **_common(session, view, "rows"),
            variables=variables,
            rows=rows,
            offset=offset,
            row_end=offset + len(rows),
            rows_before=max(0, offset - ROWS_PER_PAGE),
            first_variable=first,
            variable_end=first + len(variables),
            variable_count=len(view.schema.variables),
            variables_before=max(0, first - VARIABLES_PER_PAGE),
        )
        return html_answer(page)

    async def _page_of_rows(
        self, session: Session, reference: str, variables: tuple[Variable, ...], offset: int
    ) -> Grid:
        if not variables:
            return []
        names = [variable.name for variable in variables]
        asked = read_request(reference, None, ReadFormat.JSON_LINES, names, offset + ROWS_PER_PAGE)
        parts = await self._reads.list_rows(session.caller, asked, offset=offset)
        return await cells_of(parts, names)

    async def csv(self, request: PageRequest, session: Session) -> PageAnswer:
        """All rows as a file."""
        view = await self._find(request, session)
        asked = read_request(table_reference(view), None, ReadFormat.CSV, None, None)
        parts = await self._reads.list_rows(session.caller, asked)
        return csv_answer(f"{view.table.name_key}.csv", parts)

    async def variables(self, request: PageRequest, session: Session) -> PageAnswer:
        """The variables and what is said of them."""
        view = await self._find(request, session)
        first = request.natural("variable")
        listed = view.schema.variables[first : first + LISTED_VARIABLES]
        page = render(
            "variables.html",
            **_common(session, view, "variables"),
            variables=listed,
            first_variable=first,
            variable_end=first + len(listed),
            variable_count=len(view.schema.variables),
            variables_before=max(0, first - LISTED_VARIABLES),
        )
        return html_answer(page)

    async def use(self, request: PageRequest, session: Session) -> PageAnswer:
        """Lines for programs, with the names filled in."""
        view = await self._find(request, session)
        return html_answer(render("use.html", **_common(session, view, "use"), base_url=request.base_url))

    async def _find(self, request: PageRequest, session: Session) -> TableView:
        (reference,) = request.segments
        return await self._tables.find(session.caller, reference)


def _common(session: Session, view: TableView, tab: str) -> dict[str, object]:
    """What every page of a table shows."""
    return {
        "session": session,
        "view": view,
        "table": view.table,
        "dataset": view.place.dataset,
        "version": view.place.version,
        "dataset_reference": dataset_reference(view.place),
        "reference": table_reference(view),
        "tab": tab,
    }
