r"""CSV: a header with the variables, then a record a row.

A field is text; what it means depends on the type of its variable (cells.py). An empty field is null, and so
is one that is spelled like a null marker (`--null`). `""` is the empty text where the variable has one, and
null elsewhere. A record that is malformed or has more or fewer fields than the header is refused here.

In a file with one variable an empty field is an empty line. Many tools write a null so, so it is a row there,
and in wider files it is no record. The server's own CSV has no empty lines: where all lines end in LF and the
header is in quotes, a `""` that ends in CRLF is a null.
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from rowkeep.client.batches import Batch, frame
from rowkeep.client.errors import Reason, RefusedRow
from rowkeep.client.files.cells import CONVERTERS, HAS_EMPTY_TEXT, Convert, as_text
from rowkeep.client.files.chunks import RECORD_BYTES_MAX, Piece
from rowkeep.client.files.records import Quoted, Record, RecordReader
from rowkeep.client.files.taps import InputChanged, Tap

HEADER_BYTES = 64 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
DELIMITERS = (b",", b";", b"\t", b"|")
SHOWN_CHARACTERS_MAX = 100

_first_line = re.compile(rb"[^\r\n]*").match
_in_quotes = re.compile(rb'"[^"]*"')


class Dialect(msgspec.Struct, frozen=True):
    """The caller's options for a file. A `delimiter` that is None is found from the header."""

    delimiter: bytes | None = None
    nulls: frozenset[bytes] = frozenset()


class _Column(msgspec.Struct, frozen=True):
    name: str
    convert: Convert
    has_empty_text: bool


class CsvForm:
    """Converts records to batches. `types` are those of the variables, by name."""

    def __init__(self, types: Mapping[str, str], dialect: Dialect, is_stopping: threading.Event) -> None:
        self._types = {name.lower(): type_ for name, type_ in types.items()}
        self._dialect = dialect
        self._is_stopping = is_stopping
        self._reader = RecordReader(b",")
        self._columns: list[_Column] = []
        self._is_own_column = False

    def start(self, tap: Tap) -> tuple[int, int]:
        """Returns where the records begin, after reading the header.

        Raises InputChanged for a faulty header.
        """
        size = HEADER_BYTES
        while not self._is_stopping.is_set():
            data = tap.read(0, size)
            is_last = len(data) < size and tap.is_over
            offset, record = self._header(data, is_last=is_last)
            if record is not None:
                self._take_header(data[offset : offset + record.end], record)
                return offset + record.end, line_count(data[: offset + record.end])
            if is_last:
                raise InputChanged("the first line must name each variable once, but the file is empty.")
            size = 2 * size if len(data) == size else size
            if size > RECORD_BYTES_MAX:
                raise InputChanged("the header does not end; is a quote left open?")
        return 0, 0

    def _header(self, data: bytes, *, is_last: bool) -> tuple[int, Record | None]:
        if data.startswith(UTF_16_MARKS):
            raise InputChanged("the file is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8.")
        offset = len(BYTE_ORDER_MARK) if data.startswith(BYTE_ORDER_MARK) else 0
        text = data[offset:]
        self._reader = RecordReader(self._dialect.delimiter or _delimiter_of(text))
        return offset, next(self._reader.records(text, 0, is_last=is_last), None)

    def _take_header(self, text: bytes, record: Record) -> None:
        shown = text.decode("utf-8", "replace").strip()[:SHOWN_CHARACTERS_MAX]
        try:
            names = [field.decode().strip() for field in record.fields]
        except UnicodeDecodeError:
            raise InputChanged(f"the first line is not UTF-8; {_CONVERT_FIRST}: {shown!r}.") from None
        lowered = {name.lower() for name in names}
        if record.problem is not None:
            raise InputChanged(f"the first line cannot be read: {record.problem}.")
        if "" in names or not names or len(lowered) < len(names):
            raise InputChanged(f"the first line must name each variable once, but it is {shown!r}.")
        self._columns = [_column(name, self._types.get(name.lower(), "")) for name in names]
        self._is_own_column = self.has_one_column and isinstance(record.fields[0], Quoted)
        self._is_own_column &= record.ending == b"\n"

    def cut(self, data: bytes, base: int, bytes_max: int, *, is_last: bool) -> "CsvPiece | None":
        """Returns the records that end within `bytes_max`, or the first one. None when that is undecided."""
        records: list[Record] = []
        is_full = False
        for record in self._reader.records(data, base, is_last=is_last):
            if records and record.end > bytes_max:
                is_full = True
                break
            records.append(record)
        if not records:
            return None
        is_certain = all(record.is_certain for record in records)
        return CsvPiece(self, data[: records[-1].end], records, is_full=is_full, is_certain=is_certain)

    @property
    def has_one_column(self) -> bool:
        """Returns whether the header names one variable."""
        return len(self._columns) == 1

    def fields_problem(self, record: Record) -> str | None:
        """Returns why a record cannot be a row, or None."""
        if record.problem is None and len(record.fields) != len(self._columns):
            return f"it has {len(record.fields)} fields, but the header has {len(self._columns)}"
        return record.problem

    def row(self, record: Record) -> bytes:
        """Returns a record as a JSON object. Raises UnicodeDecodeError."""
        nulls = self._dialect.nulls
        if record.is_plain and not nulls:
            plain = zip(self._columns, record.fields, strict=True)
            row = {column.name: column.convert(field) for column, field in plain if field}
        else:
            row = self._careful_row(record, nulls)
        # A row without a key would not say which variables it is of.
        return msgspec.json.encode(row or {column.name: None for column in self._columns})

    def _careful_row(self, record: Record, nulls: frozenset[bytes]) -> dict[str, object]:
        row: dict[str, object] = {}
        for column, field in zip(self._columns, record.fields, strict=True):
            if not field:
                if isinstance(field, Quoted) and column.has_empty_text and not self._is_own_null(record):
                    row[column.name] = ""
            elif field not in nulls or (isinstance(field, Quoted) and column.has_empty_text):
                row[column.name] = column.convert(field)
        return row

    def _is_own_null(self, record: Record) -> bool:
        return self._is_own_column and record.ending == b"\r\n"

    def undecodable(self, record: Record) -> tuple[str, str]:
        """Returns the name and the text of the first field that is not UTF-8."""
        for column, field in zip(self._columns, record.fields, strict=True):
            try:
                field.decode()
            except UnicodeDecodeError:
                return column.name, field.decode("utf-8", "backslashreplace")[:SHOWN_CHARACTERS_MAX]
        raise LookupError("every field is UTF-8")


