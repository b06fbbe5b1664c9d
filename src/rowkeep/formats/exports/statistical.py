"""Files of Stata and SPSS. Beside formats/files/statistical.py the only file that knows pyreadstat.

pyreadstat writes a file from all of its rows, so they are held until the file ends, up to a bound. Numbers,
booleans, dates and times are doubles in these files: integers that a double cannot hold are refused, booleans
are 1 and 0. Neither format tells a null text from an empty one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyreadstat

from rowkeep.formats.exports.writer import ValueChecks, position_in
from rowkeep.model.errors import invalid_request
from rowkeep.model.exports import ExportFormat
from rowkeep.model.schema import Schema, ValueLabel, Variable
from rowkeep.model.types import VariableType

_DAY_SECONDS = 86_400
# From these days to 1970.
_STATA_DAYS = 3_653
_SPSS_DAYS = 141_428
_DTA_NUMBER_MAX = 8.9e307
_DTA_TEXT_BYTES_MAX = 2_000_000
_SAV_TEXT_BYTES_MAX = 32_767
# What Stata and SPSS take: more of a label is cut off.
_DTA_LABEL_CHARACTERS_MAX = 80
_SAV_LABEL_BYTES_MAX = 255
_SAV_VALUE_LABEL_BYTES_MAX = 120
_SAV_LABELLED_TEXT_BYTES_MAX = 8
_STATA_INTEGER_MAX = 2_147_483_620

_DTA_FORMATS = {
    VariableType.DATE: "%td",
    VariableType.DATE_TIME: "%tc",
    VariableType.TIME: "%tcHH:MM:SS",
}
_SAV_FORMATS = {
    VariableType.INTEGER: "F20.0",
    VariableType.BOOLEAN: "F1.0",
    VariableType.DATE: "SDATE10",
    VariableType.DATE_TIME: "DATETIME26.6",
    VariableType.TIME: "TIME16.6",
}

_Labels = dict[str, dict[Any, str]]


class _HeldRows:
    """Rows in memory, each column as a pandas column that pyreadstat takes as it is."""

    def __init__(self, format_: ExportFormat, schema: Schema, bytes_max: int) -> None:
        self.schema = schema
        self.checks = ValueChecks(format_, schema)
        self._format = format_
        self._bytes_max = bytes_max
        self._batches: list[pa.RecordBatch] = []
        self._byte_count = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Holds more rows. Raises invalid_request_error when there are too many."""
        self._byte_count += batch.nbytes
        if self._byte_count > self._bytes_max:
            raise invalid_request(
                f"This is too large for the format {self._format.value}, which is written in one go: more "
                f"than {self._bytes_max // 1024**2} MiB. Select fewer variables, or export parquet, which "
                "Stata, R and Python read."
            )
        self._batches.append(batch)

    def frame(self, numbers: Callable[[pa.ChunkedArray], Any]) -> pd.DataFrame:
        """Returns the rows as a data frame. `numbers` converts dates and times to doubles."""
        table = pa.Table.from_batches(self._batches) if self._batches else None
        self._batches.clear()
        columns = {}
        for index, variable in enumerate(self.schema.variables):
            column = pa.chunked_array([], pa.string()) if table is None else table.column(index)
            columns[variable.name] = _pandas_column(
                column, variable.type, numbers, has_rows=table is not None
            )
        return pd.DataFrame(columns)


def _pandas_column(
    column: pa.ChunkedArray, type_: VariableType, numbers: Callable[[pa.ChunkedArray], Any], *, has_rows: bool
) -> Any:
    if type_ in (VariableType.STRING, VariableType.GEOGRAPHY):
        return pd.Series(column.fill_null("").to_pylist(), dtype=object)
    if not has_rows:
        return np.zeros(0, dtype=np.float64)
    if type_ in (VariableType.DATE, VariableType.DATE_TIME, VariableType.TIME):
        return numbers(column)
    return _doubles(column)


def _doubles(column: pa.ChunkedArray) -> Any:
    return pc.cast(column, pa.float64(), safe=False).to_numpy()


def _seconds(column: pa.ChunkedArray, days: int, factor: float) -> Any:
    """Returns dates as days, and dates with times as fractions of seconds, from another first day on.

    Times of day count from midnight.
    """
    if pa.types.is_date32(column.type):
        return _doubles(pc.cast(column, pa.int32())) + days
    microseconds = pc.cast(column, pa.int64())
    shift = 0 if pa.types.is_time64(column.type) else days * _DAY_SECONDS * 1_000_000
    return _doubles(pc.add(microseconds, shift)) * factor / 1_000_000


def _in_stata(column: pa.ChunkedArray) -> Any:
    return _seconds(column, _STATA_DAYS, 1_000)


def _in_spss(column: pa.ChunkedArray) -> Any:
    found = _seconds(column, _SPSS_DAYS, 1)
    return found * _DAY_SECONDS if pa.types.is_date32(column.type) else found


