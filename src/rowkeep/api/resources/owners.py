"""Users and organizations, and who is in an organization. Source: contract 4.1."""

from typing import Literal

from rowkeep.api.http.parameters import LABELS, PAGED, STATUSES
from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import (
    API,
    ASKED_ERRORS,
    CALLER_ERRORS,
    OWNER_ERRORS,
    SEEN_ERRORS,
    TEXT_TYPES,
    Route,
    RouteTable,
)
from rowkeep.api.http.shapes import ListShape, LocatedShape, located
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.model.resources import MemberRole, Owner, OwnerKind
from rowkeep.services.datasets import DatasetService
from rowkeep.services.organizations import MemberDraft, MemberView, OrganizationService

# What every member is: there are no invitations yet, and no labels.
APPROVED: Literal["approved"] = "approved"


class OwnerResource(LocatedShape, frozen=True, kw_only=True):
    """A user or an organization."""

    kind: OwnerKind
    name: str


class MemberResource(LocatedShape, frozen=True, kw_only=True, tag_field="kind", tag="member"):
    """A member of an organization."""

    user: OwnerResource
    role: MemberRole
    status: Literal["approved"] = APPROVED
    labels: tuple[str, ...] = ()


class MemberList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="memberList"):
    """A page of the members of an organization."""

    results: list[MemberResource]


def owner_resource(owner: Owner) -> OwnerResource:
    """Returns what is shown of a user or an organization."""
    return OwnerResource(kind=owner.kind, name=owner.name, **located(f"/{owner.kind}s/{owner.name}"))


def member_resource(view: MemberView) -> MemberResource:
    """Returns what is shown of a member."""
    name = view.member.user_name
    return MemberResource(
        user=OwnerResource(kind=OwnerKind.USER, name=name, **located(f"/users/{name}")),
        role=view.member.role,
        **located(f"/organizations/{view.organization.name}/members/{name}"),
    )


class OwnerHandlers:
    """Users, organizations and their members."""

    def __init__(self, datasets: DatasetService, organizations: OrganizationService) -> None:
        self._datasets = datasets
        self._organizations = organizations

    def table(self) -> RouteTable:
        """Returns the routes."""
        organization = f"{API}/organizations/{{owner}}"
        members = f"{organization}/members"
        member = f"{members}/{{user}}"
        return [
            Route("GET", f"{API}/users/me", self.who_am_i, OwnerResource, CALLER_ERRORS),
            Route("GET", f"{API}/users/{{owner}}", self.get_user, OwnerResource, OWNER_ERRORS),
            Route("GET", organization, self.get_organization, OwnerResource, OWNER_ERRORS),
            Route("GET", members, self.list_members, MemberList, ASKED_ERRORS, (*PAGED, LABELS, STATUSES)),
            Route("GET", member, self.get_member, MemberResource, SEEN_ERRORS),
            Route("PUT", member, self.set_member, MemberResource, ASKED_ERRORS, body=MemberDraft),
            Route("DELETE", member, self.delete_member, errors=ASKED_ERRORS, media_types=TEXT_TYPES),
        ]

    async def who_am_i(self, request: ApiRequest) -> Answer:
        """The user that the token belongs to."""
        principal = await self._datasets.principal(request.caller)
        return json_answer(
            owner_resource(Owner(principal.user_id or 0, OwnerKind.USER, principal.user_name or ""))
        )

    async def get_user(self, request: ApiRequest) -> Answer:
        """A user."""
        return await self._get(request, OwnerKind.USER)

    async def get_organization(self, request: ApiRequest) -> Answer:
        """An organization."""
        return await self._get(request, OwnerKind.ORGANIZATION)

    async def _get(self, request: ApiRequest, kind: OwnerKind) -> Answer:
        owner = await self._datasets.owner(request.caller, kind, request.segment("owner"))
        return json_answer(owner_resource(owner))

    async def list_members(self, request: ApiRequest) -> Answer:
        """A page of an organization's members."""
        page = page_of(request)
        labels, statuses = request.names("labels"), request.names("statuses")
        views = await self._organizations.page(
            request.caller, request.segment("owner"), page.after_id, page.count + 1
        )
        if labels is not None or (statuses is not None and APPROVED not in statuses):
            views = []
        return listed(MemberList, views, page, member_resource, lambda view: view.member.id)

    async def get_member(self, request: ApiRequest) -> Answer:
        """A member of an organization."""
        view = await self._organizations.find(
            request.caller, request.segment("owner"), request.segment("user")
        )
        return json_answer(member_resource(view))

    async def set_member(self, request: ApiRequest) -> Answer:
        """Makes a user a member or an administrator of an organization."""
        draft = await request.json(MemberDraft)
        view = await self._organizations.set(
            request.caller, request.segment("owner"), request.segment("user"), draft
        )
        return json_answer(member_resource(view))

    async def delete_member(self, request: ApiRequest) -> Answer:
        """Ends a membership."""
        await self._organizations.delete(request.caller, request.segment("owner"), request.segment("user"))
        return ok_answer()
