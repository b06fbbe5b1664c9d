"""The records of requests with a key, and of an upload's chain. Times are epoch milliseconds."""

import msgspec

from rowkeep.model.errors import RowError
from rowkeep.model.resources import Receipt


class KnownRequest(msgspec.Struct, frozen=True):
    """A request with a key whose rows went in: the digest that its key stands for, and its receipt.

    The rows are in the upload `upload_id`: a stream that continues in the next version knows the keys of its
    uploads in earlier versions. `committed_at` is None for old requests, whose time was not noted.
    `removed_at` is None unless the request was undone.
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
    """The state of an upload. The chain covers its rows from `first_row` on (model/chain.py)."""

    row_count: int
    first_row: int
    commit_count: int
    chain: bytes


class ChainOutcome(msgspec.Struct, frozen=True):
    """The stored chain and the recomputed one. `problem` says what is wrong, if anything is."""

    state: ChainState
    chain: bytes
    problem: str | None


class StaleBatch(msgspec.Struct, frozen=True):
    """The catalog has moved since the batch was checked. Nothing of the batch was written."""


class KeyReused(msgspec.Struct, frozen=True):
    """The batch's key belongs to a different body. Nothing of the batch was written."""


class KeyUndone(msgspec.Struct, frozen=True):
    """The request of the batch's key was undone. Nothing of the batch was written."""


class OffsetMoved(msgspec.Struct, frozen=True):
    """The upload's offset token is not the expected one. Nothing of the batch was written."""

    latest: str | None


Outcome = Receipt | StaleBatch | KeyReused | KeyUndone | OffsetMoved