class DtaFile:
    """Writes a file of Stata 14 and later."""

    def __init__(self, path: Path, schema: Schema, bytes_max: int) -> None:
        self._path = path
        self._schema = schema
        self._rows = _HeldRows(ExportFormat.DTA, schema, bytes_max)
        self._warnings: list[str] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows."""
        for variable, column in zip(self._schema.variables, batch.columns, strict=True):
            if variable.type is VariableType.FLOAT:
                too_large = pc.greater(pc.abs(column), _DTA_NUMBER_MAX)
                self._rows.checks.refuse(variable.name, too_large, "is a number beyond those of Stata")
        self._rows.checks.check(batch, _DTA_TEXT_BYTES_MAX, takes_infinity=False)
        self._rows.add(batch)

    def byte_count(self) -> int:
        """Returns 0: the file is written when it ends."""
        return 0

    def finish(self) -> list[str]:
        """Writes the file."""
        labels, warnings = _cut_labels(self._schema, _DTA_LABEL_CHARACTERS_MAX, "utf-32-le", 4)
        value_labels = self._value_labels(warnings)
        pyreadstat.write_dta(
            self._rows.frame(_in_stata),
            str(self._path),
            column_labels=labels,
            variable_value_labels=value_labels,
            variable_format=_formats(self._schema, _DTA_FORMATS),
        )
        _check_written(self._path)
        return warnings

    def _value_labels(self, warnings: list[str]) -> _Labels:
        found: _Labels = {}
        for variable in self._schema.variables:
            numbers = [_number_of(variable, pair) for pair in variable.value_labels]
            fitting = [number is not None and _is_stata_integer(number) for number in numbers]
            if variable.value_labels and not all(fitting):
                warnings.append(f"{variable.name}: Stata labels whole numbers alone; others have no label.")
            pairs = zip(numbers, variable.value_labels, fitting, strict=True)
            kept: dict[Any, str] = {
                int(number): pair.label for number, pair, fits in pairs if fits and number is not None
            }
            if kept:
                found[variable.name] = kept
        return found


def _is_stata_integer(number: float) -> bool:
    return number.is_integer() and abs(number) <= _STATA_INTEGER_MAX


class SavFile:
    """Writes a file of SPSS."""

    def __init__(self, path: Path, schema: Schema, bytes_max: int) -> None:
        self._path = path
        self._schema = schema
        self._rows = _HeldRows(ExportFormat.SAV, schema, bytes_max)
        self._padded: set[str] = set()

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows."""
        self._rows.checks.check(batch, _SAV_TEXT_BYTES_MAX, takes_infinity=False)
        for variable, column in zip(self._schema.variables, batch.columns, strict=True):
            if pa.types.is_string(column.type) and pc.any(pc.ends_with(column, " ")).as_py():
                self._padded.add(variable.name)
        self._rows.add(batch)

    def byte_count(self) -> int:
        """Returns 0: the file is written when it ends."""
        return 0

    def finish(self) -> list[str]:
        """Writes the file."""
        labels, warnings = _cut_labels(self._schema, _SAV_LABEL_BYTES_MAX, "utf-8", 1)
        value_labels = self._value_labels(warnings)
        pyreadstat.write_sav(
            self._rows.frame(_in_spss),
            str(self._path),
            column_labels=labels,
            compress=False,
            row_compress=True,
            variable_value_labels=value_labels,
            variable_format=_formats(self._schema, _SAV_FORMATS),
        )
        _check_written(self._path)
        warnings += [
            f"{name}: SPSS does not keep blanks at the end of a text." for name in sorted(self._padded)
        ]
        return warnings

    def _value_labels(self, warnings: list[str]) -> _Labels:
        found: _Labels = {}
        for variable in self._schema.variables:
            kept: dict[Any, str] = {}
            for pair in variable.value_labels:
                value = _spss_value(variable, pair)
                if value is not None:
                    kept[value] = _cut(pair.label, _SAV_VALUE_LABEL_BYTES_MAX, "utf-8")
            if len(kept) < len(variable.value_labels):
                warnings.append(
                    f"{variable.name}: SPSS labels numbers, and texts of up to "
                    f"{_SAV_LABELLED_TEXT_BYTES_MAX} bytes; others have no label."
                )
            if kept:
                found[variable.name] = kept
        return found


def _spss_value(variable: Variable, pair: ValueLabel) -> float | str | None:
    if variable.type is VariableType.STRING:
        return pair.value if 0 < len(pair.value.encode()) <= _SAV_LABELLED_TEXT_BYTES_MAX else None
    return _number_of(variable, pair)


def _number_of(variable: Variable, pair: ValueLabel) -> float | None:
    """Returns the value of a label as a number of its variable, or None when it is not a number."""
    if variable.type is VariableType.BOOLEAN:
        return {"true": 1.0, "false": 0.0}.get(pair.value.lower())
    if variable.type not in (VariableType.INTEGER, VariableType.FLOAT):
        return None
    try:
        number = float(pair.value)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _formats(schema: Schema, formats: dict[VariableType, str]) -> dict[str, str]:
    return {each.name: formats[each.type] for each in schema.variables if each.type in formats}


def _cut_labels(
    schema: Schema, length_max: int, encoding: str, width: int
) -> tuple[dict[str, str | None], list[str]]:
    """Returns the labels of variables cut to a length in bytes of an encoding, and a message for each cut."""
    labels: dict[str, str | None] = {}
    warnings: list[str] = []
    for variable in schema.variables:
        label = variable.label or ""
        cut = _cut(label, length_max * width, encoding)
        if cut != label:
            warnings.append(f"{variable.name}: the label is longer than the format takes, and was cut.")
        if cut:
            labels[variable.name] = cut
    return labels, warnings


def _cut(text: str, bytes_max: int, encoding: str) -> str:
    return text.encode(encoding)[:bytes_max].decode(encoding, errors="ignore")


def _check_written(path: Path) -> None:
    if not position_in(path):
        raise OSError("the file was not written")
