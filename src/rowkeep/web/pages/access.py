"""Access to a data set: giving it, changing its level, taking it back."""

from rowkeep.services.datasets import DatasetChanges, DatasetService
from rowkeep.services.grants import GrantDraft, GrantService
from rowkeep.web.answers import PageAnswer, redirect
from rowkeep.web.places import dataset_path
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import PageRoute, PageTable
from rowkeep.web.sessions import Session


class AccessPages:
    """Access to data sets. After a change the page of the data set is shown."""

    def __init__(self, grants: GrantService, datasets: DatasetService) -> None:
        self._grants = grants
        self._datasets = datasets

    def table(self) -> PageTable:
        """Returns the routes."""
        access = ("datasets", "*", "access")
        return [
            PageRoute("POST", access, self.give),
            PageRoute("POST", (*access, "revoke"), self.take_back),
            PageRoute("POST", (*access, "public"), self.open_to_public),
        ]

    async def give(self, request: PageRequest, session: Session) -> PageAnswer:
        """Gives a user or an organization a level, in place of the one before."""
        (reference,) = request.segments
        form = await request.form()
        draft = GrantDraft(form.get("level", ""))
        await self._grants.set(session.caller, reference, form.get("grantee", "").strip(), draft)
        return _to_access(reference)

    async def take_back(self, request: PageRequest, session: Session) -> PageAnswer:
        """Takes access back from a user or an organization."""
        (reference,) = request.segments
        form = await request.form()
        await self._grants.delete(session.caller, reference, form.get("grantee", ""))
        return _to_access(reference)

    async def open_to_public(self, request: PageRequest, session: Session) -> PageAnswer:
        """Changes the public access level."""
        (reference,) = request.segments
        form = await request.form()
        changes = DatasetChanges(public_access_level=form.get("level", ""))
        await self._datasets.update(session.caller, reference, changes)
        return _to_access(reference)


def _to_access(reference: str) -> PageAnswer:
    return redirect(f"{dataset_path(reference)}#access")
