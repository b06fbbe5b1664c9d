"""What a database promises, and what may go wrong with it.

`Connection` and `Database` are the seam where databases differ: one file each implements them
(`sqlite.py`), over one folder of `.sql` files with the same statement names. Everything above the
seam (`catalog/`, `journal/`, `segments/`) is written once.
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import msgspec

from rowkeep.model.resources import (
    Receipt,
)

Result = TypeVar("Result")
Record = dict[str, Any]


class StorageError(Exception):
    """The database did not do what was asked; the cause says why."""


class StorageBusyError(StorageError):
    """Another writer held the database for too long; nothing was written."""


class StorageFailedError(StorageError):
    """The disk or the file failed: what is durable is unknown until a restart reads it again."""


class SealingError(StorageError):
    """A segment could not be written; the rows are where they were."""


class DuplicateError(StorageError):
    """What was to be written goes against a rule of the schema: mostly, the same unique key exists."""


class Connection(Protocol):
    """One transaction on a database. Parameters are named as in the statement."""

    def records(self, statement: str, /, **parameters: object) -> list[Record]:
        """Runs a named statement; its rows by column name."""

    def record(self, statement: str, /, **parameters: object) -> Record | None:
        """Runs a named statement; its first row or None."""


class Database(Protocol):
    """An open database with its schema up to date."""

    @property
    def written_at(self) -> float:
        """When the last transaction had nothing left to do but to last, by `time.perf_counter`."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A consistent snapshot, for the thread that asks."""

    def writing(self) -> AbstractContextManager[Connection]:
        """One transaction. Leaving it commits durably; an exception rolls it back.

        Raises StorageBusyError, or StorageFailedError after which nothing may be written any more.
        """

    def commit_statement(self, statement: str, /, **parameters: object) -> None:
        """Runs one statement as a durable transaction of its own.

        Raises DuplicateError when it fails and nothing was written; other errors as for `writing`.
        """

    def problems(self) -> list[str]:
        """What the database itself finds wrong with what it keeps."""

    def close(self) -> None:
        """Closes every connection."""


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
