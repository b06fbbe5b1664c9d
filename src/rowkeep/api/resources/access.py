"""Access to a dataset: who was granted what besides its owner. Source: contract 2.3."""

from rowkeep.api.http.parameters import PAGED
from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import API, ASKED_ERRORS, SEEN_ERRORS, TEXT_TYPES, Route, RouteTable
from rowkeep.api.http.shapes import LevelName, ListShape, LocatedShape, located
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.owners import OwnerResource, owner_resource
from rowkeep.api.resources.places import unversioned_uri
from rowkeep.model.resources import Owner
from rowkeep.services.grants import GrantDraft, GrantService, GrantView


class AccessGrant(LocatedShape, frozen=True, kw_only=True, tag_field="kind", tag="accessGrant"):
    """The access level that a user or an organization was granted on a dataset."""

    grantee: OwnerResource
    access_level: LevelName


class AccessGrantList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="accessGrantList"):
    """A page of the grants on a dataset."""

    results: list[AccessGrant]


def access_grant(view: GrantView) -> AccessGrant:
    """Returns what is shown of a grant."""
    grant = view.grant
    uri = f"{unversioned_uri(view.place.dataset)}/access/{grant.grantee_name}"
    return AccessGrant(
        grantee=owner_resource(Owner(grant.id, grant.grantee_kind, grant.grantee_name)),
        access_level=grant.access_level.wire_name,
        **located(uri),
    )


class GrantHandlers:
    """Lists the users and organizations that were granted access to a dataset."""

    def __init__(self, grants: GrantService) -> None:
        self._grants = grants

    def table(self) -> RouteTable:
        """Returns the routes."""
        access = f"{API}/datasets/{{dataset}}/access"
        grantee = f"{access}/{{grantee}}"
        return [
            Route("GET", access, self.list, AccessGrantList, ASKED_ERRORS, PAGED),
            Route("GET", grantee, self.get, AccessGrant, SEEN_ERRORS),
            Route("PUT", grantee, self.set, AccessGrant, ASKED_ERRORS, body=GrantDraft),
            Route("DELETE", grantee, self.delete, errors=SEEN_ERRORS, media_types=TEXT_TYPES),
        ]

    async def list(self, request: ApiRequest) -> Answer:
        """A page of the access granted to a dataset."""
        page = page_of(request)
        views = await self._grants.page(
            request.caller, request.segment("dataset"), page.after_id, page.count + 1
        )
        return listed(AccessGrantList, views, page, access_grant, lambda view: view.grant.id)

    async def get(self, request: ApiRequest) -> Answer:
        """What a user or an organization was granted."""
        view = await self._grants.find(request.caller, request.segment("dataset"), request.segment("grantee"))
        return json_answer(access_grant(view))

    async def set(self, request: ApiRequest) -> Answer:
        """Grants a user, or everyone in an organization, access to a dataset."""
        draft = await request.json(GrantDraft)
        view = await self._grants.set(
            request.caller, request.segment("dataset"), request.segment("grantee"), draft
        )
        return json_answer(access_grant(view))

    async def delete(self, request: ApiRequest) -> Answer:
        """Takes a grant back."""
        await self._grants.delete(request.caller, request.segment("dataset"), request.segment("grantee"))
        return ok_answer()
