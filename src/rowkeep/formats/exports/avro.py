"""Avro files. Labels are the `doc` and further attributes of the fields."""

from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
from fastavro.write import Writer

from rowkeep.model.exports import ExportOptions
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType

_ROWS_MAX = 4_096
_TYPES: dict[VariableType, Any] = {
    VariableType.STRING: "string",
    VariableType.INTEGER: "long",
    VariableType.FLOAT: "double",
    VariableType.BOOLEAN: "boolean",
    VariableType.DATE: {"type": "int", "logicalType": "date"},
    VariableType.DATE_TIME: {"type": "long", "logicalType": "local-timestamp-micros"},
    VariableType.TIME: {"type": "long", "logicalType": "time-micros"},
    VariableType.GEOGRAPHY: "string",
}


class AvroFile:
    """Writes an Avro file, block by block. Every field may be null."""

    def __init__(self, path: Path, schema: Schema, options: ExportOptions) -> None:
        self._file = path.open("wb")
        fields = [_field(variable) for variable in schema.variables]
        parsed = fastavro.parse_schema({"type": "record", "name": "row", "fields": fields})
        codec = "null" if options.compression == "none" else options.compression
        self._writer: Any = Writer(self._file, parsed, codec=codec)

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows."""
        for start in range(0, len(batch), _ROWS_MAX):
            for row in batch.slice(start, _ROWS_MAX).to_pylist():
                self._writer.write(row)

    def byte_count(self) -> int:
        """Returns how large the file is by now."""
        return self._file.tell()

    def finish(self) -> list[str]:
        """Ends the file."""
        self._writer.flush()
        self._file.close()
        return []


def _field(variable: Variable) -> dict[str, Any]:
    field: dict[str, Any] = {"name": variable.name, "type": ["null", _TYPES[variable.type]], "default": None}
    said = "\n".join(text for text in (variable.label, variable.description) if text)
    if said:
        field["doc"] = said
    if variable.label:
        field["label"] = variable.label
    if variable.value_labels:
        field["valueLabels"] = {pair.value: pair.label for pair in variable.value_labels}
    return field
