"""The interfaces of a database and of a store of files, and the errors that they raise.

`Connection` and `Database` are the seam where databases differ: one file each (`sqlite.py`), over `.sql`
files with the same statement names. `SegmentStore` is the seam where places for files differ. What is above
the seams is written once, and names no database and no path. `opening.py` says which is opened.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from rowkeep.model.resources import Batch, Frame, Receipt

Record = dict[str, Any]


class StorageError(Exception):
    """The database did not do what was asked. The text says why."""


class StorageBusyError(StorageError):
    """Another writer held the database for too long; nothing was written."""


class StorageFailedError(StorageError):
    """The disk or the file failed: what is durable is unknown until a restart reads it again."""


class StorageFullError(StorageFailedError):
    """The disk is full. Nothing of the transaction was kept; when there is room again, writing goes on."""


class SchemaError(StorageError):
    """The schema of the database is not one that this version made. The text says what to do."""


class SealingError(StorageError):
    """A segment could not be written. The rows stay where they were."""


class DuplicateError(StorageError):
    """A rule of the schema forbids the change. Mostly a unique key exists already."""


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
    """What one commit adds to the journal:

    at most one entry an upload, and the receipts of batches with a key.
    """

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
        """Returns when the last transaction began to be made durable, by `time.perf_counter`."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Opens a consistent snapshot for the calling thread."""

    def writing(self) -> AbstractContextManager[Connection]:
        """Opens a durable transaction. An exception rolls it back. Raises the subclasses of StorageError."""

    def commit_group(self, group: Group) -> None:
        """Adds a group as `Connection.add_group` does, in a durable transaction like that of `writing`."""

    def has_room(self) -> bool:
        """Returns whether a database that was full may be tried again."""

    def problems(self) -> list[str]:
        """Returns the faults that the database itself finds in its data."""

    def close(self) -> None:
        """Closes every connection."""


class FileDatabase(Database, Protocol):
    """A database in a file of the data directory, which a backup can copy."""

    def copy(self, path: Path) -> None:
        """Writes one snapshot of everything to a new file. Others go on writing meanwhile."""


class NewFile(Protocol):
    """A file that is being written. It is in its store once it is kept, and never in part."""

    def write(self, data: memoryview) -> None:
        """Adds all of it to the file."""

    def keep(self) -> None:
        """Makes the file durable under its name. Nothing more can be written to it."""

    def discard(self) -> None:
        """Removes what was written, unless it was kept."""


class StoredFile(Protocol):
    """An open file of a store. Any part of it can be read."""

    @property
    def byte_count(self) -> int:
        """Returns the size of the file in bytes."""

    def read(self, offset: int, byte_count: int) -> bytes:
        """Returns a part of the file; less than was asked for where the file ends. Raises OSError."""

    def close(self) -> None:
        """Closes the file."""


class SegmentStore(Protocol):
    """Where the files of segments are. A file never changes and is known by its name."""

    @property
    def is_shared(self) -> bool:
        """Whether other servers may write to it at the same time."""

    def put(self, name: str) -> NewFile:
        """Begins a new file."""

    def take(self, file: Path) -> None:
        """Moves a durable local file here, durably and under its own name."""

    def get(self, name: str) -> StoredFile:
        """Opens a file. Raises OSError when there is none."""

    def names(self) -> set[str]:
        """Returns the names of all files, unfinished ones too."""

    def held(self, names: Iterable[str]) -> AbstractContextManager["SegmentStore"]:
        """Keeps files readable for a while, even if others remove them. Raises OSError when one is gone."""

    def remove(self, name: str) -> None:
        """Removes a file. A missing file is no error."""

    def set_aside(self, name: str, folder: str) -> str:
        """Moves a file to a folder beside this store. Returns its new place. Raises OSError."""

    def forget_set_aside(self, before: float) -> int:
        """Removes files that were set aside in `lost+found` before a time. Returns the number of files."""
