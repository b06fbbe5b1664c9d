"""The endpoints of users and organizations, and who is in an organization. Source: contract 4.1."""

from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import API, RouteTable
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.resources import member_resource, owner_resource
from rowkeep.model.resources import Owner, OwnerKind
from rowkeep.services.datasets import DatasetService
from rowkeep.services.organizations import MemberDraft, OrganizationService


class OwnerHandlers:
    """Users, organizations and their members."""

    def __init__(self, datasets: DatasetService, organizations: OrganizationService) -> None:
        self._datasets = datasets
        self._organizations = organizations

    def table(self) -> RouteTable:
        """The routes."""
        members = f"{API}/organizations/{{owner}}/members"
        return [
            ("GET", f"{API}/users/me", self.who_am_i),
            ("GET", f"{API}/users/{{owner}}", self.get_user),
            ("GET", f"{API}/organizations/{{owner}}", self.get_organization),
            ("GET", members, self.list_members),
            ("GET", f"{members}/{{user}}", self.get_member),
            ("PUT", f"{members}/{{user}}", self.set_member),
            ("DELETE", f"{members}/{{user}}", self.delete_member),
        ]

    async def who_am_i(self, request: ApiRequest) -> Answer:
        """The user that the token belongs to."""
        principal = await self._datasets.principal(request.token_hash)
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
        owner = await self._datasets.owner(request.token_hash, kind, request.segment("owner"))
        return json_answer(owner_resource(owner))

    async def list_members(self, request: ApiRequest) -> Answer:
        """A page of an organization's members."""
        page = page_of(request)
        views = await self._organizations.page(
            request.token_hash, request.segment("owner"), page.after_id, page.count + 1
        )
        return listed("memberList", views, page, member_resource, lambda view: view.member.id)

    async def get_member(self, request: ApiRequest) -> Answer:
        """A member of an organization."""
        view = await self._organizations.find(
            request.token_hash, request.segment("owner"), request.segment("user")
        )
        return json_answer(member_resource(view))

    async def set_member(self, request: ApiRequest) -> Answer:
        """Makes a user a member or an administrator of an organization."""
        draft = await request.json(MemberDraft)
        view = await self._organizations.set(
            request.token_hash, request.segment("owner"), request.segment("user"), draft
        )
        return json_answer(member_resource(view))

    async def delete_member(self, request: ApiRequest) -> Answer:
        """Ends a membership."""
        await self._organizations.delete(
            request.token_hash, request.segment("owner"), request.segment("user")
        )
        return ok_answer()
