"""Reading the audit log. The owner of a thing, or an administrator of the owner, sees what was done to it."""

from rowkeep.model.access import AccessLevel, Caller, Scope
from rowkeep.model.audit import AuditEntry
from rowkeep.model.errors import not_found
from rowkeep.model.references import parse_dataset_reference
from rowkeep.model.resources import OwnerKind
from rowkeep.services.access import (
    OwnersAction,
    find_dataset,
    principal_of,
    require_administrator,
    require_scope,
    signed_in,
)
from rowkeep.storage.catalog.catalog import CatalogView
from rowkeep.storage.catalog.doors import Doors


class AuditService:
    """The audit log, newest entries first, for callers who administer what the entries are about."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def of_owner(
        self, caller: Caller, owner_name: str | None, before_id: int, count: int
    ) -> list[AuditEntry]:
        """Returns the audit entries on an organization's things; without a name, on the caller's own."""

        def read(view: CatalogView) -> list[AuditEntry]:
            owner_id = _administered_id(view, caller, owner_name)
            return view.audit.of_owner(owner_id, before_id, count)

        return await self._doors.read(read)

    async def of_dataset(
        self, caller: Caller, reference: str, before_id: int, count: int
    ) -> list[AuditEntry]:
        """Returns the audit entries on a dataset and on its contents."""
        parsed = parse_dataset_reference(reference)

        def read(view: CatalogView) -> list[AuditEntry]:
            principal = principal_of(view, caller)
            dataset = find_dataset(view, principal, parsed, AccessLevel.EDIT).dataset
            require_administrator(view, principal, dataset.owner, OwnersAction.SEE_AUDIT)
            return view.audit.of_dataset(dataset.identifier, before_id, count)

        return await self._doors.read(read)


def _administered_id(view: CatalogView, caller: Caller, owner_name: str | None) -> int:
    """Returns the id of the owner whose things are meant.

    Without a name that is the caller. Raises forbidden unless the caller is that user or an administrator of
    that organization.
    """
    principal = signed_in(principal_of(view, caller))
    if owner_name is None:
        require_scope(principal, Scope.DATA_EDIT)
        return principal.user_id or 0
    owner = view.owners.find(owner_name)
    if owner is None:
        raise not_found(f"There is no user or organization {owner_name}.")
    require_scope(
        principal, Scope.ORGANIZATION_READ if owner.kind is OwnerKind.ORGANIZATION else Scope.DATA_EDIT
    )
    require_administrator(view, principal, owner, OwnersAction.SEE_AUDIT)
    return owner.id
