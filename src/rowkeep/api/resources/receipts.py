"""The endpoints of what was answered: requests by their key, undoing them, and verifying an upload."""

from rowkeep.api.http.request import ApiRequest
from rowkeep.api.http.routes import API, RouteTable
from rowkeep.api.http.wire import Answer, json_answer
from rowkeep.api.resources.resources import request_resource, verification_resource
from rowkeep.services.insert.receipts import ReceiptService


class ReceiptHandlers:
    """Requests and verification."""

    def __init__(self, receipts: ReceiptService) -> None:
        self._receipts = receipts

    def table(self) -> RouteTable:
        """The routes."""
        upload = f"{API}/tables/{{table}}/uploads/{{upload}}"
        return [
            ("GET", f"{upload}/requests/{{key}}", self.get),
            ("DELETE", f"{upload}/requests/{{key}}", self.undo),
            ("GET", f"{upload}/verify", self.verify),
        ]

    async def get(self, request: ApiRequest) -> Answer:
        """What became of the request with an Idempotency-Key."""
        return json_answer(request_resource(await self._receipts.find(*_path(request))))

    async def undo(self, request: ApiRequest) -> Answer:
        """Removes the rows of a request from an unreleased upload."""
        return json_answer(request_resource(await self._receipts.undo(*_path(request))))

    async def verify(self, request: ApiRequest) -> Answer:
        """Recomputes the chain of an upload from the rows that are stored."""
        view = await self._receipts.verify(
            request.token_hash, request.segment("table"), request.segment("upload")
        )
        return json_answer(verification_resource(view))


def _path(request: ApiRequest) -> tuple[bytes | None, str, str, str]:
    table, upload, key = (request.segment(name) for name in ("table", "upload", "key"))
    return request.token_hash, table, upload, key
