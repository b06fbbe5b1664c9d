"""SQLite: the embedded database. The only file that knows apsw.

Theory
------
One file, WAL mode. `synchronous=FULL` makes COMMIT fsync the WAL before it returns; that is promise 1
and no setting turns it off. One write connection, used by one thread at a time, opens every
transaction with BEGIN IMMEDIATE so that it never has to upgrade a read lock; each reader thread has
a connection of its own and sees the snapshot of its BEGIN.

The WAL is folded back into the database by SQLite's own checkpoint inside a commit, every
`_CHECKPOINT_PAGES` pages. The more it makes durable the longer it takes, and a commit waits for it: with
4,000 pages 35 to 70 ms under load, which was most of every p99; with 1,000 it takes 15 to 28 ms, at the same
rate of rows.

A failed write or fsync (EIO) raises StorageFailedError. What reached the disk is then unknown: nobody
retries, the lane closes, a restart lets SQLite recover from the WAL. A write for which the disk has no room
raises StorageFullError: SQLite finds that out while it writes pages, before the frame that commits them is
whole, and rolls back; nothing was kept, and the next transaction begins where the last whole one ended. An
fsync that finds the disk full is a failed fsync.

`user_version` is the number of the last migration that ran. A file is opened only if its tables, indexes,
views and triggers are those that these migrations make: a trigger that somebody dropped is a promise that is
not kept any more, and what a newer rowkeep added is nothing that this version can keep up.

Rejected: a file of our own with fdatasync (measured no faster once payloads are compressed, and
SQLite brings atomic catalog changes), `synchronous=NORMAL` (loses acknowledged rows on power loss),
checkpoints on another thread beside commits (one that does not reach the WAL's end makes nothing durable, so
the one that does, between two commits, takes as long as before).
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import apsw
import msgspec

from rowkeep.model.resources import Batch, Receipt
from rowkeep.storage.base import (
    DuplicateError,
    Group,
    Record,
    SchemaError,
    StorageBusyError,
    StorageFailedError,
    StorageFullError,
)
from rowkeep.storage.local_files import free_bytes
from rowkeep.storage.statements import load_migrations, load_statements

_BUSY_MS_MAX = 10_000
_CHECKPOINT_PAGES = 1_000
_CACHE_KIB = 16 * 1024
# A full disk is tried again when it has room for some requests and a checkpoint.
_ROOM_BYTES_MIN = 4 * 1024 * 1024
_DISK_ERRORS = (
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.IOError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
)
# EXTRA while a new file becomes a WAL database: it makes the removal of the rollback journal durable. A
# journal that came back after a loss of power would undo the file's beginning, and the WAL with it.
_SETTINGS = f"""
PRAGMA synchronous = EXTRA;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA cache_size = -{_CACHE_KIB};
PRAGMA temp_store = MEMORY;
"""


class SqliteConnection:
    """One SQLite connection that runs statements by name."""

    def __init__(self, raw: apsw.Connection, statements: dict[str, str], checkpoint_pages: int) -> None:
        self._statements = statements
        self.raw = raw
        self.raw.set_busy_timeout(_BUSY_MS_MAX)
        # Else a statement is compiled again for whatever values it is run with, in case another plan suits
        # them better: most of what a look at the catalog costs (measured), and all our plans are by index.
        self.raw.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        # To the end: execute alone stops at the first statement that answers, which journal_mode does.
        self.raw.execute(_SETTINGS).fetchall()
        self.raw.wal_autocheckpoint(checkpoint_pages)

    def records(self, statement: str, /, **parameters: object) -> list[Record]:
        """Runs a named statement. Returns its rows by column name."""
        cursor = self.raw.cursor()
        cursor.row_trace = _record
        try:
            return list(cursor.execute(self._statements[statement], parameters))
        except apsw.ConstraintError as error:
            raise DuplicateError(str(error)) from error

    def record(self, statement: str, /, **parameters: object) -> Record | None:
        """Runs a named statement. Returns its first row or None."""
        records = self.records(statement, **parameters)
        return records[0] if records else None

    def add_group(self, group: Group) -> None:
        """Adds a group to the journal; a trigger moves the counters and chains of its uploads."""
        self.records("add_group", **_group_parameters(group))


def _group_parameters(group: Group) -> dict[str, object]:
    """Returns the parameters of `add_group` (journal.sql): payloads one after the other, the rest as JSON."""
    entries: list[list[object]] = []
    payloads: list[bytes] = []
    offset = 0
    for entry in group.entries:
        frame = entry.frame
        length = len(frame.payload)
        facts = [entry.upload_id, frame.row_count, frame.byte_count, entry.schema_version, frame.codec]
        place = [offset, length, entry.checksum, entry.first_row, int(entry.is_continued)]
        entries.append([*facts, *place, entry.chain.hex()])
        payloads.append(frame.payload)
        offset += length
    return {
        "entries": _json_text(entries),
        "payloads": b"".join(payloads),
        "receipts": _json_text([_receipt_parameters(batch, receipt) for batch, receipt in group.receipts]),
        "catalog_version": group.catalog_version,
        "now": group.committed_at,
    }


def _receipt_parameters(batch: Batch, receipt: Receipt) -> list[object]:
    change = None if batch.change is None else _json_text(batch.change)
    digest = batch.request_digest.hex() if batch.request_digest is not None else ""
    numbers = [receipt.commit, receipt.first_row]
    proof = [batch.rows_sha256.hex(), None if receipt.chain is None else receipt.chain.hex()]
    skipped = None if receipt.skipped is None else _json_text(receipt.skipped)
    return [batch.upload_id, batch.key, digest, batch.row_count, change, *numbers, *proof, skipped]


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _record(cursor: apsw.Cursor, row: tuple[Any, ...]) -> Record:
    return dict(zip((column[0] for column in cursor.get_description()), row, strict=True))


class SqliteDatabase:
    """The database file of a data directory.

    `vfs` names the file system layer that SQLite goes through, which is where tests make disks fail.
    """

    def __init__(
        self, path: Path, *, vfs: str | None = None, checkpoint_pages: int = _CHECKPOINT_PAGES
    ) -> None:
        self._path = path
        self._vfs = vfs
        self._checkpoint_pages = checkpoint_pages
        self._statements = load_statements("sqlite")
        self._local = threading.local()
        self._connections: list[SqliteConnection] = []
        self._write_lock = threading.Lock()
        self._writer = self._open()
        _migrate(self._writer)
        self.commit_started_at = time.perf_counter()
        self._writer.raw.set_commit_hook(self._note_commit)

    def _open(self) -> SqliteConnection:
        with _translated():
            raw = apsw.Connection(str(self._path), vfs=self._vfs)
            connection = SqliteConnection(raw, self._statements, self._checkpoint_pages)
        self._connections.append(connection)
        return connection

    def _note_commit(self) -> bool:
        """Notes the time of a commit. SQLite calls this within COMMIT, before it writes.

        True would roll back.
        """
        self.commit_started_at = time.perf_counter()
        return False

    @contextmanager
    def reading(self) -> Iterator[SqliteConnection]:
        """Yields a consistent snapshot, on this thread's own connection."""
        connection: SqliteConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._open()
        with _translated():
            connection.raw.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.raw.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[SqliteConnection]:
        """Yields one durable transaction on the write connection."""
        with self._write_lock, _translated():
            raw = self._writer.raw
            raw.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                raw.execute("COMMIT")
            except BaseException:
                # A failed COMMIT may have ended the transaction already.
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise

    def commit_group(self, group: Group) -> None:
        """Adds a group to the journal by one statement, which is a durable transaction of its own."""
        parameters = _group_parameters(group)
        with self._write_lock, _translated():
            try:
                self._writer.raw.execute(self._statements["add_group"], parameters)
            except apsw.ConstraintError as error:
                raise DuplicateError(str(error)) from error

    def has_room(self) -> bool:
        """Returns whether the disk has room for more than a few pages."""
        return free_bytes(self._path.parent) >= _ROOM_BYTES_MIN

    def problems(self) -> list[str]:
        """Returns the faults that SQLite finds in the file: in pages, indexes and references."""
        try:
            with self.reading() as connection:
                found = [row[0] for row in connection.raw.execute("PRAGMA integrity_check")]
                lost = [row[0] for row in connection.raw.execute("PRAGMA foreign_key_check")]
        except StorageFailedError as error:
            return [str(error)]
        return [text for text in found if text != "ok"] + [f"{name} refers to nothing" for name in lost]

    def copy(self, path: Path) -> None:
        """Writes one snapshot of everything to a new file. Others can write meanwhile."""
        with _translated():
            self._writer.raw.execute("VACUUM INTO ?", (str(path),))

    def close(self) -> None:
        """Closes every connection; the last one folds the WAL into the database."""
        for connection in self._connections:
            connection.raw.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except apsw.BusyError as error:
        raise StorageBusyError(str(error)) from error
    except apsw.FullError as error:
        raise StorageFullError(f"{type(error).__name__}: {error}") from error
    except _DISK_ERRORS as error:
        raise StorageFailedError(f"{type(error).__name__}: {error}") from error


