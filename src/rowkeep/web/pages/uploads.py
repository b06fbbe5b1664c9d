"""Uploads of a table: files are imported, streams are created, requests are looked up and undone."""

from collections.abc import Sequence

from rowkeep.model.receipts import RequestPosition
from rowkeep.model.references import upload_segment
from rowkeep.services.insert.receipts import ReceiptService, RequestView
from rowkeep.services.tables import TableService, TableView
from rowkeep.services.temp_uploads import TempUploadDraft, TempUploadService
from rowkeep.services.upload_drafts import UploadDraft
from rowkeep.services.uploads import UploadService, UploadView
from rowkeep.web.answers import PageAnswer, html_answer, redirect
from rowkeep.web.file_form import FileForm, FileForms, chosen_file
from rowkeep.web.loads import load_of
from rowkeep.web.places import shown_table, table_path, table_reference
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import PageRoute, PageTable
from rowkeep.web.sessions import Session

UPLOADS_PER_PAGE = 100
REQUESTS_PER_PAGE = 50
# Later than any request.
TIME_MAX = 2**62


class UploadPages:
    """The uploads of a table."""

    def __init__(
        self,
        tables: TableService,
        uploads: UploadService,
        temp_uploads: TempUploadService,
        receipts: ReceiptService,
        forms: FileForms,
    ) -> None:
        self._tables = tables
        self._uploads = uploads
        self._temp_uploads = temp_uploads
        self._receipts = receipts
        self._forms = forms

    def table(self) -> PageTable:
        """Returns the routes."""
        uploads = ("tables", "*", "uploads")
        return [
            PageRoute("GET", uploads, self.list),
            PageRoute("POST", uploads, self.load),
            PageRoute("POST", ("tables", "*", "streams"), self.create_stream),
            PageRoute("GET", (*uploads, "*"), self.show),
            PageRoute("POST", (*uploads, "*", "delete"), self.delete),
            PageRoute("POST", (*uploads, "*", "undo"), self.undo),
        ]

    async def list(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows the uploads of a table, with forms for a file and for a stream."""
        (reference,) = request.segments
        view = await self._tables.find(session.caller, reference)
        reference = table_reference(view)
        after_id = request.natural("after")
        found = await self._uploads.page(session.caller, reference, after_id, UPLOADS_PER_PAGE + 1)
        uploads = found[:UPLOADS_PER_PAGE]
        page = render(
            "uploads.html",
            **shown_table(session, view, "uploads"),
            uploads=[_line(upload) for upload in uploads],
            after_id=after_id,
            next_id=uploads[-1].upload.id if len(found) > UPLOADS_PER_PAGE else None,
        )
        return html_answer(page)

    async def load(self, request: PageRequest, session: Session) -> PageAnswer:
        """Receives a file, begins its load, and shows it."""
        (reference,) = request.segments
        form = request.file_form(self._forms)
        made = await self._temp_uploads.create(session.caller, reference, [TempUploadDraft()])
        try:
            await self._temp_uploads.receive(made[0], form.file_parts())
            draft = _file_draft(form, made[0].identifier)
            view = await self._uploads.create(session.caller, reference, draft)
        except BaseException:
            await self._temp_uploads.delete(made[0])
            raise
        return redirect(_path(reference, view))

    async def create_stream(self, request: PageRequest, session: Session) -> PageAnswer:
        """Creates a stream, and shows it."""
        (reference,) = request.segments
        form = await request.form()
        draft = UploadDraft(name=form.get("name", "").strip() or None, type="stream")
        view = await self._uploads.create(session.caller, reference, draft)
        return redirect(_path(reference, view))

    async def show(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows an upload: the load of a file, or the requests of a stream."""
        reference, name = request.segments
        table = await self._tables.find(session.caller, reference)
        view = await self._uploads.find(session.caller, table_reference(table), name)
        if view.load is not None:
            return html_answer(render("load.html", **_common(session, table, view)))
        position = RequestPosition(request.natural("time") or TIME_MAX, request.natural("skipped"))
        found = await self._receipts.page(
            session.caller, table_reference(table), name, position, REQUESTS_PER_PAGE + 1
        )
        requests = found[:REQUESTS_PER_PAGE]
        page = render(
            "stream.html",
            **_common(session, table, view),
            requests=requests,
            is_first=position == RequestPosition(TIME_MAX),
            following=_after(requests, position) if len(found) > REQUESTS_PER_PAGE else None,
        )
        return html_answer(page)

    async def delete(self, request: PageRequest, session: Session) -> PageAnswer:
        """Deletes an upload with its rows, and ends its load if there is one."""
        reference, name = request.segments
        await self._uploads.delete(session.caller, reference, name)
        return redirect(f"{table_path(reference)}/uploads")

    async def undo(self, request: PageRequest, session: Session) -> PageAnswer:
        """Removes the rows of one request."""
        reference, name = request.segments
        form = await request.form()
        view = await self._receipts.undo(session.caller, reference, name, form.get("key", ""))
        return redirect(_path(reference, view.parent))


def _file_draft(form: FileForm, temp_upload_id: str) -> UploadDraft:
    """Returns the draft of a file from the form's fields. An empty field is left out."""
    fields = {name: value.decode("utf-8", "replace") for name, value in form.fields.items()}
    markers = tuple(line for line in fields.get("nullMarkers", "").splitlines() if line)
    return UploadDraft(
        name=chosen_file(form),
        temp_upload_id=temp_upload_id,
        delimiter={"tab": "\t"}.get(fields.get("delimiter", ""), fields.get("delimiter")) or None,
        encoding=fields.get("encoding", "").strip() or None,
        null_markers=markers or None,
        has_header_row="noHeaderRow" not in fields,
        skip_bad_records="skipBadRecords" in fields,
    )


def _line(view: UploadView) -> dict[str, object]:
    return {
        "view": view,
        "upload": view.upload,
        "segment": upload_segment(view.upload.name),
        "load": None if view.load is None else load_of(view.load),
    }


def _common(session: Session, table: TableView, view: UploadView) -> dict[str, object]:
    return {**shown_table(session, table, "uploads"), **_line(view), "view": table, "shown": view}


def _path(reference: str, view: UploadView) -> str:
    return f"{table_path(reference)}/uploads/{upload_segment(view.upload.name)}"


def _after(views: Sequence[RequestView], position: RequestPosition) -> str:
    """Returns the query for the page after these requests."""
    time = views[-1].time or 0
    before = position.skipped if time == position.time else 0
    return f"time={time}&skipped={before + sum((view.time or 0) == time for view in views)}"
