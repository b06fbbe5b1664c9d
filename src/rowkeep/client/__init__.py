"""Sends rows to a rowkeep server: each once, in order, over every lost connection.

    RowStream        what programs use: append rows, they go out in batches
    InsertError      what can go wrong; RowsRefused names the rows

It needs nothing of the server's code.
"""

from rowkeep.client.errors import (
    InsertError,
    RefusedRow,
    RequestRefused,
    RowNotTaken,
    RowsRefused,
    ServerUnreachable,
    UnsettledBatch,
    ValueRefused,
)
from rowkeep.client.patience import RetryPolicy
from rowkeep.client.row_stream import RowStream

__all__ = [
    "InsertError",
    "RefusedRow",
    "RequestRefused",
    "RetryPolicy",
    "RowNotTaken",
    "RowStream",
    "RowsRefused",
    "ServerUnreachable",
    "UnsettledBatch",
    "ValueRefused",
]
