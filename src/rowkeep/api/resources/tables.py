"""The endpoints of tables. Source: contract 4.4."""

from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import API, RouteTable
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.resources import table_in_list, table_resource
from rowkeep.services.tables import TableChanges, TableDraft, TableService


class TableHandlers:
    """Tables."""

    def __init__(self, tables: TableService) -> None:
        self._tables = tables

    def table(self) -> RouteTable:
        """The routes."""
        return [
            ("GET", f"{API}/datasets/{{dataset}}/tables", self.list),
            ("POST", f"{API}/datasets/{{dataset}}/tables", self.create),
            ("GET", f"{API}/tables/{{table}}", self.get),
            ("PATCH", f"{API}/tables/{{table}}", self.update),
            ("DELETE", f"{API}/tables/{{table}}", self.delete),
        ]

    async def list(self, request: ApiRequest) -> Answer:
        """A page of a dataset's tables."""
        page = page_of(request)
        views = await self._tables.page(
            request.token_hash, request.segment("dataset"), page.after_id, page.count + 1
        )
        return listed("tableList", views, page, table_in_list, lambda view: view.table.id)

    async def create(self, request: ApiRequest) -> Answer:
        """Creates a table."""
        draft = await request.json(TableDraft)
        view = await self._tables.create(request.token_hash, request.segment("dataset"), draft)
        return json_answer(table_resource(view), 201)

    async def get(self, request: ApiRequest) -> Answer:
        """A table."""
        view = await self._tables.find(request.token_hash, request.segment("table"))
        return json_answer(table_resource(view))

    async def update(self, request: ApiRequest) -> Answer:
        """Changes what is said of a table."""
        changes = await request.json(TableChanges)
        view = await self._tables.update(request.token_hash, request.segment("table"), changes)
        return json_answer(table_resource(view))

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes a table."""
        await self._tables.delete(request.token_hash, request.segment("table"))
        return ok_answer()
