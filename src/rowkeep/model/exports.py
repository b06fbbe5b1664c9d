"""Exports: rows as files that other programs read. Their options, and the limits of each format.

Two kinds of things do not fit a format. What the schema and the number of rows tell is refused before an
export is taken in (`check_fits`). What only the values tell (an integer that a double cannot hold, a text
that is too long) is found before the first file is named, and the export fails with the variable and the row.
A format that cannot hold a label changes no value: the label is left out, and a warning says so.
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from rowkeep.model.errors import RowkeepError, invalid_request
from rowkeep.model.nearness import suggestion
from rowkeep.model.resources import ReadStream, RowSlice, Segment
from rowkeep.model.schema import Schema

MEBIBYTE = 1024 * 1024
PART_BYTES_DEFAULT = 1024 * MEBIBYTE
PART_BYTES_MIN = MEBIBYTE
NULL_MARKER_CHARACTERS_MAX = 20
XLSX_ROWS_MAX = 1_048_575  # and a header
XLSX_COLUMNS_MAX = 16_384
STATISTICAL_VARIABLES_MAX = 32_767
DTA_NAME_CHARACTERS_MAX = 32
_STATA_WORDS = frozenset(
    {"_all", "_b", "_cons", "_coef", "_n", "_pi", "_pred", "_rc", "_se", "_skip", "byte", "double", "float"}
    | {"if", "in", "int", "long", "strl", "using", "with"}
)
_SPSS_WORDS = frozenset({"all", "and", "by", "eq", "ge", "gt", "le", "lt", "ne", "not", "or", "to", "with"})


class ExportFormat(StrEnum):
    """The files that an export makes."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"
    ARROW = "arrow"
    AVRO = "avro"
    XLSX = "xlsx"
    DTA = "dta"
    SAV = "sav"


MEDIA_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.JSON_LINES: "application/x-ndjson",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
    ExportFormat.ARROW: "application/vnd.apache.arrow.file",
    ExportFormat.AVRO: "application/avro",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ExportFormat.DTA: "application/x-stata-dta",
    ExportFormat.SAV: "application/x-spss-sav",
}
# The first is what is taken when nothing is asked for.
COMPRESSIONS = {
    ExportFormat.CSV: ("none", "gzip", "zstd"),
    ExportFormat.JSON_LINES: ("none", "gzip", "zstd"),
    ExportFormat.PARQUET: ("zstd", "snappy", "gzip", "none"),
    ExportFormat.ARROW: ("none", "lz4", "zstd"),
    ExportFormat.AVRO: ("deflate", "none"),
}
_SUFFIXES = {"gzip": ".gz", "zstd": ".zst"}
_SYNONYMS = {"ndjson": "jsonl"}


class ExportOptions(msgspec.Struct, frozen=True):
    """How the files of an export are written.

    `null_marker` stands for null in CSV; `bom` begins a CSV file with a byte order mark. A file is followed
    by another when it has `part_bytes_max`.
    """

    format: ExportFormat
    compression: str
    null_marker: str = ""
    bom: bool = False
    part_bytes_max: int = PART_BYTES_DEFAULT

    @property
    def suffix(self) -> str:
        """Returns the ending of the files' names."""
        is_text = self.format in (ExportFormat.CSV, ExportFormat.JSON_LINES)
        return f".{self.format.value}{_SUFFIXES.get(self.compression, '') if is_text else ''}"


def export_options(
    format_: str | None,
    *,
    compression: str | None = None,
    null_marker: str | None = None,
    bom: bool | None = None,
    part_bytes_max: int | None = None,
) -> ExportOptions:
    """Returns the options that a caller spelled. Raises invalid_request_error."""
    name = (format_ or ExportFormat.CSV).lower()
    try:
        format_asked = ExportFormat(_SYNONYMS.get(name, name))
    except ValueError:
        known = ", ".join(ExportFormat)
        raise invalid_request(
            f"`format` must be one of {known}, not {name[:60]!r}.{suggestion(name, ExportFormat)}"
        ) from None
    bytes_max = PART_BYTES_DEFAULT if part_bytes_max is None else part_bytes_max
    if bytes_max < PART_BYTES_MIN:
        raise invalid_request(f"`partBytesMax` must be {PART_BYTES_MIN} or more.")
    if format_asked is not ExportFormat.CSV and (null_marker is not None or bom):
        raise invalid_request("`nullMarker` and `bom` are for the format csv alone.")
    return ExportOptions(
        format_asked, _compression(format_asked, compression), _null_marker(null_marker), bool(bom), bytes_max
    )


def _compression(format_: ExportFormat, asked: str | None) -> str:
    known = COMPRESSIONS.get(format_, ("none",))
    if asked is None:
        return known[0]
    if asked not in known:
        raise invalid_request(
            f"`compression` of {format_.value} must be one of {', '.join(known)}, not {asked[:60]!r}."
        )
    return asked


