"""The row machine's catalog: tables, uploads, versions, sessions, readings (theory in test_row_model.py)."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, rule

from rowkeep.model.resources import ReadStream
from rowkeep.model.types import VariableType
from rowkeep.services.tables import TableDraft, TableService
from rowkeep.services.uploads import UploadDraft
from rowkeep.services.versions import ReleaseDraft, VersionService
from tests.unit.read_world import World
from tests.unit.row_model import Expected, ModelVariable, TypedTable, TypedUpload
from tests.unit.version_model import ModelDataset, ModelVersion

BOUNDS = {
    "storage.segments.reader.READ_BYTES_MAX": 150,
    "storage.segments.reader.BATCH_ROWS_MAX": 3,
    "storage.segments.reader.BATCH_CELLS_MAX": 12,
    "storage.segments.reader.BATCH_BYTES_MAX": 200,
    "storage.segments.reader.ARROW_BATCH_ROWS_MAX": 3,
    "storage.segments.reader.ARROW_BATCH_BYTES_MAX": 200,
    "storage.segments.reader.STEP_BYTES_MAX": 400,
    "storage.segments.reader.STEP_BATCHES_MAX": 2,
    "storage.journal.rows.DECODED_CELLS_MAX": 12,
    "storage.segments.parquet.GROUP_ROWS_MAX": 4,
    "storage.segments.parquet.GROUP_CELLS_MAX": 24,
    "storage.segments.parquet.GROUP_BYTES_MAX": 150,
    "storage.segments.checked_file.BLOCK_BYTES": 512,
    "storage.segments.chaining.READ_BYTES_MAX": 100,
    "storage.segments.chaining.PIECE_CELLS_MAX": 12,
    "storage.segments.chaining.STEP_PIECES_MAX": 2,
    "storage.segments.sealer.SEAL_BYTES_MAX": 300,
    "storage.segments.sealer.READ_BYTES_MAX": 100,
    "storage.segments.sealer.OUTLINES_PER_PAGE": 2,
    "storage.verification.READ_BYTES_MAX": 100,
    "storage.verification.STREAMS_PER_PAGE": 2,
    "storage.verification.SEGMENTS_PER_PAGE": 2,
    "services.maintenance.COMPACTED_MIN": 2,
    "services.maintenance.COMPACTED_OF_LARGEST_MIN": 1,
    "services.maintenance.COMPACTED_BYTES_MAX": 4_000,
    "services.maintenance.DROPPED_BYTES_MAX": 100,
    "services.upkeep.FORGOTTEN_PER_LOOK": 1,
}
TYPES = [type_.value for type_ in VariableType]
TABLES = some.sampled_from(["answers", "places"])
ANY = some.integers(0, 1000)
UPLOADS_MAX = 3


@dataclass
class Session:
    """A read session, and what it must show as long as it lives."""

    streams: tuple[ReadStream, ...]
    format: str
    shows: Expected

    def parts(self) -> list[tuple[ReadStream, Expected]]:
        """Each stream with its rows: equal parts of all."""
        total, number = len(self.shows.rows), len(self.streams)
        return [
            (stream, self.shows.part(total * index // number, total * (index + 1) // number))
            for index, stream in enumerate(self.streams)
        ]


@dataclass
class Reading:
    """A list of rows on its way, a part at each turn."""

    parts: AsyncIterator[bytes]
    format: str
    shows: Expected
    uploads: list[TypedUpload]
    received: bytes = b""


class CatalogMachine(RuleBasedStateMachine):
    """One dataset whose tables, uploads and versions change, with tiny bounds for everything."""

    def __init__(self) -> None:
        super().__init__()
        self.bounds = pytest.MonkeyPatch()
        for name, value in BOUNDS.items():
            self.bounds.setattr(f"rowkeep.{name}", value)
        self.folder = Path(tempfile.mkdtemp())
        self.numbers = count()
        self.runner = asyncio.Runner()
        self.open(self.folder / "data")
        self.model = ModelDataset([ModelVersion(0, [TypedTable("answers")])])

    def open(self, folder: Path) -> None:
        """Opens a data directory as a server does when it starts."""
        self.world = World(folder, self.runner)
        self.owner = self.world.owner
        self.tables = TableService(self.world.doors)
        self.versions = VersionService(self.world.doors)

    def teardown(self) -> None:
        self.world.close()
        self.runner.close()
        self.bounds.undo()
        shutil.rmtree(self.folder)

    # Tables, uploads and versions. What is missing is made, so that most steps have rows to do with.

    @rule(name=TABLES, declared=some.booleans())
    def create_upload(self, name: str, declared: bool) -> None:
        """Creates a stream, with a variable of each type or with none."""
        table = self.writable(name)
        if len(table.uploads) < UPLOADS_MAX:
            self.add_upload(table, declared=declared)

    def add_upload(self, table: TypedTable, *, declared: bool) -> None:
        """A new, empty stream."""
        schema = [{"name": f"a_{type_}", "type": type_} for type_ in TYPES] if declared else None
        draft = {"name": f"stream_{next(self.numbers)}", "type": "stream", "schema": schema}
        made = self.world.run(
            self.world.uploads.create(self.owner, reference_of(table), msgspec.convert(draft, UploadDraft))
        )
        variables = {f"a_{type_}".lower(): ModelVariable(f"a_{type_}", type_) for type_ in TYPES}
        table.uploads.append(
            TypedUpload(made.upload.name, updates=not declared, variables=variables if declared else {})
        )

    @rule(name=TABLES, index=ANY, whole_table=some.booleans())
    def delete(self, name: str, index: int, whole_table: bool) -> None:
        """Deletes an upload with its rows, or a table with the uploads that it got in this version."""
        version, table = self.next_version(), self.writable(name)
        if whole_table:
            self.world.run(self.tables.delete(self.owner, reference_of(table)))
            version.tables.remove(table)
            delete_uploads(table)
        elif table.uploads:
            upload = table.uploads.pop(index % len(table.uploads))
            self.world.run(self.world.uploads.delete(self.owner, reference_of(table), upload.name))
            upload.is_deleted = True

    @rule()
    def release(self) -> None:
        """Releases the next version if it holds something new."""
        version = self.model.next
        if version is not None and self.model.may_release():
            made = self.world.run(self.versions.release(self.owner, "ada.survey", "next", ReleaseDraft()))
            version.tag = self.model.next_tag(version)
            assert made.version.tag == version.text

    @rule()
    def withdraw(self) -> None:
        """Takes a release back, or deletes what came after it with all that is only in it."""
        last = self.model.versions[-1]
        if last is self.model.next:
            if self.model.may_delete(last):
                self.world.run(self.versions.delete(self.owner, "ada.survey", "next"))
                self.model.versions.remove(last)
                for table in last.tables:
                    delete_uploads(table)
        elif self.model.may_unrelease(last):
            self.world.run(self.versions.unrelease(self.owner, "ada.survey", last.text))
            last.tag = None

    def next_version(self) -> ModelVersion:
        """The next version."""
        if self.model.next is None:
            self.world.run(self.versions.create(self.owner, "ada.survey"))
            self.model.add_next()
        assert self.model.next is not None
        return self.model.next

    def writable(self, name: str) -> TypedTable:
        """A table of the next version."""
        version = self.next_version()
        found = version.table(name)
        if found is None:
            self.world.run(self.tables.create(self.owner, "ada.survey:next", TableDraft(name)))
            found = TypedTable(name)
            version.tables.append(found)
        return found

    def target(self, name: str, index: int) -> tuple[TypedTable, TypedUpload]:
        """A table of the next version, and one of the uploads that it got there."""
        table = self.writable(name)
        if not table.uploads:
            self.add_upload(table, declared=index % 2 == 0)
        return table, table.uploads[index % len(table.uploads)]


def reference_of(table: TypedTable, tag: str = "next") -> str:
    """A table in a version."""
    return f"ada.survey:{tag}.{table.name}"


def delete_uploads(table: TypedTable) -> None:
    """Marks the uploads of a table that is gone."""
    for upload in table.uploads:
        upload.is_deleted = True
