"""Versions of a dataset. Source: contract 4.3."""

from typing import Annotated, Any, Literal

import msgspec

from rowkeep.api.http.parameters import PAGED
from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import API, ASKED_ERRORS, SEEN_ERRORS, Route, RouteTable
from rowkeep.api.http.shapes import Count, ListShape, LocatedShape, Time, located
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.api.resources.places import dataset_uri, unversioned_uri
from rowkeep.model.resources import Dataset, Version
from rowkeep.services.versions import ReleaseDraft, VersionChanges, VersionService, VersionView

_Tag = Annotated[str, msgspec.Meta(pattern=r"^(next|v\d+\.\d+)$")]


class VersionBase(LocatedShape, frozen=True, kw_only=True, tag_field="kind", tag="version"):
    """The fields of every mention of a version."""

    tag: _Tag
    index: Count
    label: str | None
    dataset_uri: str
    is_released: bool
    is_deleted: bool


class VersionInList(VersionBase, frozen=True, kw_only=True):
    """A version in a list."""

    created_at: Time
    updated_at: Time
    released_at: Time | None


class VersionResource(VersionInList, frozen=True, kw_only=True):
    """A version by itself."""

    release_notes: str | None
    can_release: bool
    status: Literal["completed"] | None
    release_error_message: None = None
    previous_version: VersionBase | None
    next_version: VersionBase | None


class VersionList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="versionList"):
    """A page of the versions of a dataset."""

    results: list[VersionInList]


def version_base(dataset: Dataset, version: Version) -> VersionBase:
    """Returns what every mention of a version holds."""
    return VersionBase(**_base(dataset, version))


def version_or_none(dataset: Dataset, version: Version | None) -> VersionBase | None:
    """Returns the version before or after another as a mention, or None."""
    return None if version is None else version_base(dataset, version)


def version_in_list(view: VersionView) -> VersionInList:
    """Returns what a list shows of a version."""
    return VersionInList(**_in_list(view))


def version_resource(view: VersionView) -> VersionResource:
    """Returns what is shown of a version."""
    dataset, version = view.place.dataset, view.version
    return VersionResource(
        **_in_list(view),
        release_notes=version.release_notes,
        can_release=view.can_release,
        status="completed" if version.is_released else None,
        previous_version=version_or_none(dataset, view.previous_version),
        next_version=version_or_none(dataset, view.next_version),
    )


def _base(dataset: Dataset, version: Version) -> dict[str, Any]:
    return {
        **located(f"{unversioned_uri(dataset)}/versions/{version.tag}"),
        "tag": version.tag,
        "index": version.position,
        "label": version.label,
        "dataset_uri": dataset_uri(dataset, version),
        "is_released": version.is_released,
        "is_deleted": version.is_deleted,
    }


def _in_list(view: VersionView) -> dict[str, Any]:
    version = view.version
    return {
        **_base(view.place.dataset, version),
        "created_at": version.created_at,
        "updated_at": version.updated_at,
        "released_at": version.released_at,
    }


class VersionHandlers:
    """Versions of a dataset. A version's own path answers every change with the version."""

    def __init__(self, versions: VersionService) -> None:
        self._versions = versions

    def table(self) -> RouteTable:
        """Returns the routes."""
        versions = f"{API}/datasets/{{dataset}}/versions"
        version = f"{versions}/{{version}}"
        return [
            Route("GET", versions, self.list, VersionList, ASKED_ERRORS, PAGED),
            Route("POST", versions, self.create, VersionResource, ASKED_ERRORS, status=201),
            Route("GET", version, self.get, VersionResource, SEEN_ERRORS),
            Route("PATCH", version, self.update, VersionResource, ASKED_ERRORS, body=VersionChanges),
            Route("DELETE", version, self.delete, VersionResource, ASKED_ERRORS),
            Route("POST", f"{version}/undelete", self.undelete, VersionResource, ASKED_ERRORS),
            Route(
                "POST", f"{version}/release", self.release, VersionResource, ASKED_ERRORS, body=ReleaseDraft
            ),
            Route("POST", f"{version}/unrelease", self.unrelease, VersionResource, ASKED_ERRORS),
        ]

    async def list(self, request: ApiRequest) -> Answer:
        """A page of a dataset's versions."""
        page = page_of(request)
        views = await self._versions.page(
            request.caller, request.segment("dataset"), page.after_id, page.count + 1
        )
        return listed(VersionList, views, page, version_in_list, lambda view: view.version.id)

    async def create(self, request: ApiRequest) -> Answer:
        """Creates the next version."""
        view = await self._versions.create(request.caller, request.segment("dataset"))
        return json_answer(version_resource(view), 201)

    async def get(self, request: ApiRequest) -> Answer:
        """A version: by its tag, `current` or `next`."""
        view = await self._versions.find(request.caller, *_path(request))
        return json_answer(version_resource(view))

    async def update(self, request: ApiRequest) -> Answer:
        """Changes a version's label and release notes."""
        changes = await request.json(VersionChanges)
        view = await self._versions.update(request.caller, *_path(request), changes)
        return json_answer(version_resource(view))

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes a version; a released one can be undeleted."""
        view = await self._versions.delete(request.caller, *_path(request))
        return json_answer(version_resource(view))

    async def undelete(self, request: ApiRequest) -> Answer:
        """Brings a deleted version back."""
        view = await self._versions.undelete(request.caller, *_path(request))
        return json_answer(version_resource(view))

    async def release(self, request: ApiRequest) -> Answer:
        """Releases the next version: it becomes current and does not change any more."""
        draft = await request.json(ReleaseDraft)
        view = await self._versions.release(request.caller, *_path(request), draft)
        return json_answer(version_resource(view))

    async def unrelease(self, request: ApiRequest) -> Answer:
        """Makes the current version the next one again."""
        view = await self._versions.unrelease(request.caller, *_path(request))
        return json_answer(version_resource(view))


def _path(request: ApiRequest) -> tuple[str, str]:
    return request.segment("dataset"), request.segment("version")
