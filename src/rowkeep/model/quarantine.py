"""Rows that did not fit and were skipped: what the receipt says of them, and what the quarantine keeps.

A request may have far more rows that do not fit than a quarantine holds. As the oldest go out first, only the
newest that fit within its bounds are worth carrying to it; the others are counted.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from rowkeep.model.errors import ROW_ERRORS_MAX, RowError

# What is kept of a row that is wrong in many places.
REASONS_MAX = 10


class QuarantineBounds(msgspec.Struct, frozen=True):
    """The bounds of an upload's quarantine. Bytes count the rows and their reasons."""

    rows_max: int
    bytes_max: int


class Skipping(msgspec.Struct, frozen=True):
    """Whether rows that do not fit are skipped when their body does not say, and what is kept of them."""

    by_default: bool
    bounds: QuarantineBounds


class Reason(msgspec.Struct, frozen=True):
    """Why a row does not fit. `variable` is null for the whole row."""

    variable: str | None
    message: str


class RefusedRow(msgspec.Struct, frozen=True):
    """A row on its way into the quarantine: its place in its request, its bytes as they came.

    `reasons` is a JSON array of `Reason`.
    """

    position: int
    content: bytes
    reasons: bytes

    @property
    def byte_count(self) -> int:
        """Returns how many bytes the row counts for against the bounds of the quarantine."""
        return len(self.content) + len(self.reasons)


class RefusedRows(msgspec.Struct, frozen=True):
    """The skipped rows of one request: their number, the first errors, and the newest of the rows."""

    row_count: int
    errors: tuple[RowError, ...]
    rows: tuple[RefusedRow, ...]
    bounds: QuarantineBounds

    @property
    def byte_count(self) -> int:
        """Returns the size of the rows that are kept."""
        return sum(row.byte_count for row in self.rows)


class SkippedRows(msgspec.Struct, frozen=True):
    """What a receipt says of skipped rows.

    `dropped_count` counts rows that a full quarantine dropped for them.
    """

    row_count: int
    errors: tuple[RowError, ...]
    dropped_count: int = 0


def numbered_from(errors: Sequence[RowError], first_row: int) -> tuple[RowError, ...]:
    """Returns errors with their rows counted from `first_row` on."""
    return tuple(msgspec.structs.replace(error, row=first_row + error.row) for error in errors)


class QuarantinedRow(msgspec.Struct, frozen=True):
    """A row in the quarantine of an upload. Ids grow. `key` is that of its request, if it had one."""

    id: int
    position: int
    key: str | None
    quarantined_at: int
    reasons: tuple[Reason, ...]
    content: bytes


class Quarantine(msgspec.Struct, frozen=True):
    """The size of an upload's quarantine, and how many rows it has dropped since it was last emptied."""

    row_count: int = 0
    byte_count: int = 0
    dropped_count: int = 0


class Refusals:
    """Collects the rows of one request that do not fit, in the order of their places."""

    def __init__(self, bounds: QuarantineBounds) -> None:
        self._bounds = bounds
        self._errors: list[RowError] = []
        self._rows: deque[RefusedRow] = deque()
        self._row_count = self._byte_count = 0
        self._refused = bytearray()  # a bit for each row of the request

    def add(self, position: int, content: bytes, errors: Sequence[RowError]) -> None:
        """Notes a row and its errors."""
        self._errors += errors[: ROW_ERRORS_MAX - len(self._errors)]
        self._row_count += 1
        place, bit = divmod(position, 8)
        self._refused += bytes(max(0, place + 1 - len(self._refused)))
        self._refused[place] |= 1 << bit
        reasons = [Reason(error.variable, error.message) for error in errors[:REASONS_MAX]]
        row = RefusedRow(position, content, msgspec.json.encode(reasons))
        self._rows.append(row)
        self._byte_count += row.byte_count
        while len(self._rows) > self._bounds.rows_max or self._byte_count > self._bounds.bytes_max:
            self._byte_count -= self._rows.popleft().byte_count

    def has(self, position: int) -> bool:
        """Returns whether the row at a place was noted."""
        place, bit = divmod(position, 8)
        return place < len(self._refused) and bool(self._refused[place] >> bit & 1)

    def rows(self) -> RefusedRows | None:
        """Returns the noted rows, or None when there are none."""
        if not self._row_count:
            return None
        return RefusedRows(self._row_count, tuple(self._errors), tuple(self._rows), self._bounds)
