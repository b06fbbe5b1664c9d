"""The descriptions of tables' variables, beside what their uploads declare."""

from collections.abc import Mapping, Sequence

import msgspec

from rowkeep.model.schema import ValueLabel, VariableMetadata
from rowkeep.storage.catalog.records import json_text
from rowkeep.storage.catalog.state import Editing, Reading


class Variables(Reading):
    """Reads the metadata of variables."""

    def metadata(self, table_ids: Sequence[int]) -> dict[int, dict[str, VariableMetadata]]:
        """Returns the descriptions of the variables of tables, by table id and name in lower case."""
        metadata: dict[int, dict[str, VariableMetadata]] = {table_id: {} for table_id in table_ids}
        for record in self._connection.records("variable_metadata", table_ids=json_text(table_ids)):
            labels = msgspec.json.decode(record["value_labels"], type=tuple[ValueLabel, ...])
            metadata[record["table_id"]][record["name_key"]] = VariableMetadata(
                record["label"], record["description"], labels, bool(record["is_declared"])
            )
        return metadata


class VariableEditor(Variables, Editing):
    """Reads and edits the metadata of variables."""

    def set_metadata(self, metadata: Mapping[int, Mapping[str, VariableMetadata]]) -> None:
        """Stores descriptions of variables, by table id and name in lower case."""
        said = [
            [
                table_id,
                key,
                variable.label,
                variable.description,
                variable.value_labels,
                int(variable.is_declared),
            ]
            for table_id, variables in metadata.items()
            for key, variable in variables.items()
        ]
        self._run("set_variable_metadata", variables=json_text(said))
