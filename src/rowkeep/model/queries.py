"""Queries: the text, the rows that are read, and the result. The job of a query holds these as JSON.

The rows of a result are those of an upload that has no row in the catalog: its number is that of the query's
job with a minus before it. So whatever reads rows reads results, and what forgets deleted uploads forgets
them.
"""

from enum import StrEnum
from typing import Any

import msgspec

from rowkeep.model.access import Principal, Scope
from rowkeep.model.resources import ReadGround, RowSlice, Segment
from rowkeep.model.schema import Schema, Variable

RESULT_SCHEMA_VERSION = 1
QUERY_CHARACTERS_MAX = 256_000
Parameters = dict[str, Any] | list[Any]


class Dialect(StrEnum):
    """The SQL dialects in which a query can be written."""

    BIGQUERY = "bigquery"
    DUCKDB = "duckdb"


class RowFilter(msgspec.Struct, frozen=True):
    """The rows of a table, or of one upload of it, that a reader asks for (sql/filters.py)."""

    table: str
    upload_name: str | None
    selected_variables: tuple[str, ...] | None
    where: str | None
    order_by: str | None
    offset: int
    rows_max: int | None


class QueryArguments(msgspec.Struct, frozen=True):
    """The arguments of a query. Tables are looked up for `user_id` (0: nobody) with `scopes`."""

    text: str
    dialect: Dialect
    default_dataset: str | None
    parameters: Parameters
    user_id: int
    scopes: tuple[Scope, ...]
    # Instead of a text: rows of one table.
    filter: RowFilter | None = None

    @property
    def principal(self) -> Principal:
        """Returns the principal who asks."""
        return Principal(self.user_id or None, None, frozenset(self.scopes))


class QueryResult(msgspec.Struct, frozen=True):
    """The result of a completed query."""

    variables: tuple[Variable, ...]
    row_count: int
    byte_count: int
    grounds: tuple[ReadGround, ...] = ()

    @property
    def schema(self) -> Schema:
        """Returns the schema of the rows."""
        return Schema(RESULT_SCHEMA_VERSION, self.variables)


class NamedTable(msgspec.Struct, frozen=True):
    """A table that a query names: the name as written, and its position in the text, from 1."""

    reference: str
    line: int | None = None
    column: int | None = None


class SegmentPart(msgspec.Struct, frozen=True):
    """Rows of a segment that a query reads, counted within it: ranges of first row and row end.

    `checksums` are those of the file's blocks, if they must still be checked.
    """

    path: str
    byte_count: int
    checksums: bytes | None
    schema_version: int
    ranges: tuple[tuple[int, int], ...]
    is_whole: bool


class UploadPart(msgspec.Struct, frozen=True):
    """What a query reads of an upload: segments, and `entry_count` entries in the file of entries.

    `slices` are the rows that it shows. `schemas` are the versions of its schema that its rows are in.
    """

    name: str
    slices: tuple[RowSlice, ...]
    schemas: tuple[Schema, ...]
    segments: tuple[SegmentPart, ...]
    entry_count: int


class QueryTable(msgspec.Struct, frozen=True):
    """A table of a query on its snapshot, with every name that the query has for it."""

    references: tuple[str, ...]
    schema: Schema
    uploads: tuple[UploadPart, ...]
    has_upload_name: bool
    ground: ReadGround


class QueryPlan(msgspec.Struct, frozen=True):
    """What a worker needs to run a query. `now` is the query's time in microseconds since 1970."""

    arguments: QueryArguments
    tables: tuple[QueryTable, ...]
    now: int
    result_upload_id: int
    result_bytes_max: int
    memory_bytes_max: int
    threads: int


class QueryAnswer(msgspec.Struct, frozen=True):
    """A worker's answer: the result, and its segment if it has rows and variables.

    `content` is the file of a small segment. The file of a larger one is in the query's folder.
    """

    result: QueryResult
    segment: Segment | None
    content: bytes | None = None


def result_upload_id(job_id: int) -> int:
    """Returns the upload id under which the rows of a query's result are kept."""
    return -job_id
