"""Grants: what a user or an organization may do with a dataset besides its owner."""

from rowkeep.model.access import AccessLevel
from rowkeep.model.resources import Grant
from rowkeep.storage.catalog.records import noun, nouns, the_noun
from rowkeep.storage.catalog.state import Editing, Reading


class Grants(Reading):
    """Reads grants."""

    def find(self, dataset_id: int, grantee_id: int) -> Grant | None:
        """Returns what a user or an organization was granted on a dataset."""
        return noun(Grant, self._connection.record("grant", dataset_id=dataset_id, grantee_id=grantee_id))

    def page(self, dataset_id: int, after_id: int, count: int) -> list[Grant]:
        """Returns the grants on a dataset after a grantee's id."""
        found = self._connection.records(
            "grants_of_dataset", dataset_id=dataset_id, after_id=after_id, count=count
        )
        return nouns(Grant, found)


class GrantEditor(Grants, Editing):
    """Reads and edits grants."""

    def set(self, dataset_id: int, grantee_id: int, level: AccessLevel) -> Grant:
        """Grants a level on a dataset, in place of what was granted before."""
        self._announce_change()
        self._run("set_grant", dataset_id=dataset_id, grantee_id=grantee_id, access_level=level.value)
        return the_noun(Grant, self._one("grant", dataset_id=dataset_id, grantee_id=grantee_id))

    def delete(self, dataset_id: int, grantee_id: int) -> None:
        """Deletes a grant."""
        self._announce_change()
        self._run("delete_grant", dataset_id=dataset_id, grantee_id=grantee_id)
