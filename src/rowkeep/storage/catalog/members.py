"""Members of organizations."""

from rowkeep.model.resources import Member, MemberRole
from rowkeep.storage.catalog.records import noun, nouns, the_noun
from rowkeep.storage.catalog.state import Editing, Reading


class Members(Reading):
    """Reads members."""

    def find(self, organization_id: int, user_id: int) -> Member | None:
        """Returns a user's membership in an organization."""
        record = self._connection.record("membership", organization_id=organization_id, user_id=user_id)
        return noun(Member, record)

    def page(self, organization_id: int, after_id: int, count: int) -> list[Member]:
        """Returns an organization's members after a user's id."""
        found = self._connection.records(
            "members_of_organization", organization_id=organization_id, after_id=after_id, count=count
        )
        return nouns(Member, found)

    def administrator_count(self, organization_id: int) -> int:
        """Returns how many users administer an organization."""
        return int(self._one("administrator_count", organization_id=organization_id)["count"])


class MemberEditor(Members, Editing):
    """Reads and edits members."""

    def set(self, organization_id: int, user_id: int, role: MemberRole) -> Member:
        """Makes a user a member of an organization, or changes the role of a member."""
        self._announce_change()
        self._run("set_membership", organization_id=organization_id, user_id=user_id, role=role.value)
        return the_noun(Member, self._one("membership", organization_id=organization_id, user_id=user_id))

    def delete(self, organization_id: int, user_id: int) -> None:
        """Ends a membership."""
        self._announce_change()
        self._run("delete_membership", organization_id=organization_id, user_id=user_id)
