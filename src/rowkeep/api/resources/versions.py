"""The endpoints of versions. Source: contract 4.3."""

from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import API, RouteTable
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.api.resources.resources import version_in_list, version_resource
from rowkeep.services.versions import ReleaseDraft, VersionChanges, VersionService


class VersionHandlers:
    """Versions of a dataset. A version's own path answers every change with the version."""

    def __init__(self, versions: VersionService) -> None:
        self._versions = versions

    def table(self) -> RouteTable:
        """The routes."""
        versions = f"{API}/datasets/{{dataset}}/versions"
        return [
            ("GET", versions, self.list),
            ("POST", versions, self.create),
            ("GET", f"{versions}/{{version}}", self.get),
            ("PATCH", f"{versions}/{{version}}", self.update),
            ("DELETE", f"{versions}/{{version}}", self.delete),
            ("POST", f"{versions}/{{version}}/undelete", self.undelete),
            ("POST", f"{versions}/{{version}}/release", self.release),
            ("POST", f"{versions}/{{version}}/unrelease", self.unrelease),
        ]

    async def list(self, request: ApiRequest) -> Answer:
        """A page of a dataset's versions."""
        page = page_of(request)
        views = await self._versions.page(
            request.token_hash, request.segment("dataset"), page.after_id, page.count + 1
        )
        return listed("versionList", views, page, version_in_list, lambda view: view.version.id)

    async def create(self, request: ApiRequest) -> Answer:
        """Creates the next version."""
        view = await self._versions.create(request.token_hash, request.segment("dataset"))
        return json_answer(version_resource(view), 201)

    async def get(self, request: ApiRequest) -> Answer:
        """A version: by its tag, `current` or `next`."""
        view = await self._versions.find(request.token_hash, *_path(request))
        return json_answer(version_resource(view))

    async def update(self, request: ApiRequest) -> Answer:
        """Changes a version's label and release notes."""
        changes = await request.json(VersionChanges)
        view = await self._versions.update(request.token_hash, *_path(request), changes)
        return json_answer(version_resource(view))

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes a version; a released one can be undeleted."""
        view = await self._versions.delete(request.token_hash, *_path(request))
        return json_answer(version_resource(view))

    async def undelete(self, request: ApiRequest) -> Answer:
        """Brings a deleted version back."""
        view = await self._versions.undelete(request.token_hash, *_path(request))
        return json_answer(version_resource(view))

    async def release(self, request: ApiRequest) -> Answer:
        """Releases the next version: it becomes current and does not change any more."""
        draft = await request.json(ReleaseDraft)
        view = await self._versions.release(request.token_hash, *_path(request), draft)
        return json_answer(version_resource(view))

    async def unrelease(self, request: ApiRequest) -> Answer:
        """Makes the current version the next one again."""
        view = await self._versions.unrelease(request.token_hash, *_path(request))
        return json_answer(version_resource(view))


def _path(request: ApiRequest) -> tuple[str, str]:
    return request.segment("dataset"), request.segment("version")
