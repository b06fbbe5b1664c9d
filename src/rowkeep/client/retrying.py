"""Sends a batch until there is a definite answer to it.

A batch goes out under one Idempotency-Key with one body, however often: whichever attempt reached the
server, its rows are in once. Definite is the 201 that counts as many rows as were sent, and a refusal that
is the server's own (its error object, see docs/errors.md). All else is repeated: no answer, half an
answer, 429, 503 and the other answers of a server in trouble.
"""

import email.utils
import random
import threading
import time
from typing import NoReturn, TypeVar

import msgspec

from rowkeep.client.connection import Answer, Connection, NoAnswer
from rowkeep.client.errors import InsertError, Reason, RequestRefused, ServerUnreachable

Decoded = TypeVar("Decoded")

CREATED = 201
# What the server, or something before it, may answer today and not tomorrow.
REPEATED = frozenset({408, 425, 429, 500, 502, 503, 504})
RETRY_AFTER_SECONDS_MAX = 120.0


class RetryPolicy(msgspec.Struct, frozen=True):
    """How long a batch is repeated for want of a definite answer, and how long to wait between.

    Waits double from `wait_seconds_min` to `wait_seconds_max`, each drawn at random up to that; a
    `Retry-After` of the server is the least wait.
    """

    seconds_max: float = 300.0
    wait_seconds_min: float = 0.1
    wait_seconds_max: float = 10.0


class Receipt(msgspec.Struct, frozen=True):
    """The rows of a request are in. `is_repeat` says that they already were before this attempt."""

    row_count: int
    is_repeat: bool


class RowErrors(Exception):
    """The server names rows that do not fit: pairs of the index in the request and a reason."""

    def __init__(self, errors: list[tuple[int, Reason]]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


class _Inserted(msgspec.Struct):
    rowsAdded: int  # noqa: N815  # as on the wire


class _WireError(msgspec.Struct):
    row: int
    message: str
    variable: str | None = None


class _Refusal(msgspec.Struct):
    status: int
    error: str
    error_description: str
    errors: list[_WireError] = []


class Sender:
    """Inserts into one upload over one connection. Used by one thread at a time.

    Once `is_stopping` is set, an attempt that fails is the last.
    """

    def __init__(
        self, connection: Connection, path: str, policy: RetryPolicy, is_stopping: threading.Event
    ) -> None:
        self._connection = connection
        self._path = path
        self._policy = policy
        self._is_stopping = is_stopping

    def send(self, key: str, body: bytes, row_count: int) -> Receipt:
        """Inserts the rows of a body. Raises RowErrors or an InsertError."""
        began_at = time.monotonic()
        wait_seconds = self._policy.wait_seconds_min
        while True:
            try:
                answer = self._connection.ask("POST", self._path, body, {"Idempotency-Key": key})
            except NoAnswer as error:
                problem, wait_seconds_min = str(error), 0.0
            else:
                receipt = _receipt(answer, row_count)
                if receipt is not None:
                    return receipt
                problem, wait_seconds_min = _problem(answer), _retry_after(answer)
            # Not all at once: clients that lost the same server would come back together.
            pause = max(random.uniform(0, wait_seconds), wait_seconds_min)
            if time.monotonic() + pause - began_at > self._policy.seconds_max or self._is_stopping.wait(
                pause
            ):
                self._give_up(problem)
            wait_seconds = min(2 * wait_seconds, self._policy.wait_seconds_max)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _give_up(self, problem: str) -> NoReturn:
        if self._is_stopping.is_set():
            raise ServerUnreachable(f"stopped while the server gave no answer (the last attempt: {problem})")
        raise ServerUnreachable(
            f"no answer within {self._policy.seconds_max:g} seconds (the last attempt: {problem})"
        )


def _receipt(answer: Answer, row_count: int) -> Receipt | None:
    """The receipt in an answer, None when it is not definite. Raises RowErrors or an InsertError."""
    if answer.status == CREATED:
        return _inserted(answer, row_count)
    refusal = _decoded(answer.body, _Refusal)
    if refusal is None or refusal.status != answer.status:
        if 400 < answer.status < 500 and answer.status not in REPEATED:
            shown = answer.body[:200].decode("utf-8", "replace")
            raise RequestRefused(answer.status, "", f"this is not a rowkeep server's answer: {shown!r}")
        return None
    if answer.status in REPEATED:
        return None
    if refusal.errors:
        raise RowErrors([(error.row, Reason(error.variable, error.message)) for error in refusal.errors])
    raise RequestRefused(answer.status, refusal.error, refusal.error_description)


def _inserted(answer: Answer, row_count: int) -> Receipt | None:
    inserted = _decoded(answer.body, _Inserted)
    if inserted is None:
        return None
    if inserted.rowsAdded != row_count:
        raise InsertError(f"the server counts {inserted.rowsAdded} rows in a request of {row_count}")
    return Receipt(row_count, answer.headers.get("idempotency-replayed") == "true")


def _decoded(body: bytes, type_: type[Decoded]) -> Decoded | None:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _problem(answer: Answer) -> str:
    return f"{answer.status} {answer.body[:200].decode('utf-8', 'replace')}"


def _retry_after(answer: Answer) -> float:
    """What the header asks for, in seconds; 0 without it."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdigit():
        return min(float(text), RETRY_AFTER_SECONDS_MAX)
    moment = email.utils.parsedate_tz(text)
    if moment is None:
        return 0.0
    return min(max(email.utils.mktime_tz(moment) - time.time(), 0.0), RETRY_AFTER_SECONDS_MAX)
