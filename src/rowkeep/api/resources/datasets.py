"""Datasets. Source: contract 4.2."""

from typing import Annotated, Any

import msgspec

from rowkeep.api.http.parameters import LABELS, PAGED
from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import (
    API,
    ASKED_ERRORS,
    OWNER_ERRORS,
    SEEN_ERRORS,
    TEXT_TYPES,
    Facts,
    Route,
    RouteTable,
)
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
from rowkeep.api.resources.owners import OwnerResource, owner_resource
from rowkeep.api.resources.places import dataset_uri, qualified_dataset_reference, scoped_dataset_reference
from rowkeep.api.resources.versions import VersionBase, version_base, version_or_none
from rowkeep.model.references import reference_id
from rowkeep.model.resources import OwnerKind
from rowkeep.services.access import Place
from rowkeep.services.datasets import DatasetChanges, DatasetDraft, DatasetService, DatasetView


class DatasetBase(ReferencedShape, frozen=True, kw_only=True, tag_field="kind", tag="dataset"):
    """The fields of every mention of a dataset."""

    name: str
    doi: None = None
    owner: OwnerResource


class DatasetInList(DatasetBase, frozen=True, kw_only=True):
    """A dataset in a list. Labels are shown to its editors alone."""

    description: str | None
    labels: tuple[str, ...]
    access_level: LevelName
    scoped_access_level: LevelName
    public_access_level: PublicLevelName
    created_at: Time
    updated_at: Time
    table_count: Count
    num_bytes: Count
    total_num_bytes: Count
    total_active_tabular_bytes: Count
    total_inactive_tabular_bytes: Count
    total_raw_file_bytes: Count
    temporal_range: None = None
    temporal_precision: None = None
    geo_bbox: None = msgspec.field(default=None, name="geoBBox")
    sample_configuration: None = None


class DatasetResource(DatasetInList, frozen=True, kw_only=True):
    """A dataset by itself. A dataset that was never released is its own next version (contract 7.16)."""

    methodology_markdown: str | None
    usage_markdown: str | None
    contact_info: None = None
    links: Annotated[tuple[str, ...], msgspec.Meta(max_length=0)] = ()
    tags: tuple[str, ...]
    version: VersionBase
    next_version: VersionBase | None
    previous_version: VersionBase | None


class DatasetList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="datasetList"):
    """A page of the datasets of an owner."""

    results: list[DatasetInList]


def dataset_base(place: Place) -> DatasetBase:
    """Returns what every mention of a dataset holds."""
    return DatasetBase(**_base(place))


def dataset_in_list(view: DatasetView) -> DatasetInList:
    """Returns what a list shows of a dataset."""
    return DatasetInList(**_in_list(view))


def dataset_resource(view: DatasetView) -> DatasetResource:
    """Returns what is shown of a dataset."""
    dataset = view.place.dataset
    return DatasetResource(
        **_in_list(view),
        methodology_markdown=dataset.methodology_markdown,
        usage_markdown=dataset.usage_markdown,
        tags=tuple(dataset.tags),
        version=version_base(dataset, view.place.version),
        next_version=version_or_none(dataset, view.next_version),
        previous_version=version_or_none(dataset, view.previous_version),
    )


def _base(place: Place) -> dict[str, Any]:
    dataset, version = place.dataset, place.version
    return {
        **located(dataset_uri(dataset, version)),
        "id": dataset.identifier,
        "qualified_reference": qualified_dataset_reference(dataset, version),
        "scoped_reference": scoped_dataset_reference(dataset, version),
        "reference_id": reference_id(dataset.identifier),
        "name": dataset.name,
        "owner": owner_resource(dataset.owner),
    }


