"""Organizations: their members and administrators. Source: contract 4.1, 2.2."""

import msgspec

from rowkeep.model.access import Caller, Principal, Scope
from rowkeep.model.audit import AuditAction, owner_subject
from rowkeep.model.errors import forbidden, invalid_request, not_found
from rowkeep.model.resources import Member, MemberRole, Owner, OwnerKind
from rowkeep.services.access import may_administer, principal_of, require_scope
from rowkeep.services.accounts import find_user
from rowkeep.services.datasets import find_owner
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors


class MemberDraft(msgspec.Struct, frozen=True, rename="camel"):
    """The membership that a caller asks for."""

    role: MemberRole = MemberRole.MEMBER


class MemberView(msgspec.Struct, frozen=True):
    """A member and the organization."""

    organization: Owner
    member: Member


class OrganizationService:
    """The operations on the members of an organization, for its administrators."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def page(self, caller: Caller, name: str, after_id: int, count: int) -> list[MemberView]:
        """Returns a page of the members of an organization."""

        def read(view: CatalogView) -> list[MemberView]:
            organization = _administered(view, caller, name, Scope.ORGANIZATION_READ)
            members = view.members.page(organization.id, after_id, count)
            return [MemberView(organization, member) for member in members]

        return await self._doors.read(read)

    async def find(self, caller: Caller, name: str, user_name: str) -> MemberView:
        """Returns one member."""

        def read(view: CatalogView) -> MemberView:
            organization = _administered(view, caller, name, Scope.ORGANIZATION_READ)
            return MemberView(organization, find_member(view, organization, user_name))

        return await self._doors.read(read)

    async def set(self, caller: Caller, name: str, user_name: str, draft: MemberDraft) -> MemberView:
        """Makes a user a member, or changes the member's role."""

        def write(editor: CatalogEditor) -> MemberView:
            organization = _administered(editor, caller, name, Scope.ORGANIZATION_WRITE)
            member = set_member(editor, organization, user_name, draft.role)
            return MemberView(organization, member)

        return await self._doors.write(write)

    async def delete(self, caller: Caller, name: str, user_name: str) -> None:
        """Ends a membership."""

        def write(editor: CatalogEditor) -> None:
            organization = _administered(editor, caller, name, Scope.ORGANIZATION_WRITE)
            delete_member(editor, organization, user_name)

        await self._doors.write_in_reserve(write)


def _administered(view: CatalogView, caller: Caller, name: str, scope: Scope) -> Owner:
    principal: Principal = principal_of(view, caller)
    organization = find_owner(view, OwnerKind.ORGANIZATION, name)
    require_scope(principal, scope)
    if not may_administer(view, principal, organization):
        raise forbidden(f"Only administrators of {organization.name} may see and change its members.")
    return organization


def find_member(view: CatalogView, organization: Owner, user_name: str) -> Member:
    """Returns the membership of a user. Raises not_found_error."""
    user = view.owners.find(user_name)
    member = None if user is None else view.members.find(organization.id, user.id)
    if member is None:
        raise not_found(f"{user_name} is not a member of {organization.name}.")
    return member


def set_member(editor: CatalogEditor, organization: Owner, user_name: str, role: MemberRole) -> Member:
    """Makes a user a member of an organization. Raises an error when no administrator would be left."""
    user = find_user(editor, user_name)
    if role is not MemberRole.ADMINISTRATOR:
        _keep_administrator(editor, organization, user)
    member = editor.members.set(organization.id, user.id, role)
    subject = owner_subject(organization)
    editor.audit.add(AuditAction.SET_MEMBER, subject, member=user.name, role=role.value)
    return member


def delete_member(editor: CatalogEditor, organization: Owner, user_name: str) -> None:
    """Ends a membership. Raises not_found_error when there is none."""
    user = find_user(editor, user_name)
    find_member(editor, organization, user_name)
    _keep_administrator(editor, organization, user)
    editor.members.delete(organization.id, user.id)
    editor.audit.add(AuditAction.REMOVE_MEMBER, owner_subject(organization), member=user.name)


def _keep_administrator(view: CatalogView, organization: Owner, user: Owner) -> None:
    member = view.members.find(organization.id, user.id)
    if member is None or member.role is not MemberRole.ADMINISTRATOR:
        return
    if view.members.administrator_count(organization.id) == 1:
        raise invalid_request(
            f"{user.name} is the only administrator of {organization.name}; make another one first."
        )
