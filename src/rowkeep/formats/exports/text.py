"""CSV and JSON lines."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from rowkeep.formats.arrow import ArrowRows, arrow_schema
from rowkeep.formats.json_lines import JsonLinesEncoder
from rowkeep.formats.one_column_csv import one_column_records
from rowkeep.model.exports import ExportOptions
from rowkeep.model.schema import Schema
from rowkeep.model.types import VariableType

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINES_ROWS_MAX = 16_384
_SECOND_CHARACTERS = {"timestamp[us]": 19, "time64[us]": 8}


class _TextFile:
    """A file that may be compressed."""

    def __init__(self, path: Path, options: ExportOptions) -> None:
        self._file = pa.OSFile(str(path), "wb")
        is_plain = options.compression == "none"
        self.out = self._file if is_plain else pa.CompressedOutputStream(self._file, options.compression)

    def byte_count(self) -> int:
        """Returns how large the file is by now."""
        return int(self._file.tell())

    def close(self) -> None:
        """Ends the file."""
        self.out.close()
        self._file.close()


class CsvFile:
    """Writes CSV (RFC 4180): texts in quotes, null as nothing or as the marker that was asked for.

    A date and time has a fraction of six digits or none, as in every text of the API.
    """

    def __init__(self, path: Path, schema: Schema, options: ExportOptions) -> None:
        self._file = _TextFile(path, options)
        names = [variable.name for variable in schema.variables]
        self._schema = pa.schema(
            [
                pa.field(name, _csv_type(field.type))
                for name, field in zip(names, arrow_schema(schema), strict=True)
            ]
        )
        # With one variable a null without a marker would be an empty line, which most readers pass over.
        is_one_column = len(names) == 1 and not options.null_marker
        self._one_type = schema.variables[0].type if is_one_column else None
        if options.bom:
            self._file.out.write(BYTE_ORDER_MARK)
        self._file.out.write(",".join(f'"{name}"' for name in names).encode() + b"\n")
        writing = pyarrow.csv.WriteOptions(include_header=False, null_string=options.null_marker)
        self._writer = pyarrow.csv.CSVWriter(self._file.out, self._schema, write_options=writing)

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows."""
        arrays = [_shown(column) for column in batch.columns]
        if self._one_type is not None:
            self._file.out.write(_one_column(arrays[0], self._one_type))
            return
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def byte_count(self) -> int:
        """Returns how large the file is by now."""
        return self._file.byte_count()

    def finish(self) -> list[str]:
        """Ends the file."""
        self._writer.close()
        self._file.close()
        return []


def _one_column(column: pa.Array, type_: VariableType) -> bytes:
    texts = column.cast(pa.string()).to_pylist()
    if pa.types.is_string(column.type):
        return one_column_records(texts, type_)
    return "".join('""\n' if text is None else f"{text}\n" for text in texts).encode()


def _csv_type(type_: pa.DataType) -> pa.DataType:
    return pa.string() if str(type_) in _SECOND_CHARACTERS else type_


def _shown(column: pa.Array) -> pa.Array:
    """Returns a column as CSV shows it. Arrow alone would always write six fraction digits."""
    width = _SECOND_CHARACTERS.get(str(column.type))
    if width is None:
        return column
    text = column.cast(pa.string())
    microseconds = pc.cast(column, pa.int64())
    seconds = pc.multiply(pc.divide(microseconds, 1_000_000), 1_000_000)
    is_whole = pc.equal(microseconds, seconds)
    return pc.if_else(is_whole, pc.utf8_slice_codeunits(text, 0, width), text)


class LinesFile:
    """Writes a JSON object a row, a row a line."""

    def __init__(self, path: Path, schema: Schema, options: ExportOptions) -> None:
        self._file = _TextFile(path, options)
        self._schema = schema
        self._encoder = JsonLinesEncoder(schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows."""
        rows = ArrowRows(batch, self._schema, self._schema)
        for piece in rows.pieces(_LINES_ROWS_MAX):
            self._file.out.write(self._encoder.arrow_batch(piece))

    def byte_count(self) -> int:
        """Returns how large the file is by now."""
        return self._file.byte_count()

    def finish(self) -> list[str]:
        """Ends the file."""
        self._file.close()
        return []
