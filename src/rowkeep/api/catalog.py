"""The endpoints of users, organizations, datasets, tables, uploads and variables. Source: contract 4."""

from typing import Any

from rowkeep.api.request import ApiRequest, page_answer, page_of
from rowkeep.api.resources import (
    dataset_in_list,
    dataset_resource,
    owner_resource,
    table_in_list,
    table_resource,
    table_uri,
    upload_resource,
    upload_uri,
    variable_in_list,
    variable_resource,
)
from rowkeep.api.routes import API, RouteTable
from rowkeep.api.wire import Answer, json_answer, ok_answer
from rowkeep.model.errors import not_found
from rowkeep.model.resources import Owner, OwnerKind
from rowkeep.model.schema import Schema
from rowkeep.services.datasets import DatasetDraft, DatasetService
from rowkeep.services.tables import TableDraft, TableService
from rowkeep.services.uploads import UploadDraft, UploadService

VARIABLES_PER_PAGE_MAX = 10_000


class DatasetHandlers:
    """Users, organizations and their datasets."""

    def __init__(self, datasets: DatasetService) -> None:
        self._datasets = datasets

    def table(self) -> RouteTable:
        """The routes."""
        return [
            ("GET", f"{API}/users/me", self.who_am_i),
            ("GET", f"{API}/users/{{owner}}/datasets", self.list_of_user),
            ("POST", f"{API}/users/{{owner}}/datasets", self.create_for_user),
            ("GET", f"{API}/organizations/{{owner}}/datasets", self.list_of_organization),
            ("POST", f"{API}/organizations/{{owner}}/datasets", self.create_for_organization),
            ("GET", f"{API}/datasets/{{dataset}}", self.get),
            ("DELETE", f"{API}/datasets/{{dataset}}", self.delete),
        ]

    async def who_am_i(self, request: ApiRequest) -> Answer:
        """The user that the token belongs to."""
        principal = await self._datasets.principal(request.token_hash)
        return json_answer(
            owner_resource(Owner(principal.user_id or 0, OwnerKind.USER, principal.user_name or ""))
        )

    async def list_of_user(self, request: ApiRequest) -> Answer:
        """A page of a user's datasets."""
        return await self._list(request, OwnerKind.USER)

    async def list_of_organization(self, request: ApiRequest) -> Answer:
        """A page of an organization's datasets."""
        return await self._list(request, OwnerKind.ORGANIZATION)

    async def _list(self, request: ApiRequest, kind: OwnerKind) -> Answer:
        page = page_of(request)
        datasets = await self._datasets.page(
            request.token_hash, kind, request.segment("owner"), page.after_id, page.count + 1
        )
        results = [dataset_in_list(dataset) for dataset in datasets]
        last_id = datasets[: page.count][-1].id if datasets[: page.count] else page.after_id
        return json_answer(page_answer("datasetList", results, page, last_id))

    async def create_for_user(self, request: ApiRequest) -> Answer:
        """Creates a dataset of a user."""
        return await self._create(request, OwnerKind.USER)

    async def create_for_organization(self, request: ApiRequest) -> Answer:
        """Creates a dataset of an organization."""
        return await self._create(request, OwnerKind.ORGANIZATION)

    async def _create(self, request: ApiRequest, kind: OwnerKind) -> Answer:
        draft = await request.json(DatasetDraft)
        dataset = await self._datasets.create(request.token_hash, kind, request.segment("owner"), draft)
        return json_answer(dataset_resource(dataset), 201)

    async def get(self, request: ApiRequest) -> Answer:
        """A dataset."""
        dataset = await self._datasets.find(request.token_hash, request.segment("dataset"))
        return json_answer(dataset_resource(dataset))

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes a dataset."""
        await self._datasets.delete(request.token_hash, request.segment("dataset"))
        return ok_answer()


class TableHandlers:
    """Tables and their variables."""

    def __init__(self, tables: TableService) -> None:
        self._tables = tables

    def table(self) -> RouteTable:
        """The routes."""
        return [
            ("GET", f"{API}/datasets/{{dataset}}/tables", self.list),
            ("POST", f"{API}/datasets/{{dataset}}/tables", self.create),
            ("GET", f"{API}/tables/{{table}}", self.get),
            ("DELETE", f"{API}/tables/{{table}}", self.delete),
            ("GET", f"{API}/tables/{{table}}/variables", self.list_variables),
            ("GET", f"{API}/tables/{{table}}/variables/{{variable}}", self.get_variable),
        ]

    async def list(self, request: ApiRequest) -> Answer:
        """A page of a dataset's tables."""
        page = page_of(request)
        views = await self._tables.page(
            request.token_hash, request.segment("dataset"), page.after_id, page.count + 1
        )
        results = [table_in_list(view) for view in views]
        last_id = views[: page.count][-1].table.id if views[: page.count] else page.after_id
        return json_answer(page_answer("tableList", results, page, last_id))

    async def create(self, request: ApiRequest) -> Answer:
        """Creates a table."""
        draft = await request.json(TableDraft)
        view = await self._tables.create(request.token_hash, request.segment("dataset"), draft)
        return json_answer(table_resource(view), 201)

    async def get(self, request: ApiRequest) -> Answer:
        """A table."""
        return json_answer(
            table_resource(await self._tables.find(request.token_hash, request.segment("table")))
        )

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes a table."""
        await self._tables.delete(request.token_hash, request.segment("table"))
        return ok_answer()

    async def list_variables(self, request: ApiRequest) -> Answer:
        """A page of a table's variables."""
        view = await self._tables.find(request.token_hash, request.segment("table"))
        return json_answer(_variable_page(request, view.schema, table_uri(view)))

    async def get_variable(self, request: ApiRequest) -> Answer:
        """A variable of a table."""
        view = await self._tables.find(request.token_hash, request.segment("table"))
        return json_answer(_variable(request, view.schema, table_uri(view)))


