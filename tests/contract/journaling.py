"""Batches to write and ways to look at what was written."""

import hashlib
import json
from typing import Any

import msgspec

from rowkeep.model.access import AccessLevel
from rowkeep.model.chain import digest_of
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.growth import SchemaChange, schema_change
from rowkeep.model.resources import Batch, Dataset, Entry, OwnerKind, Receipt, Table, Upload, UploadType
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.storage.base import Database
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.datasets import NewDataset
from rowkeep.storage.catalog.tables import NewTable
from rowkeep.storage.catalog.uploads import NewUpload
from rowkeep.storage.doors import edit_catalog, read_snapshot
from rowkeep.storage.journal.entries import entry_lines

INTEGERS = Schema(1, (Variable("v", VariableType.INTEGER),))
FLOATS = Schema(2, (Variable("v", VariableType.FLOAT),))


class Uploads(msgspec.Struct):
    """Ids of what a test inserts into, and the catalog version that is current for it."""

    table_id: int
    first: int
    second: int
    catalog_version: int


def make_dataset(editor: CatalogEditor, name: str = "data", owner_name: str = "jane") -> Dataset:
    """A dataset of a user, who is added when new."""
    owner = editor.owners.find(owner_name) or editor.owners.add(OwnerKind.USER, owner_name)
    return editor.datasets.add(NewDataset(owner, name, AccessLevel.NONE, None), owner.id)


def next_version_id(dataset: Dataset) -> int:
    """The unreleased version of a dataset."""
    assert dataset.next_version_id is not None
    return dataset.next_version_id


def make_table(editor: CatalogEditor, version_id: int, name: str = "rows") -> Table:
    """A table of a version."""
    return editor.tables.add(NewTable(version_id, name, None, "append", is_file_index=False))


def make_upload(editor: CatalogEditor, table_id: int, name: str, schema: Schema = INTEGERS) -> Upload:
    """A stream upload."""
    return editor.uploads.add(NewUpload(table_id, name, UploadType.STREAM, schema, updates_by_default=False))


def make_uploads(database: Database) -> Uploads:
    """Two empty stream uploads in one table."""

    def add(editor: CatalogEditor) -> Uploads:
        table = make_table(editor, next_version_id(make_dataset(editor)))
        first, second = (make_upload(editor, table.id, name) for name in ("first", "second"))
        return Uploads(table.id, first.id, second.id, editor.catalog_version())

    return edit_catalog(database, add)


def batch(
    uploads: Uploads,
    values: list[Any],
    *,
    into: int | None = None,
    key: str | None = None,
    padding: int = 0,
    schema: Schema = INTEGERS,
) -> Batch:
    """A batch of rows `{"v": value}` for the first upload unless said otherwise."""
    body = json.dumps({"rows": [{"v": value} for value in values]}).encode() + b" " * padding
    return Batch(
        upload_id=uploads.first if into is None else into,
        catalog_version=uploads.catalog_version,
        schema=schema,
        row_count=len(values),
        rows_sha256=digest_of(row_decoder(schema).read(body)),
        body=body if values else b"",
        key=key,
        request_digest=hashlib.sha256(body).digest() if key is not None else None,
    )


def widening_batch(uploads: Uploads, values: list[Any], *, key: str | None = None) -> Batch:
    """A batch that brings the second version of the schema: `v` becomes a float."""
    wide = batch(uploads, values, key=key, schema=FLOATS)
    return msgspec.structs.replace(wide, change=schema_change(INTEGERS, FLOATS))


def plain(outcome: Any) -> Any:
    """An outcome without the numbers, the digest and the chain of its receipt."""
    if not isinstance(outcome, Receipt):
        return outcome
    return Receipt(outcome.row_count, outcome.change, outcome.replayed, outcome.validate_only)


def widening() -> SchemaChange:
    """What a widening batch is told to have changed."""
    return schema_change(INTEGERS, FLOATS)


def upload_named(database: Database, table_id: int, name: str) -> Upload:
    """The upload as the catalog shows it now."""
    upload = read_snapshot(database, lambda view: view.uploads.find(table_id, name))
    assert upload is not None
    return upload


def entries_of(database: Database, upload_id: int) -> list[Entry]:
    """Every entry of an upload, in order."""

    def read(view: CatalogView) -> list[Entry]:
        entries: list[Entry] = []
        row = 0
        while found := view.entries.holding(upload_id, row, 2**40, 2**40):
            fresh = [entry for entry in found if entry.first_row >= row]
            if not fresh:
                break
            entries += fresh
            row = fresh[-1].first_row + fresh[-1].row_count
        return entries

    return read_snapshot(database, read)


def schema_version(database: Database, upload_id: int, version: int) -> Schema:
    """One version of an upload's schema."""
    return read_snapshot(database, lambda view: view.uploads.schema(upload_id, version))


def stored(database: Database, upload_id: int) -> list[Any]:
    """The values of `v` in every row of an upload, in order; checks that entries follow each other."""
    entries = entries_of(database, upload_id)
    values: list[Any] = []
    for entry in entries:
        assert entry.first_row == len(values)
        schema = schema_version(database, upload_id, entry.schema_version)
        rows = row_decoder(schema).read(entry_lines(entry))
        assert len(rows) == entry.row_count > 0
        values += [msgspec.structs.astuple(row)[0] for row in rows]
    return values


def check_counters(database: Database, uploads: Uploads) -> None:
    """The counters of uploads and their table say exactly what the entries hold."""
    counted = byte_count = 0
    for name, upload_id in (("first", uploads.first), ("second", uploads.second)):
        upload = upload_named(database, uploads.table_id, name)
        assert upload.row_count == len(stored(database, upload_id))
        byte_count += sum(len(entry_lines(entry)) for entry in entries_of(database, upload_id))
        counted += upload.row_count
    assert read_snapshot(database, lambda view: view.entries.byte_count()) == byte_count
    contents = read_snapshot(database, lambda view: view.tables.contents([uploads.table_id]))
    assert contents[uploads.table_id].row_count == counted
