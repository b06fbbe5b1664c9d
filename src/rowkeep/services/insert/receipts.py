"""The state of a request with a key, undoing such a request, and verifying an upload.

Undoing removes the rows of one request from what is shown, in one commit that notes who did it and when. They
keep their numbers and stay stored: the chain of the upload covers them as before, and a read session that was
opened before shows them until it ends. Only what is not released can be undone.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.audit import AuditAction, upload_subject
from rowkeep.model.errors import conflict, invalid_request, not_found, unavailable
from rowkeep.model.receipts import ChainOutcome, KnownRequest, Rejection, RequestPosition
from rowkeep.model.references import parse_table_reference
from rowkeep.services.access import (
    editable_upload,
    find_upload,
    principal_of,
    written_upload,
)
from rowkeep.services.uploads import UploadView
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.engines import ChainReadings

VERIFICATIONS_MAX = 2
RETRY_SECONDS = 5


class RequestState(StrEnum):
    """The state of a request, in the words of the API."""

    STORED = "stored"
    REJECTED = "rejected"
    UNDONE = "undone"


class RequestView(msgspec.Struct, frozen=True):
    """A request with a key. `known` is set when its rows went in; otherwise `rejection` is."""

    parent: UploadView
    key: str
    known: KnownRequest | None
    rejection: Rejection | None

    @property
    def time(self) -> int | None:
        """Returns when the rows went in or were refused. None for old requests, whose time was not noted."""
        if self.known is not None:
            return self.known.committed_at
        return None if self.rejection is None else self.rejection.rejected_at

    @property
    def state(self) -> RequestState:
        """Returns the state of the request."""
        if self.known is None:
            return RequestState.REJECTED
        return RequestState.STORED if self.known.removed_at is None else RequestState.UNDONE


class VerificationView(msgspec.Struct, frozen=True):
    """An upload and the result of verifying it."""

    parent: UploadView
    outcome: ChainOutcome


class ReceiptService:
    """Finds, lists and undoes requests with a key, and verifies uploads. Used on one event loop."""

    def __init__(self, doors: Doors, chain_readings: ChainReadings) -> None:
        self._doors = doors
        self._chain_readings = chain_readings
        self._verifications = 0

    async def find(self, caller: Caller, reference: str, upload: str, key: str) -> RequestView:
        """Returns the request with a key. Raises not_found_error when no such request came."""
        parsed = parse_table_reference(reference)

        def read(view: CatalogView) -> RequestView:
            parent = UploadView(*written_upload(view, principal_of(view, caller), parsed, upload))
            return _request(view, parent, key)

        return await self._doors.read(read)

    async def page(
        self,
        caller: Caller,
        reference: str,
        upload: str,
        position: RequestPosition,
        count: int,
    ) -> list[RequestView]:
        """Returns an upload's requests with a key, newest first, from a position on."""
        parsed = parse_table_reference(reference)

        def read(view: CatalogView) -> list[RequestView]:
            parent = UploadView(*written_upload(view, principal_of(view, caller), parsed, upload))
            return _requests(view, parent, view.receipts.keys(parent.upload.id, position, count))

        return await self._doors.read(read)

    async def undo(self, caller: Caller, reference: str, upload: str, key: str) -> RequestView:
        """Removes the rows of a request. Doing it again changes nothing.

        Raises conflict for rows that cannot be removed.
        """
        parsed = parse_table_reference(reference)

        def write(editor: CatalogEditor) -> RequestView:
            principal = principal_of(editor, caller)
            parent = UploadView(*editable_upload(editor, principal, parsed, upload))
            found = _request(editor, parent, key)
            _check_undoable(parent, found)
            if principal.user_id is None:
                raise LookupError("an upload was edited by nobody")
            editor.receipts.remove_rows(parent.upload.id, key, principal.user_id)
            _write_down_undo(editor, parent, found)
            return _request(editor, parent, key)

        return await self._doors.write_in_reserve(write)

    async def verify(self, caller: Caller, reference: str, upload: str) -> VerificationView:
        """Recomputes the chain of an upload from its rows, in steps.

        Raises unavailable when too many verify at the same time.
        """
        parsed = parse_table_reference(reference)

        def read(view: CatalogView) -> UploadView:
            return UploadView(*find_upload(view, principal_of(view, caller), parsed, upload))

        parent = await self._doors.read(read)
        if self._verifications >= VERIFICATIONS_MAX:
            raise unavailable(
                f"{VERIFICATIONS_MAX} uploads are being verified; ask again when one is done.",
                retry_after_seconds=RETRY_SECONDS,
            )
        self._verifications += 1
        try:
            return VerificationView(parent, await self._outcome(parent.upload.id))
        finally:
            self._verifications -= 1

    async def _outcome(self, upload_id: int) -> ChainOutcome:
        reading = self._chain_readings(upload_id)
        while True:
            outcome = await self._doors.read(reading.step)
            if outcome is not None:
                return outcome


def _request(view: CatalogView, parent: UploadView, key: str) -> RequestView:
    known = view.receipts.find(parent.upload.id, key)
    rejection = None if known is not None else view.receipts.rejection(parent.upload.id, key)
    if known is None and rejection is None:
        raise not_found(
            f"Upload {parent.upload.name} knows no request with the key {key[:255]}: none has come, or it "
            "was refused and 1,000 more were since."
        )
    return RequestView(parent, key, known, rejection)


def _write_down_undo(editor: CatalogEditor, parent: UploadView, found: RequestView) -> None:
    """Writes to the audit log that the rows of a request were undone. Undoing again writes nothing."""
    if found.state is RequestState.STORED and found.known is not None:
        subject = upload_subject(parent.place.dataset, parent.place.version, parent.table, parent.upload)
        rows = str(found.known.receipt.row_count)
        editor.audit.add(AuditAction.UNDO_REQUEST, subject, key=found.key, rows=rows)


def _requests(view: CatalogView, parent: UploadView, keys: Sequence[str]) -> list[RequestView]:
    upload_id = parent.upload.id
    known = view.receipts.known([(upload_id, key) for key in keys])
    return [
        RequestView(parent, key, known[upload_id, key], None)
        if (upload_id, key) in known
        else _request(view, parent, key)
        for key in keys
    ]


def _check_undoable(parent: UploadView, found: RequestView) -> None:
    if found.known is None:
        raise conflict("The request was rejected: no row of it was inserted, and there is nothing to undo.")
    if found.known.removed_at is not None:
        return
    if found.known.upload_id != parent.upload.id:
        raise invalid_request(
            f"The rows of the request are in version {found.known.receipt.version_tag}, which is released "
            "and never changes."
        )
    if found.known.receipt.row_count and found.known.receipt.first_row is None:
        raise conflict(
            "The request came before rowkeep noted which rows a request has, so it cannot be undone."
        )
