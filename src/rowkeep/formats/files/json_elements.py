"""The elements of a JSON array of any length, or of objects that follow one another, one at a time.

Nothing is decoded here: an element ends where its brackets close, and brackets within texts do not count.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rowkeep.formats.files.table import RECORD_BYTES_MAX, Source, unreadable

_BLOCK_BYTES = 1024 * 1024
_SPACE = b" \t\r\n"
# Texts as a whole, brackets, and commas. A text that has no end yet has no group.
_marks = re.compile(rb'"(?:[^"\\]|\\.)*+(")?|[\[\]{},]', re.DOTALL)
_array_begins = re.compile(rb"\s*:\s*\[").match
_HEAD_BYTES = 4 * 1024 * 1024
_OPENERS, _CLOSERS = (b"{", b"["), (b"}", b"]")
_COMMA, _QUOTE, _OPENING = ord(","), ord('"'), b"[{"


class Raw(msgspec.Struct, frozen=True):
    """One record as it is in its file, and the line in which it begins."""

    content: bytes
    line: int


def first_byte(path: Path, start: int) -> bytes:
    """Returns the first byte of a text that is not white space."""
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(_BLOCK_BYTES):
            if stripped := block.lstrip(_SPACE):
                return stripped[:1]
    return b""


def elements(source: Source, path: Path, start: int) -> Iterator[Raw]:
    """Yields the elements. Raises invalid_request_error for an array that is cut off."""
    is_array = first_byte(path, start) == b"["
    scan = _Scan(source, base=int(is_array))
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(_BLOCK_BYTES):
            yield from scan.take(block)
    yield from scan.end()


class Member(msgspec.Struct, frozen=True):
    """An array within an object: where its first element begins, and in which line."""

    start: int
    line: int


def array_member(path: Path, start: int, name: str) -> Member | None:
    """Returns the array with this name among the first members of an object, or None."""
    with path.open("rb") as file:
        file.seek(start)
        head = file.read(_HEAD_BYTES)
    depth = 0
    for match in _marks.finditer(head):
        depth += (match[0] in _OPENERS) - (match[0] in _CLOSERS)
        if depth == 1 and match[0] == name.encode() and (begin := _array_begins(head, match.end())):
            return Member(start + begin.end(), 1 + head.count(b"\n", 0, begin.end()))
    return None


def member_elements(source: Source, path: Path, member: Member) -> Iterator[Raw]:
    """Yields the elements of an array within an object. What follows the array is not looked at."""
    scan = _Scan(source, base=1, depth=1, line=member.line)
    with path.open("rb") as file:
        file.seek(member.start)
        while not scan.is_over and (block := file.read(_BLOCK_BYTES)):
            yield from scan.take(block)
    yield from scan.end()


class _Scan:
    """The state between two blocks: the bytes that are not handed on yet, and the depth of brackets.

    Elements lie at the depth `base`: 1 in an array, 0 for objects that follow one another.
    """

    def __init__(self, source: Source, base: int, depth: int = 0, line: int = 1) -> None:
        self._source = source
        self._base = base
        self._buffer = b""
        self._scanned = 0  # so much of the buffer was looked at
        self._looked_at_from = 0  # it is looked at again when it is as long as this
        self._depth = depth
        self._is_member = depth > 0
        self.is_over = False
        self._line = line

    def take(self, block: bytes) -> Iterator[Raw]:
        """Yields the elements that end in one more block."""
        if self.is_over:
            self._check_nothing_follows(block)
            return
        self._buffer += block
        if len(self._buffer) < self._looked_at_from:
            return
        self._looked_at_from = 0
        begin = 0
        for match in _marks.finditer(self._buffer, self._scanned):
            mark = match[0][0]
            if mark == _QUOTE:
                if match[1] is None:
                    self._scanned = match.start()
                    # A text is looked at from its beginning again; twice as long each time, so not often.
                    self._looked_at_from = 2 * len(self._buffer)
                    break
                continue
            end = self._end_of_element(mark, match.start(), match.end())
            if end is not None:
                yield from self._element(begin, end)
                begin = match.end()
            if self.is_over:
                self._check_nothing_follows(self._buffer[begin:])
                return
        else:
            self._scanned = len(self._buffer)
        self._drop(begin)

    def _end_of_element(self, mark: int, start: int, end: int) -> int | None:
        """Returns where an element ends, if it ends at this mark."""
        if mark == _COMMA:
            return start if self._depth == self._base else None
        if mark in _OPENING:
            self._depth += 1
            return start if self._depth == self._base == 1 else None  # the bracket of the array itself
        self._depth -= 1
        if self._depth == 0 and self._base == 1:
            self.is_over = True
            return start
        return end if self._depth == self._base == 0 else None

    def _element(self, begin: int, end: int) -> Iterator[Raw]:
        raw = self._buffer[begin:end]
        content = raw.strip(_SPACE + b",")
        if content:
            yield Raw(content, self._line + raw[: len(raw) - len(raw.lstrip(_SPACE))].count(b"\n"))
        self._line += raw.count(b"\n")

    def _drop(self, begin: int) -> None:
        self._buffer = self._buffer[begin:]
        self._scanned = max(0, self._scanned - begin)
        if len(self._buffer) > RECORD_BYTES_MAX:
            raise unreadable(
                self._source,
                f"the record in line {self._line} is longer than {RECORD_BYTES_MAX // 1024**2} MiB.",
            )

    def _check_nothing_follows(self, rest: bytes) -> None:
        if rest.strip(_SPACE) and not self._is_member:
            raise unreadable(self._source, f"something follows the end of its array, in line {self._line}.")

    def end(self) -> Iterator[Raw]:
        """Yields what is left at the end. Raises invalid_request_error for an array that was never closed."""
        self._looked_at_from = 0
        yield from self.take(b"")
        if self.is_over:
            return
        if self._depth > 0 or self._base == 1 or b'"' in self._buffer:
            raise unreadable(self._source, f"it ends within a record, in line {self._line}. Send it again.")
        if self._buffer.strip(_SPACE):
            yield Raw(self._buffer.strip(_SPACE), self._line)
