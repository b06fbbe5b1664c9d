"""The table that a reader makes of a file: its variables, its rows as Arrow, and its bad records."""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from rowkeep.formats.arrow import ARROW_TYPES
from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.files import (
    BAD_RECORDS_TOLD_MAX,
    SHOWN_RECORD_CHARACTERS_MAX,
    BadRecord,
    Detected,
    FileOptions,
    FileType,
    RecordsRefused,
    shortened,
)
from rowkeep.model.names import repaired_names
from rowkeep.model.nearness import listing, suggestion
from rowkeep.model.schema import (
    DESCRIPTION_CHARACTERS_MAX,
    LABEL_CHARACTERS_MAX,
    VARIABLES_MAX,
    ValueLabel,
    Variable,
)
from rowkeep.model.types import VariableType

# What a cell may hold at most (contract 7.28), and a record of a text file.
CELL_BYTES_MAX = 16 * 1024 * 1024
RECORD_BYTES_MAX = 64 * 1024 * 1024
# What a reader hands on at a time.
BATCH_ROWS_MAX = 65_536

# What zipfile raises for an archive that is damaged, encrypted or unknown.
ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)

Batches = Callable[[], Iterator[pa.RecordBatch]]


# Is told which share of a file has been looked at, from 0 to 1.
Report = Callable[[float], None]


def nobody(_: float) -> None:
    """Does nothing with a report of progress."""


class Source(msgspec.Struct, frozen=True):
    """A file to be read: its path, its type, the caller's options, and a folder to work in.

    `report` is called with the progress of the look at all values, where that is known.
    """

    path: Path
    type: FileType
    options: FileOptions
    scratch: Path
    report: Report = nobody


class BadRecords:
    """The bad records of a file. The first are kept in memory; skipped ones are all kept on the disk."""

    def __init__(self, source: Source) -> None:
        self.count = 0
        self.first: list[BadRecord] = []
        self._skips = source.options.skip_bad_records
        self._path = source.scratch / "bad-records.jsonl"
        self._encoder = msgspec.json.Encoder()
        self._waiting: list[bytes] = []  # to be written

    def add(self, record: BadRecord) -> None:
        """Adds a bad record."""
        self.count += 1
        if len(self.first) < BAD_RECORDS_TOLD_MAX:
            shown = shortened(record.text, SHOWN_RECORD_CHARACTERS_MAX)
            self.first.append(msgspec.structs.replace(record, text=shown))
        if self._skips:
            self._waiting.append(self._encoder.encode(record) + b"\n")
            if len(self._waiting) >= BAD_RECORDS_TOLD_MAX:
                self._write()

    def _write(self) -> None:
        with self._path.open("ab") as file:
            file.writelines(self._waiting)
        self._waiting.clear()

    def check(self) -> None:
        """Raises RecordsRefused when there are bad records that may not be skipped."""
        if self.count and not self._skips:
            raise RecordsRefused(self.first, self.count)

    def all(self) -> Iterator[BadRecord]:
        """Yields all skipped records, or the first of those that were not skipped."""
        if not self.count or not self._skips:
            yield from self.first
            return
        self._write()
        decoder = msgspec.json.Decoder(BadRecord)
        with self._path.open("rb") as file:
            yield from map(decoder.decode, file)


class FileTable:
    """A file as a table. `batches` may be called again, and reads the file from its beginning.

    The batches have rowkeep's own Arrow types (`formats/arrow.py`). A table without rows has no batch.
    `bad_records` and `warnings` are complete once the batches were read to their end. `row_count` is the
    approximate number of rows, where it is known before they are read.
    """

    def __init__(
        self,
        variables: Sequence[Variable],
        detected: Detected,
        batches: Batches,
        bad_records: BadRecords,
        warnings: list[str],
        row_count: int | None = None,
    ) -> None:
        self.variables = tuple(variables)
        self.row_count = row_count
        self.detected = detected
        self.bad_records = bad_records
        self.warnings = warnings
        self._batches = batches

    @property
    def arrow_schema(self) -> pa.Schema:
        """Returns the schema of every batch."""
        return pa.schema([(variable.name, ARROW_TYPES[variable.type]) for variable in self.variables])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yields the rows."""
        schema = self.arrow_schema
        for batch in self._batches():
            if len(batch):
                typed = pa.RecordBatch.from_arrays(batch.columns, schema=schema)
                _check_cells(typed)
                yield typed


def _check_cells(batch: pa.RecordBatch) -> None:
    """Raises invalid_request_error for a text that is too long for a cell."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_string(column.type) and column.nbytes > CELL_BYTES_MAX:
            longest = pc.max(pc.binary_length(column)).as_py() or 0
            if longest > CELL_BYTES_MAX:
                raise invalid_request(
                    f"A value of {name!r} has {longest} bytes; "
                    f"a cell holds at most {CELL_BYTES_MAX // 1024**2} MiB."
                )


class Column(msgspec.Struct, frozen=True):
    """The properties of a column in a file, beside its name."""

    name: str
    label: str | None = None
    description: str | None = None
    value_labels: tuple[ValueLabel, ...] = ()


def named_variables(
    columns: Sequence[Column], types: Sequence[VariableType], inexact: Sequence[bool] | None = None
) -> list[Variable]:
    """Returns the variables of a file.

    Names are repaired, and a repaired variable's label is its old name.
    """
    marks = inexact or [False] * len(columns)
    names = repaired_names(column.name for column in columns)
    return [
        Variable(
            name,
            type_,
            label=_label(column, name),
            description=(column.description or "")[:DESCRIPTION_CHARACTERS_MAX] or None,
            value_labels=column.value_labels,
            inexact=mark,
        )
        for name, column, type_, mark in zip(names, columns, types, marks, strict=True)
    ]


def _label(column: Column, name: str) -> str | None:
    label = column.label or (column.name if column.name != name else None)
    return label[:LABEL_CHARACTERS_MAX] if label else None


def given_types(source: Source, names: Sequence[str]) -> list[VariableType | None]:
    """Returns the type that the caller gave for each column.

    Raises invalid_request_error for an unknown name.
    """
    wanted = {name.lower(): type_ for name, type_ in source.options.types.items()}
    found: list[VariableType | None] = []
    for original, repaired in zip(names, repaired_names(names), strict=True):
        by_original = wanted.pop(original.lower(), None)
        by_repaired = wanted.pop(repaired.lower(), None)
        found.append(by_original or by_repaired)
    if wanted:
        missing = ", ".join(repr(name) for name in wanted)
        raise invalid_request(
            f"A type is given for {missing}, but the file has no such column."
            f"{suggestion(next(iter(wanted)), names)} Its columns are: {listing(names)}."
        )
    return found


def check_column_count(count: int, name: str) -> None:
    """Raises invalid_request_error for a file with more columns than a table may have."""
    if count > VARIABLES_MAX:
        raise invalid_request(
            f"The file {name!r} has {count} columns; a table has at most {VARIABLES_MAX}. Split it, or check "
            "its delimiter and its line endings."
        )


def unreadable(source: Source, reason: str) -> RowkeepError:
    """Returns 400: the file is not what its type says, or cut off."""
    return invalid_request(f"The file {source.options.file_name!r} cannot be read as {source.type}: {reason}")
