"""The quarantine of an upload: rows that did not fit, each bad cell marked; tried again or thrown away."""

from rowkeep.model.references import upload_segment
from rowkeep.services.quarantine import QuarantineService, ReplayDraft
from rowkeep.services.tables import TableService
from rowkeep.services.uploads import UploadService
from rowkeep.web.answers import PageAnswer, html_answer, redirect
from rowkeep.web.places import shown_table, table_path, table_reference
from rowkeep.web.quarantined import quarantine_grid
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import PageRoute, PageTable
from rowkeep.web.sessions import Session

ROWS_PER_PAGE = 50


class QuarantinePages:
    """Quarantines."""

    def __init__(self, tables: TableService, uploads: UploadService, quarantine: QuarantineService) -> None:
        self._tables = tables
        self._uploads = uploads
        self._quarantine = quarantine

    def table(self) -> PageTable:
        """Returns the routes."""
        quarantine = ("tables", "*", "uploads", "*", "quarantine")
        return [
            PageRoute("GET", quarantine, self.show),
            PageRoute("POST", (*quarantine, "replay"), self.replay),
            PageRoute("POST", (*quarantine, "discard"), self.discard),
        ]

    async def show(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows some rows, oldest first."""
        reference, name = request.segments
        table = await self._tables.find(session.caller, reference)
        shown = await self._uploads.find(session.caller, table_reference(table), name)
        after_id = request.natural("after")
        found = await self._quarantine.page(
            session.caller, (table_reference(table), name), after_id, ROWS_PER_PAGE + 1
        )
        rows = found.rows[:ROWS_PER_PAGE]
        page = render(
            "quarantine.html",
            **shown_table(session, table, "uploads"),
            shown=shown,
            segment=upload_segment(shown.upload.name),
            grid=quarantine_grid(rows),
            dropped_count=found.dropped_count,
            after_id=after_id,
            next_id=rows[-1].id if len(found.rows) > ROWS_PER_PAGE else None,
            replayed=request.text("added") and (request.natural("added"), request.natural("remaining")),
        )
        return html_answer(page)

    async def replay(self, request: PageRequest, session: Session) -> PageAnswer:
        """Tries the rows again, and shows how many fitted."""
        reference, name = request.segments
        form = await request.form()
        draft = ReplayDraft(update_schema="updateSchema" in form)
        report = await self._quarantine.replay(session.caller, (reference, name), draft)
        query = f"added={report.row_count}&remaining={report.remaining_count}"
        return redirect(f"{table_path(reference)}/uploads/{upload_segment(name)}/quarantine?{query}")

    async def discard(self, request: PageRequest, session: Session) -> PageAnswer:
        """Throws the rows away."""
        reference, name = request.segments
        await self._quarantine.empty(session.caller, (reference, name))
        return redirect(f"{table_path(reference)}/uploads/{upload_segment(name)}")