class UploadHandlers:
    """Uploads and their variables."""

    def __init__(self, uploads: UploadService) -> None:
        self._uploads = uploads

    def table(self) -> RouteTable:
        """The routes."""
        uploads = f"{API}/tables/{{table}}/uploads"
        return [
            ("GET", uploads, self.list),
            ("POST", uploads, self.create),
            ("GET", f"{uploads}/{{upload}}", self.get),
            ("DELETE", f"{uploads}/{{upload}}", self.delete),
            ("GET", f"{uploads}/{{upload}}/variables", self.list_variables),
            ("GET", f"{uploads}/{{upload}}/variables/{{variable}}", self.get_variable),
        ]

    async def list(self, request: ApiRequest) -> Answer:
        """A page of a table's uploads."""
        page = page_of(request)
        views = await self._uploads.page(
            request.token_hash, request.segment("table"), page.after_id, page.count + 1
        )
        results = [upload_resource(view) for view in views]
        last_id = views[: page.count][-1].upload.id if views[: page.count] else page.after_id
        return json_answer(page_answer("uploadList", results, page, last_id))

    async def create(self, request: ApiRequest) -> Answer:
        """Creates an upload."""
        draft = await request.json(UploadDraft)
        view = await self._uploads.create(request.token_hash, request.segment("table"), draft)
        return json_answer(upload_resource(view), 201)

    async def get(self, request: ApiRequest) -> Answer:
        """An upload."""
        view = await self._uploads.find(
            request.token_hash, request.segment("table"), request.segment("upload")
        )
        return json_answer(upload_resource(view))

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes an upload."""
        await self._uploads.delete(request.token_hash, request.segment("table"), request.segment("upload"))
        return ok_answer()

    async def list_variables(self, request: ApiRequest) -> Answer:
        """A page of an upload's variables."""
        view = await self._uploads.find(
            request.token_hash, request.segment("table"), request.segment("upload")
        )
        return json_answer(_variable_page(request, view.upload.schema, upload_uri(view)))

    async def get_variable(self, request: ApiRequest) -> Answer:
        """A variable of an upload."""
        view = await self._uploads.find(
            request.token_hash, request.segment("table"), request.segment("upload")
        )
        return json_answer(_variable(request, view.upload.schema, upload_uri(view)))


def _variable_page(request: ApiRequest, schema: Schema, parent_uri: str) -> dict[str, Any]:
    page = page_of(request, VARIABLES_PER_PAGE_MAX)
    type_ = request.text("type")
    results = [
        variable_in_list(variable, index, parent_uri)
        for index, variable in enumerate(schema.variables)
        if type_ is None or variable.type == type_
    ][page.after_id : page.after_id + page.count + 1]
    return page_answer("variableList", results, page, page.after_id + page.count)


def _variable(request: ApiRequest, schema: Schema, parent_uri: str) -> dict[str, Any]:
    name = request.segment("variable")
    index = schema.position_by_key().get(name.lower())
    if index is None:
        raise not_found(f"There is no variable {name}.")
    return variable_resource(schema.variables[index], index, parent_uri)
