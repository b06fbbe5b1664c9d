"""Read sessions: rows that a reader can read for some hours, cut into streams.

A session is kept as one record. Its streams are cut from it when they are read, so that as many streams as a
reader asks for cost no more room than one.
"""

from collections.abc import Sequence

import msgspec

from rowkeep.model.resources import ReadStream, RowSlice

# The Python client keeps each stream in a file named after it and reads the folder in the order of the
# names, leaving out those that begin with _ or a dot: ids are hexadecimal and count up.
_INDEX_DIGITS = 3


class ReadSession(msgspec.Struct, frozen=True):
    """A read session: all of its rows as one stream, and the number of streams that they are cut into.

    `opener_id` is the user who opened it, or 0 for an anonymous caller.
    """

    whole: ReadStream
    stream_count: int
    opener_id: int

    @property
    def row_count(self) -> int:
        """Returns how many rows the session has."""
        return sum(slice_.row_end - slice_.first_row for slice_ in self.whole.slices)

    def streams(self) -> tuple[ReadStream, ...]:
        """Returns its streams in the order of their rows."""
        return tuple(self._cut(index) for index in range(self.stream_count))

    def stream(self, identifier: str) -> ReadStream | None:
        """Returns the stream of this name."""
        index = identifier.rpartition("-")[2]
        if not (index.isascii() and index.isdigit() and int(index) < self.stream_count):
            return None
        found = self._cut(int(index))
        return found if found.identifier == identifier else None

    def _cut(self, index: int) -> ReadStream:
        first, end = (self.row_count * each // self.stream_count for each in (index, index + 1))
        return msgspec.structs.replace(
            self.whole,
            identifier=f"{self.whole.identifier}-{index:0{_INDEX_DIGITS}d}",
            slices=_between(self.whole.slices, first, end),
        )


class SessionUse(msgspec.Struct, frozen=True):
    """How many read sessions one opener has, and how much they take."""

    session_count: int
    byte_count: int


def session_identifier(stream_identifier: str) -> str:
    """Returns the session that a stream's name belongs to."""
    return stream_identifier.rpartition("-")[0]


def _between(slices: Sequence[RowSlice], start: int, end: int) -> tuple[RowSlice, ...]:
    part: list[RowSlice] = []
    position = 0
    for slice_ in slices:
        size = slice_.row_end - slice_.first_row
        first = max(start - position, 0)
        last = min(end - position, size)
        if first < last:
            part.append(RowSlice(slice_.upload_id, slice_.first_row + first, slice_.first_row + last))
        position += size
    return tuple(part)
