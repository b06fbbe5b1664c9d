"""Home: the data sets that a person may see."""

from rowkeep.model.resources import OwnerKind
from rowkeep.services.datasets import DatasetDraft, DatasetService, DatasetView
from rowkeep.web.answers import PageAnswer, html_answer, redirect
from rowkeep.web.places import dataset_path, dataset_reference
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import PageRoute, PageTable
from rowkeep.web.sessions import Session

DATASETS_PER_PAGE = 50
_NEWEST = 2**62


class HomePages:
    """Home."""

    def __init__(self, datasets: DatasetService) -> None:
        self._datasets = datasets

    def table(self) -> PageTable:
        """Returns the routes."""
        return [PageRoute("GET", (), self.show), PageRoute("POST", ("datasets",), self.create)]

    async def show(self, request: PageRequest, session: Session) -> PageAnswer:
        """Shows a page of data sets, newest first."""
        before_id = request.natural("before") or _NEWEST
        found = await self._datasets.given(session.caller, before_id, DATASETS_PER_PAGE + 1)
        views = found[:DATASETS_PER_PAGE]
        page = render(
            "home.html",
            session=session,
            datasets=[_line(view) for view in views],
            before=request.natural("before"),
            last_id=views[-1].place.dataset.id if len(found) > DATASETS_PER_PAGE else None,
        )
        return html_answer(page)

    async def create(self, request: PageRequest, session: Session) -> PageAnswer:
        """Creates a data set of the person's own, and shows it."""
        form = await request.form()
        draft = DatasetDraft(form.get("name", "").strip())
        view = await self._datasets.create(session.caller, OwnerKind.USER, session.user_name, draft)
        return redirect(dataset_path(dataset_reference(view.place)))


def _line(view: DatasetView) -> dict[str, object]:
    place = view.place
    return {
        "reference": dataset_reference(place),
        "dataset": place.dataset,
        "version": place.version,
        "sizes": view.sizes,
        "level": place.scoped_level.wire_name,
        "public_level": place.dataset.public_access_level.wire_name,
    }
