"""The first start: the first user, a data set, a table and a stream, and then lines to paste."""

from rowkeep.model.references import checked_name, upload_segment
from rowkeep.model.resources import OwnerKind
from rowkeep.services.access import caller_with
from rowkeep.services.datasets import DatasetDraft, DatasetService
from rowkeep.services.first_start import FirstStart
from rowkeep.services.tables import TableDraft, TableService
from rowkeep.services.upload_drafts import UploadDraft
from rowkeep.services.uploads import UploadService
from rowkeep.web.answers import PageAnswer, html_answer
from rowkeep.web.places import dataset_reference
from rowkeep.web.rendering import render
from rowkeep.web.requests import PageRequest
from rowkeep.web.routes import OpenRoute, PageTable
from rowkeep.web.signing_in import SigningIn

STREAM = "live"


class FirstStartPages:
    """The page that a new server's link leads to."""

    def __init__(
        self,
        first_start: FirstStart,
        datasets: DatasetService,
        tables: TableService,
        uploads: UploadService,
        signing_in: SigningIn,
    ) -> None:
        self._first_start = first_start
        self._datasets = datasets
        self._tables = tables
        self._uploads = uploads
        self._signing_in = signing_in

    def table(self) -> PageTable:
        """Returns the routes."""
        return [
            OpenRoute("GET", ("first-start",), self.show),
            OpenRoute("POST", ("first-start",), self.make),
        ]

    async def show(self, request: PageRequest) -> PageAnswer:
        """Shows the form, if the address has the right code."""
        self._first_start.check(request.text("code"))
        return html_answer(render("first_start.html", session=None, code=request.text("code")))

    async def make(self, request: PageRequest) -> PageAnswer:
        """Makes everything, signs in, and shows the token, only this once."""
        form = await request.form()
        self._first_start.check(form.get("code", ""))
        dataset_name = checked_name("dataset", form.get("dataset", ""))
        table_name = checked_name("table", form.get("table", ""))
        user = await self._first_start.make_user(form["code"], form.get("user", "").strip())
        caller = caller_with(user.token.encode())
        draft = DatasetDraft(dataset_name)
        dataset = await self._datasets.create(caller, OwnerKind.USER, user.name, draft)
        place = dataset.place
        table = await self._tables.create(caller, dataset_reference(place), TableDraft(table_name))
        reference = f"{place.dataset.owner_name}.{place.dataset.name_key}.{table.table.name_key}"
        stream = await self._uploads.create(caller, reference, UploadDraft(name=STREAM, type="stream"))
        identifier = self._signing_in.sessions.begin(caller, user.name)
        page = render(
            "first_rows.html",
            session=self._signing_in.sessions.find(identifier),
            token=user.token,
            reference=reference,
            stream=upload_segment(stream.upload.name),
            api=f"{request.base_url}/api/v1",
        )
        answer = html_answer(page)
        answer.headers.append((b"set-cookie", self._signing_in.cookie.set_to(identifier)))
        return answer
