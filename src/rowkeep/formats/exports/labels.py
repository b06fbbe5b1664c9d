"""The descriptions of variables, as metadata of a file's fields."""

import msgspec
import pyarrow as pa

from rowkeep.formats.arrow import arrow_schema
from rowkeep.model.schema import Schema, Variable


def labelled_schema(schema: Schema) -> pa.Schema:
    """Returns the Arrow schema of variables, with type, label, description and value labels as metadata."""
    fields = zip(arrow_schema(schema), schema.variables, strict=True)
    return pa.schema([field.with_metadata(_metadata(variable)) for field, variable in fields])


def _metadata(variable: Variable) -> dict[str, str]:
    found = {"type": variable.type.value}
    if variable.label is not None:
        found["label"] = variable.label
    if variable.description is not None:
        found["description"] = variable.description
    if variable.value_labels:
        labels = {pair.value: pair.label for pair in variable.value_labels}
        found["valueLabels"] = msgspec.json.encode(labels).decode()
    return found


def has_labels(schema: Schema) -> bool:
    """Returns whether any variable has a description."""
    return any(each.label or each.description or each.value_labels for each in schema.variables)
