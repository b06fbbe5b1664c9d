"""How a delimited file is written: its delimiter, its quote, its escape, and its header.

What the caller says counts. The rest is found from the beginning of the file, and the header decides: only a
character that divides the header can be the delimiter, and among several the one whose rows are as wide as
the header.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence

import msgspec

from rowkeep.formats.files.plain_text import PlainText
from rowkeep.formats.files.table import CELL_BYTES_MAX, RECORD_BYTES_MAX, Source, unreadable
from rowkeep.model.errors import RowkeepError, invalid_request

_SAMPLE_CHARACTERS = 256 * 1024
_SAMPLE_ROWS = 1_000
_DELIMITERS = (",", "\t", ";", "|")
_BY_EXTENSION = {".tsv": "\t", ".tab": "\t", ".psv": "|"}
_SPELLED = {"\\t": "\t", "tab": "\t", "\\|": "|"}
_separator_line = re.compile(r"sep=(.)\r?\n", re.IGNORECASE).match
_single_quoted = re.compile(r"'[^'\r\n]*'(?:([,;\t|])'[^'\r\n]*')*\r?\n?").fullmatch


class Dialect(msgspec.Struct, frozen=True):
    """The characters that separate records and fields. A quote of None means that no character quotes.

    `is_spaced` says that a quoted field may have spaces in front of its quote, as in `1, "x, y"`.
    """

    delimiter: str
    quote: str | None
    escape: str | None
    is_spaced: bool = False

    def reader(self, lines: Iterator[str], *, strict: bool) -> "Iterator[list[str]]":
        """Returns a reader of records. A strict one raises csv.Error for a quote that is out of place."""
        csv.field_size_limit(CELL_BYTES_MAX)  # of the whole module; its own is far shorter
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar=self.escape,
            doublequote=True,
            skipinitialspace=self.is_spaced,
            strict=strict,
        )


class Layout(msgspec.Struct, frozen=True):
    """Where the records of a file begin, in bytes and in lines, and the names in its header, if any."""

    dialect: Dialect
    header: tuple[str, ...] | None
    width: int
    start: int
    first_line: int


def found_layout(source: Source, text: PlainText) -> Layout:
    """Returns dialect and header of a file. Raises invalid_request_error for a file without a record."""
    with text.path.open(encoding="utf-8", newline="", errors="replace") as file:
        file.seek(text.start)
        sample = file.read(_SAMPLE_CHARACTERS)
    separator = _separator_line(sample)
    skipped = separator[0] if separator else ""
    named = separator[1] if separator else None
    dialect = _found_dialect(source, sample[len(skipped) :], named)
    return _with_header(source, text, dialect, skipped)


def _found_dialect(source: Source, sample: str, named: str | None) -> Dialect:
    quote = _quote(source, sample)
    asked = source.options.delimiter
    asked = _SPELLED.get(asked, asked) if asked else named
    if asked is not None:
        delimiter = _one_character("delimiter", asked)
    else:
        extension = next(
            (mark for end, mark in _BY_EXTENSION.items() if end in source.options.file_name.lower()), None
        )
        delimiter = _found_delimiter(sample, quote, extension)
    escape = _escape(source, sample, delimiter, quote)
    is_spaced = escape is None and quote is not None and f"{delimiter} {quote}" in sample
    return Dialect(delimiter, quote, escape, is_spaced)


def _one_character(what: str, text: str) -> str:
    if len(text) != 1 or not text.isascii() or text in "\r\n":
        raise invalid_request(f"The {what} is {text!r}; it is one ASCII character that ends no line.")
    return text


def _quote(source: Source, sample: str) -> str | None:
    asked = source.options.quote_character
    if asked is not None:
        return _one_character("quoteCharacter", asked) if asked else None
    first_line = sample.partition("\n")[0]
    return "'" if '"' not in sample and _single_quoted(first_line) else '"'


def _found_delimiter(sample: str, quote: str | None, preferred: str | None) -> str:
    order = [preferred] if preferred else []
    order += [mark for mark in _DELIMITERS if mark != preferred]
    scored = [(_score(sample, Dialect(mark, quote, None)), -place, mark) for place, mark in enumerate(order)]
    (share, _), _, mark = max(scored)
    return mark if share or preferred is None else preferred


def _score(sample: str, dialect: Dialect) -> tuple[float, int]:
    """Returns the share of the rows that are as wide as the first one, and that width."""
    rows = _sample_rows(sample, dialect)
    if not rows or len(rows[0]) < 2:
        return 0.0, 0
    width = len(rows[0])
    return sum(len(row) == width for row in rows) / len(rows), width


def _sample_rows(sample: str, dialect: Dialect, *, strict: bool = False) -> list[list[str]]:
    """Returns the first records of a sample, without the last one, which may be cut."""
    rows = []
    reader = dialect.reader(iter(io.StringIO(sample, newline="")), strict=strict)
    for row in reader:
        if row:
            rows.append(row)
        if len(rows) > _SAMPLE_ROWS:
            break
    return rows[:-1] if len(rows) > 1 and len(sample) == _SAMPLE_CHARACTERS else rows


def _escape(source: Source, sample: str, delimiter: str, quote: str | None) -> str | None:
    asked = source.options.escape_character
    if asked is not None:
        return None if not asked or asked == quote else _one_character("escapeCharacter", asked)
    if quote is None or f"\\{quote}" not in sample:
        return None
    doubled, escaped = (_fits(sample, Dialect(delimiter, quote, escape)) for escape in (None, "\\"))
    return "\\" if escaped and not doubled else None


def _fits(sample: str, dialect: Dialect) -> bool:
    try:
        rows = _sample_rows(sample, dialect, strict=True)
    except csv.Error:
        return False
    return len({len(row) for row in rows}) <= 1


def _with_header(source: Source, text: PlainText, dialect: Dialect, skipped: str) -> Layout:
    """Reads the first record that is not blank."""
    start = text.start + len(skipped.encode())
    with text.path.open(encoding="utf-8", newline="") as file:
        file.seek(start)
        lines = _Lines(file, source, 1 + bool(skipped))
        try:
            first = next((row for row in dialect.reader(lines, strict=True) if row), None)
        except csv.Error as error:
            raise _bad_header(source, error) from error
    if first is None:
        raise unreadable(source, "it has no record.")
    if source.options.has_header_row:
        return Layout(dialect, tuple(first), len(first), start + lines.byte_count, lines.next_line)
    return Layout(dialect, None, len(first), start, 1 + bool(skipped))


def _bad_header(source: Source, error: csv.Error) -> RowkeepError:
    return unreadable(
        source,
        f"its first line is no header ({error}). Check its quotes, or give an empty `quoteCharacter`.",
    )


class _Lines:
    """Lines of a file, counted, each of bounded length."""

    def __init__(self, file: io.TextIOWrapper, source: Source, first_line: int) -> None:
        self._file = file
        self._source = source
        self.byte_count = 0
        self.next_line = first_line

    def __iter__(self) -> "Iterator[str]":
        return self

    def __next__(self) -> str:
        line = self._file.readline(RECORD_BYTES_MAX)
        if not line:
            raise StopIteration
        self.byte_count += len(line.encode())
        if self.byte_count > RECORD_BYTES_MAX:
            raise too_long(self._source, self.next_line)
        self.next_line += 1
        return line


def too_long(source: Source, line: int) -> RowkeepError:
    """Returns 400: a record that no table can hold."""
    return unreadable(
        source,
        f"the record in line {line} is longer than {RECORD_BYTES_MAX // 1024**2} MiB. "
        "Check its quotes and line endings.",
    )


def default_names(width: int) -> Sequence[str]:
    """Returns the names for a file that has no header."""
    return [f"column_{number}" for number in range(1, width + 1)]
