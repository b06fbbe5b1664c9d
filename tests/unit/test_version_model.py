"""Versions against a plain model, step by step: a released version is immutable to the bit. Design 1.6."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rowkeep.api.resources.datasets import dataset_in_list
from rowkeep.api.resources.tables import table_resource
from rowkeep.api.resources.variables import variable_resource
from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.resources import MergeStrategy, ReadStream
from rowkeep.model.timing import InsertTimes
from rowkeep.services.datasets import DatasetService
from rowkeep.services.insert.requests import InsertRequest
from rowkeep.services.read.read import read_request
from rowkeep.services.tables import TableChanges, TableDraft, TableService
from rowkeep.services.uploads import UploadDraft
from rowkeep.services.variables import VariableService
from rowkeep.services.versions import ReleaseDraft, VersionService
from tests.unit.read_world import World
from tests.unit.version_model import ModelDataset, ModelTable, ModelUpload, ModelVersion, Row

Result = TypeVar("Result")

TABLES = some.sampled_from(["answers", "places"])
UPLOADS = some.sampled_from(["live", "more"])
# Numbers that stand for tags (see tag_of); most writes go to the next version, where they can succeed.
NO_TAG = -1
PLACES = some.sampled_from([0] * 6 + [1, 2, 3, NO_TAG])
ANY_TAG = some.integers(0, 5)
ROWS = some.lists(
    some.fixed_dictionaries(
        {}, optional={"n": some.integers(-5, 5) | some.just("text"), "s": some.just("x")}
    ),
    max_size=3,
)
SESSIONS_MAX = 4
STALE_CODES = (ErrorCode.INVALID_REQUEST, ErrorCode.NOT_FOUND)


@dataclass
class Session:
    """A read session, and what it must show for ever."""

    stream: ReadStream
    body: bytes | None = None


class Versions(RuleBasedStateMachine):
    """One dataset, everything that can be done to it, and what every version must answer after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.world = World(self.folder, self.runner)
        self.owner = self.world.owner
        self.versions = VersionService(self.world.doors)
        self.tables = TableService(self.world.doors)
        self.datasets = DatasetService(self.world.doors)
        self.variables = VariableService(self.world.doors)
        self.model = ModelDataset([ModelVersion(0, [ModelTable("answers")])])
        self.frozen: dict[int, tuple[str, dict[str, bytes]]] = {}
        self.sessions: list[Session] = []

    def teardown(self) -> None:
        if self.model.next is not None:
            self.delete_version(0)
        for version in self.model.versions:
            if version.is_hidden:
                self.show(version.text)
        self.every_version_holds_what_it_should()
        self.world.close()
        self.runner.close()
        shutil.rmtree(self.folder)

    # What can be done.

    def settle(self, work: Coroutine[Any, Any, Result], *, succeeds: bool) -> Result | None:
        """Does something that must succeed, or must be refused as the caller's mistake."""
        try:
            result = self.world.run(work)
        except RowkeepError as refusal:
            assert not succeeds, refusal.message
            assert refusal.code in STALE_CODES
            return None
        assert succeeds, "this should have been refused"
        return result

    def tag_of(self, number: int) -> str:
        """The tag that a number stands for: `next`, `current`, none, or that of a version, the last first."""
        tags = [version.text for version in reversed(self.model.versions) if version.tag is not None]
        names = ["next", "current", *tags[:4], "v9.0"]
        return "" if number == NO_TAG else names[number % len(names)]

    def place(self, tag: str, table: str) -> tuple[str, ModelVersion | None, ModelTable | None]:
        """A reference to a table, and what it names if that may be written to."""
        version = self.model.named(tag)
        writable = version if version is not None and version.tag is None else None
        return f"{reference_of(tag)}.{table}", writable, writable and writable.table(table)

    def rows_place(self, tag: str, table: str) -> tuple[str, ModelTable | None]:
        """A reference to a table, and what it names in a write of uploads or rows: without a tag `next`."""
        _, _, found = self.place(tag or "next", table)
        return f"{reference_of(tag)}.{table}", found

    @rule(number=PLACES, name=TABLES, strategy=some.sampled_from(list(MergeStrategy)))
    def create_table(self, number: int, name: str, strategy: MergeStrategy) -> None:
        """Creates a table."""
        tag = self.tag_of(number)
        _, version, found = self.place(tag, name)
        draft = TableDraft(name, upload_merge_strategy=strategy)
        work = self.tables.create(self.owner, reference_of(tag), draft)
        self.settle(work, succeeds=version is not None and found is None)
        if version is not None and found is None:
            version.tables.append(ModelTable(name, strategy.value))

    @rule(number=PLACES, name=TABLES, strategy=some.sampled_from(list(MergeStrategy)))
    def set_strategy(self, number: int, name: str, strategy: MergeStrategy) -> None:
        """Switches a table's merge strategy; of a released one only to what it is."""
        tag = self.tag_of(number)
        reference, _, table = self.place(tag, name)
        version = self.model.named(tag)
        released = version.table(name) if version is not None else None
        is_same = released is not None and released.strategy == strategy.value
        changes = TableChanges(upload_merge_strategy=strategy)
        self.settle(self.tables.update(self.owner, reference, changes), succeeds=table is not None or is_same)
        if table is not None:
            table.strategy = strategy.value

    @rule(number=PLACES, name=TABLES, new=TABLES)
    def rename_table(self, number: int, name: str, new: str) -> None:
        """Renames a table, unless the name is taken."""
        tag = self.tag_of(number)
        reference, version, table = self.place(tag, name)
        named = self.model.named(tag)
        is_same = named is not None and named.table(name) is not None and name == new
        is_free = version is not None and table is not None and version.table(new) is None
        changes = TableChanges(name=new)
        self.settle(self.tables.update(self.owner, reference, changes), succeeds=is_free or is_same)
        if is_free and table is not None:
            table.name = new

    @rule(number=PLACES, name=TABLES)
    def delete_table(self, number: int, name: str) -> None:
        """Deletes a table with its own uploads."""
        tag = self.tag_of(number)
        reference, version, table = self.place(tag, name)
        self.settle(self.tables.delete(self.owner, reference), succeeds=table is not None)
        if version is not None and table is not None:
            version.tables.remove(table)
            delete_uploads(table)

    @rule(number=PLACES, name=TABLES, upload=UPLOADS)
    def create_upload(self, number: int, name: str, upload: str) -> None:
        """Creates an upload; a name that is taken gives another."""
        tag = self.tag_of(number)
        reference, table = self.rows_place(tag, name)
        work = self.world.uploads.create(self.owner, reference, UploadDraft(name=upload, type="stream"))
        made = self.settle(work, succeeds=table is not None)
        if table is not None and made is not None:
            assert (made.upload.name == upload) == (table.upload(upload) is None)
            table.uploads.append(ModelUpload(made.upload.name))

    @rule(number=PLACES, name=TABLES, upload=UPLOADS)
    def delete_upload(self, number: int, name: str, upload: str) -> None:
        """Deletes an upload with its rows."""
        tag = self.tag_of(number)
        reference, table = self.rows_place(tag, name)
        found = None if table is None else table.upload(upload)
        self.settle(self.world.uploads.delete(self.owner, reference, upload), succeeds=found is not None)
        if table is not None and found is not None:
            table.uploads.remove(found)
            found.is_deleted = True

    @rule(number=PLACES, name=TABLES, upload=UPLOADS, rows=ROWS)
    def insert(self, number: int, name: str, upload: str, rows: list[Row]) -> None:
        """Inserts rows, with whatever way in the service has kept from earlier."""
        tag = self.tag_of(number)
        reference, table = self.rows_place(tag, name)
        found = None if table is None else table.upload(upload)
        request = InsertRequest(self.owner, (reference, upload), None)

        async def insert() -> int:
            inserts = self.world.inserts
            target = inserts.kept_target(request) or await inserts.look_up_target(request)
            receipt = await inserts.insert(
                request, target, msgspec.json.encode({"rows": rows}), InsertTimes(0.0)
            )
            return receipt.row_count

        assert self.settle(insert(), succeeds=found is not None) in (None, len(rows))
        if found is not None:
            found.rows += rows

    @rule()
    def create_next(self) -> None:
        """Creates the next version."""
        may = self.model.next is None and self.model.current is not None
        self.settle(self.versions.create(self.owner, "ada.survey"), succeeds=may)
        if may:
            self.model.add_next()

    @rule(continues=some.booleans())
    def release(self, *, continues: bool = False) -> None:
        """Releases the next version, and keeps a copy of all that it answers; its streams may go on."""
        version, may = self.model.next, self.model.may_release()
        draft = ReleaseDraft(continue_streams=continues)
        made = self.settle(self.versions.release(self.owner, "ada.survey", "next", draft), succeeds=may)
        if version is not None and made is not None:
            version.tag = self.model.next_tag(version)
            assert made.version.tag == version.text
            self.frozen[version.position] = version.text, self.answers(version)
            if continues:
                self.model.continue_streams()

    @rule(upload=UPLOADS)
    def publish(self, upload: str) -> None:
        """What people do most: the next version, an upload with a row, a release."""
        if self.model.next is None:
            self.create_next()
        for name in ("answers", "places"):
            self.create_upload(0, name, upload)
            self.insert(0, name, upload, [{"n": 1}])
        self.release()

    @rule(number=ANY_TAG)
    def withdraw(self, number: int) -> None:
        """Deletes the current version and unreleases the one before, which the deleted one rests on."""
        self.delete_version(number)
        self.unrelease(1)

    @rule(number=ANY_TAG)
    def unrelease(self, number: int) -> None:
        """Unreleases a version."""
        tag = self.tag_of(number)
        version = self.model.named(tag)
        may = version is not None and self.model.may_unrelease(version)
        self.settle(self.versions.unrelease(self.owner, "ada.survey", tag), succeeds=may)
        if may and version is not None:
            version.tag = None
            del self.frozen[version.position]

    @rule(number=ANY_TAG)
    def delete_version(self, number: int) -> None:
        """Hides a released version, or deletes the next one."""
        tag = self.tag_of(number)
        version = self.model.named(tag)
        may = version is not None and self.model.may_delete(version)
        self.settle(self.versions.delete(self.owner, "ada.survey", tag), succeeds=may)
        if not may or version is None:
            return
        if version.tag is not None:
            version.is_hidden = True
        else:
            self.model.versions.remove(version)
            for table in version.tables:
                delete_uploads(table)

    @rule(number=ANY_TAG)
    def undelete(self, number: int) -> None:
        """Shows a version again."""
        self.show(self.tag_of(number))

    def show(self, tag: str) -> None:
        """Undeletes a version, which must be deleted."""
        version = next((one for one in self.model.versions if one.text == tag and one.is_hidden), None)
        may = version is not None and self.model.may_undelete(version)
        self.settle(self.versions.undelete(self.owner, "ada.survey", tag), succeeds=may)
        if may and version is not None:
            version.is_hidden = False

    @rule(number=ANY_TAG, name=TABLES)
    def open_session(self, number: int, name: str) -> None:
        """Opens a read session, to be read after every later step."""
        tag = self.tag_of(number)
        version = self.model.named(tag)
        table = None if version is None else version.table(name)
        if table is None or len(self.sessions) == SESSIONS_MAX:
            return
        request = read_request(f"ada.survey:{tag}.{name}", None, "arrow", None, None)
        opened = self.world.run(self.world.reads.open_session(self.owner, request, 1))
        self.sessions.append(Session(opened.streams[0]))

    # What must hold after every step.

    def answers(self, version: ModelVersion) -> dict[str, bytes]:
        """All that a version answers but its neighbours, to the byte."""
        reference = f"ada.survey:{version.text}"
        seen = self.world.run(self.datasets.find(self.owner, reference))
        dataset = msgspec.to_builtins(dataset_in_list(seen))
        del dataset["totalNumBytes"], dataset["totalInactiveTabularBytes"]  # other versions count there
        answers = {"dataset": msgspec.json.encode([dataset, seen.place.version.position])}
        for view in self.world.run(self.tables.page(self.owner, reference, 0, 100)):
            name = view.table.name
            variables = self.world.run(self.variables.of_table(self.owner, f"{reference}.{name}")).schema
            described = [variable_resource(one, 0, "") for one in variables.variables]
            answers[f"{name} table"] = msgspec.json.encode(table_resource(view))
            answers[f"{name} variables"] = msgspec.json.encode(described)
            for format_name in ("jsonl", "arrow"):
                answers[f"{name} {format_name}"] = self.body(f"{reference}.{name}", format_name)
        return answers

    def body(self, reference: str, format_name: str) -> bytes:
        """The rows of a table as they are sent."""
        request = read_request(reference, None, format_name, None, None)
        return b"".join(self.world.rest(self.world.run(self.world.reads.list_rows(self.owner, request))))

    @invariant()
    def every_version_holds_what_it_should(self) -> None:
        """The next version is as the model has it; a released one answers what it answered at its release."""
        for version in self.model.seen():
            answers = self.answers(version)
            if version.tag is not None:
                assert (version.text, answers) == self.frozen[version.position]
            tables = {name.split()[0] for name in answers if name != "dataset"}
            assert tables == {table.name for table in version.tables}
            for table in version.tables:
                lines = answers[f"{table.name} jsonl"].splitlines()
                rows = [msgspec.json.decode(line) for line in lines]
                assert [{k: v for k, v in row.items() if v is not None} for row in rows] == table.rows()
                assert msgspec.json.decode(answers[f"{table.name} table"])["numRows"] == len(rows)

    @invariant()
    def the_model_and_the_service_agree_on_what_can_be_released(self) -> None:
        """`canRelease` is true exactly when a release would go through."""
        if self.model.next is not None:
            found = self.world.run(self.versions.find(self.owner, "ada.survey", "next"))
            assert found.can_release == self.model.may_release()

    @invariant()
    def sessions_show_their_moment(self) -> None:
        """A session goes on showing the same rows, whatever was deleted since."""
        for session in self.sessions:
            body = self.world.streamed(session.stream)
            assert session.body in (None, body)
            session.body = body


def reference_of(tag: str) -> str:
    """The dataset at a version."""
    return f"ada.survey:{tag}" if tag else "ada.survey"


def delete_uploads(table: ModelTable) -> None:
    """Marks the uploads of a table that is gone."""
    for upload in table.uploads:
        upload.is_deleted = True


TestVersions = Versions.TestCase
TestVersions.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