def _null_marker(marker: str | None) -> str:
    if marker is None:
        return ""
    if len(marker) > NULL_MARKER_CHARACTERS_MAX or any(sign in marker for sign in '",\r\n'):
        raise invalid_request(
            f"`nullMarker` has at most {NULL_MARKER_CHARACTERS_MAX} characters, and no quote, comma or line "
            "break."
        )
    return marker


class ExportArguments(msgspec.Struct, frozen=True):
    """The arguments of an export: the rows that were found when it was taken in, and how to write them.

    Whether the caller may read them is checked again before a file is sent; `stream` has the grounds for
    that. `name` is the name of the files. `table_name` is that of the table, if the rows are those of a
    table.
    """

    stream: ReadStream
    options: ExportOptions
    name: str
    table_name: str | None = None

    def file_name(self, part: int, part_count: int) -> str:
        """Returns the name of a file for downloads."""
        number = f"_{part:06d}" if part_count > 1 else ""
        return f"{self.name}{number}{self.options.suffix}"


class ExportedFile(msgspec.Struct, frozen=True):
    """A file of an export; `md5` is in base64."""

    name: str
    byte_count: int
    md5: str


class ExportResult(msgspec.Struct, frozen=True):
    """The result of a completed export."""

    files: tuple[ExportedFile, ...]
    row_count: int
    warnings: tuple[str, ...] = ()

    @property
    def byte_count(self) -> int:
        """Returns the total size of all files."""
        return sum(file.byte_count for file in self.files)


class UploadRows(msgspec.Struct, frozen=True):
    """The rows of one upload that an export reads: its segments, and its entries in the file of entries."""

    slices: tuple[RowSlice, ...]
    schemas: tuple[Schema, ...]
    segments: tuple[Segment, ...]
    entry_count: int


class ExportPlan(msgspec.Struct, frozen=True):
    """What a worker needs to write the files of an export. `segments` is the folder of the segments."""

    schema: Schema
    uploads: tuple[UploadRows, ...]
    options: ExportOptions
    segments: str = ""
    memory_bytes_max: int = 0

    @property
    def row_count(self) -> int:
        """Returns how many rows there are."""
        return sum(each.row_end - each.first_row for upload in self.uploads for each in upload.slices)


def check_fits(format_: ExportFormat, schema: Schema, row_count: int) -> None:
    """Raises invalid_request_error when rows of a schema do not fit a format, whatever their values."""
    if not schema.variables:
        raise invalid_request("There is nothing to export: there are no variables.")
    if format_ is ExportFormat.XLSX:
        _check_xlsx(schema, row_count)
    elif format_ in _NAME_CHECKS:
        _NAME_CHECKS[format_](schema)


def _check_xlsx(schema: Schema, row_count: int) -> None:
    if row_count > XLSX_ROWS_MAX:
        raise _unfit("xlsx", f"a sheet has room for {XLSX_ROWS_MAX:,} rows, and there are {row_count:,}")
    if len(schema.variables) > XLSX_COLUMNS_MAX:
        raise _unfit("xlsx", f"a sheet has room for {XLSX_COLUMNS_MAX:,} columns")


def _check_dta(schema: Schema) -> None:
    _check_statistical("dta", schema)
    for variable in schema.variables:
        name = variable.name
        if len(name) > DTA_NAME_CHARACTERS_MAX:
            raise _unfit(
                "dta", f"the name {name!r} is longer than the {DTA_NAME_CHARACTERS_MAX} characters of Stata"
            )
        is_string_type = name.lower().startswith("str") and name[3:].isdigit()
        if name.lower() in _STATA_WORDS or is_string_type:
            raise _unfit("dta", f"Stata keeps the name {name!r} for itself")


def _check_sav(schema: Schema) -> None:
    _check_statistical("sav", schema)
    for variable in schema.variables:
        if variable.name.startswith("_"):
            raise _unfit("sav", f"a name of SPSS begins with a letter, and {variable.name!r} does not")
        if variable.name.endswith("_"):
            raise _unfit("sav", f"SPSS keeps names that end in _ for itself, such as {variable.name!r}")
        if variable.name.lower() in _SPSS_WORDS:
            raise _unfit("sav", f"SPSS keeps the name {variable.name!r} for itself")


def _check_statistical(format_: str, schema: Schema) -> None:
    if len(schema.variables) > STATISTICAL_VARIABLES_MAX:
        raise _unfit(format_, f"a file has room for {STATISTICAL_VARIABLES_MAX:,} variables")


def _unfit(format_: str, reason: str) -> RowkeepError:
    return invalid_request(
        f"This does not fit the format {format_}: {reason}. Select other variables, or export csv or parquet."
    )


def unfit_value(format_: ExportFormat, variable: str, row: int, reason: str) -> RowkeepError:
    """Returns 400 for a value that a format cannot hold. Rows count from 0."""
    return invalid_request(
        f"This does not fit the format {format_.value}: `{variable}` of row {row} {reason}. Leave "
        "the variable out with `selectedVariables`, or export csv or parquet."
    )


_NAME_CHECKS: dict[ExportFormat, Callable[[Schema], None]] = {
    ExportFormat.DTA: _check_dta,
    ExportFormat.SAV: _check_sav,
}
