"""A data set: its description, tables, versions and grants; and the release of its next version."""

from rowkeep.model.access import PUBLIC_ACCESS_LEVELS
from rowkeep.services.datasets import DatasetService, DatasetView
from rowkeep.services.grants import GRANTED_LEVELS, GrantService, GrantView
from rowkeep.services.tables import TableDraft, TableService
from rowkeep.services.versions import ReleaseDraft, VersionService
from rowkeep.web.answers import PageAnswer, html_answer, redirect
from rowkeep.web.places import dataset_path, dataset_reference, table_path, table_reference
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import PageRoute, PageTable
from rowkeep.web.sessions import Session

TABLES_MAX = 1_000
VERSIONS_MAX = 1_000
GRANTS_MAX = 1_000


class DatasetPages:
    """Data sets."""

    def __init__(
        self, datasets: DatasetService, tables: TableService, versions: VersionService, grants: GrantService
    ) -> None:
        self._datasets = datasets
        self._tables = tables
        self._versions = versions
        self._grants = grants

    def table(self) -> PageTable:
        """Returns the routes."""
        return [
            PageRoute("GET", ("datasets", "*"), self.show),
            PageRoute("POST", ("datasets", "*", "release"), self.release),
            PageRoute("POST", ("datasets", "*", "tables"), self.create_table),
        ]

    async def show(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows a data set at one of its versions."""
        (reference,) = request.segments
        caller = session.caller
        view = await self._datasets.find(caller, reference)
        reference = dataset_reference(view.place)
        tables = await self._tables.page(caller, reference, 0, TABLES_MAX)
        versions = await self._versions.page(caller, reference, 0, VERSIONS_MAX)
        page = render(
            "dataset.html",
            session=session,
            view=view,
            dataset=view.place.dataset,
            shown=view.place.version,
            reference=reference,
            level=view.place.scoped_level.wire_name,
            tables=[(table_reference(table), table) for table in tables],
            versions=[(version.version, _at(view, version.version.tag)) for version in reversed(versions)],
            grants=await self._grants_on(session, view),
            may_grant=await self._grants.may_change(caller, reference),
            granted_levels=GRANTED_LEVELS,
            public_levels=PUBLIC_ACCESS_LEVELS,
        )
        return html_answer(page)

    async def _grants_on(self, session: Session, view: DatasetView) -> list[GrantView] | None:
        """Returns the grants on a data set, or None for a person who may not see them."""
        if not view.place.is_editable:
            return None
        return await self._grants.page(session.caller, dataset_reference(view.place), 0, GRANTS_MAX)

    async def release(self, request: PageRequest, session: Session) -> PageAnswer:
        """Releases the next version, and shows it."""
        (reference,) = request.segments
        form = await request.form()
        notes = form.get("notes", "").strip() or None
        draft = ReleaseDraft(release_notes=notes, continue_streams=form.get("continue") == "yes")
        released = await self._versions.release(session.caller, reference, "next", draft)
        dataset = released.place.dataset
        tag = released.version.tag.replace(".", "_")
        shown = f"{dataset.owner_name}.{dataset.name_key}:{tag}"
        return redirect(dataset_path(shown))

    async def create_table(self, request: PageRequest, session: Session) -> PageAnswer:
        """Creates a table, and shows the ways to bring rows into it."""
        (reference,) = request.segments
        form = await request.form()
        draft = TableDraft(form.get("name", "").strip())
        view = await self._tables.create(session.caller, reference, draft)
        return redirect(f"{table_path(table_reference(view))}/uploads")


def _at(view: DatasetView, tag: str) -> str:
    dataset = view.place.dataset
    return f"{dataset.owner_name}.{dataset.name_key}:{tag.replace('.', '_')}"
