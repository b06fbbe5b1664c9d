r"""The records of CSV: where each ends, and its fields.

Theory ------ One grammar serves for both: who cuts a file into requests and who takes the fields out of it
can never disagree. It is that of RFC 4180, with LF, CRLF or CR behind a record. A field that begins with a
quote goes on to its closing quote, over line ends, and `""` in it is a quote. In any other field a quote is a
character like others (`5" pipe`).

A quoted field is *malformed* when something else than a delimiter or a line end follows its closing quote, or
when it has no closing quote. Its record is then the line on which it begins, and reading goes on with the
next line: a stray quote costs one record. That one is malformed can be known only far behind that line, and
every line behind it could begin such a search anew. Two things keep the time linear. A search ends at the
first closing quote that does not fit. And fields that span lines and led to no good end are remembered by
where they open (`_doomed`): a later record that comes to one of them is malformed as well, without another
search.

Bytes that may continue can leave open where a record ends. Then it is *undecided*, and reading stops before
it.
"""

import re
from collections.abc import Iterator

import msgspec

CELL_BYTES_MAX = 16 * 1024 * 1024
QUOTED_BYTES_MAX = 2 * CELL_BYTES_MAX  # every quote of a cell may stand there twice

_plain_line = re.compile(rb'([^"\r\n]*+)(\r\n|\r|\n)?').match
_quoted_body = re.compile(rb'(?:[^"]++|"")*+').match
_line_end = re.compile(rb"\r\n|\r|\n")


class Quoted(bytes):
    """The text of a field that stood in quotes, without the quotes."""

    __slots__ = ()


class Record(msgspec.Struct, frozen=True):
    """A record in some data, from `start` to `end`, with its line end.

    `problem` says what is malformed; then there are no fields. With `is_certain`, later bytes could change
    nothing. With `is_plain`, there is no quote in it.
    """

    start: int
    end: int
    ending: bytes
    fields: list[bytes]
    problem: str | None = None
    is_certain: bool = True
    is_plain: bool = False

    @property
    def is_blank(self) -> bool:
        """Returns whether it is an empty line."""
        return self.end - self.start == len(self.ending)


class _Undecided(Exception):
    """Where the record ends depends on bytes that are not there yet."""


class _Malformed(Exception):
    """The end of a quoted field is faulty."""

    def __init__(self, problem: str, *, is_certain: bool) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_certain = is_certain


class _Bytes(msgspec.Struct, frozen=True):
    """Some data, its place in the input, and whether nothing follows it."""

    data: bytes
    base: int
    is_last: bool


def _end_of_line(given: _Bytes, start: int) -> tuple[int, bytes]:
    """Returns where the line ends that begins at `start`, and by what."""
    found = _line_end.search(given.data, start)
    is_open = found is None or (found[0] == b"\r" and found.end() == len(given.data))
    if is_open and not given.is_last:
        raise _Undecided
    return (len(given.data), b"") if found is None else (found.end(), found[0])


class RecordReader:
    """Reads the records of one input, from its beginning to its end."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        self._bare_field = re.compile(rb"[^\r\n" + re.escape(delimiter) + rb"]*+").match
        self._doomed: set[int] = set()
        self._doomed_end = 0

    def records(self, data: bytes, base: int, *, is_last: bool) -> Iterator[Record]:
        """Yields the records of `data`, which stands at `base` in the input and begins with a record.

        With `is_last` nothing follows `data`. Without it, this stops before a record that is undecided.
        """
        given = _Bytes(data, base, is_last)
        position = 0
        try:
            while position < len(data):
                record = self._record(given, position)
                yield record
                position = record.end
        except _Undecided:
            return

    def _record(self, given: _Bytes, start: int) -> Record:
        found = _plain_line(given.data, start)
        assert found is not None  # it matches anything
        end = found.end()
        if found[2] is None and end < len(given.data):  # a quote comes
            return self._record_with_quotes(given, start)
        is_open = end == len(given.data) and found[2] in (None, b"\r")
        if is_open and not given.is_last:
            raise _Undecided
        fields = found[1].split(self._delimiter)
        is_certain = found[2] is not None
        return Record(start, end, found[2] or b"", fields, is_certain=is_certain, is_plain=True)

    def _record_with_quotes(self, given: _Bytes, start: int) -> Record:
        spanning: list[int] = []
        try:
            return self._well_formed(given, start, spanning)
        except _Malformed as malformed:
            end, ending = _end_of_line(given, start)
            self._remember(spanning, given.base + start)
            return Record(start, end, ending, [], malformed.problem, malformed.is_certain)

    def _well_formed(self, given: _Bytes, start: int, spanning: list[int]) -> Record:
        fields: list[bytes] = []
        position = start
        while True:
            field, position = self._field(given, position, len(fields) + 1, spanning)
            fields.append(field)
            if not given.data.startswith(self._delimiter, position):
                break
            position += 1
        ending = _line_end.match(given.data, position)
        if position == len(given.data):
            if given.is_last:
                return Record(start, position, b"", fields, is_certain=False)
            raise _Undecided
        if ending is None:
            raise _Malformed(self._misplaced(given.data, position, len(fields)), is_certain=True)
        if ending[0] == b"\r" and ending.end() == len(given.data) and not given.is_last:
            raise _Undecided
        return Record(start, ending.end(), ending[0], fields)

    def _field(self, given: _Bytes, start: int, number: int, spanning: list[int]) -> tuple[bytes, int]:
        """Returns a field and where it ends."""
        if given.data.startswith(b'"', start):
            return self._quoted(given, start, number, spanning)
        found = self._bare_field(given.data, start)
        assert found is not None  # it matches anything
        return found[0], found.end()

    def _quoted(self, given: _Bytes, opening: int, number: int, spanning: list[int]) -> tuple[bytes, int]:
        unclosed = f"field {number} begins with a quote that is never closed"
        if given.base + opening in self._doomed:
            raise _Malformed(unclosed, is_certain=False)
        body = _quoted_body(given.data, opening + 1)
        assert body is not None  # it matches anything
        text, closing = body[0], body.end()
        if b"\n" in text or b"\r" in text:
            spanning.append(given.base + opening)
        if len(text) > QUOTED_BYTES_MAX:
            raise _Malformed(f"{unclosed} within {QUOTED_BYTES_MAX} bytes", is_certain=True)
        if closing + 1 >= len(given.data) and not given.is_last:
            raise _Undecided  # a quote that ends the data may be half of a pair
        if closing == len(given.data):
            raise _Malformed(unclosed, is_certain=False)
        return Quoted(text.replace(b'""', b'"')), closing + 1

    def _remember(self, spanning: list[int], position: int) -> None:
        if self._doomed_end < position:
            self._doomed.clear()
        self._doomed.update(spanning)
        self._doomed_end = max([self._doomed_end, *spanning[-1:]])

    def _misplaced(self, data: bytes, position: int, number: int) -> str:
        shown = data[position : position + 1].decode("ascii", "replace")
        return (
            f"field {number} has {shown!r} behind its closing quote, where only {self._delimiter.decode()!r} "
            'or the end of the line may stand (a quote within quotes is written "")'
        )
