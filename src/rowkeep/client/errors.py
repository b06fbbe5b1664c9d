"""What can go wrong when rows are sent, and what a refused row looks like.

InsertError
├── RowsRefused          rows do not fit; names them by the caller's own numbers
├── RequestRefused       the server refuses the request as such: token, reference, size
├── ServerUnreachable    no definite answer came within the time for repeats
└── RowNotTaken          the stream failed long ago, and takes no more rows
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

NAMED_ROWS_MAX = 5


class Reason(msgspec.Struct, frozen=True):
    """Why a row was refused. `variable` is None when the whole row is meant."""

    variable: str | None
    message: str


class RefusedRow(msgspec.Struct, frozen=True):
    """A row that was not inserted. `number` is the caller's own, `content` the row as it would be sent."""

    number: int
    reasons: tuple[Reason, ...]
    content: bytes


class UnsettledBatch(msgspec.Struct, frozen=True):
    """Rows that may or may not be in: the body of their request, and its Idempotency-Key.

    Sending the same body under the same key again leaves the rows in the table exactly once.
    """

    key: str
    body: bytes

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Returns the rows as JSON objects."""
        return _rows_decoder.decode(self.body)["rows"]


class InsertError(Exception):
    """Rows could not be inserted. The text says why and what is known about them."""

    unsettled_batches: Callable[[], Sequence[UnsettledBatch]] | None = None

    @property
    def unsettled(self) -> tuple[UnsettledBatch, ...]:
        """Returns the batches of a RowStream that are not known to be in, in order."""
        return () if self.unsettled_batches is None else tuple(self.unsettled_batches())

    @property
    def unsettled_rows(self) -> list[dict[str, Any]]:
        """Returns the rows of a RowStream that are not known to be in, in the order of their appends."""
        return [row for batch in self.unsettled for row in batch.rows]


class RowsRefused(InsertError):
    """Rows do not fit, so nothing of their batch was inserted. `rows` are those that the server named."""

    def __init__(self, rows: Sequence[RefusedRow]) -> None:
        shown = "; ".join(f"row {row.number}: {row.reasons[0].message}" for row in rows[:NAMED_ROWS_MAX])
        more = f"; and {len(rows) - NAMED_ROWS_MAX} more rows" if len(rows) > NAMED_ROWS_MAX else ""
        super().__init__(f"{shown}{more}. Nothing of the batch with these rows was inserted.")
        self.rows = tuple(rows)


class RequestRefused(InsertError):
    """The server refuses the request whatever its rows are. `status` is HTTP's, `code` the server's own."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"the server refused the request ({status} {code}): {message}")
        self.status = status
        self.code = code


class ServerUnreachable(InsertError):
    """No definite answer came in time: the batch may be in or not.

    It is safe to send it again under its key.
    """


class RowNotTaken(InsertError):
    """A RowStream failed long ago. It keeps the rows that came before, and did not take this one."""


class ValueRefused(ValueError, TypeError):
    """A value of a row cannot be sent without changing it. The text names the row and the variable."""


def gather_refused(
    errors: Sequence[tuple[int, Reason]], numbers: Sequence[int], rows: Sequence[bytes]
) -> list[RefusedRow]:
    """Returns one RefusedRow for each row with errors. An error is an index into `rows` and a reason."""
    reasons: dict[int, list[Reason]] = {}
    for index, reason in errors:
        reasons.setdefault(index, []).append(reason)
    return [RefusedRow(numbers[index], tuple(reasons[index]), rows[index]) for index in sorted(reasons)]


_rows_decoder = msgspec.json.Decoder(dict[str, list[dict[str, Any]]])
