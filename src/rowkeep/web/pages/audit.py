"""The audit log: who did what, when and from where, to a data set or to all that a person or a group owns."""

from collections.abc import Sequence

from rowkeep.model.audit import AuditEntry
from rowkeep.services.audit import AuditService
from rowkeep.services.datasets import DatasetService
from rowkeep.web.answers import PageAnswer, html_answer
from rowkeep.web.places import dataset_path, dataset_reference
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import CONSOLE, PageRoute, PageTable
from rowkeep.web.sessions import Session

ENTRIES_PER_PAGE = 100
LAST_ID = 2**63 - 1


class AuditPages:
    """The audit log."""

    def __init__(self, audit: AuditService, datasets: DatasetService) -> None:
        self._audit = audit
        self._datasets = datasets

    def table(self) -> PageTable:
        """Returns the routes."""
        return [
            PageRoute("GET", ("audit",), self.of_owner),
            PageRoute("GET", ("datasets", "*", "audit"), self.of_dataset),
        ]

    async def of_owner(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows what was done to things of the person, or of an organization that they administer."""
        owner = request.text("owner").strip()
        before_id = request.natural("before") or LAST_ID
        entries = await self._audit.of_owner(session.caller, owner or None, before_id, ENTRIES_PER_PAGE + 1)
        return _page(session, entries, owner=owner, here=f"{CONSOLE}/audit", dataset=None)

    async def of_dataset(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows what was done to a data set and its contents."""
        (reference,) = request.segments
        before_id = request.natural("before") or LAST_ID
        entries = await self._audit.of_dataset(session.caller, reference, before_id, ENTRIES_PER_PAGE + 1)
        view = await self._datasets.find(session.caller, reference)
        path = dataset_path(dataset_reference(view.place))
        return _page(session, entries, owner="", here=f"{path}/audit", dataset=view.place.dataset)


def _page(
    session: Session, entries: Sequence[AuditEntry], *, owner: str, here: str, dataset: object
) -> PageAnswer:
    shown = entries[:ENTRIES_PER_PAGE]
    page = render(
        "audit.html",
        session=session,
        entries=shown,
        owner=owner,
        here=here,
        dataset=dataset,
        last_id=shown[-1].id if len(entries) > ENTRIES_PER_PAGE else None,
    )
    return html_answer(page)
