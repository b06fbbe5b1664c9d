"""SQL: a query is written, run, looked at, cancelled and kept as a file. Each has an address of its own."""

from collections.abc import Sequence

from rowkeep.model.resources import ReadFormat
from rowkeep.model.schema import Variable
from rowkeep.services.queries import QueryDraft, QueryService, QueryView, rows_of_query
from rowkeep.services.read.read import ReadService
from rowkeep.web.answers import PageAnswer, csv_answer, html_answer, redirect
from rowkeep.web.grid import Cell, Grid, cells_of
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import CONSOLE, PageRoute, PageTable
from rowkeep.web.sessions import Session

SQL = f"{CONSOLE}/sql"
ROWS_SHOWN_MAX = 200
VARIABLES_SHOWN_MAX = 40
RECENT_MAX = 10
# How long a person looks at the page before: what takes longer is shown while it runs.
HOLD_MS = 5_000


class QueryPages:
    """SQL."""

    def __init__(self, queries: QueryService, reads: ReadService) -> None:
        self._queries = queries
        self._reads = reads

    def table(self) -> PageTable:
        """Returns the routes."""
        return [
            PageRoute("GET", ("sql",), self.write),
            PageRoute("POST", ("sql",), self.run),
            PageRoute("GET", ("sql", "*"), self.show),
            PageRoute("POST", ("sql", "*", "cancel"), self.cancel),
            PageRoute("GET", ("sql", "*", "rows.csv"), self.csv),
        ]

    async def write(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows a form for a query, and the person's latest queries.

        A link may name a data set for the form.
        """
        recent = await self._queries.page(session.caller, None, RECENT_MAX)
        dataset = request.text("dataset")
        return html_answer(_page(session, None, dataset, recent=recent))

    async def run(self, request: PageRequest, session: Session) -> PageAnswer:
        """Runs a query, and shows it at its own address."""
        form = await request.form()
        draft = QueryDraft(
            query=form.get("query", ""),
            default_dataset=form.get("dataset", "").strip() or None,
            timeout_ms=HOLD_MS,
        )
        view = await self._queries.create(session.caller, draft)
        return redirect(f"{SQL}/{view.job.identifier}")

    async def show(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows a query: running, or with the first rows of its result, or with its error."""
        (identifier,) = request.segments
        view = await self._queries.find(session.caller, identifier)
        variables = () if view.result is None else view.result.variables[:VARIABLES_SHOWN_MAX]
        rows = await self._first_rows(session, view, variables)
        dataset = view.arguments.default_dataset or ""
        return html_answer(_page(session, view, dataset, variables=variables, rows=rows))

    async def _first_rows(self, session: Session, view: QueryView, variables: tuple[Variable, ...]) -> Grid:
        if not variables:
            return []
        names = [variable.name for variable in variables]
        find = rows_of_query(
            session.caller, view.job.identifier, ReadFormat.JSON_LINES, names, ROWS_SHOWN_MAX
        )
        return await cells_of(await self._reads.list_stream(find), names)

    async def cancel(self, request: PageRequest, session: Session) -> PageAnswer:
        """Ends a query that is not finished."""
        (identifier,) = request.segments
        view = await self._queries.cancel(session.caller, identifier)
        return redirect(f"{SQL}/{view.job.identifier}")

    async def csv(self, request: PageRequest, session: Session) -> PageAnswer:
        """Sends all rows of a result as a file."""
        (identifier,) = request.segments
        find = rows_of_query(session.caller, identifier, ReadFormat.CSV, None, None)
        return csv_answer("query.csv", await self._reads.list_stream(find))


def _page(
    session: Session,
    query: QueryView | None,
    dataset: str,
    *,
    recent: Sequence[QueryView] = (),
    variables: Sequence[Variable] = (),
    rows: Sequence[Sequence[Cell]] = (),
) -> str:
    return render(
        "sql.html",
        session=session,
        query=query,
        dataset=dataset,
        recent=recent,
        variables=variables,
        rows=rows,
    )
