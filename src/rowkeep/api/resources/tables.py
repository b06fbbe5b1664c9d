"""Tables. Source: contract 4.4."""

from typing import Annotated, Any

import msgspec

from rowkeep.api.http.parameters import PAGED
from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import API, ASKED_ERRORS, SEEN_ERRORS, TEXT_TYPES, Route, RouteTable
from rowkeep.api.http.shapes import (
    Count,
    LevelName,
    ListShape,
    PublicLevelName,
    ReferencedShape,
    Time,
    located,
)
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.datasets import DatasetBase, dataset_base
from rowkeep.api.resources.places import qualified_table_reference, scoped_table_reference, table_uri
from rowkeep.model.references import reference_id
from rowkeep.model.resources import MergeStrategy
from rowkeep.services.tables import TableChanges, TableDraft, TableService, TableView

ContentHash = Annotated[
    str, msgspec.Meta(pattern="^[0-9a-f]{32}$", description="Changes when the content does.")
]


class TableInList(ReferencedShape, frozen=True, kw_only=True, tag_field="kind", tag="table"):
    """A table in a list."""

    name: str
    hash: ContentHash
    is_sample: bool = False
    is_file_index: bool
    created_at: Time
    updated_at: Time
    description: str | None
    num_rows: Count
    num_bytes: Count
    upload_merge_strategy: MergeStrategy
    variable_count: Count


class TableResource(TableInList, frozen=True, kw_only=True):
    """A table by itself."""

    can_download: bool
    entity: None = None
    temporal_range: None = None
    temporal_precision: None = None
    geo_bbox: None = msgspec.field(default=None, name="geoBBox")
    public_access_level: PublicLevelName
    access_level: LevelName
    container: DatasetBase


class TableList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="tableList"):
    """A page of the tables of a dataset."""

    results: list[TableInList]


def table_in_list(view: TableView) -> TableInList:
    """Returns what a list shows of a table."""
    return TableInList(**_in_list(view))


def table_resource(view: TableView) -> TableResource:
    """Returns what is shown of a table."""
    place = view.place
    return TableResource(
        **_in_list(view),
        can_download=place.scoped_level.wire_name in ("data", "edit"),
        public_access_level=place.dataset.public_access_level.wire_name,
        access_level=place.level.wire_name,
        container=dataset_base(place),
    )


def _in_list(view: TableView) -> dict[str, Any]:
    table = view.table
    return {
        **located(table_uri(view)),
        "id": table.identifier,
        "qualified_reference": qualified_table_reference(view),
        "scoped_reference": scoped_table_reference(view),
        "reference_id": reference_id(table.identifier),
        "name": table.name,
        "hash": view.content.hash,
        "is_file_index": table.is_file_index,
        "created_at": table.created_at,
        "updated_at": table.updated_at,
        "description": table.description,
        "num_rows": view.content.row_count,
        "num_bytes": view.content.byte_count,
        "upload_merge_strategy": table.upload_merge_strategy,
        "variable_count": len(view.schema.variables),
    }


class TableHandlers:
    """Tables."""

    def __init__(self, tables: TableService) -> None:
        self._tables = tables

    def table(self) -> RouteTable:
        """Returns the routes."""
        tables, table = f"{API}/datasets/{{dataset}}/tables", f"{API}/tables/{{table}}"
        return [
            Route("GET", tables, self.list, TableList, ASKED_ERRORS, PAGED),
            Route("POST", tables, self.create, TableResource, ASKED_ERRORS, body=TableDraft, status=201),
            Route("GET", table, self.get, TableResource, SEEN_ERRORS),
            Route("PATCH", table, self.update, TableResource, ASKED_ERRORS, body=TableChanges),
            Route("DELETE", table, self.delete, errors=ASKED_ERRORS, media_types=TEXT_TYPES),
        ]

    async def list(self, request: ApiRequest) -> Answer:
        """A page of a dataset's tables."""
        page = page_of(request)
        views = await self._tables.page(
            request.caller, request.segment("dataset"), page.after_id, page.count + 1
        )
        return listed(TableList, views, page, table_in_list, lambda view: view.table.id)

    async def create(self, request: ApiRequest) -> Answer:
        """Creates a table."""
        draft = await request.json(TableDraft)
        view = await self._tables.create(request.caller, request.segment("dataset"), draft)
        return json_answer(table_resource(view), 201)

    async def get(self, request: ApiRequest) -> Answer:
        """A table."""
        view = await self._tables.find(request.caller, request.segment("table"))
        return json_answer(table_resource(view))

    async def update(self, request: ApiRequest) -> Answer:
        """Changes what is said of a table."""
        changes = await request.json(TableChanges)
        view = await self._tables.update(request.caller, request.segment("table"), changes)
        return json_answer(table_resource(view))

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes a table."""
        await self._tables.delete(request.caller, request.segment("table"))
        return ok_answer()
