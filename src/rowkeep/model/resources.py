"""The nouns of rowkeep as records. They carry facts and no behaviour; times are epoch milliseconds.

Lists over the wire are made from these in `api/`; how they are stored is said in
`storage/sql/*/migrations`.
"""

from enum import StrEnum

import msgspec

from rowkeep.model.access import AccessLevel, Scope
from rowkeep.model.growth import SchemaChange
from rowkeep.model.inserts import OffsetMove
from rowkeep.model.quarantine import RefusedRows, SkippedRows
from rowkeep.model.schema import Schema


class OwnerKind(StrEnum):
    """The kinds of owners of a dataset."""

    USER = "user"
    ORGANIZATION = "organization"


class UploadType(StrEnum):
    """The source of an upload's rows.

    It is requests, or a file whose type its load finds, or files that are kept as they are, a row each.
    """

    STREAM = "stream"
    FILE = "file"
    RAW_FILES = "rawFiles"


class MergeStrategy(StrEnum):
    """How a table's rows of one version relate to those of the version before."""

    APPEND = "append"
    REPLACE = "replace"


class MemberRole(StrEnum):
    """The roles of a user in an organization."""

    ADMINISTRATOR = "administrator"
    MEMBER = "member"


class Owner(msgspec.Struct, frozen=True):
    """A user or an organization."""

    id: int
    kind: OwnerKind
    name: str


class Token(msgspec.Struct, frozen=True):
    """An API token as the catalog knows it. The token itself is never stored."""

    id: int
    user_name: str
    scopes: str
    created_at: int
    expires_at: int | None
    revoked_at: int | None


class Member(msgspec.Struct, frozen=True):
    """A member of an organization. `id` is the user's."""

    id: int
    user_name: str
    role: MemberRole


class Grant(msgspec.Struct, frozen=True):
    """What a user, or everyone in an organization, may do with a dataset. `id` is the grantee's."""

    id: int
    grantee_kind: OwnerKind
    grantee_name: str
    access_level: AccessLevel


class Dataset(msgspec.Struct, frozen=True):
    """A dataset. `user_level` is the level that the caller has by ownership or grant."""

    id: int
    identifier: str
    name: str
    name_key: str
    description: str | None
    public_access_level: AccessLevel
    labels: tuple[str, ...]
    tags: tuple[str, ...]
    methodology_markdown: str | None
    usage_markdown: str | None
    created_at: int
    updated_at: int
    owner_id: int
    owner_kind: OwnerKind
    owner_name: str
    next_version_id: int | None
    current_version_id: int | None
    user_level: AccessLevel

    @property
    def owner(self) -> Owner:
        """Returns the owner."""
        return Owner(self.owner_id, self.owner_kind, self.owner_name)


# What stands for the tag of an unreleased version.
NEXT_TAG = "next"


class Version(msgspec.Struct, frozen=True):
    """A state of a dataset. It is frozen once released; before that it is the dataset's `next`.

    `parent_id` is the version that it was made from. It is None for the first version, and for an old one
    without tables, whose parent was not noted.
    """

    id: int
    dataset_id: int
    position: int
    parent_id: int | None
    major: int | None
    minor: int | None
    label: str | None
    release_notes: str | None
    created_at: int
    updated_at: int
    released_at: int | None
    deleted_at: int | None

    @property
    def is_released(self) -> bool:
        """Returns whether the version can no longer change."""
        return self.released_at is not None

    @property
    def is_deleted(self) -> bool:
        """Returns whether the version is hidden until it is undeleted."""
        return self.deleted_at is not None

    @property
    def tag(self) -> str:
        """Returns `v1.0`, or `next` while unreleased."""
        return version_tag(self.major, self.minor)


def version_tag(major: int | None, minor: int | None) -> str:
    """Returns the tag with these parts, or `next` without them."""
    return NEXT_TAG if major is None else f"v{major}.{minor}"


class Sizes(msgspec.Struct, frozen=True):
    """The sizes of a version, and of all versions of its dataset together."""

    table_count: int = 0
    byte_count: int = 0
    dataset_byte_count: int = 0


class Table(msgspec.Struct, frozen=True):
    """A table of one version."""

    id: int
    version_id: int
    identifier: str
    name: str
    name_key: str
    description: str | None
    upload_merge_strategy: MergeStrategy
    is_file_index: bool
    created_at: int
    updated_at: int


class Content(msgspec.Struct, frozen=True):
    """The rows of a table: those of its uploads, and those of earlier versions that it keeps.

    `schemas` are the different schemas of its uploads, in the order in which they came. `hash` is 32 hex
    digits that change exactly when the content does.
    """

    row_count: int
    byte_count: int
    schemas: tuple[Schema, ...]
    hash: str


class Upload(msgspec.Struct, frozen=True):
    """A source of rows in a table, with its current schema and its exact size.

    `row_count` is how many rows it shows, `row_end` the number after its last: rows that were removed by
    undoing their request are not shown, and the others keep their numbers. `origin_id` is the upload in which
    its stream began, in this version (then it is `id`) or in an earlier one.
    """

    id: int
    table_id: int
    name: str
    type: UploadType
    updates_by_default: bool
    created_at: int
    origin_id: int
    schema: Schema
    row_count: int
    row_end: int
    byte_count: int
    latest_offset_token: str | None


