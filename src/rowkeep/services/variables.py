"""Variables: list, find and describe them.

What is said of a variable (label, description, value labels) belongs to a table, released or not, and has no
bearing on its values; the next version starts with it. Until something is said, what the uploads'
schemas declare counts. Source: contract 4.6.
"""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from rowkeep.model.access import AccessLevel, Caller
from rowkeep.model.errors import invalid_request, not_found
from rowkeep.model.nearness import listing, shortened, suggestion
from rowkeep.model.references import parse_dataset_reference, parse_table_reference
from rowkeep.model.schema import (
    Schema,
    ValueLabel,
    Variable,
    VariableMetadata,
    check_metadata,
    described_schema,
)
from rowkeep.services.access import (
    Place,
    find_dataset,
    find_table,
    find_upload,
    principal_of,
)
from rowkeep.services.tables import TableView, table_view
from rowkeep.services.uploads import UploadView
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors

TABLES_PER_PAGE = 1_000

ValueLabels = tuple[ValueLabel, ...] | dict[str, str]


class VariableChanges(msgspec.Struct, frozen=True, rename="camel"):
    """The changes to a variable that a caller asks for. An unset field stays as it is, null empties it."""

    label: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    value_labels: ValueLabels | UnsetType | None = UNSET


class NamedVariableChanges(VariableChanges, frozen=True, rename="camel", kw_only=True):
    """The changes to a variable, with the variable's name."""

    name: str


class VariablesChanges(msgspec.Struct, frozen=True):
    """The changes to several variables."""

    variables: tuple[NamedVariableChanges, ...]


class VariablesView(msgspec.Struct, frozen=True):
    """The variables of a table or an upload, and its place."""

    parent: TableView | UploadView
    schema: Schema


class VariableService:
    """The operations on variables."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def of_table(self, caller: Caller, reference: str) -> VariablesView:
        """Returns the variables of a table."""
        parsed = parse_table_reference(reference)

        def read(view: CatalogView) -> VariablesView:
            principal = principal_of(view, caller)
            found = table_view(view, *find_table(view, principal, parsed, AccessLevel.METADATA))
            return VariablesView(found, described_table_schema(view, found))

        return await self._doors.read(read)

    async def of_upload(self, caller: Caller, reference: str, name: str) -> VariablesView:
        """Returns the variables of an upload."""
        parsed = parse_table_reference(reference)

        def read(view: CatalogView) -> VariablesView:
            found = UploadView(*find_upload(view, principal_of(view, caller), parsed, name))
            return VariablesView(found, found.upload.schema)

        return await self._doors.read(read)

    async def update(
        self, caller: Caller, reference: str, changes: Sequence[NamedVariableChanges]
    ) -> VariablesView:
        """Changes descriptions of a table's variables. Raises not_found_error for an unknown name."""
        parsed = parse_table_reference(reference)

        def write(editor: CatalogEditor) -> VariablesView:
            principal = principal_of(editor, caller)
            found = table_view(editor, *find_table(editor, principal, parsed, AccessLevel.EDIT))
            (unknown,) = _update(editor, [found], changes)
            if unknown:
                raise not_found(f"Table {found.table.name} has no variable {unknown[0]}.")
            return VariablesView(found, described_table_schema(editor, found))

        return await self._doors.write(write)

    async def update_in_dataset(
        self, caller: Caller, reference: str, changes: Sequence[NamedVariableChanges]
    ) -> None:
        """Changes variables in every table of a dataset that has them; at least one table must have them."""
        parsed = parse_dataset_reference(reference)

        def write(editor: CatalogEditor) -> None:
            place = find_dataset(editor, principal_of(editor, caller), parsed, AccessLevel.EDIT)
            unknown = {change.name.lower(): change.name for change in changes}
            for page in _table_pages(editor, place):
                for names in _update(editor, page, changes):
                    missing = {name.lower() for name in names}
                    unknown = {key: name for key, name in unknown.items() if key in missing}
            if unknown:
                name = next(iter(unknown.values()))
                raise not_found(f"No table of dataset {place.dataset.name} has a variable {name}.")

        await self._doors.write(write)


def find_variable(schema: Schema, name: str) -> tuple[int, Variable]:
    """Returns a variable and its position, ignoring case. Raises not_found_error."""
    index = schema.position_by_key().get(name.lower())
    if index is None:
        names = [variable.name for variable in schema.variables]
        known = suggestion(name, names) or (f" There are: {listing(names)}." if names else "")
        raise not_found(f"There is no variable {shortened(name)}.{known}")
    return index, schema.variables[index]


def described_table_schema(view: CatalogView, found: TableView) -> Schema:
    """Returns a table's variables with their descriptions."""
    return described_schema(found.schema, view.variables.metadata([found.table.id])[found.table.id])


def _table_pages(view: CatalogView, place: Place) -> Iterator[list[TableView]]:
    after_id = 0
    while tables := view.tables.page(place.version.id, after_id, TABLES_PER_PAGE):
        contents = view.tables.contents([table.id for table in tables])
        yield [TableView(place, table, contents[table.id]) for table in tables]
        after_id = tables[-1].id


def _update(
    editor: CatalogEditor, found: Sequence[TableView], changes: Sequence[NamedVariableChanges]
) -> list[list[str]]:
    """Stores descriptions of variables for several tables.

    Returns for each table the names that it does not have.
    """
    before = editor.variables.metadata([each.table.id for each in found])
    said: dict[int, dict[str, VariableMetadata]] = {}
    unknown: list[list[str]] = []
    for each in found:
        schema = described_schema(each.schema, before[each.table.id])
        said[each.table.id], names = _said(schema, changes)
        unknown.append(names)
    if any(said.values()):
        editor.variables.set_metadata(said)
    return unknown


def _said(
    schema: Schema, changes: Sequence[NamedVariableChanges]
) -> tuple[dict[str, VariableMetadata], list[str]]:
    """Returns the changed descriptions of a table's variables, and the names that it does not have."""
    positions = schema.position_by_key()
    said: dict[str, VariableMetadata] = {}
    unknown: list[str] = []
    for change in changes:
        key = change.name.lower()
        if key not in positions:
            unknown.append(change.name)
            continue
        before = said.get(key) or _metadata(schema.variables[positions[key]])
        said[key] = _changed(change, before)
    return said, unknown


def _metadata(variable: Variable) -> VariableMetadata:
    return VariableMetadata(variable.label, variable.description, variable.value_labels)


def _changed(change: NamedVariableChanges, before: VariableMetadata) -> VariableMetadata:
    after = VariableMetadata(
        label=before.label if change.label is UNSET else change.label,
        description=before.description if change.description is UNSET else change.description,
        value_labels=before.value_labels if change.value_labels is UNSET else pairs(change.value_labels),
    )
    check_metadata(change.name, after)
    return after


def pairs(labels: ValueLabels | None) -> tuple[ValueLabel, ...]:
    """Returns value labels as pairs. Raises invalid_request_error when a value occurs twice."""
    if isinstance(labels, dict):
        return tuple(ValueLabel(value, label) for value, label in labels.items())
    found = labels or ()
    if len({pair.value for pair in found}) < len(found):
        raise invalid_request("`valueLabels` has a label for the same value twice.")
    return found
