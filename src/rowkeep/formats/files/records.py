"""The records of a delimited file one by one: which are bad and why, and in which line each is.

This is slow, and only files that need it come here. What a record is, is told by the csv module in its strict
mode. Where it refuses a record, the record's first line is bad and reading goes on in the next, so that one
stray quote does not take the rest of the file with it.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from rowkeep.formats.files.dialect import Dialect, Layout, too_long
from rowkeep.formats.files.plain_text import PlainText
from rowkeep.formats.files.table import CELL_BYTES_MAX, RECORD_BYTES_MAX, BadRecords, Source
from rowkeep.model.files import RECORD_CHARACTERS_MAX, BadRecord, shortened

_PROBLEMS = (
    ("unexpected end of data", "a quote opens and is never closed"),
    ("expected after", "a quoted field goes on behind its closing quote"),
    (
        "field larger than",
        f"a field is longer than {CELL_BYTES_MAX // 1024**2} MiB, or a quote is never closed",
    ),
)


class Record(msgspec.Struct):
    """One record: its number from 1, the line in which it begins, its text, and its fault, if any."""

    number: int
    line: int
    text: str
    problem: str | None

    def bad(self) -> BadRecord:
        """Returns the record as a bad record."""
        return BadRecord(
            row=self.number,
            line=self.line,
            expected=self.problem or "",
            text=shortened(self.text.rstrip("\r\n"), RECORD_CHARACTERS_MAX),
        )


class _Lines:
    """Lines of a file, which can be put back. Keeps those that were taken since `begin`."""

    def __init__(self, file: io.TextIOWrapper, source: Source, first_line: int) -> None:
        self._file = file
        self._source = source
        self._waiting: list[str] = []
        self.taken: list[str] = []
        self.next_line = first_line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._waiting.pop() if self._waiting else self._file.readline(RECORD_BYTES_MAX)
        if not line:
            raise StopIteration
        if len(line) == RECORD_BYTES_MAX:
            raise too_long(self._source, self.next_line)
        self.taken.append(line)
        self.next_line += 1
        return line

    def begin(self) -> None:
        """Forgets the lines that were taken."""
        self.taken.clear()

    def put_back(self) -> None:
        """Puts back all taken lines but the first."""
        self._waiting.extend(reversed(self.taken[1:]))
        self.next_line -= len(self.taken) - 1
        del self.taken[1:]


def records(source: Source, text: PlainText, layout: Layout) -> Iterator[Record]:
    """Yields all records behind the header. In files of several columns blank lines are left out."""
    number = 0
    with text.path.open(encoding="utf-8", newline="") as file:
        file.seek(layout.start)
        lines = _Lines(file, source, layout.first_line)
        reader = layout.dialect.reader(lines, strict=True)
        while True:
            lines.begin()
            line = lines.next_line
            problem = None
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                lines.put_back()
                fields, problem = [], _told(str(error))
            raw = "".join(lines.taken)
            if not fields and problem is None and layout.width > 1:
                continue
            number += 1
            if problem is None:
                raw, problem = _fitted(source, layout, raw, fields, len(lines.taken))
            yield Record(number, line, raw, problem)


def _told(error: str) -> str:
    return next((told for part, told in _PROBLEMS if part in error), error)


def _fitted(
    source: Source, layout: Layout, raw: str, fields: list[str], line_count: int
) -> tuple[str, str | None]:
    """Returns the text of a record as it is read, and its fault, if any."""
    if source.options.has_quoted_newlines is False and line_count > 1:
        return raw, "a quoted field goes on in the next line, which hasQuotedNewlines excludes"
    missing = layout.width - (len(fields) or 1)
    if missing == 0:
        return raw, None
    body = raw.rstrip("\r\n")
    delimiter = layout.dialect.delimiter
    if missing > 0 and source.options.allow_jagged_rows:
        return body + delimiter * missing + "\n", None
    if missing < 0 and not any(fields[missing:]) and body.endswith(delimiter * -missing):
        return body[:missing] + "\n", None
    return raw, f"it has {len(fields)} fields, where the first record of the file has {layout.width}"


class GoodRecords(msgspec.Struct, frozen=True):
    """A file of the good records alone, and the length of the longest."""

    path: Path
    longest_bytes: int


def good_records(source: Source, text: PlainText, layout: Layout, bad: BadRecords) -> GoodRecords:
    """Writes the good records of a file, and notes the bad ones."""
    path = source.scratch / "good-records"
    longest = 0
    tidied = _spaces_around_quotes(layout.dialect)
    with path.open("w", encoding="utf-8", newline="") as file:
        for record in records(source, text, layout):
            if record.problem is not None:
                bad.add(record.bad())
                continue
            raw = tidied(record.text)
            longest = max(longest, len(raw) * (1 if raw.isascii() else 4))
            file.write(raw if raw.endswith(("\n", "\r")) else f"{raw}\n")
    return GoodRecords(path, longest)


def _spaces_around_quotes(dialect: Dialect) -> Callable[[str], str]:
    """Returns a function that removes spaces between a delimiter and a quote, if the dialect has them."""
    if not dialect.is_spaced or dialect.quote is None:
        return str
    quote, delimiter = re.escape(dialect.quote), re.escape(dialect.delimiter)
    # A quoted field is one match, so that nothing within it is taken for a delimiter.
    parts = re.compile(f"{quote}(?:[^{quote}]|{quote}{quote})*{quote}|({delimiter}|^) +(?={quote})")
    return lambda text: parts.sub(lambda match: match[0] if match[1] is None else match[1], text)


def located(source: Source, text: PlainText, layout: Layout, rows: Iterable[int]) -> Iterator[Record]:
    """Yields the records of these rows.

    Rows are counted from 0 among the good records, in ascending order.
    """
    wanted = iter(rows)
    row = next(wanted, None)
    good = (record for record in records(source, text, layout) if record.problem is None)
    for index, record in enumerate(good):
        if row is None:
            return
        if index == row:
            yield record
            row = next(wanted, None)