# Comments, white space and quotation marks are no difference: versions of SQLite write them differently.
_insignificant = re.compile(r"--[^\n]*|[\s\"]+")


def _check_schema(raw: apsw.Connection) -> None:
    """Raises SchemaError when the schema is newer than this version knows, or was altered."""
    with raw:  # one snapshot: another process may be bringing the file to the newest schema
        number, found = int(raw.pragma("user_version")), _structure(raw)
    newest = len(load_migrations("sqlite"))
    if not 0 <= number <= newest:
        raise SchemaError(
            f"{raw.filename} has schema {number}; this version of rowkeep knows schemas up to {newest}. "
            "A newer rowkeep wrote it. Use that version or a newer one, or restore a backup from before."
        )
    expected = _structure_of(number)
    if found != expected:
        names = sorted(found.keys() | expected.keys())
        altered = [name for name in names if found.get(name) != expected.get(name)]
        raise SchemaError(
            f"{raw.filename} has a schema that rowkeep did not make: {', '.join(altered)} differ from schema "
            f"{number}. Undo that change, or restore a backup."
        )


@cache
def _structure_of(number: int) -> dict[str, str]:
    """Returns the structure that the first `number` migrations make."""
    raw = apsw.Connection(":memory:")
    for migration in load_migrations("sqlite")[:number]:
        raw.execute(migration.pre)
        raw.execute(migration.post)
    structure = _structure(raw)
    raw.close()
    return structure


def _structure(raw: apsw.Connection) -> dict[str, str]:
    objects = raw.execute(load_statements("sqlite")["schema_objects"])
    return {str(name): _insignificant.sub("", str(text)) for name, text in objects}


def _migrate(connection: SqliteConnection) -> None:
    """Brings the file to the newest schema, one transaction a migration. Raises SchemaError."""
    raw = connection.raw
    with _translated():
        _check_schema(raw)
    for migration in load_migrations("sqlite"):
        if raw.pragma("user_version") >= migration.number:
            continue
        with _translated(), raw:
            raw.execute(migration.pre)
            raw.execute(migration.post)
            raw.execute(f"PRAGMA user_version = {migration.number}")