def _in_list(view: DatasetView) -> dict[str, Any]:
    place, sizes = view.place, view.sizes
    dataset = place.dataset
    total = sizes.dataset_byte_count if place.is_editable else sizes.byte_count
    return {
        **_base(place),
        "description": dataset.description,
        "labels": tuple(dataset.labels) if place.is_editable else (),
        "access_level": place.level.wire_name,
        "scoped_access_level": place.scoped_level.wire_name,
        "public_access_level": dataset.public_access_level.wire_name,
        "created_at": dataset.created_at,
        "updated_at": dataset.updated_at,
        "table_count": sizes.table_count,
        "num_bytes": sizes.byte_count,
        "total_num_bytes": total,
        "total_active_tabular_bytes": sizes.byte_count,
        "total_inactive_tabular_bytes": total - sizes.byte_count,
        "total_raw_file_bytes": 0,
    }


class DatasetHandlers:
    """Datasets."""

    def __init__(self, datasets: DatasetService) -> None:
        self._datasets = datasets

    def table(self) -> RouteTable:
        """Returns the routes. Documentation prints POST for a change, and the JavaScript client sends it."""
        of_user = f"{API}/users/{{owner}}/datasets"
        of_organization = f"{API}/organizations/{{owner}}/datasets"
        dataset = f"{API}/datasets/{{dataset}}"
        listing: Facts = {"answer": DatasetList, "errors": (400, *OWNER_ERRORS), "query": (*PAGED, LABELS)}
        of_one: Facts = {"answer": DatasetResource, "errors": ASKED_ERRORS}
        creating, changing = (
            {**of_one, "body": DatasetDraft, "status": 201},
            {**of_one, "body": DatasetChanges},
        )
        return [
            Route("GET", of_user, self.list_of_user, **listing),
            Route("POST", of_user, self.create_for_user, **creating),
            Route("GET", of_organization, self.list_of_organization, **listing),
            Route("POST", of_organization, self.create_for_organization, **creating),
            Route("GET", dataset, self.get, DatasetResource, SEEN_ERRORS),
            Route("PATCH", dataset, self.update, **changing),
            Route("POST", dataset, self.update_by_post, **changing),
            Route("DELETE", dataset, self.delete, errors=SEEN_ERRORS, media_types=TEXT_TYPES),
        ]

    async def list_of_user(self, request: ApiRequest) -> Answer:
        """A page of a user's datasets."""
        return await self._list(request, OwnerKind.USER)

    async def list_of_organization(self, request: ApiRequest) -> Answer:
        """A page of an organization's datasets."""
        return await self._list(request, OwnerKind.ORGANIZATION)

    async def _list(self, request: ApiRequest, kind: OwnerKind) -> Answer:
        page = page_of(request)
        views = await self._datasets.page(
            request.caller,
            kind,
            request.segment("owner"),
            page.after_id,
            page.count + 1,
            request.names("labels"),
        )
        return listed(DatasetList, views, page, dataset_in_list, lambda view: view.place.dataset.id)

    async def create_for_user(self, request: ApiRequest) -> Answer:
        """Creates a dataset of a user."""
        return await self._create(request, OwnerKind.USER)

    async def create_for_organization(self, request: ApiRequest) -> Answer:
        """Creates a dataset of an organization."""
        return await self._create(request, OwnerKind.ORGANIZATION)

    async def _create(self, request: ApiRequest, kind: OwnerKind) -> Answer:
        draft = await request.json(DatasetDraft)
        view = await self._datasets.create(request.caller, kind, request.segment("owner"), draft)
        return json_answer(dataset_resource(view), 201)

    async def get(self, request: ApiRequest) -> Answer:
        """A dataset."""
        view = await self._datasets.find(request.caller, request.segment("dataset"))
        return json_answer(dataset_resource(view))

    async def update(self, request: ApiRequest) -> Answer:
        """Changes what is said of a dataset."""
        changes = await request.json(DatasetChanges)
        view = await self._datasets.update(request.caller, request.segment("dataset"), changes)
        return json_answer(dataset_resource(view))

    async def update_by_post(self, request: ApiRequest) -> Answer:
        """Changes a dataset, as PATCH does."""
        return await self.update(request)

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes a dataset."""
        await self._datasets.delete(request.caller, request.segment("dataset"))
        return ok_answer()
