"""The endpoints of datasets and of the access granted to them. Source: contract 4.2, 2.3."""

from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import API, RouteTable
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.resources import dataset_in_list, dataset_resource, grant_resource
from rowkeep.model.resources import OwnerKind
from rowkeep.services.datasets import DatasetChanges, DatasetDraft, DatasetService
from rowkeep.services.grants import GrantDraft, GrantService


class DatasetHandlers:
    """Datasets."""

    def __init__(self, datasets: DatasetService) -> None:
        self._datasets = datasets

    def table(self) -> RouteTable:
        """The routes. Documentation prints POST for a change, and the JavaScript client sends it."""
        return [
            ("GET", f"{API}/users/{{owner}}/datasets", self.list_of_user),
            ("POST", f"{API}/users/{{owner}}/datasets", self.create_for_user),
            ("GET", f"{API}/organizations/{{owner}}/datasets", self.list_of_organization),
            ("POST", f"{API}/organizations/{{owner}}/datasets", self.create_for_organization),
            ("GET", f"{API}/datasets/{{dataset}}", self.get),
            ("PATCH", f"{API}/datasets/{{dataset}}", self.update),
            ("POST", f"{API}/datasets/{{dataset}}", self.update_by_post),
            ("DELETE", f"{API}/datasets/{{dataset}}", self.delete),
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
            request.token_hash, kind, request.segment("owner"), page.after_id, page.count + 1
        )
        return listed("datasetList", views, page, dataset_in_list, lambda view: view.place.dataset.id)

    async def create_for_user(self, request: ApiRequest) -> Answer:
        """Creates a dataset of a user."""
        return await self._create(request, OwnerKind.USER)

    async def create_for_organization(self, request: ApiRequest) -> Answer:
        """Creates a dataset of an organization."""
        return await self._create(request, OwnerKind.ORGANIZATION)

    async def _create(self, request: ApiRequest, kind: OwnerKind) -> Answer:
        draft = await request.json(DatasetDraft)
        view = await self._datasets.create(request.token_hash, kind, request.segment("owner"), draft)
        return json_answer(dataset_resource(view), 201)

    async def get(self, request: ApiRequest) -> Answer:
        """A dataset."""
        view = await self._datasets.find(request.token_hash, request.segment("dataset"))
        return json_answer(dataset_resource(view))

    async def update(self, request: ApiRequest) -> Answer:
        """Changes what is said of a dataset."""
        changes = await request.json(DatasetChanges)
        view = await self._datasets.update(request.token_hash, request.segment("dataset"), changes)
        return json_answer(dataset_resource(view))

    async def update_by_post(self, request: ApiRequest) -> Answer:
        """The same as PATCH."""
        return await self.update(request)

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes a dataset."""
        await self._datasets.delete(request.token_hash, request.segment("dataset"))
        return ok_answer()


class GrantHandlers:
    """Who has access to a dataset besides its owner."""

    def __init__(self, grants: GrantService) -> None:
        self._grants = grants

    def table(self) -> RouteTable:
        """The routes."""
        access = f"{API}/datasets/{{dataset}}/access"
        return [
            ("GET", access, self.list),
            ("GET", f"{access}/{{grantee}}", self.get),
            ("PUT", f"{access}/{{grantee}}", self.set),
            ("DELETE", f"{access}/{{grantee}}", self.delete),
        ]

    async def list(self, request: ApiRequest) -> Answer:
        """A page of the access granted to a dataset."""
        page = page_of(request)
        views = await self._grants.page(
            request.token_hash, request.segment("dataset"), page.after_id, page.count + 1
        )
        return listed("accessGrantList", views, page, grant_resource, lambda view: view.grant.id)

    async def get(self, request: ApiRequest) -> Answer:
        """What a user or an organization was granted."""
        view = await self._grants.find(
            request.token_hash, request.segment("dataset"), request.segment("grantee")
        )
        return json_answer(grant_resource(view))

    async def set(self, request: ApiRequest) -> Answer:
        """Grants a user, or everyone in an organization, access to a dataset."""
        draft = await request.json(GrantDraft)
        view = await self._grants.set(
            request.token_hash, request.segment("dataset"), request.segment("grantee"), draft
        )
        return json_answer(grant_resource(view))

    async def delete(self, request: ApiRequest) -> Answer:
        """Takes a grant back."""
        await self._grants.delete(request.token_hash, request.segment("dataset"), request.segment("grantee"))
        return ok_answer()
