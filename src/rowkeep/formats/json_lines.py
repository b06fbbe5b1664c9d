"""Rows as JSON, an object a line. Source: contract 4.7."""

from collections.abc import Sequence

import msgspec

from rowkeep.formats.arrow import ArrowRows
from rowkeep.formats.columns import Column, text_column
from rowkeep.model.line_breaks import with_escaped_breaks
from rowkeep.model.schema import Schema


class JsonLinesEncoder:
    """Columns as lines of JSON objects."""

    def __init__(self, schema: Schema) -> None:
        self._variables = schema.variables
        self._names = [variable.name for variable in schema.variables]
        self._encoder = msgspec.json.Encoder()

    def start(self) -> bytes:
        """Nothing: there is no header."""
        return b""

    def batch(self, columns: Sequence[Column], row_count: int) -> bytes:
        """A line for each row."""
        if not columns:
            return b"{}\n" * row_count
        shown = [
            text_column(column, variable.type)
            for column, variable in zip(columns, self._variables, strict=True)
        ]
        names = self._names
        lines = self._encoder.encode_lines(
            [dict(zip(names, values, strict=True)) for values in zip(*shown, strict=True)]
        )
        return with_escaped_breaks(lines)

    def arrow_batch(self, rows: ArrowRows) -> bytes:
        """Encodes rows in Arrow columns."""
        return self.batch(rows.columns(), rows.row_count)

    def sentinel(self) -> bytes:
        """Nothing: the end of the body is the end."""
        return b""

    def end(self) -> bytes:
        """Nothing."""
        return b""
