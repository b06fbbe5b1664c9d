"""Variables of tables and uploads. Source: contract 4.6."""

from typing import Any

import msgspec

from rowkeep.api.http.parameters import PAGED, one_of
from rowkeep.api.http.request import ApiRequest, page_of, page_of_results
from rowkeep.api.http.routes import API, ASKED_ERRORS, SEEN_ERRORS, TEXT_TYPES, Facts, Route, RouteTable
from rowkeep.api.http.shapes import Count, ListShape, LocatedShape, located
from rowkeep.api.http.warnings import SHOWN_NAMES_MAX
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.places import parent_uri
from rowkeep.model.raw_files import FILE_ID
from rowkeep.model.schema import ValueLabel, Variable
from rowkeep.model.types import VariableType
from rowkeep.services.variables import (
    NamedVariableChanges,
    VariableChanges,
    VariablesChanges,
    VariableService,
    VariablesView,
    find_variable,
)

VARIABLES_PER_PAGE_MAX = 10_000
_LISTED = (*PAGED, one_of("type", list(VariableType)), one_of("isFileId", ["true", "false"]))


class VariableInList(LocatedShape, frozen=True, kw_only=True, tag_field="kind", tag="variable"):
    """A variable in a list."""

    name: str
    type: VariableType
    is_file_id: bool = False
    index: Count
    label: str | None


class VariableResource(VariableInList, frozen=True, kw_only=True):
    """A variable by itself."""

    description: str | None
    value_labels: tuple[ValueLabel, ...]


class VariableList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="variableList"):
    """A page of the variables of a table or an upload."""

    results: list[VariableInList]


def variable_in_list(variable: Variable, index: int, parent: str) -> dict[str, Any]:
    """Returns the fields of a variable in a list of the resource at a path."""
    return {
        **located(f"{parent}/variables/{variable.name}"),
        "name": variable.name,
        "type": variable.type,
        "index": index,
        "label": variable.label,
    }


class VariableHandlers:
    """Variables of tables and uploads."""

    def __init__(self, variables: VariableService) -> None:
        self._variables = variables

    def table(self) -> RouteTable:
        """Returns the routes."""
        table = f"{API}/tables/{{table}}/variables"
        upload = f"{API}/tables/{{table}}/uploads/{{upload}}/variables"
        dataset = f"{API}/datasets/{{dataset}}/variables"
        changing: Facts = {
            "errors": ASKED_ERRORS,
            "body": VariablesChanges,
            "media_types": TEXT_TYPES,
        }
        one = f"{table}/{{variable}}"
        return [
            Route("GET", table, self.list_of_table, VariableList, ASKED_ERRORS, _LISTED),
            Route("PATCH", table, self.update_several, **changing),
            Route("GET", one, self.get_of_table, VariableResource, SEEN_ERRORS),
            Route("PATCH", one, self.update, VariableResource, ASKED_ERRORS, body=VariableChanges),
            Route("PATCH", dataset, self.update_in_dataset, **changing),
            Route("GET", upload, self.list_of_upload, VariableList, ASKED_ERRORS, _LISTED),
            Route("GET", f"{upload}/{{variable}}", self.get_of_upload, VariableResource, SEEN_ERRORS),
        ]

    async def list_of_table(self, request: ApiRequest) -> Answer:
        """A page of a table's variables."""
        return _page(request, await self._of_table(request))

    async def get_of_table(self, request: ApiRequest) -> Answer:
        """A variable of a table."""
        return _variable(request, await self._of_table(request))

    async def _of_table(self, request: ApiRequest) -> VariablesView:
        return await self._variables.of_table(request.caller, request.segment("table"))

    async def list_of_upload(self, request: ApiRequest) -> Answer:
        """A page of an upload's variables."""
        return _page(request, await self._of_upload(request))

    async def get_of_upload(self, request: ApiRequest) -> Answer:
        """A variable of an upload."""
        return _variable(request, await self._of_upload(request))

    async def _of_upload(self, request: ApiRequest) -> VariablesView:
        return await self._variables.of_upload(
            request.caller, request.segment("table"), request.segment("upload")
        )

    async def update(self, request: ApiRequest) -> Answer:
        """Says what a variable of a table means."""
        changes = await request.json(VariableChanges)
        named = NamedVariableChanges(name=request.segment("variable"), **msgspec.structs.asdict(changes))
        view = await self._variables.update(request.caller, request.segment("table"), [named])
        return _variable(request, view)

    async def update_several(self, request: ApiRequest) -> Answer:
        """Says what several variables of a table mean."""
        changes = await request.json(VariablesChanges)
        await self._variables.update(request.caller, request.segment("table"), changes.variables)
        _warn_of_nothing(request, changes)
        return ok_answer()

    async def update_in_dataset(self, request: ApiRequest) -> Answer:
        """Says what variables mean in every table of a dataset that has them."""
        changes = await request.json(VariablesChanges)
        await self._variables.update_in_dataset(request.caller, request.segment("dataset"), changes.variables)
        _warn_of_nothing(request, changes)
        return ok_answer()


def _warn_of_nothing(request: ApiRequest, changes: VariablesChanges) -> None:
    """Warns of variables for which the request changes nothing."""
    nothing = VariableChanges()
    idle = [
        change.name
        for change in changes.variables
        if all(getattr(change, name) is getattr(nothing, name) for name in nothing.__struct_fields__)
    ]
    if idle:
        shown = ", ".join(idle[:SHOWN_NAMES_MAX])
        request.warnings.append(
            f"Nothing was changed of {len(idle)} variables ({shown}): say label, description or valueLabels."
        )


def _page(request: ApiRequest, view: VariablesView) -> Answer:
    page = page_of(request, VARIABLES_PER_PAGE_MAX)
    type_, parent = request.text("type"), parent_uri(view.parent)
    only_file_ids = (request.text("isFileId") or "").lower() == "true"  # Python writes True
    results = [
        VariableInList(**variable_in_list(variable, index, parent), is_file_id=_is_file_id(view, variable))
        for index, variable in enumerate(view.schema.variables)
        if (type_ is None or variable.type == type_) and (not only_file_ids or _is_file_id(view, variable))
    ][page.after_id : page.after_id + page.count + 1]
    return json_answer(page_of_results(VariableList, results, page, page.after_id + page.count))


def variable_resource(
    variable: Variable, index: int, parent: str, *, is_file_id: bool = False
) -> VariableResource:
    """Returns what is shown of a variable of the table or upload at a path."""
    return VariableResource(
        **variable_in_list(variable, index, parent),
        is_file_id=is_file_id,
        description=variable.description,
        value_labels=variable.value_labels,
    )


def _is_file_id(view: VariablesView, variable: Variable) -> bool:
    return view.parent.table.is_file_index and variable.name == FILE_ID


def _variable(request: ApiRequest, view: VariablesView) -> Answer:
    index, variable = find_variable(view.schema, request.segment("variable"))
    is_file_id = _is_file_id(view, variable)
    return json_answer(variable_resource(variable, index, parent_uri(view.parent), is_file_id=is_file_id))
