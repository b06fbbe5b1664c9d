"""A table: its variables, and how programs reach it."""

from rowkeep.services.tables import TableService, TableView
from rowkeep.web.answers import PageAnswer, html_answer
from rowkeep.web.places import shown_table
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import PageRoute, PageTable
from rowkeep.web.sessions import Session

LISTED_VARIABLES = 500


class TablePages:
    """Tables."""

    def __init__(self, tables: TableService) -> None:
        self._tables = tables

    def table(self) -> PageTable:
        """Returns the routes."""
        return [
            PageRoute("GET", ("tables", "*", "variables"), self.variables),
            PageRoute("GET", ("tables", "*", "use"), self.use),
        ]

    async def variables(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows the variables and their descriptions."""
        view = await self._find(request, session)
        first = request.natural("variable")
        listed = view.schema.variables[first : first + LISTED_VARIABLES]
        page = render(
            "variables.html",
            **shown_table(session, view, "variables"),
            variables=listed,
            first_variable=first,
            variable_end=first + len(listed),
            variable_count=len(view.schema.variables),
            variables_before=max(0, first - LISTED_VARIABLES),
        )
        return html_answer(page)

    async def use(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows lines of code for programs, with the names filled in."""
        view = await self._find(request, session)
        return html_answer(render("use.html", **shown_table(session, view, "use"), base_url=request.base_url))

    async def _find(self, request: PageRequest, session: Session) -> TableView:
        (reference,) = request.segments
        return await self._tables.find(session.caller, reference)
