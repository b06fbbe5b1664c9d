"""What storage promises. Services know this file and the model, nothing else of storage.

`Connection` and `Database` are the seam where databases differ: one file each implements them
(`sqlite.py`), over one folder of `.sql` files with the same statement names. Everything above the
seam (`catalog.py`, `journal.py`, `lane.py`) is written once.

Services get at storage through two doors, both in `Doors`: `read` runs a function on one consistent
snapshot in a reader thread, `write` runs one in one durable transaction on the writer's thread.
Functions passed through a door are plain and synchronous; nothing asynchronous goes below it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import msgspec

from rowkeep.model.access import AccessLevel, Principal
from rowkeep.model.quarantine import Quarantine, QuarantinedRow
from rowkeep.model.receipts import ChainState, KnownRequest, Rejection
from rowkeep.model.resources import (
    Batch,
    Content,
    Dataset,
    Entry,
    Grant,
    Member,
    MemberRole,
    Owner,
    OwnerKind,
    ReadStream,
    Receipt,
    RowSlice,
    Segment,
    Sizes,
    Table,
    Token,
    UnsealedUpload,
    Upload,
    UploadType,
    Version,
)
from rowkeep.model.schema import Schema, VariableMetadata
from rowkeep.model.timing import InsertTimes

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


class CatalogView(Protocol):
    """What a snapshot of the catalog and the journal answers. None and empty lists mean absent."""

    def catalog_version(self) -> int: ...

    def owner(self, name: str) -> Owner | None: ...

    def member(self, organization_id: int, user_id: int) -> Member | None: ...

    def members(self, organization_id: int, after_id: int, count: int) -> list[Member]: ...

    def administrator_count(self, organization_id: int) -> int: ...

    def principal(self, token_hash: bytes) -> Principal | None: ...

    def tokens(self) -> list[Token]: ...

    def dataset(
        self, owner_name: str, key: str, reference_id: str | None, user_id: int | None
    ) -> Dataset | None: ...

    def datasets(
        self, owner_id: int, user_id: int | None, after_id: int, count: int, *, sees_unreleased: bool
    ) -> list[Dataset]:
        """Those that the user sees; unreleased datasets are shown to their editors if asked for."""

    def grant(self, dataset_id: int, grantee_id: int) -> Grant | None: ...

    def grants(self, dataset_id: int, after_id: int, count: int) -> list[Grant]: ...

    def versions_by_id(self, version_ids: Sequence[int]) -> dict[int, Version]: ...

    def version_by_tag(self, dataset_id: int, major: int, minor: int) -> Version | None:
        """A released version, deleted or not."""

    def versions(
        self, dataset_id: int, after_id: int, count: int, *, sees_unreleased: bool
    ) -> list[Version]: ...

    def version_before(self, version: Version) -> Version | None: ...

    def version_after(self, version: Version) -> Version | None: ...

    def last_tag(self, dataset_id: int) -> tuple[int, int] | None: ...

    def sizes(self, version_ids: Sequence[int]) -> dict[int, Sizes]: ...

    def table(self, version_id: int, key: str, reference_id: str | None) -> Table | None: ...

    def tables(self, version_id: int, after_id: int, count: int) -> list[Table]: ...

    def contents(self, table_ids: Sequence[int]) -> dict[int, Content]: ...

    def variable_metadata(self, table_ids: Sequence[int]) -> dict[int, dict[str, VariableMetadata]]:
        """By table id and the variable's name in lower case."""

    def content_uploads(self, table_id: int, after_id: int, count: int) -> list[Upload]:
        """The uploads whose rows a table holds, those of earlier versions among them."""

    def upload(self, table_id: int, name: str) -> Upload | None: ...

    def uploads(self, table_id: int, after_id: int, count: int) -> list[Upload]: ...

    def schema(self, upload_id: int, version: int) -> Schema: ...

    def entries(self, upload_id: int, first_row: int, row_end: int, bytes_max: int) -> list[Entry]:
        """The entries that hold the rows from `first_row` on, in order.

        As many as it takes to reach `row_end` or `bytes_max` (before encoding), at least one.
        """

    def segment_at(self, upload_id: int, row: int) -> Segment | None:
        """The segment that holds a row; None when it is in the journal or gone."""

    def segment_batches(self, segment: Segment) -> bytes | None:
        """The packed row counts of a segment's batches (model/chain.py); None when it is gone."""

    def segments(self, upload_id: int, first_row: int, count: int) -> list[Segment]:
        """The segments from a row on, in order, without their checksums and batches."""

    def segment_files(self) -> set[str]: ...

    def journal_bytes(self) -> int:
        """How many bytes of rows, before encoding, are not in segments."""

    def uploads_to_seal(self, bytes_min: int, count: int) -> list[UnsealedUpload]:
        """The uploads of which more than that waits in the journal, those with most first."""

    def released_uploads_to_seal(self, count: int) -> list[UnsealedUpload]: ...

    def uploads_to_compact(self, bytes_max: int, count_min: int) -> list[int]:
        """The uploads with at least so many segments smaller than that."""

    def uploads_with_sealed_entries(self) -> list[tuple[int, int]]:
        """Uploads with entries that a segment has replaced, and the row before which those lie."""

    def forgettable_uploads(self, now: int, count: int) -> list[int]:
        """Deleted uploads that no read session may ask for any more."""

    def request(self, upload_id: int, key: str) -> KnownRequest | None:
        """A request with a key whose rows went in."""

    def last_group(self, upload_id: int, key: str) -> tuple[str, KnownRequest] | None:
        """The last group of the long insert with a key, with the key of its own (model/long_inserts.py)."""

    def rejection(self, upload_id: int, key: str) -> Rejection | None:
        """A request with a key that was refused, unless it has been sent again and went in."""

    def removed_rows(self, upload_ids: Sequence[int]) -> dict[int, list[RowSlice]]:
        """The rows of undone requests, by upload id and in order."""

    def chain_state(self, upload_id: int) -> ChainState | None: ...

    def quarantine(self, upload_id: int) -> Quarantine: ...

    def quarantine_counts(self, upload_ids: Sequence[int]) -> dict[int, int]:
        """How many rows are in the quarantines of uploads, by their ids; 0 is left out."""

    def last_quarantined_id(self, upload_id: int) -> int:
        """The id of the newest row in a quarantine, 0 for an empty one."""

    def quarantined_rows(
        self, upload_id: int, after_id: int, count: int, *, last_id: int = ..., bytes_max: int = ...
    ) -> list[QuarantinedRow]:
        """Rows of a quarantine after one up to another, bounded in bytes too, but at least one."""

    def read_stream(self, identifier: str, now: int) -> ReadStream | None:
        """A read stream that has not expired."""


