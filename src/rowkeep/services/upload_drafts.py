"""The properties of an upload to create, checked. Source: contract 4.5, 7.14, 7.29."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from rowkeep.model.decoding.envelope import first_doubled
from rowkeep.model.decoding.values import shown_name
from rowkeep.model.errors import invalid_request
from rowkeep.model.files import FileOptions, FileType
from rowkeep.model.loads import LoadArguments
from rowkeep.model.names import repaired_names
from rowkeep.model.nearness import shortened, suggestion
from rowkeep.model.resources import UploadType
from rowkeep.model.schema import (
    Schema,
    ValueLabel,
    Variable,
    VariableMetadata,
    check_metadata,
    declared_schema,
    name_problem,
)
from rowkeep.model.temp_uploads import TempUpload
from rowkeep.model.transfers import Transfer
from rowkeep.model.types import VariableType
from rowkeep.model.types.names import variable_type

# Of the keys of a draft, those that are not texts.
_LISTS = ("nullMarkers",)
_OBJECTS = ("schema", "metadata", "transferSpecification")
# Other names that clients have for types.
TYPE_ALIASES = ("csv", "tsv", "jsonl", "shp")

_SHOWN_MAX = 10
_TYPES = (UploadType.STREAM.value, *FileType, *TYPE_ALIASES)


class VariableDraft(msgspec.Struct, frozen=True, rename="camel"):
    """One variable, as the caller describes it. `value_labels` is a list of pairs or an object."""

    name: str
    type: Annotated[str, msgspec.Meta(extra_json_schema={"enum": tuple(VariableType)})]
    label: str | None = None
    description: str | None = None
    value_labels: tuple[ValueLabel, ...] | dict[str, str] | None = None


class UploadDraft(msgspec.Struct, frozen=True, rename="camel"):
    """The properties of an upload to create. Those that belong to files are ignored for a stream.

    Without a `type` it is a file, whose type its name and its content tell. `schema` are the variables of a
    stream, or for a file the types of some of its columns.
    """

    name: str | None = None
    type: Annotated[str | None, msgspec.Meta(extra_json_schema={"enum": (*_TYPES, None)})] = None
    schema: tuple[VariableDraft, ...] | None = None
    metadata: dict[str, dict[str, Any]] | None = None
    temp_upload_id: str | None = None
    resumable_upload_id: str | None = None
    transfer_specification: dict[str, Any] | None = None
    has_header_row: bool | None = None
    skip_bad_records: bool | None = None
    has_quoted_newlines: bool | None = None
    allow_quoted_newlines: bool | None = None
    allow_jagged_rows: bool | None = None
    quote_character: str | None = None
    escape_character: str | None = None
    null_markers: tuple[str, ...] | None = None
    delimiter: str | None = None
    encoding: str | None = None

    @property
    def content(self) -> str | None:
        """Returns the id of the temporary upload with the file. Older clients call it a resumable upload."""
        return self.temp_upload_id or self.resumable_upload_id


def stream_schema(draft: UploadDraft) -> Schema:
    """Returns the variables that a stream is created with. Names that a variable cannot have are repaired.

    Raises invalid_request_error.
    """
    schema = declared_schema(_repaired([_variable(variable) for variable in draft.schema or ()]))
    if not draft.metadata:
        return schema
    positions = schema.position_by_key()
    declared_names = schema.declared_names()
    variables = list(schema.variables)
    for name, facts in draft.metadata.items():
        position = positions.get(declared_names.get(name.lower(), name).lower())
        if position is None:
            raise invalid_request(f"`metadata` describes {name!r}, which is not in the schema.")
        declared = variables[position]
        variables[position] = msgspec.structs.replace(
            _described(declared, facts), declared_name=declared.declared_name
        )
    return declared_schema(variables)


def renaming_warning(schema: Schema) -> str | None:
    """Returns the warning about repaired names, or None when none was repaired."""
    renamed = [
        f"{shown_name(variable.declared_name)} is {variable.name}"
        for variable in schema.variables
        if variable.declared_name is not None
    ]
    if not renamed:
        return None
    more = f" and {len(renamed) - _SHOWN_MAX} more" if len(renamed) > _SHOWN_MAX else ""
    return (
        f"Names that cannot name a variable were changed: {', '.join(renamed[:_SHOWN_MAX])}{more}. Rows may "
        "use either name."
    )


def _repaired(variables: Sequence[Variable]) -> list[Variable]:
    """Repairs names as those of a file are. Two that need no repair and are equal stay, to be refused."""
    twin = first_doubled([variable.name.lower() for variable in variables if name_problem(variable.name)])
    if twin is not None:
        raise invalid_request(f"The schema has the variable {shown_name(twin)} twice (names ignore case).")
    names = repaired_names(variable.name for variable in variables)
    return [
        msgspec.structs.replace(variable, name=name, declared_name=variable.name)
        if name_problem(variable.name)
        else variable
        for variable, name in zip(variables, names, strict=True)
    ]


def _variable(draft: VariableDraft) -> Variable:
    labels = draft.value_labels or ()
    if isinstance(labels, dict):
        labels = tuple(ValueLabel(value, label) for value, label in labels.items())
    return Variable(
        draft.name, _type(draft), label=draft.label, description=draft.description, value_labels=labels
    )


def _type(draft: VariableDraft) -> VariableType:
    try:
        return variable_type(draft.type)
    except ValueError as error:
        raise invalid_request(f"Variable {shown_name(draft.name)}: {error}.") from error


def _described(variable: Variable, facts: dict[str, Any]) -> Variable:
    try:
        draft = msgspec.convert({**facts, "name": variable.name, "type": variable.type}, VariableDraft)
    except msgspec.ValidationError as error:
        raise invalid_request(f"`metadata` of {variable.name!r} does not fit: {error}.") from error
    return _variable(draft)


def load_arguments(
    draft: UploadDraft, name: str, content: TempUpload, transfer: Transfer | None
) -> LoadArguments:
    """Returns the arguments of the load of a file. Raises invalid_request_error."""
    check_file_draft(draft)
    quoted = draft.has_quoted_newlines
    options = FileOptions(
        file_name=name,
        type=draft.type,
        delimiter=draft.delimiter,
        quote_character=draft.quote_character,
        escape_character=draft.escape_character,
        has_header_row=draft.has_header_row is not False,
        has_quoted_newlines=draft.allow_quoted_newlines if quoted is None else quoted,
        allow_jagged_rows=bool(draft.allow_jagged_rows),
        null_markers=draft.null_markers or (),
        encoding=draft.encoding,
        types={variable.name: _type(variable) for variable in draft.schema or ()},
        skip_bad_records=bool(draft.skip_bad_records),
    )
    size = content.byte_count or 0
    return LoadArguments(content.identifier, size, options, _metadata(draft), transfer=transfer)


def check_file_draft(draft: UploadDraft) -> None:
    """Raises invalid_request_error for properties that no file can have."""
    if draft.type is not None and draft.type.lower() not in _TYPES:
        raise invalid_request(
            f"There is no type of upload {shortened(draft.type)!r}."
            f"{suggestion(draft.type, (UploadType.STREAM, *_TYPES))} A stream for rows that come one by one "
            'is `"type": "stream"`. For a file, leave `type` out to have it found, or name one of '
            f"{', '.join(FileType)}."
        )


def _metadata(draft: UploadDraft) -> dict[str, VariableMetadata]:
    """Returns the metadata of variables whose names and types are read from the file later."""
    said: dict[str, VariableMetadata] = {}
    for variable in draft.schema or ():
        _add_metadata(said, variable.name, _variable(variable))
    for name, facts in (draft.metadata or {}).items():
        _add_metadata(said, name, _described(Variable(name, VariableType.STRING), facts))
    return said


def _add_metadata(said: dict[str, VariableMetadata], name: str, variable: Variable) -> None:
    metadata = VariableMetadata(variable.label, variable.description, variable.value_labels)
    check_metadata(name, metadata)
    if metadata != VariableMetadata():
        said[name] = metadata


def draft_of_query(query: Mapping[str, Sequence[str]]) -> UploadDraft:
    """Returns the draft in a request's query parameters. Raises invalid_request_error.

    A list is a parameter that is repeated, an object is JSON.
    """
    facts: dict[str, object] = {}
    for field in msgspec.structs.fields(UploadDraft):
        values = query.get(field.encode_name)
        if not values or values == [""]:
            continue
        facts[field.encode_name] = _from_query(field.encode_name, values)
    try:
        return msgspec.convert(facts, UploadDraft, strict=False)
    except msgspec.ValidationError as error:
        raise invalid_request(f"The query does not fit: {error}.") from error


def _from_query(name: str, values: Sequence[str]) -> object:
    if name in _LISTS:
        return list(values)
    if len(set(values)) > 1:
        raise invalid_request(
            f"The query has the parameter {name} twice, and only one of them could count. Send it once."
        )
    if name not in _OBJECTS:
        return values[-1]
    try:
        return msgspec.json.decode(values[-1])
    except msgspec.DecodeError as error:
        raise invalid_request(f"The query parameter {name} must be JSON: {error}.") from error
