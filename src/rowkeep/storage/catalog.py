"""The catalog over any database: named statements in, records of the model out.

Each method is one or a few statements within the transaction that its connection stands for. What a
principal may see is not decided here (`services/access.py`).
"""

import time
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from rowkeep.model.access import Principal, Scope
from rowkeep.model.references import name_key, new_identifier, upload_key
from rowkeep.model.resources import (
    Dataset,
    Entry,
    Owner,
    OwnerKind,
    ReadStream,
    RowFormat,
    RowSlice,
    Table,
    Token,
    Upload,
)
from rowkeep.model.schema import Schema, Variable
from rowkeep.storage.base import Connection, NewDataset, NewTable, NewUpload, Record

Noun = TypeVar("Noun")


class SqlCatalogView:
    """A snapshot of the catalog and the journal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def catalog_version(self) -> int:
        """How many transactions have changed the catalog."""
        return int(self._one("catalog_version")["version"])

    def owner(self, name: str) -> Owner | None:
        """The user or organization of this name, ignoring case."""
        return _noun(Owner, self._connection.record("owner_by_key", name_key=name.casefold()))

    def is_administrator(self, organization_id: int, user_id: int) -> bool:
        """Whether the user administers the organization."""
        record = self._connection.record("membership_role", organization_id=organization_id, user_id=user_id)
        return record is not None and record["role"] == "administrator"

    def principal(self, token_hash: bytes) -> Principal | None:
        """Who holds the token with this hash, unless it was revoked. Expiry is the caller's to check."""
        record = self._connection.record("token_by_hash", hash=token_hash)
        if record is None:
            return None
        scopes = frozenset(Scope(scope) for scope in record["scopes"].split())
        return Principal(record["user_id"], record["user_name"], scopes, record["expires_at"])

    def tokens(self) -> list[Token]:
        """Every token, oldest first."""
        return msgspec.convert(self._connection.records("tokens"), list[Token])

    def dataset(self, owner_name: str, key: str, reference_id: str | None) -> Dataset | None:
        """A dataset by its reference id, else by its name's key."""
        owner_key = owner_name.casefold()
        if reference_id is None:
            record = self._connection.record("dataset_by_key", owner_key=owner_key, name_key=key)
        else:
            record = self._connection.record(
                "dataset_by_reference_id", owner_key=owner_key, reference_id=reference_id
            )
        return _noun(Dataset, record)

    def datasets(self, owner_id: int, after_id: int, count: int) -> list[Dataset]:
        """The owner's datasets after an id, oldest first."""
        records = self._connection.records(
            "datasets_of_owner", owner_id=owner_id, after_id=after_id, count=count
        )
        return msgspec.convert(records, list[Dataset])

    def table(self, version_id: int, key: str, reference_id: str | None) -> Table | None:
        """A table of a version by its reference id, else by its name's key."""
        if reference_id is None:
            record = self._connection.record("table_by_key", version_id=version_id, name_key=key)
        else:
            record = self._connection.record(
                "table_by_reference_id", version_id=version_id, reference_id=reference_id
            )
        return _noun(Table, record)

    def tables(self, version_id: int, after_id: int, count: int) -> list[Table]:
        """The version's tables after an id, oldest first."""
        records = self._connection.records(
            "tables_of_version", version_id=version_id, after_id=after_id, count=count
        )
        return msgspec.convert(records, list[Table], strict=False)

    def upload(self, table_id: int, name: str) -> Upload | None:
        """An upload by its name; `.` and `_` count as the same (see `upload_key`)."""
        record = self._connection.record("upload_by_key", table_id=table_id, name_key=upload_key(name))
        return None if record is None else _upload(record)

    def uploads(self, table_id: int, after_id: int, count: int) -> list[Upload]:
        """The table's uploads after an id, oldest first."""
        records = self._connection.records(
            "uploads_of_table", table_id=table_id, after_id=after_id, count=count
        )
        return [_upload(record) for record in records]

    def schema(self, upload_id: int, version: int) -> Schema:
        """One version of an upload's schema."""
        return _schema(self._one("schema", upload_id=upload_id, version=version))

    def entries(self, upload_id: int, first_row: int, row_end: int, bytes_max: int) -> list[Entry]:
        """The entries that hold the rows from `first_row` on, in order.

        As many as it takes to reach `row_end` or `bytes_max` (before encoding), at least one.
        """
        start = self._one("entry_start", upload_id=upload_id, row=first_row)["first_row"]
        if start is None:
            return []
        records = self._connection.records(
            "entries", upload_id=upload_id, first_row=start, row_end=row_end, bytes_max=bytes_max
        )
        return msgspec.convert(records, list[Entry])

    def read_stream(self, identifier: str, now: int) -> tuple[ReadStream, int | None] | None:
        """A read stream that has not expired, and the user it was promised to."""
        record = self._connection.record("read_stream", identifier=identifier, now=now)
        if record is None:
            return None
        stream = ReadStream(
            identifier=record["identifier"],
            expires_at=record["expires_at"],
            format=RowFormat(record["format"]),
            schema=msgspec.json.decode(record["schema"], type=Schema),
            slices=msgspec.json.decode(record["slices"], type=tuple[RowSlice, ...]),
        )
        return stream, record["user_id"]

    def _one(self, statement: str, **parameters: object) -> Record:
        record = self._connection.record(statement, **parameters)
        if record is None:
            raise LookupError(f"{statement} found nothing for {parameters}")
        return record


