"""Files of Stata, SPSS and SAS. The only file that knows pyreadstat.

Labels of variables and values become metadata. Values that are missing, of the user's kinds too (`.a` to
`.z`, or those that the file declares), are null; what they were called stays among the value labels. Numbers
are doubles in most of these files, so a column of whole numbers is an integer. Texts stay texts, and an empty
text is one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyreadstat

from rowkeep.formats.files.cell_table import CellRows, CellTable, Place
from rowkeep.formats.files.cells import cell_text
from rowkeep.formats.files.detection import content_name, content_type
from rowkeep.formats.files.statistical_times import time_conversion
from rowkeep.formats.files.table import BadRecords, Column, FileTable, Source, check_column_count, unreadable
from rowkeep.model.files import Detected, FileType, shortened
from rowkeep.model.schema import VALUE_LABELS_CHARACTERS_MAX, ValueLabel

_READERS: dict[FileType, Any] = {
    FileType.DTA: pyreadstat.read_dta,
    FileType.SAV: pyreadstat.read_sav,
    FileType.SAS7BDAT: pyreadstat.read_sas7bdat,
}
_ERRORS = (pyreadstat.ReadstatError, pyreadstat.PyreadstatError)
_CHUNK_CELLS = 1_000_000
_REASON_CHARACTERS_MAX = 200
_ENCODING_WORDS = ("encoding", "codec", "convert string")
# Old files do not say their encoding: UTF-8 proves itself, and what is none was written on Windows.
_TRIED_ENCODINGS = ("UTF-8", "WINDOWS-1252")


def open_statistical(source: Source) -> FileTable:
    """Returns a file of Stata, SPSS or SAS as a table.

    Raises invalid_request_error, RecordsRefused for bad records.
    """
    reading = _Reading(source)
    cells = CellTable(source, reading.bad, reading.rows, in_texts=())
    reading.look_at_all(cells)
    detected = Detected(source.type, encoding=reading.encoding)
    return cells.table(reading.columns(), detected, reading.warnings)


class _WrongEncoding(Exception):
    """The texts of the file are not in the encoding that was tried."""


class _Reading:
    """Reads a file in chunks. It can be asked again."""

    def __init__(self, source: Source) -> None:
        self.bad = BadRecords(source)
        self.warnings: list[str] = []
        self._source = source
        asked = source.options.encoding
        self._encodings: list[str | None] = [asked] if asked else [None, *_TRIED_ENCODINGS]
        self._meta = self._metadata()
        if self.encoding is None:  # an old file, which does not say its encoding
            del self._encodings[0]
            self._meta = self._metadata()
        names = self._meta.column_names
        if not names:
            raise unreadable(source, "it has no column.")
        check_column_count(len(names), source.options.file_name)
        formats = self._meta.original_variable_types
        self._conversions = [time_conversion(source.type, formats.get(name)) for name in names]

    @property
    def encoding(self) -> str | None:
        """Returns the encoding that is given or tried, or that the file declares."""
        return self._encodings[0] or self._meta.file_encoding

    def _metadata(self) -> Any:
        while True:
            try:
                return self._read(metadata_only=True)[1]
            except _WrongEncoding as error:
                self._try_next(error)

    def _try_next(self, error: _WrongEncoding) -> None:
        """Changes to the next encoding. Raises invalid_request_error when there is none."""
        del self._encodings[0]
        if not self._encodings:
            raise unreadable(self._source, "its texts are in another encoding. Give `encoding`.") from error

    def look_at_all(self, cells: CellTable) -> None:
        """Makes `cells` look at all values, in the encoding that fits."""
        while True:
            try:
                cells.look_at_all()
                break
            except _WrongEncoding as error:
                self._try_next(error)
                self._meta = self._metadata()
        if self._source.options.encoding is None and self._encodings[0] == _TRIED_ENCODINGS[-1]:
            self.warnings.append(
                f"Its texts are not UTF-8 and were read as {self.encoding}; give `encoding` if that is wrong."
            )

    def rows(self) -> Iterator[CellRows]:
        """Yields the rows in chunks."""
        names = self._meta.column_names
        chunk_rows = max(1, _CHUNK_CELLS // len(names))
        offset = 0
        while True:
            content, _ = self._read(row_offset=offset, row_limit=chunk_rows)
            columns = [
                values if convert is None else [None if value is None else convert(value) for value in values]
                for convert, values in zip(self._conversions, (content[name] for name in names), strict=True)
            ]
            count = len(columns[0])
            yield CellRows(columns, [Place(offset + index + 1) for index in range(count)])
            offset += count
            if count < chunk_rows:
                return

    def _read(self, *, metadata_only: bool = False, **options: Any) -> tuple[dict[str, Sequence[Any]], Any]:
        reader = _READERS[self._source.type]
        try:
            content, meta = reader(
                self._source.path,
                metadataonly=metadata_only,
                encoding=self._encodings[0],
                output_format="dict",
                disable_datetime_conversion=True,
                **options,
            )
        except (
            pyreadstat.ReadstatError,
            pyreadstat.PyreadstatError,
            UnicodeError,
            OSError,
            ValueError,
        ) as error:
            if isinstance(error, UnicodeError) or any(word in str(error) for word in _ENCODING_WORDS):
                raise _WrongEncoding from error
            raise unreadable(self._source, self._told(str(error))) from error
        return content, meta

    def _told(self, error: str) -> str:
        with self._source.path.open("rb") as file:
            head = file.read(64)
        name = content_name(head)
        if not head:
            return "it is empty."
        if name is not None and content_type(head) is not self._source.type:
            return f"it is {name}. Give its `type`."
        return f"{shortened(error, _REASON_CHARACTERS_MAX)}. It may be truncated."

    def columns(self) -> list[Column]:
        """Returns the names and labels of the file's columns."""
        labels = self._meta.column_labels
        return [
            Column(name or "", label=label or None, value_labels=self._value_labels(name))
            for name, label in zip(self._meta.column_names, labels, strict=True)
        ]

    def _value_labels(self, name: str) -> tuple[ValueLabel, ...]:
        labels = tuple(
            ValueLabel(self._label_value(name, value), str(label))
            for value, label in self._meta.variable_value_labels.get(name, {}).items()
        )
        if sum(len(pair.value) + len(pair.label) for pair in labels) > VALUE_LABELS_CHARACTERS_MAX:
            self.warnings.append(f"The value labels of {name!r} are too long and were left out.")
            return ()
        return labels

    def _label_value(self, name: str, value: Any) -> str:
        """Returns the value of a label as its cells have it. A missing value has its point, as in `.a`."""
        is_number = self._meta.readstat_variable_types.get(name) != "string"
        if is_number and isinstance(value, str) and len(value) == 1:
            return f".{value}"
        return cell_text(value) or ""
