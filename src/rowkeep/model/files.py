"""Files that are loaded: their types, options, detected properties and bad records.

Source: contract 4.5.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from rowkeep.model.errors import ErrorCode, RowkeepError
from rowkeep.model.types import VariableType

# How many bad records of one file are told; the others are counted.
BAD_RECORDS_TOLD_MAX = 100
# How much is shown of a value and of a record that is bad.
SHOWN_VALUE_CHARACTERS_MAX = 100
SHOWN_RECORD_CHARACTERS_MAX = 1_000
# How much of a record goes into the quarantine.
RECORD_CHARACTERS_MAX = 65_536


class FileType(StrEnum):
    """The types of files, spelled as on the wire."""

    DELIMITED = "delimited"
    NDJSON = "ndjson"
    JSON = "json"
    PARQUET = "parquet"
    ORC = "orc"
    AVRO = "avro"
    XLS = "xls"
    XLSX = "xlsx"
    DTA = "dta"
    SAV = "sav"
    SAS7BDAT = "sas7bdat"
    GEOJSON = "geojson"
    GEOJSONL = "geojsonl"
    SHP_ZIP = "shp.zip"
    KML = "kml"


class FileOptions(msgspec.Struct, frozen=True):
    """The options that a caller gives for a file. An option that is None is detected in the file.

    `file_name` is the name of the file at the sender. `types` are given by variable name, as in the file or
    repaired, ignoring case. `layer` is one sheet of a workbook or one layer of a geographic file.
    """

    file_name: str
    type: str | None = None
    delimiter: str | None = None
    quote_character: str | None = None
    escape_character: str | None = None
    has_header_row: bool = True
    has_quoted_newlines: bool | None = None
    allow_jagged_rows: bool = False
    null_markers: tuple[str, ...] = ()
    encoding: str | None = None
    types: Mapping[str, VariableType] = {}
    skip_bad_records: bool = False
    layer: str | None = None


class Detected(msgspec.Struct, frozen=True, omit_defaults=True):
    """The properties with which a file was read: those that the caller gave and those that were detected."""

    type: FileType
    compression: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote_character: str | None = None
    escape_character: str | None = None
    has_header_row: bool | None = None
    has_quoted_newlines: bool | None = None
    layer: str | None = None


class BadRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record that cannot be read as a row.

    `row` counts the records from 1, without the header; `line` counts the lines of a text file from 1.
    `column` is named as in the file, and is null where the whole record is bad. `text` is the record as it
    came.
    """

    row: int
    expected: str
    line: int | None = None
    column: str | None = None
    value: str | None = None
    text: str = ""

    @property
    def message(self) -> str:
        """Returns the record's error as a message."""
        place = f"Line {self.line}" if self.line is not None else f"Row {self.row}"
        if self.column is None:
            return f"{place}: {self.expected}"
        return f"{place}, column {self.column!r}: expected {self.expected}, but got {self.value!r}"


class RecordsRefused(RowkeepError):
    """The error for a file with records that cannot be read as rows. Nothing of the file was loaded.

    `bad_records` holds the first ones, `bad_record_count` counts all.
    """

    def __init__(self, bad_records: Sequence[BadRecord], bad_record_count: int) -> None:
        more = f" (and {bad_record_count - 1} more)" if bad_record_count > 1 else ""
        super().__init__(
            ErrorCode.INVALID_REQUEST,
            f"{bad_records[0].message}{more}. "
            "Nothing of the file was loaded; mend it, or set skipBadRecords.",
        )
        self.bad_records = bad_records
        self.bad_record_count = bad_record_count


def shortened(text: str, characters_max: int = SHOWN_VALUE_CHARACTERS_MAX) -> str:
    """Returns a text, cut when it is too long to be shown."""
    return text if len(text) <= characters_max else f"{text[:characters_max]}..."
