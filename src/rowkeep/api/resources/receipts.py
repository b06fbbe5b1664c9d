"""What was answered: requests by their key, undoing them, and verifying an upload."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec

from rowkeep.api.http.parameters import PAGED
from rowkeep.api.http.request import ApiRequest, page_of, page_of_results
from rowkeep.api.http.routes import API, ASKED_ERRORS, SEEN_ERRORS, Route, RouteTable
from rowkeep.api.http.shapes import Count, ListShape, LocatedShape, RowErrors, Shape, Time, located
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.api.resources.places import upload_uri
from rowkeep.model.access import Caller
from rowkeep.model.errors import ErrorCode
from rowkeep.model.receipts import RequestPosition
from rowkeep.model.resources import Receipt
from rowkeep.services.insert.receipts import ReceiptService, RequestView, VerificationView

_Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Commit = Annotated[Count, msgspec.Meta(description="Which of the upload's commits wrote the rows, from 1.")]
_FirstRow = Annotated[Count, msgspec.Meta(description="Rows of an upload are numbered from 0.")]
_RowsSha256 = Annotated[_Sha256, msgspec.Meta(description="Of the rows' canonical text.")]
_Chain = Annotated[_Sha256, msgspec.Meta(description="Of the upload after these rows.")]
RowsVersion = Annotated[str, msgspec.Meta(description="The tag of the version that holds the rows.")]
# Page tokens are numbers: a time, and behind it how many requests of that time came before.
# Those from before times were noted have the time 0, and may be more than the others of one millisecond.
SAME_TIME_MAX = 10**5
FIRST_TIME = 10**9
TIME_MAX = 2**62

_ChainFirstRow = Annotated[Count, msgspec.Meta(description="The chain covers the rows from this one on.")]


class ReceiptProof(Shape, frozen=True, kw_only=True):
    """The rows that a request inserted, and their proof (model/chain.py)."""

    commit: _Commit | None
    first_row: _FirstRow | None
    last_row: Count | None
    sha256: _RowsSha256 | None
    chain: _Chain | None


class KeyedRequest(LocatedShape, frozen=True, kw_only=True, tag_field="state"):
    """The state of a request with a key."""

    kind: Literal["insertRequest"] = "insertRequest"
    key: str
    time: Time | None


class StoredRequest(KeyedRequest, frozen=True, kw_only=True, tag="stored"):
    """A request whose rows are stored; it holds the fields of a ReceiptProof (a struct has one base)."""

    rows_added: Count
    version: RowsVersion
    commit: _Commit | None
    first_row: _FirstRow | None
    last_row: Count | None
    sha256: _RowsSha256 | None
    chain: _Chain | None


class UndoneRequest(StoredRequest, frozen=True, kw_only=True, tag="undone"):
    """A request whose rows were stored and removed again."""

    undone_at: Time


class RejectedRequest(KeyedRequest, frozen=True, kw_only=True, tag="rejected"):
    """A request that was refused for its rows."""

    error: Literal["invalid_request_error"] = ErrorCode.INVALID_REQUEST.value
    error_description: str = msgspec.field(name="error_description")
    errors: RowErrors
    error_count: Count


InsertRequestAnswer = StoredRequest | UndoneRequest | RejectedRequest


class InsertRequestList(ListShape, frozen=True, kw_only=True, tag_field="kind", tag="insertRequestList"):
    """A page of the requests with a key that an upload knows, newest first."""

    results: list[InsertRequestAnswer]


class UploadVerification(LocatedShape, frozen=True, kw_only=True, tag_field="kind", tag="uploadVerification"):
    """The result of verifying an upload."""

    is_intact: bool
    row_count: Count
    commit_count: Count
    chain_first_row: _ChainFirstRow
    chain: _Sha256
    computed_chain: _Sha256
    problem: str | None


def receipt_proof(receipt: Receipt) -> dict[str, Any]:
    """Returns the fields of a ReceiptProof."""
    return {
        "commit": receipt.commit,
        "first_row": receipt.first_row,
        "last_row": receipt.last_row,
        "sha256": _hex(receipt.rows_sha256),
        "chain": _hex(receipt.chain),
    }


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _request(view: RequestView) -> InsertRequestAnswer:
    place = located(f"{upload_uri(view.parent)}/requests/{quote(view.key, safe='')}")
    if view.known is not None:
        known, receipt = view.known, view.known.receipt
        fields = {
            **place,
            **receipt_proof(receipt),
            "key": view.key,
            "time": known.committed_at,
            "version": receipt.version_tag,
        }
        if known.removed_at is None:
            return StoredRequest(rows_added=receipt.row_count, **fields)
        return UndoneRequest(rows_added=receipt.row_count, undone_at=known.removed_at, **fields)
    rejection = view.rejection
    if rejection is None:
        raise LookupError("a request that is neither stored nor rejected")
    return RejectedRequest(
        key=view.key,
        time=rejection.rejected_at,
        error_description=rejection.message,
        errors=tuple(rejection.row_errors),
        error_count=rejection.row_error_count,
        **place,
    )


def _verification(view: VerificationView) -> UploadVerification:
    outcome = view.outcome
    return UploadVerification(
        is_intact=outcome.problem is None,
        row_count=outcome.state.row_count,
        commit_count=outcome.state.commit_count,
        chain_first_row=outcome.state.first_row,
        chain=outcome.state.chain.hex(),
        computed_chain=outcome.chain.hex(),
        problem=outcome.problem,
        **located(f"{upload_uri(view.parent)}/verify"),
    )


class ReceiptHandlers:
    """Requests and verification."""

    def __init__(self, receipts: ReceiptService) -> None:
        self._receipts = receipts

    def table(self) -> RouteTable:
        """Returns the routes."""
        upload = f"{API}/tables/{{table}}/uploads/{{upload}}"
        one = f"{upload}/requests/{{key}}"
        requests = f"{upload}/requests"
        return [
            Route("GET", requests, self.list, InsertRequestList, ASKED_ERRORS, PAGED),
            Route("GET", one, self.get, InsertRequestAnswer, SEEN_ERRORS),
            Route("DELETE", one, self.undo, InsertRequestAnswer, (*ASKED_ERRORS, 409)),
            Route("GET", f"{upload}/verify", self.verify, UploadVerification, (*SEEN_ERRORS, 503)),
        ]

    async def list(self, request: ApiRequest) -> Answer:
        """The requests with a key that an upload knows, newest first."""
        page = page_of(request)
        position = _position(page.after_id)
        views = await self._receipts.page(
            request.caller, request.segment("table"), request.segment("upload"), position, page.count + 1
        )
        results = [_request(view) for view in views]
        token = _token(views[: page.count], position)
        return json_answer(page_of_results(InsertRequestList, results, page, token))

    async def get(self, request: ApiRequest) -> Answer:
        """What became of the request with an Idempotency-Key."""
        return json_answer(_request(await self._receipts.find(*_path(request))))

    async def undo(self, request: ApiRequest) -> Answer:
        """Removes the rows of a request from an unreleased upload."""
        return json_answer(_request(await self._receipts.undo(*_path(request))))

    async def verify(self, request: ApiRequest) -> Answer:
        """Recomputes the chain of an upload from the rows that are stored."""
        view = await self._receipts.verify(
            request.caller, request.segment("table"), request.segment("upload")
        )
        return json_answer(_verification(view))


def _position(token: int) -> RequestPosition:
    """Returns where a page begins.

    Its token is a time, and how many requests of that time came before.
    """
    if not token:
        return RequestPosition(TIME_MAX)
    time, skipped = divmod(token, SAME_TIME_MAX)
    return RequestPosition(time, skipped) if time >= FIRST_TIME else RequestPosition(0, token)


def _token(views: Sequence[RequestView], position: RequestPosition) -> int | None:
    if not views:
        return None
    time = views[-1].time or 0
    skipped = sum((view.time or 0) == time for view in views)
    before = position.skipped if time == position.time else 0
    return time * SAME_TIME_MAX + before + skipped


def _path(request: ApiRequest) -> tuple[Caller, str, str, str]:
    table, upload, key = (request.segment(name) for name in ("table", "upload", "key"))
    return request.caller, table, upload, key
