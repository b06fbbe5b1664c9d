"""Tables: list, create, find, delete, and the variables of a table."""

import hashlib
from collections.abc import Iterator

import msgspec

from rowkeep.model.errors import invalid_request
from rowkeep.model.references import checked_name, name_key, parse_dataset_reference, parse_table_reference
from rowkeep.model.resources import Dataset, MergeStrategy, Table, Upload
from rowkeep.model.schema import Schema, merged_schema
from rowkeep.services.access import TokenHash, editable_dataset, editable_table, principal_of
from rowkeep.storage.base import CatalogEditor, CatalogView, Doors, DuplicateError, NewTable

DESCRIPTION_CHARACTERS_MAX = 5_000
UPLOADS_PER_PAGE = 1_000


class TableDraft(msgspec.Struct, frozen=True, rename="camel"):
    """What a caller says of a table to create."""

    name: str
    description: str | None = None
    upload_merge_strategy: MergeStrategy = MergeStrategy.APPEND
    is_file_index: bool = False


class TableView(msgspec.Struct, frozen=True):
    """A table with what is derived from its uploads. `hash` changes if and only if the content does."""

    dataset: Dataset
    table: Table
    schema: Schema
    hash: str


class TableService:
    """What can be done with tables."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def page(
        self, token_hash: TokenHash | None, dataset_reference: str, after_id: int, count: int
    ) -> list[TableView]:
        """The tables of a dataset."""
        parsed = parse_dataset_reference(dataset_reference)

        def read(view: CatalogView) -> list[TableView]:
            dataset = editable_dataset(view, principal_of(view, token_hash), parsed)
            tables = view.tables(dataset.version_id, after_id, count)
            return [_with_content(view, dataset, table) for table in tables]

        return await self._doors.read(read)

    async def create(
        self, token_hash: TokenHash | None, dataset_reference: str, draft: TableDraft
    ) -> TableView:
        """Creates an empty table. Source: contract 4.4."""
        parsed = parse_dataset_reference(dataset_reference)

        def write(editor: CatalogEditor) -> TableView:
            dataset = editable_dataset(editor, principal_of(editor, token_hash), parsed)
            return _with_content(editor, dataset, _create(editor, dataset, draft))

        return await self._doors.write(write)

    async def find(self, token_hash: TokenHash | None, reference: str) -> TableView:
        """The table a reference names."""
        parsed = parse_table_reference(reference)

        def read(view: CatalogView) -> TableView:
            dataset, table = editable_table(view, principal_of(view, token_hash), parsed)
            return _with_content(view, dataset, table)

        return await self._doors.read(read)

    async def delete(self, token_hash: TokenHash | None, reference: str) -> None:
        """Deletes a table with all it holds."""
        parsed = parse_table_reference(reference)

        def write(editor: CatalogEditor) -> None:
            _, table = editable_table(editor, principal_of(editor, token_hash), parsed)
            editor.delete_table(table.id)

        await self._doors.write(write)


def all_uploads(view: CatalogView, table_id: int) -> Iterator[Upload]:
    """The uploads of a table in the order of their creation, a page at a time."""
    after_id = 0
    while uploads := view.uploads(table_id, after_id, UPLOADS_PER_PAGE):
        yield from uploads
        after_id = uploads[-1].id


def _with_content(view: CatalogView, dataset: Dataset, table: Table) -> TableView:
    digest = hashlib.md5(usedforsecurity=False)
    schemas: list[Schema] = []
    for upload in all_uploads(view, table.id):
        schemas.append(upload.schema)
        digest.update(_content_key(upload))
    return TableView(dataset, table, merged_schema(schemas), digest.hexdigest())


def upload_hash(upload: Upload) -> str:
    """32 hex digits that change if and only if the upload's content does; rows are only ever added."""
    return hashlib.md5(_content_key(upload), usedforsecurity=False).hexdigest()


def _content_key(upload: Upload) -> bytes:
    return b"%d:%d:%d;" % (upload.id, upload.schema.version, upload.row_count)


def _create(editor: CatalogEditor, dataset: Dataset, draft: TableDraft) -> Table:
    name = checked_name("table", draft.name)
    if draft.is_file_index:
        raise invalid_request("File index tables are not served; create the table without isFileIndex.")
    if len(draft.description or "") > DESCRIPTION_CHARACTERS_MAX:
        raise invalid_request(f"A description may have at most {DESCRIPTION_CHARACTERS_MAX} characters.")
    try:
        editor.add_table(
            NewTable(
                dataset.version_id, name, draft.description, draft.upload_merge_strategy, is_file_index=False
            )
        )
    except DuplicateError as error:
        raise invalid_request(
            f"The dataset has a table named {name!r} already (case and punctuation do not count)."
        ) from error
    table = editor.table(dataset.version_id, name_key(name), None)
    if table is None:
        raise LookupError("the table just created is not there")
    return table
