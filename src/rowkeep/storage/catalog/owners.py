"""Owners: users and organizations."""

import msgspec

from rowkeep.model.resources import Owner, OwnerKind
from rowkeep.storage.catalog.records import noun
from rowkeep.storage.catalog.state import Editing, Reading


class Owners(Reading):
    """Reads owners."""

    def find(self, name: str) -> Owner | None:
        """Returns the user or organization of this name, ignoring case."""
        return noun(Owner, self._connection.record("owner_by_key", name_key=name.casefold()))

    def exist(self) -> bool:
        """Returns whether there is any user or organization."""
        return bool(self._one("owners_exist")["found"])

    def administers(self, owner_id: int, user_id: int) -> bool:
        """Returns whether a user is this owner, or administers this organization."""
        return bool(self._one("administers", owner_id=owner_id, user_id=user_id)["administers"])


class OwnerEditor(Owners, Editing):
    """Reads and edits owners."""

    def add(self, kind: OwnerKind, name: str) -> Owner:
        """Adds a user or an organization. Raises DuplicateError when the name is taken."""
        record = self._one(
            "add_owner", kind=kind.value, name=name, name_key=name.casefold(), created_at=self._now
        )
        return msgspec.convert(record, Owner)
