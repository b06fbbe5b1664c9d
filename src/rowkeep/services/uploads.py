"""Uploads: list, create, find, delete. Rows go in through `ingest.py`."""

import hashlib
from pathlib import PurePath
from typing import Annotated, Any

import msgspec

from rowkeep.model.access import AccessLevel
from rowkeep.model.errors import invalid_request
from rowkeep.model.references import checked_name, parse_table_reference
from rowkeep.model.resources import Table, Upload, UploadType
from rowkeep.model.schema import (
    NAME_PATTERN,
    VARIABLE_NAME_CHARACTERS_MAX,
    Schema,
    ValueLabel,
    Variable,
    declared_schema,
)
from rowkeep.model.types import VariableType
from rowkeep.services.access import (
    Place,
    TokenHash,
    editable_table,
    editable_upload,
    find_table,
    find_upload,
    principal_of,
)
from rowkeep.storage.catalog.catalog import CatalogEditor, CatalogView
from rowkeep.storage.catalog.doors import Doors
from rowkeep.storage.catalog.uploads import NewUpload

_NAME_SCHEMA = {"pattern": f"^{NAME_PATTERN}$", "maxLength": VARIABLE_NAME_CHARACTERS_MAX}


class VariableDraft(msgspec.Struct, frozen=True, rename="camel"):
    """What a caller says of one variable. `value_labels` is a list of pairs or an object."""

    name: Annotated[str, msgspec.Meta(extra_json_schema=_NAME_SCHEMA)]
    type: VariableType
    label: str | None = None
    description: str | None = None
    value_labels: tuple[ValueLabel, ...] | dict[str, str] | None = None


class UploadDraft(msgspec.Struct, frozen=True, rename="camel"):
    """What a caller says of an upload to create; what belongs to bulk files is ignored for a stream."""

    name: str | None = None
    type: Annotated[str | None, msgspec.Meta(extra_json_schema={"enum": tuple(UploadType)})] = None
    schema: tuple[VariableDraft, ...] | None = None
    metadata: dict[str, dict[str, Any]] | None = None


class UploadView(msgspec.Struct, frozen=True):
    """An upload and where it is; `quarantined_count` is how many rows are in its quarantine."""

    place: Place
    table: Table
    upload: Upload
    quarantined_count: int = 0


class UploadService:
    """What can be done with uploads."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def page(
        self, token_hash: TokenHash | None, table_reference: str, after_id: int, count: int
    ) -> list[UploadView]:
        """The uploads that a table got in its version."""
        parsed = parse_table_reference(table_reference)

        def read(view: CatalogView) -> list[UploadView]:
            principal = principal_of(view, token_hash)
            place, table = find_table(view, principal, parsed, AccessLevel.EDIT)
            uploads = view.uploads.page(table.id, after_id, count)
            counts = view.quarantine.row_counts([upload.id for upload in uploads])
            return [UploadView(place, table, upload, counts.get(upload.id, 0)) for upload in uploads]

        return await self._doors.read(read)

    async def create(
        self, token_hash: TokenHash | None, table_reference: str, draft: UploadDraft
    ) -> UploadView:
        """Creates an upload, under a free name when its own is taken. Source: contract 4.5, 7.12, 7.14."""
        parsed = parse_table_reference(table_reference)

        def write(editor: CatalogEditor) -> UploadView:
            place, table = editable_table(editor, principal_of(editor, token_hash), parsed)
            return UploadView(place, table, _create(editor, table, draft))

        return await self._doors.write(write)

    async def find(self, token_hash: TokenHash | None, table_reference: str, name: str) -> UploadView:
        """The upload of this name."""
        parsed = parse_table_reference(table_reference)

        def read(view: CatalogView) -> UploadView:
            place, table, upload = find_upload(view, principal_of(view, token_hash), parsed, name)
            counts = view.quarantine.row_counts([upload.id])
            return UploadView(place, table, upload, counts.get(upload.id, 0))

        return await self._doors.read(read)

    async def delete(self, token_hash: TokenHash | None, table_reference: str, name: str) -> None:
        """Deletes an upload with all its rows."""
        parsed = parse_table_reference(table_reference)

        def write(editor: CatalogEditor) -> None:
            _, _, upload = editable_upload(editor, principal_of(editor, token_hash), parsed, name)
            editor.uploads.delete(upload.id)

        await self._doors.write(write)


def upload_hash(upload: Upload) -> str:
    """32 hex digits that change if and only if the upload's content does; rows are added or removed, once."""
    key = f"{upload.id}:{upload.schema.version}:{upload.row_count}/{upload.row_end}"
    return hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()


def _create(editor: CatalogEditor, table: Table, draft: UploadDraft) -> Upload:
    if draft.type != UploadType.STREAM:
        raise invalid_request(
            f"Uploads of type {draft.type!r} are not served; create one of type 'stream' and insert rows."
        )
    name = checked_name("upload", draft.name or f"untitled_upload.{draft.type}")
    schema = _schema(draft)
    free_name = _free_name(editor, table.id, name)
    return editor.uploads.add(
        NewUpload(table.id, free_name, UploadType.STREAM, schema, updates_by_default=not draft.schema)
    )


def _schema(draft: UploadDraft) -> Schema:
    schema = declared_schema([_variable(variable) for variable in draft.schema or ()])
    if not draft.metadata:
        return schema
    positions = schema.position_by_key()
    variables = list(schema.variables)
    for name, facts in draft.metadata.items():
        position = positions.get(name.lower())
        if position is None:
            raise invalid_request(f"`metadata` describes {name!r}, which is not in the schema.")
        variables[position] = _described(variables[position], facts)
    return declared_schema(variables)


def _variable(draft: VariableDraft) -> Variable:
    labels = draft.value_labels or ()
    if isinstance(labels, dict):
        labels = tuple(ValueLabel(value, label) for value, label in labels.items())
    return Variable(
        draft.name, draft.type, label=draft.label, description=draft.description, value_labels=labels
    )


def _described(variable: Variable, facts: dict[str, Any]) -> Variable:
    try:
        draft = msgspec.convert({**facts, "name": variable.name, "type": variable.type}, VariableDraft)
    except msgspec.ValidationError as error:
        raise invalid_request(f"`metadata` of {variable.name!r} does not fit: {error}.") from error
    return _variable(draft)


def _free_name(view: CatalogView, table_id: int, name: str) -> str:
    path = PurePath(name)
    stem, suffix = (name[: -len(path.suffix)], path.suffix) if path.suffix else (name, "")
    candidate, number = name, 0
    while view.uploads.find(table_id, candidate) is not None:
        number += 1
        candidate = f"{stem}_{number}{suffix}"
    return candidate
