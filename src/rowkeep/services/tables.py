"""Tables: list, create, find, change, delete."""

from collections.abc import Iterator

import msgspec
from msgspec import UNSET, UnsetType

from rowkeep.model.access import AccessLevel, Caller
from rowkeep.model.audit import AuditAction, table_subject
from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.references import checked_name, parse_dataset_reference, parse_table_reference
from rowkeep.model.resources import Content, MergeStrategy, Table, Upload
from rowkeep.model.schema import Schema, merged_schema
from rowkeep.services.access import (
    Place,
    find_dataset,
    find_table,
    principal_of,
    require_unreleased,
)
from rowkeep.storage.base import DuplicateError
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.catalog.tables import NewTable

DESCRIPTION_CHARACTERS_MAX = 5_000
UPLOADS_PER_PAGE = 1_000


class TableDraft(msgspec.Struct, frozen=True, rename="camel"):
    """The properties of a table to create, as the caller sent them."""

    name: str
    description: str | None = None
    upload_merge_strategy: MergeStrategy = MergeStrategy.APPEND
    is_file_index: bool = False


class TableChanges(msgspec.Struct, frozen=True, rename="camel"):
    """The changes that a caller asks for. An unset field stays as it is, null empties it."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    upload_merge_strategy: MergeStrategy | UnsetType = UNSET


class TableView(msgspec.Struct, frozen=True):
    """A table, its place and the uploads that hold its rows."""

    place: Place
    table: Table
    content: Content

    @property
    def schema(self) -> Schema:
        """Returns the variables of all its uploads."""
        return merged_schema(self.content.schemas)


class TableService:
    """The operations on tables."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def page(
        self, caller: Caller, dataset_reference: str, after_id: int, count: int
    ) -> list[TableView]:
        """Returns a page of the tables of a dataset."""
        parsed = parse_dataset_reference(dataset_reference)

        def read(view: CatalogView) -> list[TableView]:
            place = find_dataset(view, principal_of(view, caller), parsed, AccessLevel.OVERVIEW)
            tables = view.tables.page(place.version.id, after_id, count)
            contents = view.tables.contents([table.id for table in tables])
            return [TableView(place, table, contents[table.id]) for table in tables]

        return await self._doors.read(read)

    async def create(self, caller: Caller, dataset_reference: str, draft: TableDraft) -> TableView:
        """Creates an empty table in an unreleased version. Source: contract 4.4."""
        parsed = parse_dataset_reference(dataset_reference)

        def write(editor: CatalogEditor) -> TableView:
            place = find_dataset(editor, principal_of(editor, caller), parsed, AccessLevel.EDIT)
            require_unreleased(place)
            return table_view(editor, place, _create(editor, place, draft))

        return await self._doors.write(write)

    async def find(self, caller: Caller, reference: str) -> TableView:
        """Returns the table that a reference names."""
        parsed = parse_table_reference(reference)

        def read(view: CatalogView) -> TableView:
            principal = principal_of(view, caller)
            return table_view(view, *find_table(view, principal, parsed, AccessLevel.OVERVIEW))

        return await self._doors.read(read)

    async def update(self, caller: Caller, reference: str, changes: TableChanges) -> TableView:
        """Changes the properties of a table. In a released version only the description can change."""
        parsed = parse_table_reference(reference)

        def write(editor: CatalogEditor) -> TableView:
            principal = principal_of(editor, caller)
            place, table = find_table(editor, principal, parsed, AccessLevel.EDIT)
            changed = _changed(table, changes)
            if changed != msgspec.structs.replace(table, description=changed.description):
                require_unreleased(place)
            if changed != table:
                try:
                    table = editor.tables.update(changed)
                except DuplicateError as error:
                    raise _name_taken(place, changed.name) from error
            return table_view(editor, place, table)

        return await self._doors.write(write)

    async def delete(self, caller: Caller, reference: str) -> None:
        """Deletes a table from an unreleased version."""
        parsed = parse_table_reference(reference)

        def write(editor: CatalogEditor) -> None:
            place, table = find_table(editor, principal_of(editor, caller), parsed, AccessLevel.EDIT)
            require_unreleased(place)
            editor.tables.delete(table.id)
            editor.audit.add(AuditAction.DELETE_TABLE, table_subject(place.dataset, place.version, table))

        await self._doors.write_in_reserve(write)


def table_view(view: CatalogView, place: Place, table: Table) -> TableView:
    """Returns a table with the uploads that hold its rows."""
    return TableView(place, table, view.tables.contents([table.id])[table.id])


def content_uploads(view: CatalogView, table_id: int) -> Iterator[Upload]:
    """Yields the uploads that hold a table's rows, in the order of the rows; read a page at a time."""
    after_id = 0
    while uploads := view.uploads.content_page(table_id, after_id, UPLOADS_PER_PAGE):
        yield from uploads
        after_id = uploads[-1].id


def _create(editor: CatalogEditor, place: Place, draft: TableDraft) -> Table:
    name = checked_name("table", draft.name)
    _check_description(draft.description)
    new = NewTable(
        place.version.id,
        name,
        draft.description,
        draft.upload_merge_strategy,
        is_file_index=draft.is_file_index,
    )
    try:
        return editor.tables.add(new)
    except DuplicateError as error:
        raise _name_taken(place, name) from error


def _changed(table: Table, changes: TableChanges) -> Table:
    said = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    if "name" in said:
        checked_name("table", said["name"])
    _check_description(said.get("description"))
    return msgspec.structs.replace(table, **said)


def _check_description(text: str | None) -> None:
    if len(text or "") > DESCRIPTION_CHARACTERS_MAX:
        raise invalid_request(f"A description may have at most {DESCRIPTION_CHARACTERS_MAX} characters.")


def _name_taken(place: Place, name: str) -> RowkeepError:
    return invalid_request(
        f"Dataset {place.dataset.name} has a table named {name!r} already (only letters and digits count)."
    )
