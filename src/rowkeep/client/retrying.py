"""Sends a batch until there is a definite answer to it.

A batch goes out under one Idempotency-Key with one body, however often: whichever attempt reached the
server, its rows are in once. Definite is the 201 that counts as many rows as were sent, and a refusal that
is the server's own (its error object, see docs/errors.md). All else is repeated: no answer, half an
answer, 429, 503 and the other answers of a server in trouble.
"""

import email.utils
import threading
import time
from typing import TypeVar

import msgspec

from rowkeep.client.connection import Answer, Connection, NoAnswer
from rowkeep.client.errors import InsertError, Reason, RequestRefused
from rowkeep.client.patience import Notice, Patience, RetryPolicy

Decoded = TypeVar("Decoded")

CREATED = 201
# What the server, or something before it, may answer today and not tomorrow.
REPEATED = frozenset({408, 425, 429, 500, 502, 503, 504})
RETRY_AFTER_SECONDS_MAX = 120.0
UNAUTHORIZED, NOT_FOUND = 401, 404
NO_NEXT_VERSION = "has no next version"  # the words by which the server says so
VIGIL_SECONDS = 1.0
TOKEN_ADVICE = (
    "On the server's machine `rowkeep token create --user NAME --scope data.edit` prints a token; "
    "a demo server keeps its own in rowkeep-data/demo-token."
)


class Receipt(msgspec.Struct, frozen=True):
    """The rows of a request are in. With `is_repeat` they already were before this attempt.

    `commit` and `chain` prove it (docs/guide-receipts.md). They are None where nothing was inserted.
    """

    row_count: int
    is_repeat: bool
    commit: int | None = None
    chain: str | None = None


class RowErrors(Exception):
    """The server names rows that do not fit: pairs of an index in the request and a reason."""

    def __init__(self, errors: list[tuple[int, Reason]]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


class _Inserted(msgspec.Struct):
    rowsAdded: int  # noqa: N815  # as on the wire
    commit: int | None = None
    chain: str | None = None


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

    Once `is_stopping` is set, a failed attempt is the last. `notice` is called with texts about waits.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        policy: RetryPolicy,
        is_stopping: threading.Event,
        notice: Notice,
    ) -> None:
        self._connection = connection
        self._path = path
        self._policy = policy
        self._is_stopping = is_stopping
        self._notice = notice

    def send(self, key: str, body: bytes, row_count: int) -> Receipt:
        """Inserts the rows of a body. Raises RowErrors or an InsertError."""
        patience = Patience(self._policy, self._is_stopping, self._notice)
        vigil = Vigil(self._policy, self._is_stopping, self._notice)
        while True:
            try:
                answer = self._connection.ask("POST", self._path, body, {"Idempotency-Key": key})
            except NoAnswer as error:
                patience.wait(str(error))
                continue
            if vigil.waits_after(answer):
                patience = Patience(self._policy, self._is_stopping, self._notice)
                continue
            receipt = _receipt(answer, row_count)
            if receipt is not None:
                patience.end()
                return receipt
            patience.wait(problem_of(answer), _retry_after(answer), is_busy=True)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


class Vigil:
    """Waits for the next version of a dataset when an answer says that it is missing.

    Whoever opens it may need a moment to create the upload in it, so a missing upload is waited for as well.
    """

    def __init__(self, policy: RetryPolicy, is_stopping: threading.Event, notice: Notice) -> None:
        self._policy = policy
        self._is_stopping = is_stopping
        self._notice = notice
        self._began_at: float | None = None

    def waits_after(self, answer: Answer) -> bool:
        """Waits if an answer says that the next version is missing. Returns whether to try again."""
        if answer.status != NOT_FOUND:
            return False
        problem = problem_of(answer)
        if self._began_at is None:
            if NO_NEXT_VERSION not in problem or not self._policy.version_seconds_max:
                return False
            self._began_at = time.monotonic()
            self._notice(f"{problem} Waiting for {self._policy.version_seconds_max:g} seconds.")
        if time.monotonic() - self._began_at > self._policy.version_seconds_max:
            return False
        return not self._is_stopping.wait(min(VIGIL_SECONDS, self._policy.version_seconds_max / 4))


def _receipt(answer: Answer, row_count: int) -> Receipt | None:
    """Returns the receipt in an answer, or None for an indefinite one. Raises RowErrors or an InsertError."""
    if answer.status == CREATED:
        return _inserted(answer, row_count)
    refusal = _decoded(answer.body, _Refusal)
    if refusal is None or refusal.status != answer.status:
        if 400 < answer.status < 500 and answer.status not in REPEATED:
            raise refusal_of(answer)
        return None
    if answer.status in REPEATED:
        return None
    if refusal.errors:
        raise RowErrors([(error.row, Reason(error.variable, error.message)) for error in refusal.errors])
    raise refusal_of(answer)


def _inserted(answer: Answer, row_count: int) -> Receipt | None:
    inserted = _decoded(answer.body, _Inserted)
    if inserted is None:
        return None
    if inserted.rowsAdded != row_count:
        raise InsertError(f"the server counts {inserted.rowsAdded} rows in a request of {row_count}")
    is_repeat = answer.headers.get("idempotency-replayed") == "true"
    return Receipt(row_count, is_repeat, inserted.commit, inserted.chain)


def _decoded(body: bytes, type_: type[Decoded]) -> Decoded | None:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def problem_of(answer: Answer) -> str:
    """Returns an unsuccessful answer as a line of text."""
    refusal = _decoded(answer.body, _Refusal)
    if refusal is not None:
        return f"the server answers {answer.status}: {refusal.error_description}"
    shown = " ".join(answer.body[:200].decode("utf-8", "replace").split())
    return f"{answer.status} came from something that is no rowkeep server: {shown!r}"


def refusal_of(answer: Answer) -> RequestRefused:
    """Returns the error for an answer that no repeat will change."""
    refusal = _decoded(answer.body, _Refusal)
    if refusal is None:
        return RequestRefused(answer.status, "", problem_of(answer))
    return RequestRefused(answer.status, refusal.error, _with_advice(refusal))


def _with_advice(refusal: _Refusal) -> str:
    if refusal.status != UNAUTHORIZED or "token create" in refusal.error_description:
        return refusal.error_description
    return f"{refusal.error_description} {TOKEN_ADVICE}"


def _retry_after(answer: Answer) -> float:
    """Returns the wait in the header Retry-After, in seconds; 0 without the header."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_SECONDS_MAX)
    moment = email.utils.parsedate_tz(text)
    if moment is None:
        return 0.0
    try:
        seconds = email.utils.mktime_tz(moment) - time.time()
    except (ValueError, OverflowError):
        return 0.0  # a day that no calendar has
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)
