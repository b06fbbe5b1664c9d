"""Converts records of the database to nouns of the model, and back to text."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from rowkeep.model.access import Scope
from rowkeep.model.errors import RowError
from rowkeep.model.growth import SchemaChange
from rowkeep.model.quarantine import SkippedRows
from rowkeep.model.read_sessions import ReadSession
from rowkeep.model.receipts import KnownRequest, Rejection
from rowkeep.model.resources import (
    Content,
    Dataset,
    ReadFormat,
    ReadGround,
    ReadStream,
    Receipt,
    RowSlice,
    Upload,
    version_tag,
)
from rowkeep.model.schema import Schema, Variable, merged_schema
from rowkeep.storage.base import Record

Noun = TypeVar("Noun")


def noun(type_: type[Noun], record: Record | None) -> Noun | None:
    """Returns a record as a noun; None stays None. Not every database has booleans: 0 and 1 pass for them."""
    return None if record is None else msgspec.convert(record, type_, strict=False)


def the_noun(type_: type[Noun], record: Record) -> Noun:
    """Returns a record as a noun."""
    return msgspec.convert(record, type_, strict=False)


def nouns(type_: type[Noun], records: Sequence[Record]) -> list[Noun]:
    """Returns records as nouns."""
    return msgspec.convert(records, list[type_], strict=False)  # type: ignore[valid-type]  # at run time it is


def dataset(record: Record) -> Dataset:
    """Returns a dataset from a record of dataset_facts, with the level of the user who asked."""
    texts = {name: msgspec.json.decode(record[name]) for name in ("labels", "tags")}
    return msgspec.convert({**record, **texts}, Dataset)


def upload(record: Record) -> Upload:
    """Returns an upload from a record of upload_facts."""
    current = schema(record["schema_version"], record["variables"])
    return msgspec.convert({**record, "schema": current}, Upload, strict=False)


def schema(version: int, variables: str) -> Schema:
    """Returns a schema from its stored form."""
    return Schema(version, msgspec.json.decode(variables, type=tuple[Variable, ...]))


def content_key(records: Sequence[Record]) -> str:
    """Returns a text that changes exactly when the content of a table does.

    The content is the rows, and the variables of uploads without rows. Such an upload counts only for
    variables and types that no other upload has.
    """
    with_rows = [record for record in records if record["content_key"] is not None]
    key = "|".join(record["content_key"] for record in with_rows)
    declared, held = _types(records), _types(with_rows)
    return key if declared == held else f"{key}#{declared}"


def _types(records: Sequence[Record]) -> list[tuple[str, str]]:
    variables = merged_schema(schema(0, record["variables"]) for record in records).variables
    return sorted((variable.name.lower(), variable.type.value) for variable in variables)


def content(records: Sequence[Record], hash_: str) -> Content:
    """Returns the content of one table from its records of contents_of_tables."""
    return Content(
        row_count=sum(record["row_count"] for record in records),
        byte_count=sum(record["byte_count"] for record in records),
        schemas=tuple(schema(0, record["variables"]) for record in records),
        hash=hash_,
    )


def read_session(record: Record) -> ReadSession:
    """Returns a read session from its record."""
    whole = ReadStream(
        identifier=record["identifier"],
        user_id=record["user_id"],
        scope=Scope(record["scope"]),
        expires_at=record["expires_at"],
        format=ReadFormat(record["format"]),
        schema=msgspec.json.decode(record["schema"], type=Schema),
        slices=msgspec.json.decode(record["slices"], type=tuple[RowSlice, ...]),
        grounds=msgspec.json.decode(record["grounds"], type=tuple[ReadGround, ...]),
    )
    return ReadSession(whole, record["stream_count"], record["opener_id"])


def session_record(session: ReadSession) -> Record:
    """Returns a read session as it is stored."""
    whole = session.whole
    return {
        "identifier": whole.identifier,
        "opener_id": session.opener_id,
        "user_id": whole.user_id,
        "scope": whole.scope.value,
        "expires_at": whole.expires_at,
        "format": whole.format.value,
        "schema": json_text(whole.schema),
        "slices": json_text(whole.slices),
        "grounds": json_text(whole.grounds),
        "stream_count": session.stream_count,
    }


def known_request(record: Record) -> KnownRequest:
    """Returns a request with a key from its record of receipts_of_keys."""
    return KnownRequest(
        record["digest"],
        _receipt(record),
        record["holder_id"],
        record["committed_at"],
        record["removed_at"],
    )


def rejection(record: Record) -> Rejection:
    """Returns a refused request from its record."""
    row_errors = msgspec.json.decode(record["row_errors"], type=tuple[RowError, ...])
    return msgspec.convert({**record, "row_errors": row_errors}, Rejection)


def _receipt(record: Record) -> Receipt:
    change, skipped = record["change"], record["skipped"]
    return Receipt(
        row_count=record["row_count"],
        change=None if change is None else msgspec.json.decode(change, type=SchemaChange),
        skipped=None if skipped is None else msgspec.json.decode(skipped, type=SkippedRows),
        commit=record["commit_number"],
        first_row=record["first_row"],
        rows_sha256=record["sha256"],
        chain=record["chain"],
        version_tag=version_tag(record["major"], record["minor"]),
    )


def json_text(value: object) -> str:
    """Returns a value as JSON text."""
    return msgspec.json.encode(value).decode()