class Frame(msgspec.Struct, frozen=True):
    """Some request bodies, one a line, encoded for the journal.

    `byte_count` is their size before encoding. `codec` names the encoding (storage/journal/entries.py).
    """

    row_count: int
    byte_count: int
    codec: int
    payload: bytes


class Batch(msgspec.Struct, frozen=True):
    """The rows of one request, on their way into the journal.

    `body` is one line of JSON that the reading decoder of `schema` takes; a large batch has `frames`
    instead. `catalog_version` is what the catalog said when the batch was checked: if it has moved,
    the batch must be checked again. `change` is set when `schema` is new with this batch. `rows_sha256` is
    the digest of its rows (model/chain.py), `request_digest` what its key stands for.
    `refused` are rows of the request that were skipped; `replayed` are the ids of the quarantined rows that
    these rows were.
    """

    upload_id: int
    catalog_version: int
    schema: Schema
    row_count: int
    rows_sha256: bytes
    body: bytes = b""
    frames: tuple[Frame, ...] = ()
    key: str | None = None
    request_digest: bytes | None = None
    change: SchemaChange | None = None
    offset: OffsetMove | None = None
    refused: RefusedRows | None = None
    replayed: tuple[int, ...] = ()

    @property
    def byte_count(self) -> int:
        """Returns how many bytes wait in memory while the batch is queued."""
        if not self.frames and self.refused is None:
            return len(self.body)
        refused_bytes = 0 if self.refused is None else self.refused.byte_count
        return len(self.body) + refused_bytes + sum(len(frame.payload) for frame in self.frames)

    @property
    def needs_own_group(self) -> bool:
        """Returns whether the batch may not share a commit with others."""
        return self.change is not None or bool(self.frames)


class Receipt(msgspec.Struct, frozen=True):
    """What an insert answers: how many rows went in and what became of the schema.

    With `validate_only`, how many would and what would. The rows are those from `first_row` on, written by
    the upload's commit number `commit`; both are None when there are none. `rows_sha256` is their digest,
    `chain` the upload's after them (model/chain.py); None in receipts from before there were chains.
    `skipped` is None when every row went in. `version_tag` is that of the version that holds the rows.
    """

    row_count: int
    change: SchemaChange | None = None
    replayed: bool = False
    validate_only: bool = False
    commit: int | None = None
    first_row: int | None = None
    rows_sha256: bytes | None = None
    chain: bytes | None = None
    skipped: SkippedRows | None = None
    version_tag: str = NEXT_TAG

    @property
    def last_row(self) -> int | None:
        """Returns the number of the last row, or None."""
        return None if self.first_row is None else self.first_row + self.row_count - 1


class Entry(msgspec.Struct, frozen=True):
    """The batches of one upload that one commit put into the journal, still encoded.

    Rows `first_row` to `first_row + row_count - 1` of the upload; `payload` is `codec`-encoded lines
    that the reading decoder of `schema_version` takes, `byte_count` long before encoding.

    Each line is a batch; with `is_continued` the last one goes on in the next entry, as those of large
    batches do. `chain` is that of the upload after the last whole batch; None in entries from before there
    were chains.
    """

    upload_id: int
    first_row: int
    row_count: int
    byte_count: int
    schema_version: int
    codec: int
    checksum: int
    payload: bytes
    is_continued: bool = False
    chain: bytes | None = None


class Segment(msgspec.Struct, frozen=True):
    """Rows of an upload in an immutable Parquet file, all in one version of its schema.

    `byte_count` is their size as they were in the journal, before encoding; `checksums` are those of the
    file's blocks (`checked_file.py`). It ends with a batch; `batches` are the packed row counts
    of those that the chain covers, `chain` is that of the upload after the last (model/chain.py).
    """

    upload_id: int
    first_row: int
    row_count: int
    byte_count: int
    schema_version: int
    file_name: str
    file_bytes: int
    checksums: bytes = b""
    batches: bytes = b""
    chain: bytes | None = None

    @property
    def row_end(self) -> int:
        """Returns the number of the row after the last."""
        return self.first_row + self.row_count


class UnsealedUpload(msgspec.Struct, frozen=True):
    """What an upload has in the journal: rows from `first_row` on, the oldest since `oldest_at`."""

    upload_id: int
    first_row: int
    byte_count: int
    oldest_at: int


class ReadFormat(StrEnum):
    """The formats in which rows are sent to a reader."""

    ARROW = "arrow"
    CSV = "csv"
    JSON_LINES = "jsonl"


class ReadGround(msgspec.Struct, frozen=True):
    """A version that rows belong to, and the access level that reading them there takes."""

    dataset_id: int
    version_id: int
    owner_id: int
    level: AccessLevel


class ReadStream(msgspec.Struct, frozen=True):
    """A part of a read session: slices of uploads, in order, cast to `schema`.

    `user_id` says who alone may read it (None: whoever may see the rows), `scope` what a token must hold to
    read, `grounds` what access the reader must have at each read.
    """

    identifier: str
    user_id: int | None
    scope: Scope
    expires_at: int
    format: ReadFormat
    schema: Schema
    slices: tuple["RowSlice", ...]
    grounds: tuple[ReadGround, ...] = ()


class RowSlice(msgspec.Struct, frozen=True):
    """The rows `first_row` to `row_end - 1` of one upload."""

    upload_id: int
    first_row: int
    row_end: int
