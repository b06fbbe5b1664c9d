"""The variables that an upload shares with its table: it takes their types, and widens none of them.

A stream that was created without a schema takes its variables from its rows. Where the table has a variable
of that name, because another stream declared it, a file brought it or an earlier version has it, its type is
known, and rows have to fit it. Types that other such streams merely found in their rows bind nobody.
"""

from collections.abc import Iterator

import msgspec

from rowkeep.model.access import Caller
from rowkeep.model.references import parse_table_reference, reference_id
from rowkeep.model.resources import Table, Upload, Version
from rowkeep.model.schema import Schema, merged_schema
from rowkeep.services.access import editable_upload, principal_of
from rowkeep.storage.catalog.catalog import CatalogView

UPLOADS_PER_PAGE = 1_000


def sharing_schema(
    view: CatalogView,
    caller: Caller,
    path: tuple[str, str],
    upload: Upload,
    *,
    asks_for_updates: bool,
) -> Schema:
    """Returns the upload's schema. Where rows may add variables, it has those shared with the table too.

    `path` is the table reference and the upload's name. A request that asks for schema updates may widen the
    shared variables.
    """
    if not upload.updates_by_default:
        return upload.schema
    reference, upload_name = path
    principal = principal_of(view, caller)
    place, table, _ = editable_upload(view, principal, parse_table_reference(reference), upload_name)
    schemas = [*_earlier_schemas(view, place.version, table), *_declared_schemas(view, table)]
    shared = tuple(variable for variable in merged_schema(schemas).variables if not variable.is_empty)
    schema = msgspec.structs.replace(upload.schema, shared=shared)
    return schema.widening_shared() if asks_for_updates else schema


def _earlier_schemas(view: CatalogView, version: Version, table: Table) -> tuple[Schema, ...]:
    """Returns the table's schemas in the version before, whether this version keeps or replaces its rows."""
    previous = view.versions.before(version)
    if previous is None:
        return ()
    earlier = view.tables.find(previous.id, table.name_key, reference_id(table.identifier))
    return () if earlier is None else view.tables.contents([earlier.id])[earlier.id].schemas


def _declared_schemas(view: CatalogView, table: Table) -> list[Schema]:
    return [upload.schema for upload in _uploads(view, table) if not upload.updates_by_default]


def _uploads(view: CatalogView, table: Table) -> Iterator[Upload]:
    after_id = 0
    while uploads := view.uploads.page(table.id, after_id, UPLOADS_PER_PAGE):
        yield from uploads
        after_id = uploads[-1].id
