"""Delimited files: csv, tsv and their kin.

Theory ------ pyarrow takes records apart, with every column as text; types are found by `narrowing.py`
afterwards. It is lax in two places: text behind a closing quote is joined to the value, and a quote that is
never closed ends with the file. So `regularity.py` first looks whether every quote stands where RFC 4180 has
it. Where one does not, or a record has too many or too few fields, `records.py` goes through the file record
by record, and writes those that are good to a file that pyarrow reads instead.

Rejected: DuckDB's reader. It is slower one thread for one, drops a last line that is a single quote, joins
lines when told that they end with CR LF, and with `ignore_errors` loses good records behind bad ones.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from rowkeep.formats.files.dialect import Layout, default_names, found_layout
from rowkeep.formats.files.given_types import EXPECTED_TEXT
from rowkeep.formats.files.narrowing import Narrowed, Narrowing, UnfitCell
from rowkeep.formats.files.plain_text import PlainText, plain_text
from rowkeep.formats.files.records import Record, good_records, located
from rowkeep.formats.files.regularity import is_regular
from rowkeep.formats.files.table import (
    BATCH_ROWS_MAX,
    CELL_BYTES_MAX,
    RECORD_BYTES_MAX,
    BadRecords,
    Column,
    FileTable,
    Report,
    Source,
    check_column_count,
    given_types,
    named_variables,
    unreadable,
)
from rowkeep.model.files import BAD_RECORDS_TOLD_MAX, BadRecord, Detected, shortened
from rowkeep.model.types import VariableType

_BLOCK_BYTES = 4 * 1024 * 1024


class _Texts(msgspec.Struct, frozen=True):
    """Records that pyarrow reads correctly: a file, where they begin in it, and their dialect."""

    path: Path
    start: int
    layout: Layout
    null_markers: tuple[str, ...]
    block_bytes: int
    report: Report

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yields the records as columns of texts. Raises ArrowInvalid for a record of another width."""
        if self.path.stat().st_size <= self.start:
            return
        dialect = self.layout.dialect
        names = [str(index) for index in range(self.layout.width)]
        byte_count = self.path.stat().st_size
        with pa.OSFile(str(self.path), "rb") as file:
            file.seek(self.start)
            reader = pyarrow.csv.open_csv(
                file,
                read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=self.block_bytes),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=dialect.delimiter,
                    quote_char=dialect.quote or False,
                    escape_char=dialect.escape or False,
                    newlines_in_values=dialect.quote is not None,
                    ignore_empty_lines=self.layout.width > 1,
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    null_values=["", *self.null_markers],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            for batch in reader:
                _check_cells(batch)
                self.report(file.tell() / byte_count)
                yield from _pieces(batch)


def _check_cells(batch: pa.RecordBatch) -> None:
    """Raises ArrowInvalid for a cell that no table holds."""
    for column in batch.columns:
        if (
            column.nbytes > CELL_BYTES_MAX
            and (pc.max(pc.binary_length(column)).as_py() or 0) > CELL_BYTES_MAX
        ):
            raise pa.ArrowInvalid("a cell is too long")


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(batch), BATCH_ROWS_MAX):
        yield batch.slice(start, BATCH_ROWS_MAX)


class _UnfitLog:
    """Collects the rows with a cell that does not fit its given type:

    the first, or all if they are skipped.
    """

    def __init__(self, source: Source) -> None:
        self.count = 0
        self._kept_max = None if source.options.skip_bad_records else BAD_RECORDS_TOLD_MAX
        self._path = source.scratch / "unfit.jsonl"
        self._path.unlink(missing_ok=True)
        self._encode = msgspec.json.Encoder().encode

    def add(self, cells: Sequence[UnfitCell]) -> None:
        """Adds cells of different rows, in the order of the rows."""
        kept = cells if self._kept_max is None else cells[: max(0, self._kept_max - self.count)]
        self.count += len(cells)
        with self._path.open("ab") as file:
            file.writelines(self._encode(cell) + b"\n" for cell in kept)

    def cells(self) -> Iterator[UnfitCell]:
        """Yields the cells that were kept."""
        if self.count:
            decode = msgspec.json.Decoder(UnfitCell).decode
            with self._path.open("rb") as file:
                yield from map(decode, file)


