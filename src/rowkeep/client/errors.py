"""What can go wrong when rows are sent, and what a refused row looks like.

InsertError
├── RowsRefused          rows do not fit; names them by the caller's own numbers
├── RequestRefused       the server refuses the request as such: token, reference, size
└── ServerUnreachable    no definite answer came within the time for repeats
"""

from collections.abc import Sequence

import msgspec

NAMED_ROWS_MAX = 5


class Reason(msgspec.Struct, frozen=True):
    """Why a row was refused; `variable` is None when the row as a whole is meant."""

    variable: str | None
    message: str


class RefusedRow(msgspec.Struct, frozen=True):
    """A row that was not inserted. `number` is the caller's own, `content` the row as it was to be sent."""

    number: int
    reasons: tuple[Reason, ...]
    content: bytes


class InsertError(Exception):
    """Rows could not be inserted; the text says why and what is known about them."""


class RowsRefused(InsertError):
    """Rows do not fit, so that nothing of their batch was inserted. `rows` are those that were named."""

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
    """No definite answer came in time: the batch may be in or not. A repeat under its key is safe."""


def gather_refused(
    errors: Sequence[tuple[int, Reason]], numbers: Sequence[int], rows: Sequence[bytes]
) -> list[RefusedRow]:
    """One RefusedRow for each row that errors name. An error is an index into `rows` and a reason."""
    reasons: dict[int, list[Reason]] = {}
    for index, reason in errors:
        reasons.setdefault(index, []).append(reason)
    return [RefusedRow(numbers[index], tuple(reasons[index]), rows[index]) for index in sorted(reasons)]
