"""CSV: a header with the variables, then a record a row.

A field is text; what it means depends on the type of its variable: `30` goes out as a number to an integer
and as a string to a string. An empty field is null. Text that is not a number (or true or false) goes out as
the text it is, so that the server refuses it and says why. A record that has more or fewer fields than the
header is refused here.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from rowkeep.client.batches import Batch, frame
from rowkeep.client.errors import Reason, RefusedRow
from rowkeep.client.files.chunks import RECORD_BYTES_MAX, Chunk
from rowkeep.client.files.taps import InputChanged, Tap

HEADER_BYTES = 64 * 1024

_is_integer = re.compile(r"[+-]?[0-9]+", re.ASCII).fullmatch
_is_number = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII).fullmatch
_BOOLEANS = {"true": True, "false": False}
INTEGER_DIGITS_MAX = 20  # what is longer is out of any range, and Python would not convert it


class CsvForm:
    """Records to batches. `types` are those of the upload's variables, by their names."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = {name.lower(): type_ for name, type_ in types.items()}
        self._columns: list[tuple[str, Callable[[str], object]]] = []

    def start(self, tap: Tap) -> tuple[int, int]:
        """Behind the header, which is read here. Raises InputChanged for one that cannot be."""
        header = _read_header(tap)
        text = header.decode("utf-8-sig")
        names = next(csv.reader(io.StringIO(text, newline="")), [])
        lowered = [name.lower() for name in names]
        if not names or "" in names or len(set(lowered)) < len(names):
            raise InputChanged(f"the first line must name each variable once, but it is {text.strip()!r}.")
        self._columns = [
            (name, _CONVERTERS.get(self._types.get(name.lower(), ""), _as_text)) for name in names
        ]
        return len(header), header.count(b"\n")

    def last_end(self, data: bytes) -> int:
        """Behind the last line feed that no quotes enclose."""
        end = data.rfind(b"\n") + 1
        while end and data.count(b'"', 0, end) % 2:
            end = data.rfind(b"\n", 0, end - 1) + 1
        return end

    def batch(self, key: str, chunk: Chunk, lines_before: int) -> tuple[Batch, int]:
        """The records as rows, numbered by the line on which they begin."""
        numbers: list[int] = []
        rows: list[bytes] = []
        unfit: list[RefusedRow] = []
        for number, fields in _records(chunk.data, lines_before):
            if len(fields) == len(self._columns):
                numbers.append(number)
                rows.append(msgspec.json.encode(self._row(fields)))
            else:
                unfit.append(self._misfit(number, fields))
        return Batch(key, frame(rows), numbers, tuple(unfit)), chunk.data.count(b"\n")

    def _row(self, fields: list[str]) -> dict[str, object]:
        return {
            name: convert(text) for (name, convert), text in zip(self._columns, fields, strict=True) if text
        }

    def _misfit(self, number: int, fields: list[str]) -> RefusedRow:
        message = f"it has {len(fields)} fields, but the header has {len(self._columns)}"
        return RefusedRow(number, (Reason(None, message),), msgspec.json.encode(fields))


def _read_header(tap: Tap) -> bytes:
    size = HEADER_BYTES
    while True:
        data = tap.read(0, size)
        end = data.find(b"\n") + 1
        while end and data.count(b'"', 0, end) % 2:
            end = data.find(b"\n", end) + 1
        if end or (len(data) < size and tap.is_over):
            return data[:end] if end else data
        if len(data) == size:
            size *= 2
        if size > RECORD_BYTES_MAX:
            raise InputChanged("the header does not end; is a quote left open?")


def _records(data: bytes, lines_before: int) -> Iterator[tuple[int, list[str]]]:
    """The records with the numbers of their first lines. Raises InputChanged."""
    try:
        reader = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
        number = lines_before + 1
        for fields in reader:
            if fields:  # else a blank line
                yield number, fields
            number = lines_before + reader.line_num + 1
    except UnicodeDecodeError as error:
        line = lines_before + 1 + data.count(b"\n", 0, error.start)
        raise InputChanged(f"line {line} is not UTF-8; convert the file first.") from error
    except csv.Error as error:
        raise InputChanged(f"line {number} cannot be read as CSV: {error}.") from error


def _as_text(text: str) -> object:
    return text


def _as_integer(text: str) -> object:
    return int(text) if len(text) <= INTEGER_DIGITS_MAX and _is_integer(text) else text


def _as_float(text: str) -> object:
    return float(text) if _is_number(text) else text


def _as_boolean(text: str) -> object:
    return _BOOLEANS.get(text.lower(), text)


_CONVERTERS: dict[str, Callable[[str], object]] = {
    "integer": _as_integer,
    "float": _as_float,
    "boolean": _as_boolean,
}