def open_delimited(source: Source) -> FileTable:
    """Returns a delimited file as a table. Raises invalid_request_error, RecordsRefused for bad records."""
    text = plain_text(source)
    layout = found_layout(source, text)
    check_column_count(layout.width, source.options.file_name)
    names = layout.header or default_names(layout.width)
    reading = _Reading(source, text, layout, given_types(source, names))
    narrowed = reading.narrowed()
    columns = [Column(name) for name in names]
    return FileTable(
        named_variables(columns, narrowed.types, narrowed.inexact),
        _detected(source, text, layout),
        narrowed.batches,
        reading.bad,
        list(text.warnings),
        narrowed.row_count,
    )


def _detected(source: Source, text: PlainText, layout: Layout) -> Detected:
    return Detected(
        source.type,
        compression=text.compression,
        encoding=text.encoding,
        delimiter=layout.dialect.delimiter,
        quote_character=layout.dialect.quote or "",
        escape_character=layout.dialect.escape or layout.dialect.quote or "",
        has_header_row=layout.header is not None,
    )


class _Reading:
    """Reads one file into typed columns."""

    def __init__(
        self, source: Source, text: PlainText, layout: Layout, given: Sequence[VariableType | None]
    ) -> None:
        self.bad = BadRecords(source)
        self._source = source
        self._text = text
        self._layout = layout
        self._given = given
        self._unfit = _UnfitLog(source)

    def narrowed(self) -> Narrowed:
        """Returns the columns. Reads the file quickly if it is regular, else record by record."""
        if self._is_plain():
            texts = self._texts(self._text.path, self._layout.start, _BLOCK_BYTES)
            narrowing = self._narrowing(texts)
            try:
                return self._checked(narrowing.narrowed())
            except pa.ArrowInvalid:
                narrowing.abandon()
        good = good_records(self._source, self._text, self._layout, self.bad)
        self.bad.check()
        block_bytes = _BLOCK_BYTES if good.longest_bytes < _BLOCK_BYTES // 2 else 2 * RECORD_BYTES_MAX
        try:
            return self._checked(self._narrowing(self._texts(good.path, 0, block_bytes)).narrowed())
        except pa.ArrowInvalid as error:
            raise unreadable(self._source, f"{error}.") from error

    def _is_plain(self) -> bool:
        """Returns whether nothing is known yet that pyarrow would read differently."""
        options, dialect = self._source.options, self._layout.dialect
        needs_records = dialect.escape or options.allow_jagged_rows or options.has_quoted_newlines is False
        return not needs_records and is_regular(self._text.path, self._layout.start, dialect)

    def _texts(self, path: Path, start: int, block_bytes: int) -> _Texts:
        null_markers = self._source.options.null_markers
        return _Texts(path, start, self._layout, null_markers, block_bytes, self._source.report)

    def _narrowing(self, texts: _Texts) -> Narrowing:
        self._unfit = _UnfitLog(self._source)
        return Narrowing(texts.batches, self._given, self._source.scratch, self._unfit.add)

    def _checked(self, narrowed: Narrowed) -> Narrowed:
        """Reports the rows that do not fit a given type, and returns the rest. Raises RecordsRefused."""
        told = 0
        places = located(self._source, self._text, self._layout, (cell.row for cell in self._unfit.cells()))
        for cell, record in zip(self._unfit.cells(), places, strict=True):
            self.bad.add(self._bad_cell(cell, record))
            told += 1
        self.bad.count += self._unfit.count - told
        self.bad.check()
        return narrowed

    def _bad_cell(self, cell: UnfitCell, record: Record) -> BadRecord:
        type_ = self._given[cell.column]
        assert type_ is not None  # only a given type refuses a cell
        name = (self._layout.header or default_names(self._layout.width))[cell.column]
        return msgspec.structs.replace(
            record.bad(), column=name, value=shortened(cell.text), expected=EXPECTED_TEXT[type_]
        )