class NewDataset(msgspec.Struct, frozen=True):
    """What a dataset is created from."""

    owner: Owner
    name: str
    public_access_level: AccessLevel
    description: str | None


class NewTable(msgspec.Struct, frozen=True):
    """What a table is created from."""

    version_id: int
    name: str
    description: str | None
    upload_merge_strategy: str
    is_file_index: bool


class NewUpload(msgspec.Struct, frozen=True):
    """What an upload is created from; `name` must be free (by its key)."""

    table_id: int
    name: str
    type: UploadType
    schema: Schema
    updates_by_default: bool


class CatalogEditor(CatalogView, Protocol):
    """A transaction that may change the catalog. DuplicateError where a unique key is taken."""

    def add_owner(self, kind: OwnerKind, name: str) -> Owner: ...

    def set_member(self, organization_id: int, user_id: int, role: MemberRole) -> None: ...

    def delete_member(self, organization_id: int, user_id: int) -> None: ...

    def add_token(self, user_id: int, token_hash: bytes, scopes: str, expires_at: int | None) -> int: ...

    def revoke_token(self, token_id: int) -> bool: ...

    def set_grant(self, dataset_id: int, grantee_id: int, level: AccessLevel) -> None: ...

    def delete_grant(self, dataset_id: int, grantee_id: int) -> None: ...

    def add_dataset(self, new: NewDataset) -> None: ...

    def update_dataset(self, dataset: Dataset) -> None: ...

    def delete_dataset(self, dataset_id: int) -> None: ...

    def add_version(self, parent: Version) -> int: ...

    def update_version(self, version: Version) -> None: ...

    def release_version(self, version_id: int, tag: tuple[int, int], release_notes: str | None) -> None: ...

    def unrelease_version(self, version_id: int) -> None: ...

    def hide_version(self, version_id: int) -> None: ...

    def show_version(self, version_id: int) -> None: ...

    def delete_version(self, version_id: int) -> None: ...

    def add_table(self, new: NewTable) -> None: ...

    def update_table(self, table: Table) -> None: ...

    def delete_table(self, table_id: int) -> None: ...

    def set_variable_metadata(self, metadata: Mapping[int, Mapping[str, VariableMetadata]]) -> None:
        """By table id and the variable's name in lower case."""

    def add_upload(self, new: NewUpload) -> None: ...

    def delete_upload(self, upload_id: int) -> None: ...

    def add_rejection(self, upload_id: int, key: str, rejection: Rejection) -> None:
        """Keeps what was answered to a refused request with a key; the oldest go (`REJECTIONS_MAX`)."""

    def remove_rows(self, upload_id: int, key: str, user_id: int) -> None:
        """Removes the rows of a request that went in, as a user asked; nothing when it was done before."""

    def add_read_streams(self, streams: Sequence[ReadStream]) -> None: ...

    def name_sealed(self, segment: Segment) -> bool:
        """Puts sealed rows in the place of their entries; False when they are not the next to be sealed."""

    def name_compacted(self, segment: Segment) -> bool:
        """Puts a segment in the place of those with the same rows; False when they are gone."""

    def drop_entries(self, upload_id: int, row_end: int, bytes_max: int) -> int:
        """Deletes some entries of rows before one, bounded in bytes before encoding; how many."""

    def forget_upload(self, upload_id: int) -> None:
        """Deletes what is left of a deleted upload whose entries are gone."""

    def empty_quarantine(self, upload_id: int) -> None: ...

    def prune(self) -> None:
        """Drops expired read streams."""


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


class Doors(Protocol):
    """The two ways from asynchronous services to storage, and the lane for rows."""

    async def read(self, function: Callable[[CatalogView], Result]) -> Result: ...

    async def write(self, function: Callable[[CatalogEditor], Result]) -> Result: ...

    def submit(self, batch: Batch, times: InsertTimes | None = None) -> Awaitable[Outcome]: ...
