"""The endpoints of variables. Source: contract 4.6."""

import msgspec

from rowkeep.api.http.request import ApiRequest, page_answer, page_of
from rowkeep.api.http.routes import API, RouteTable
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.resources import table_uri, upload_uri, variable_in_list, variable_resource
from rowkeep.services.uploads import UploadView
from rowkeep.services.variables import (
    NamedVariableChanges,
    VariableChanges,
    VariablesChanges,
    VariableService,
    VariablesView,
    find_variable,
)

VARIABLES_PER_PAGE_MAX = 10_000


class VariableHandlers:
    """Variables of tables and uploads."""

    def __init__(self, variables: VariableService) -> None:
        self._variables = variables

    def table(self) -> RouteTable:
        """The routes."""
        table, upload = f"{API}/tables/{{table}}", f"{API}/tables/{{table}}/uploads/{{upload}}"
        return [
            ("GET", f"{table}/variables", self.list_of_table),
            ("PATCH", f"{table}/variables", self.update_several),
            ("GET", f"{table}/variables/{{variable}}", self.get_of_table),
            ("PATCH", f"{table}/variables/{{variable}}", self.update),
            ("PATCH", f"{API}/datasets/{{dataset}}/variables", self.update_in_dataset),
            ("GET", f"{upload}/variables", self.list_of_upload),
            ("GET", f"{upload}/variables/{{variable}}", self.get_of_upload),
        ]

    async def list_of_table(self, request: ApiRequest) -> Answer:
        """A page of a table's variables."""
        return _page(request, await self._of_table(request))

    async def get_of_table(self, request: ApiRequest) -> Answer:
        """A variable of a table."""
        return _variable(request, await self._of_table(request))

    async def _of_table(self, request: ApiRequest) -> VariablesView:
        return await self._variables.of_table(request.token_hash, request.segment("table"))

    async def list_of_upload(self, request: ApiRequest) -> Answer:
        """A page of an upload's variables."""
        return _page(request, await self._of_upload(request))

    async def get_of_upload(self, request: ApiRequest) -> Answer:
        """A variable of an upload."""
        return _variable(request, await self._of_upload(request))

    async def _of_upload(self, request: ApiRequest) -> VariablesView:
        return await self._variables.of_upload(
            request.token_hash, request.segment("table"), request.segment("upload")
        )

    async def update(self, request: ApiRequest) -> Answer:
        """Says what a variable of a table means."""
        changes = await request.json(VariableChanges)
        named = NamedVariableChanges(name=request.segment("variable"), **msgspec.structs.asdict(changes))
        view = await self._variables.update(request.token_hash, request.segment("table"), [named])
        return _variable(request, view)

    async def update_several(self, request: ApiRequest) -> Answer:
        """Says what several variables of a table mean."""
        changes = await request.json(VariablesChanges)
        await self._variables.update(request.token_hash, request.segment("table"), changes.variables)
        return ok_answer()

    async def update_in_dataset(self, request: ApiRequest) -> Answer:
        """Says what variables mean in every table of a dataset that has them."""
        changes = await request.json(VariablesChanges)
        await self._variables.update_in_dataset(
            request.token_hash, request.segment("dataset"), changes.variables
        )
        return ok_answer()


def _parent_uri(view: VariablesView) -> str:
    parent = view.parent
    return upload_uri(parent) if isinstance(parent, UploadView) else table_uri(parent)


def _page(request: ApiRequest, view: VariablesView) -> Answer:
    page = page_of(request, VARIABLES_PER_PAGE_MAX)
    type_, parent_uri = request.text("type"), _parent_uri(view)
    results = [
        variable_in_list(variable, index, parent_uri)
        for index, variable in enumerate(view.schema.variables)
        if type_ is None or variable.type == type_
    ][page.after_id : page.after_id + page.count + 1]
    return json_answer(page_answer("variableList", results, page, page.after_id + page.count))


def _variable(request: ApiRequest, view: VariablesView) -> Answer:
    index, variable = find_variable(view.schema, request.segment("variable"))
    return json_answer(variable_resource(variable, index, _parent_uri(view)))
