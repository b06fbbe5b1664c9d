"""What a database promises, and what may go wrong with it.

`Connection` and `Database` are the seam where databases differ: one file each implements them
(`sqlite.py`), over one folder of `.sql` files with the same statement names, and `opening.py` says which is
opened. Everything above the seam (`catalog/`, `journal/`, `segments/`) is written once and names no database.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from rowkeep.model.resources import Batch, Frame, Receipt

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


class NewEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry to add to the journal. Its rows begin at `first_row`, which is where its upload ends."""

    upload_id: int
    schema_version: int
    frame: Frame
    checksum: int
    first_row: int
    chain: bytes
    is_continued: bool = False


class Group(msgspec.Struct, frozen=True, gc=False):
    """What one commit adds to the journal: an entry an upload at most, and receipts of batches with a key."""

    catalog_version: int
    committed_at: int
    entries: Sequence[NewEntry]
    receipts: Sequence[tuple[Batch, Receipt]]


class Connection(Protocol):
    """One transaction on a database. Parameters are named as in the statement."""

    def records(self, statement: str, /, **parameters: object) -> list[Record]:
        """Runs a named statement. Returns its rows by column name."""

    def record(self, statement: str, /, **parameters: object) -> Record | None:
        """Runs a named statement. Returns its first row or None."""

    def add_group(self, group: Group) -> None:
        """Adds a group to the journal, and moves the counters and chains of its uploads.

        Raises DuplicateError, and adds nothing, when the catalog is at another version, when an upload does
        not end where its entry begins, or when a key is known.
        """


class Database(Protocol):
    """An open database with its schema up to date."""

    @property
    def commit_started_at(self) -> float:
        """When the last transaction began to be made durable, by `time.perf_counter`: all else was done."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Opens a consistent snapshot, for the thread that asks."""

    def writing(self) -> AbstractContextManager[Connection]:
        """Opens a transaction. Leaving it commits durably; an exception rolls it back.

        Raises StorageBusyError, or StorageFailedError after which nothing may be written any more.
        """

    def commit_group(self, group: Group) -> None:
        """Adds a group to the journal, as a durable transaction of its own and in one step.

        Raises DuplicateError as `Connection.add_group` does; other errors as for `writing`.
        """

    def problems(self) -> list[str]:
        """Returns what the database itself finds wrong with what it keeps."""

    def close(self) -> None:
        """Closes every connection."""


class FileDatabase(Database, Protocol):
    """A database in a file of the data directory, which a backup can copy."""

    def copy(self, path: Path) -> None:
        """Writes one snapshot of everything to a new file. Others go on writing meanwhile."""


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
