"""Grants: what a dataset's owner lets others do with it. Source: contract 2.3, docs/guide-access.md."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from rowkeep.model.access import LEVEL_OF_NAME, AccessLevel, Caller
from rowkeep.model.audit import AuditAction, dataset_subject
from rowkeep.model.errors import invalid_request, not_found
from rowkeep.model.references import parse_dataset_reference
from rowkeep.model.resources import Dataset, Grant, Owner
from rowkeep.services.access import (
    OwnersAction,
    Place,
    find_dataset,
    may_administer,
    principal_of,
    require_administrator,
)
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors

GRANTS_PER_PAGE = 1_000
GRANTED_LEVELS = tuple(name for name in LEVEL_OF_NAME if name != AccessLevel.NONE.wire_name)


class GrantDraft(msgspec.Struct, frozen=True, rename="camel"):
    """The grant that a caller asks for."""

    access_level: Annotated[str, msgspec.Meta(extra_json_schema={"enum": GRANTED_LEVELS})]


class GrantView(msgspec.Struct, frozen=True):
    """A grant and the dataset it is on."""

    place: Place
    grant: Grant


class GrantService:
    """The operations on grants. The owner of a dataset sets them; its editors see them."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def page(self, caller: Caller, reference: str, after_id: int, count: int) -> list[GrantView]:
        """Returns a page of the grants on a dataset."""
        parsed = parse_dataset_reference(reference)

        def read(view: CatalogView) -> list[GrantView]:
            place = find_dataset(view, principal_of(view, caller), parsed, AccessLevel.EDIT)
            return [GrantView(place, grant) for grant in view.grants.page(place.dataset.id, after_id, count)]

        return await self._doors.read(read)

    async def find(self, caller: Caller, reference: str, grantee_name: str) -> GrantView:
        """Returns the grant of one user or organization."""
        parsed = parse_dataset_reference(reference)

        def read(view: CatalogView) -> GrantView:
            place = find_dataset(view, principal_of(view, caller), parsed, AccessLevel.EDIT)
            return GrantView(place, find_grant(view, place.dataset, grantee_name))

        return await self._doors.read(read)

    async def may_change(self, caller: Caller, reference: str) -> bool:
        """Returns whether the caller may set grants on a dataset that the caller sees."""
        parsed = parse_dataset_reference(reference)

        def read(view: CatalogView) -> bool:
            principal = principal_of(view, caller)
            place = find_dataset(view, principal, parsed, AccessLevel.OVERVIEW)
            return place.is_editable and may_administer(view, principal, place.dataset.owner)

        return await self._doors.read(read)

    async def set(self, caller: Caller, reference: str, grantee_name: str, draft: GrantDraft) -> GrantView:
        """Grants a level, in place of what was granted before."""

        def write(editor: CatalogEditor) -> GrantView:
            place = _owned(editor, caller, reference)
            return GrantView(place, set_grant(editor, place.dataset, grantee_name, draft.access_level))

        return await self._doors.write(write)

    async def delete(self, caller: Caller, reference: str, grantee_name: str) -> None:
        """Takes a grant back; the next request of the grantee is refused."""

        def write(editor: CatalogEditor) -> None:
            place = _owned(editor, caller, reference)
            delete_grant(editor, place.dataset, grantee_name)

        await self._doors.write_in_reserve(write)


def _owned(view: CatalogView, caller: Caller, reference: str) -> Place:
    principal = principal_of(view, caller)
    place = find_dataset(view, principal, parse_dataset_reference(reference), AccessLevel.EDIT)
    require_administrator(view, principal, place.dataset.owner, OwnersAction.GRANT)
    return place


def named_dataset(view: CatalogView, reference: str) -> Dataset:
    """Returns the dataset that a reference names. Raises not_found_error.

    This is for operators, who see every dataset.
    """
    parsed = parse_dataset_reference(reference)
    dataset = view.datasets.find(parsed.owner_name, parsed.dataset.key, parsed.dataset.reference_id, None)
    if dataset is None:
        raise not_found(f"There is no dataset {parsed.text}.")
    return dataset


def all_grants(view: CatalogView, dataset: Dataset) -> Iterator[Grant]:
    """Yields every grant on a dataset; the catalog is read a page at a time."""
    after_id = 0
    while grants := view.grants.page(dataset.id, after_id, GRANTS_PER_PAGE):
        yield from grants
        after_id = grants[-1].id


def find_grant(view: CatalogView, dataset: Dataset, grantee_name: str) -> Grant:
    """Returns what a user or organization was granted on a dataset. Raises not_found_error."""
    grantee = view.owners.find(grantee_name)
    grant = None if grantee is None else view.grants.find(dataset.id, grantee.id)
    if grant is None:
        raise not_found(f"{grantee_name} was not granted access to dataset {dataset.name}.")
    return grant


def set_grant(editor: CatalogEditor, dataset: Dataset, grantee_name: str, level_name: str) -> Grant:
    """Grants a user, or everyone in an organization, a level on a dataset."""
    if level_name not in GRANTED_LEVELS:
        raise invalid_request(
            f"The access level must be one of {', '.join(GRANTED_LEVELS)}, not {level_name!r}."
        )
    grantee = _grantee(editor, grantee_name)
    before = editor.grants.find(dataset.id, grantee.id)
    grant = editor.grants.set(dataset.id, grantee.id, LEVEL_OF_NAME[level_name])
    editor.audit.add(
        AuditAction.SET_GRANT,
        dataset_subject(dataset),
        grantee=grantee.name,
        accessLevel=level_name,
        before=(AccessLevel.NONE if before is None else before.access_level).wire_name,
    )
    return grant


def delete_grant(editor: CatalogEditor, dataset: Dataset, grantee_name: str) -> None:
    """Takes a grant back. Raises not_found_error when there is none."""
    grant = find_grant(editor, dataset, grantee_name)
    editor.grants.delete(dataset.id, grant.id)
    editor.audit.add(
        AuditAction.REVOKE_GRANT,
        dataset_subject(dataset),
        grantee=grant.grantee_name,
        before=grant.access_level.wire_name,
    )


def _grantee(view: CatalogView, name: str) -> Owner:
    grantee = view.owners.find(name)
    if grantee is None:
        raise not_found(f"There is no user or organization {name}.")
    return grantee
