"""What is kept of requests with a key, and of the chain of an upload. Times are epoch milliseconds."""

import msgspec

from rowkeep.model.errors import RowError
from rowkeep.model.resources import Receipt


class KnownRequest(msgspec.Struct, frozen=True):
    """A request with a key whose rows went in: what its key stands for, and what it was answered.

    The rows are in the upload `upload_id`: a stream that goes on in the next version knows the keys of its
    uploads in earlier versions. `committed_at` is None when that was before it was noted, `removed_at` unless
    it was undone.
    """

    request_digest: bytes | None
    receipt: Receipt
    upload_id: int
    committed_at: int | None = None
    removed_at: int | None = None


class Rejection(msgspec.Struct, frozen=True):
    """A request with a key that was refused for its rows."""

    rejected_at: int
    message: str
    row_errors: tuple[RowError, ...]
    row_error_count: int


class RequestPosition(msgspec.Struct, frozen=True):
    """A place in the list of an upload's requests, newest first: behind `skipped` of those at `time`."""

    time: int
    skipped: int = 0


class ChainState(msgspec.Struct, frozen=True):
    """How far an upload has come: the chain covers its rows from `first_row` on (model/chain.py)."""

    row_count: int
    first_row: int
    commit_count: int
    chain: bytes


class ChainOutcome(msgspec.Struct, frozen=True):
    """What a chain ought to be and what the rows make it; `problem` says what is wrong, if anything is."""

    state: ChainState
    chain: bytes
    problem: str | None


class StaleBatch(msgspec.Struct, frozen=True):
    """The catalog has moved since the batch was checked; nothing of it was written."""


class KeyReused(msgspec.Struct, frozen=True):
    """The batch's key belongs to a different body; nothing of it was written."""


class KeyUndone(msgspec.Struct, frozen=True):
    """The request of the batch's key was undone; nothing of it was written."""


class OffsetMoved(msgspec.Struct, frozen=True):
    """The upload's offset token is not the expected one; nothing of it was written."""

    latest: str | None


Outcome = Receipt | StaleBatch | KeyReused | KeyUndone | OffsetMoved
