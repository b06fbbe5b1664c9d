"""The audit log: who did what, when and from where (model/audit.py)."""

import msgspec

from rowkeep.api.http.parameters import OWNER, PAGED
from rowkeep.api.http.request import ApiRequest, Page, listed, page_of
from rowkeep.api.http.routes import API, ASKED_ERRORS, Route, RouteTable
from rowkeep.api.http.shapes import ListShape, Shape, Time
from rowkeep.api.http.wire import Answer
from rowkeep.model.audit import AuditAction, AuditEntry
from rowkeep.services.audit import AuditService

LAST_ID = 2**63 - 1


class AuditEntryResource(Shape, frozen=True, kw_only=True, tag_field="kind", tag="auditEntry"):
    """One act; `user_name` is null for a command on the server's machine, which `system_user` ran."""

    id: str
    done_at: Time
    action: AuditAction
    subject: str
    details: dict[str, str]
    user_name: str | None
    token_id: str | None
    address: str | None
    request_id: str | None
    system_user: str | None


class AuditEntryList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="auditEntryList"):
    """A page of the audit log, newest first."""

    results: list[AuditEntryResource]


class AuditHandlers:
    """Reading the audit log."""

    def __init__(self, audit: AuditService) -> None:
        self._audit = audit

    def table(self) -> RouteTable:
        """Returns the routes."""
        dataset = f"{API}/datasets/{{dataset}}/audit"
        return [
            Route("GET", f"{API}/audit", self.list_of_owner, AuditEntryList, ASKED_ERRORS, (*PAGED, OWNER)),
            Route("GET", dataset, self.list_of_dataset, AuditEntryList, ASKED_ERRORS, PAGED),
        ]

    async def list_of_owner(self, request: ApiRequest) -> Answer:
        """A page of what was done to what belongs to the caller, or to an organization."""
        page = page_of(request)
        entries = await self._audit.of_owner(
            request.caller, request.text("owner"), _before_id(page), page.count + 1
        )
        return listed(AuditEntryList, entries, page, _resource, lambda entry: entry.id)

    async def list_of_dataset(self, request: ApiRequest) -> Answer:
        """A page of what was done to a dataset and to what is in it."""
        page = page_of(request)
        entries = await self._audit.of_dataset(
            request.caller, request.segment("dataset"), _before_id(page), page.count + 1
        )
        return listed(AuditEntryList, entries, page, _resource, lambda entry: entry.id)


def _before_id(page: Page) -> int:
    """Returns the id below which the page's entries lie.

    The list is newest first, so its page token is the id of the last entry shown.
    """
    return page.after_id or LAST_ID


def _resource(entry: AuditEntry) -> AuditEntryResource:
    facts = msgspec.structs.asdict(entry)
    token_id = None if entry.token_id is None else str(entry.token_id)
    return AuditEntryResource(**{**facts, "id": str(entry.id), "token_id": token_id})
