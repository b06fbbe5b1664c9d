"""The interface of the writers of export files, and the checks that they share."""

from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from rowkeep.model.exports import ExportFormat, unfit_value
from rowkeep.model.schema import Schema
from rowkeep.model.types import VariableType

EXACT_INTEGER_MAX = 2**53


class ExportWriter(Protocol):
    """Writes one file. Raises RowkeepError for a value that the format cannot hold."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows."""

    def byte_count(self) -> int:
        """Returns the current size of the file, as far as it is written."""

    def finish(self) -> list[str]:
        """Finishes the file. Returns messages about descriptions that the format could not hold."""


class ValueChecks:
    """Finds values that a format cannot hold, and counts rows to say where they are."""

    def __init__(self, format_: ExportFormat, schema: Schema) -> None:
        self._format = format_
        self._schema = schema
        self._row = 0

    def check(self, batch: pa.RecordBatch, text_bytes_max: int, *, takes_infinity: bool) -> None:
        """Raises invalid_request_error naming the first value that does not fit."""
        for variable, column in zip(self._schema.variables, batch.columns, strict=True):
            if variable.type is VariableType.INTEGER:
                self._refuse(
                    variable.name,
                    pc.or_(pc.greater(column, EXACT_INTEGER_MAX), pc.less(column, -EXACT_INTEGER_MAX)),
                    "is an integer beyond 2^53, which a number there cannot hold",
                )
            elif variable.type is VariableType.FLOAT:
                bad = pc.is_nan(column) if takes_infinity else pc.invert(pc.is_finite(column))
                self._refuse(variable.name, bad, "is no finite number")
            elif pa.types.is_string(column.type):
                self._check_text(variable.name, column, text_bytes_max)
        self._row += len(batch)

    def _check_text(self, name: str, column: pa.Array, text_bytes_max: int) -> None:
        too_long = pc.greater(pc.binary_length(column), text_bytes_max)
        self._refuse(name, too_long, f"is a text of more than {text_bytes_max:,} bytes")
        self._refuse(name, pc.match_substring(column, "\0"), "is a text with a NUL character")

    def refuse(self, name: str, bad: pa.Array, reason: str) -> None:
        """Raises invalid_request_error when any of `bad` is true.

        They belong to rows that are not counted yet.
        """
        self._refuse(name, bad, reason)

    def _refuse(self, name: str, bad: pa.Array, reason: str) -> None:
        position = pc.index(bad, True).as_py()
        if position >= 0:
            raise unfit_value(self._format, name, self._row + position, reason)


def position_in(path: Path) -> int:
    """Returns the current size of a file."""
    return path.stat().st_size