class SqlCatalogEditor(SqlCatalogView):
    """A transaction that may change the catalog.

    Whatever makes something untrue that was true before (not what only adds) moves the catalog
    version, so that batches checked before are checked again.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._now = _now_ms()

    def _announce_change(self) -> None:
        self._connection.records("catalog_changed")

    def add_owner(self, kind: OwnerKind, name: str) -> Owner:
        """A new user or organization; DuplicateError when the name is taken."""
        record = self._one(
            "add_owner", kind=kind.value, name=name, name_key=name.casefold(), created_at=self._now
        )
        return msgspec.convert(record, Owner)

    def add_administrator(self, organization_id: int, user_id: int) -> None:
        """Makes a user an administrator of an organization."""
        self._connection.records(
            "add_membership", organization_id=organization_id, user_id=user_id, role="administrator"
        )

    def add_token(self, user_id: int, token_hash: bytes, scopes: str, expires_at: int | None) -> int:
        """Stores a token's hash; its id."""
        record = self._one(
            "add_token",
            user_id=user_id,
            hash=token_hash,
            scopes=scopes,
            created_at=self._now,
            expires_at=expires_at,
        )
        return int(record["id"])

    def revoke_token(self, token_id: int) -> bool:
        """Revokes a token; False when there is no such token or it was revoked before."""
        self._announce_change()
        return self._connection.record("revoke_token", id=token_id, now=self._now) is not None

    def add_dataset(self, new: NewDataset) -> None:
        """A new dataset with its first, unreleased version; DuplicateError when the name is taken."""
        record = self._one(
            "add_dataset",
            owner_id=new.owner.id,
            identifier=new_identifier(),
            name=new.name,
            name_key=name_key(new.name),
            description=new.description,
            public_access_level=new.public_access_level.wire_name,
            now=self._now,
        )
        self._connection.records("add_version", dataset_id=record["id"], now=self._now)

    def delete_dataset(self, dataset_id: int) -> None:
        """Deletes a dataset with all it holds."""
        self._announce_change()
        self._connection.records("delete_dataset", id=dataset_id)

    def add_table(self, new: NewTable) -> None:
        """A new table; DuplicateError when the name is taken."""
        self._connection.records(
            "add_table",
            version_id=new.version_id,
            identifier=new_identifier(),
            name=new.name,
            name_key=name_key(new.name),
            description=new.description,
            upload_merge_strategy=new.upload_merge_strategy,
            is_file_index=int(new.is_file_index),
            now=self._now,
        )

    def delete_table(self, table_id: int) -> None:
        """Deletes a table with all it holds."""
        self._announce_change()
        self._connection.records("delete_table", id=table_id)

    def add_upload(self, new: NewUpload) -> None:
        """A new, empty upload with the first version of its schema."""
        record = self._one(
            "add_upload",
            table_id=new.table_id,
            name=new.name,
            name_key=upload_key(new.name),
            type=new.type.value,
            updates_by_default=int(new.updates_by_default),
            schema_version=new.schema.version,
            now=self._now,
        )
        self._connection.records("add_stream", upload_id=record["id"])
        add_schema(self._connection, record["id"], new.schema)

    def delete_upload(self, upload_id: int) -> None:
        """Deletes an upload with all its rows."""
        self._announce_change()
        self._connection.records("delete_upload", id=upload_id)

    def add_read_streams(self, streams: Sequence[ReadStream], user_id: int | None) -> None:
        """Remembers the streams of a read session."""
        for stream in streams:
            self._connection.records(
                "add_read_stream",
                identifier=stream.identifier,
                user_id=user_id,
                expires_at=stream.expires_at,
                format=stream.format.value,
                schema=_json_text(stream.schema),
                slices=_json_text(stream.slices),
            )

    def prune(self, receipts_before: int) -> None:
        """Drops expired read streams and the receipts written before a time."""
        self._connection.records("prune_read_streams", now=self._now)
        self._connection.records("prune_receipts", before=receipts_before)


def add_schema(connection: Connection, upload_id: int, schema: Schema) -> None:
    """Stores one version of an upload's schema."""
    connection.records(
        "add_schema", upload_id=upload_id, version=schema.version, variables=_json_text(schema.variables)
    )


def _upload(record: Record) -> Upload:
    schema = Schema(record.pop("schema_version"), _variables(record.pop("variables")))
    return msgspec.convert({**record, "schema": schema}, Upload, strict=False)


def _schema(record: Record) -> Schema:
    return Schema(record["version"], _variables(record["variables"]))


def _variables(text: str) -> tuple[Variable, ...]:
    return msgspec.json.decode(text, type=tuple[Variable, ...])


def _noun(type_: type[Noun], record: Record | None) -> Noun | None:
    return None if record is None else msgspec.convert(record, type_, strict=False)


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
