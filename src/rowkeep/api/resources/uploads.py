"""The endpoints of uploads. Rows go in through `rows.py`. Source: contract 4.5."""

from rowkeep.api.http.request import ApiRequest, listed, page_of
from rowkeep.api.http.routes import API, RouteTable
from rowkeep.api.http.wire import Answer, json_answer, ok_answer
from rowkeep.api.resources.resources import upload_resource
from rowkeep.services.uploads import UploadDraft, UploadService


class UploadHandlers:
    """Uploads."""

    def __init__(self, uploads: UploadService) -> None:
        self._uploads = uploads

    def table(self) -> RouteTable:
        """The routes."""
        uploads = f"{API}/tables/{{table}}/uploads"
        return [
            ("GET", uploads, self.list),
            ("POST", uploads, self.create),
            ("GET", f"{uploads}/{{upload}}", self.get),
            ("DELETE", f"{uploads}/{{upload}}", self.delete),
        ]

    async def list(self, request: ApiRequest) -> Answer:
        """A page of a table's uploads."""
        page = page_of(request)
        views = await self._uploads.page(
            request.token_hash, request.segment("table"), page.after_id, page.count + 1
        )
        return listed("uploadList", views, page, upload_resource, lambda view: view.upload.id)

    async def create(self, request: ApiRequest) -> Answer:
        """Creates an upload."""
        draft = await request.json(UploadDraft)
        view = await self._uploads.create(request.token_hash, request.segment("table"), draft)
        return json_answer(upload_resource(view), 201)

    async def get(self, request: ApiRequest) -> Answer:
        """An upload."""
        view = await self._uploads.find(
            request.token_hash, request.segment("table"), request.segment("upload")
        )
        return json_answer(upload_resource(view))

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes an upload."""
        await self._uploads.delete(request.token_hash, request.segment("table"), request.segment("upload"))
        return ok_answer()