class CsvPiece(Piece):
    """Some records of a file, with their bytes."""

    def __init__(
        self, form: CsvForm, data: bytes, records: Sequence[Record], *, is_full: bool, is_certain: bool
    ) -> None:
        super().__init__(data, is_full=is_full, is_certain=is_certain)
        self._form = form
        self._records = records

    def batch(self, key: str, lines_before: int) -> tuple[Batch, int]:
        """Returns the records as rows, numbered by the lines on which they begin."""
        numbers: list[int] = []
        rows: list[bytes] = []
        unfit: list[RefusedRow] = []
        for number, record in self._numbered(lines_before + 1):
            row = self._row_or_reason(record)
            if isinstance(row, bytes):
                numbers.append(number)
                rows.append(row)
            else:
                unfit.append(RefusedRow(number, (row,), self._shown(record)))
        return Batch(key, frame(rows), numbers, tuple(unfit)), line_count(self.data)

    def _numbered(self, number: int) -> Iterator[tuple[int, Record]]:
        for record in self._records:
            if not record.is_blank or self._form.has_one_column:
                yield number, record
            is_one = record.is_plain and record.ending
            number += 1 if is_one else line_count(self.data[record.start : record.end])

    def _row_or_reason(self, record: Record) -> bytes | Reason:
        problem = self._form.fields_problem(record)
        if problem is not None:
            return Reason(None, problem)
        try:
            return self._form.row(record)
        except UnicodeDecodeError:
            name, text = self._form.undecodable(record)
            return Reason(name, f'variable "{name}" is not UTF-8 ({_CONVERT_FIRST}): "{text}"')

    def _shown(self, record: Record) -> bytes:
        fields = record.fields or [self.data[record.start : record.end].rstrip(b"\r\n")]
        return msgspec.json.encode([field.decode("utf-8", "backslashreplace") for field in fields])


def line_count(data: bytes) -> int:
    """Returns how many lines end in some data. The data must not end between CR and LF."""
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def _delimiter_of(text: bytes) -> bytes:
    """Returns what separates the names of a header: a character that no unquoted name holds."""
    found = _first_line(text)
    assert found is not None  # it matches anything
    bare = _in_quotes.sub(b"", found[0])
    return max(DELIMITERS, key=bare.count)


def _column(name: str, type_: str) -> _Column:
    return _Column(name, CONVERTERS.get(type_, as_text), type_ in HAS_EMPTY_TEXT)


_CONVERT_FIRST = "convert the file first, such as with iconv -f WINDOWS-1252 -t UTF-8"
