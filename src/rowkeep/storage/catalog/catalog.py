"""What a snapshot of the catalog and the journal answers, over any database.

Named statements in, nouns of the model out. Each method is one statement, or a fixed number of them
whatever is stored, within the transaction that its connection stands for. What a principal may see is not
decided here (`services/access.py`).
"""

import hashlib
from collections.abc import Sequence
from itertools import groupby

import msgspec

from rowkeep.model.access import Principal, Scope
from rowkeep.model.long_inserts import LAST_ROW, group_key
from rowkeep.model.quarantine import Quarantine, QuarantinedRow
from rowkeep.model.receipts import ChainState, KnownRequest, Rejection
from rowkeep.model.references import upload_key
from rowkeep.model.resources import (
    Content,
    Dataset,
    Entry,
    Grant,
    Member,
    Owner,
    ReadStream,
    RowFormat,
    RowSlice,
    Segment,
    Sizes,
    Table,
    Token,
    UnsealedUpload,
    Upload,
    Version,
)
from rowkeep.model.schema import Schema, ValueLabel, VariableMetadata
from rowkeep.storage.base import Connection, Record
from rowkeep.storage.catalog import records
from rowkeep.storage.catalog.records import json_text, noun, nouns
from rowkeep.storage.journal.quarantine import quarantine_of, quarantined_row

_ANY = 2**63 - 1
_EMPTY = Content(0, 0, (), hashlib.md5(b"", usedforsecurity=False).hexdigest())


class SqlCatalogView:
    """A snapshot of the catalog and the journal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def catalog_version(self) -> int:
        """How many transactions have changed the catalog."""
        return int(self._one("catalog_version")["version"])

    def owner(self, name: str) -> Owner | None:
        """The user or organization of this name, ignoring case."""
        return noun(Owner, self._connection.record("owner_by_key", name_key=name.casefold()))

    def member(self, organization_id: int, user_id: int) -> Member | None:
        """A user's membership in an organization."""
        record = self._connection.record("membership", organization_id=organization_id, user_id=user_id)
        return noun(Member, record)

    def members(self, organization_id: int, after_id: int, count: int) -> list[Member]:
        """An organization's members after a user's id."""
        found = self._connection.records(
            "members_of_organization", organization_id=organization_id, after_id=after_id, count=count
        )
        return nouns(Member, found)

    def administrator_count(self, organization_id: int) -> int:
        """How many users administer an organization."""
        return int(self._one("administrator_count", organization_id=organization_id)["count"])

    def principal(self, token_hash: bytes) -> Principal | None:
        """Who holds the token with this hash, unless it was revoked. Expiry is the caller's to check."""
        record = self._connection.record("token_by_hash", hash=token_hash)
        if record is None:
            return None
        scopes = frozenset(Scope(scope) for scope in record["scopes"].split())
        return Principal(record["user_id"], record["user_name"], scopes, record["expires_at"])

    def tokens(self) -> list[Token]:
        """Every token, oldest first."""
        return nouns(Token, self._connection.records("tokens"))

    def dataset(
        self, owner_name: str, key: str, reference_id: str | None, user_id: int | None
    ) -> Dataset | None:
        """A dataset by its reference id, else by its name's key, with the level that a user has on it."""
        name = {"owner_key": owner_name.casefold(), "user_id": user_id}
        if reference_id is None:
            record = self._connection.record("dataset_by_key", **name, name_key=key)
        else:
            record = self._connection.record("dataset_by_reference_id", **name, reference_id=reference_id)
        return None if record is None else records.dataset(record)

    def datasets(
        self, owner_id: int, user_id: int | None, after_id: int, count: int, *, sees_unreleased: bool
    ) -> list[Dataset]:
        """The owner's datasets after an id that a user sees, oldest first."""
        found = self._connection.records(
            "datasets_of_owner",
            owner_id=owner_id,
            user_id=user_id,
            sees_unreleased=int(sees_unreleased),
            after_id=after_id,
            count=count,
        )
        return [records.dataset(record) for record in found]

    def grant(self, dataset_id: int, grantee_id: int) -> Grant | None:
        """What a user or an organization was granted on a dataset."""
        return noun(Grant, self._connection.record("grant", dataset_id=dataset_id, grantee_id=grantee_id))

    def grants(self, dataset_id: int, after_id: int, count: int) -> list[Grant]:
        """The grants on a dataset after a grantee's id."""
        found = self._connection.records(
            "grants_of_dataset", dataset_id=dataset_id, after_id=after_id, count=count
        )
        return nouns(Grant, found)

    def versions_by_id(self, version_ids: Sequence[int]) -> dict[int, Version]:
        """Versions by their ids."""
        found = self._connection.records("versions_by_id", ids=json_text(version_ids))
        return {version.id: version for version in nouns(Version, found)}

    def version_by_tag(self, dataset_id: int, major: int, minor: int) -> Version | None:
        """A released version, deleted or not."""
        record = self._connection.record("version_by_tag", dataset_id=dataset_id, major=major, minor=minor)
        return noun(Version, record)

    def versions(self, dataset_id: int, after_id: int, count: int, *, sees_unreleased: bool) -> list[Version]:
        """A dataset's versions after an id, oldest first; to some only those released and not deleted."""
        found = self._connection.records(
            "versions_of_dataset",
            dataset_id=dataset_id,
            sees_unreleased=int(sees_unreleased),
            after_id=after_id,
            count=count,
        )
        return nouns(Version, found)

    def version_before(self, version: Version) -> Version | None:
        """The version before one, those deleted left out."""
        return self._neighbour("version_before", version)

    def version_after(self, version: Version) -> Version | None:
        """The version after one, those deleted left out."""
        return self._neighbour("version_after", version)

    def _neighbour(self, statement: str, version: Version) -> Version | None:
        record = self._connection.record(statement, dataset_id=version.dataset_id, position=version.position)
        return noun(Version, record)

    def last_tag(self, dataset_id: int) -> tuple[int, int] | None:
        """The highest tag that a dataset has given, major and minor."""
        record = self._connection.record("last_tag", dataset_id=dataset_id)
        return None if record is None else (record["major"], record["minor"])

    def sizes(self, version_ids: Sequence[int]) -> dict[int, Sizes]:
        """How much versions hold, by their ids."""
        found = self._connection.records("sizes_of_versions", ids=json_text(version_ids))
        return {record["id"]: msgspec.convert(record, Sizes) for record in found}

    def table(self, version_id: int, key: str, reference_id: str | None) -> Table | None:
        """A table of a version by its reference id, else by its name's key."""
        if reference_id is None:
            record = self._connection.record("table_by_key", version_id=version_id, name_key=key)
        else:
            record = self._connection.record(
                "table_by_reference_id", version_id=version_id, reference_id=reference_id
            )
        return noun(Table, record)

    def tables(self, version_id: int, after_id: int, count: int) -> list[Table]:
        """The version's tables after an id, oldest first."""
        found = self._connection.records(
            "tables_of_version", version_id=version_id, after_id=after_id, count=count
        )
        return nouns(Table, found)

    def contents(self, table_ids: Sequence[int]) -> dict[int, Content]:
        """What tables hold, by their ids."""
        found = self._connection.records("contents_of_tables", ids=json_text(table_ids))
        contents = dict.fromkeys(table_ids, _EMPTY)
        for table_id, group in groupby(found, lambda record: int(record["table_id"])):
            contents[table_id] = _content(list(group))
        return contents

    def variable_metadata(self, table_ids: Sequence[int]) -> dict[int, dict[str, VariableMetadata]]:
        """What was said of the variables of tables, by table id and name in lower case."""
        metadata: dict[int, dict[str, VariableMetadata]] = {table_id: {} for table_id in table_ids}
        for record in self._connection.records("variable_metadata", table_ids=json_text(table_ids)):
            labels = msgspec.json.decode(record["value_labels"], type=tuple[ValueLabel, ...])
            metadata[record["table_id"]][record["name_key"]] = VariableMetadata(
                record["label"], record["description"], labels
            )
        return metadata

    def content_uploads(self, table_id: int, after_id: int, count: int) -> list[Upload]:
        """The uploads whose rows a table holds, its own and those of earlier versions, after an id."""
        found = self._connection.records("content_uploads", table_id=table_id, after_id=after_id, count=count)
        return [records.upload(record) for record in found]

    def upload(self, table_id: int, name: str) -> Upload | None:
        """An upload by its name; `.` and `_` count as the same (see `upload_key`)."""
        record = self._connection.record("upload_by_key", table_id=table_id, name_key=upload_key(name))
        return None if record is None else records.upload(record)

    def uploads(self, table_id: int, after_id: int, count: int) -> list[Upload]:
        """The table's own uploads after an id, oldest first."""
        found = self._connection.records(
            "uploads_of_table", table_id=table_id, after_id=after_id, count=count
        )
        return [records.upload(record) for record in found]

    def schema(self, upload_id: int, version: int) -> Schema:
        """One version of an upload's schema."""
        record = self._one("schema", upload_id=upload_id, version=version)
        return records.schema(record["version"], record["variables"])

    def entries(self, upload_id: int, first_row: int, row_end: int, bytes_max: int) -> list[Entry]:
        """The entries that hold the rows from `first_row` on, in order.

        As many as it takes to reach `row_end` or `bytes_max` (before encoding), at least one.
        """
        start = self._one("entry_start", upload_id=upload_id, row=first_row)["first_row"]
        if start is None:
            return []
        found = self._connection.records(
            "entries", upload_id=upload_id, first_row=start, row_end=row_end, bytes_max=bytes_max
        )
        return nouns(Entry, found)

    def segment_at(self, upload_id: int, row: int) -> Segment | None:
        """The segment that holds a row, if one does, without its batches."""
        return noun(Segment, self._connection.record("segment_at", upload_id=upload_id, row=row))

    def segment_batches(self, segment: Segment) -> bytes | None:
        """The packed row counts of a segment's batches; None when it is gone."""
        record = self._connection.record(
            "segment_batches", upload_id=segment.upload_id, first_row=segment.first_row
        )
        return None if record is None else record["batches"]

    def segments(self, upload_id: int, first_row: int, count: int) -> list[Segment]:
        """An upload's segments from a row on, without their checksums and batches."""
        found = self._connection.records("segments", upload_id=upload_id, first_row=first_row, count=count)
        return nouns(Segment, found)

    def segment_files(self) -> set[str]:
        """The names of all segments' files."""
        return {record["file_name"] for record in self._connection.records("segment_files")}

    def journal_bytes(self) -> int:
        """How many bytes of rows, before encoding, are not in segments."""
        return int(self._one("journal_bytes")["byte_count"])

    def uploads_to_seal(self, bytes_min: int, count: int) -> list[UnsealedUpload]:
        """The uploads of which more waits in the journal than that, those with most first."""
        found = self._connection.records("uploads_to_seal", bytes_min=bytes_min, count=count)
        return nouns(UnsealedUpload, found)

    def released_uploads_to_seal(self, count: int) -> list[UnsealedUpload]:
        """The uploads of released versions of which anything waits in the journal."""
        return nouns(UnsealedUpload, self._connection.records("released_uploads_to_seal", count=count))

    def uploads_to_compact(self, bytes_max: int, count_min: int) -> list[int]:
        """The uploads with at least so many segments smaller than that."""
        found = self._connection.records("uploads_to_compact", bytes_max=bytes_max, count_min=count_min)
        return [record["upload_id"] for record in found]

    def uploads_with_sealed_entries(self) -> list[tuple[int, int]]:
        """The uploads that still have entries of rows before the given one, which are in segments."""
        found = self._connection.records("uploads_with_sealed_entries")
        return [(record["upload_id"], record["sealed_row_count"]) for record in found]

    def forgettable_uploads(self, now: int, count: int) -> list[int]:
        """Deleted uploads that no read session may ask for any more."""
        found = self._connection.records("deleted_uploads", now=now, count=count)
        return [record["upload_id"] for record in found]

    def request(self, upload_id: int, key: str) -> KnownRequest | None:
        """A request with a key whose rows went in."""
        record = self._connection.record("receipts_of_keys", keys=json_text([[upload_id, key]]))
        return None if record is None else records.known_request(record)

    def last_group(self, upload_id: int, key: str) -> tuple[str, KnownRequest] | None:
        """The last group of the long insert with a key, with the key of its own."""
        bounds = {"first_key": group_key(key, 0), "last_key": group_key(key, LAST_ROW)}
        record = self._connection.record("last_key_between", upload_id=upload_id, **bounds)
        if record is None:
            return None
        known = self.request(upload_id, record["key"])
        return None if known is None else (record["key"], known)

    def rejection(self, upload_id: int, key: str) -> Rejection | None:
        """A request with a key that was refused, unless it has been sent again and went in."""
        record = self._connection.record("rejection", upload_id=upload_id, key=key)
        return None if record is None else records.rejection(record)

    def removed_rows(self, upload_ids: Sequence[int]) -> dict[int, list[RowSlice]]:
        """The rows of undone requests, by upload id and in order."""
        removed: dict[int, list[RowSlice]] = {}
        for record in self._connection.records("removed_rows", upload_ids=json_text(upload_ids)):
            slice_ = msgspec.convert(record, RowSlice)
            removed.setdefault(slice_.upload_id, []).append(slice_)
        return removed

    def chain_state(self, upload_id: int) -> ChainState | None:
        """How far an upload and its chain have come."""
        return noun(ChainState, self._connection.record("chain_state", upload_id=upload_id))

    def quarantine(self, upload_id: int) -> Quarantine:
        """How much the quarantine of an upload holds."""
        return quarantine_of(self._connection, upload_id)

    def quarantine_counts(self, upload_ids: Sequence[int]) -> dict[int, int]:
        """How many rows are in the quarantines of uploads, by their ids; 0 is left out."""
        found = self._connection.records("quarantines_of_uploads", ids=json_text(upload_ids))
        return {record["upload_id"]: record["row_count"] for record in found if record["row_count"]}

    def last_quarantined_id(self, upload_id: int) -> int:
        """The id of the newest row in a quarantine, 0 for an empty one."""
        return int(self._one("last_quarantined_row", upload_id=upload_id)["id"])

    def quarantined_rows(
        self, upload_id: int, after_id: int, count: int, *, last_id: int = _ANY, bytes_max: int = _ANY
    ) -> list[QuarantinedRow]:
        """Rows of a quarantine after one up to another, bounded in bytes too, but at least one."""
        found = self._connection.records(
            "quarantined_rows",
            upload_id=upload_id,
            after_id=after_id,
            last_id=last_id,
            bytes_max=bytes_max,
            count=count,
        )
        return [quarantined_row(record) for record in found]

    def read_stream(self, identifier: str, now: int) -> ReadStream | None:
        """A read stream that has not expired."""
        record = self._connection.record("read_stream", identifier=identifier, now=now)
        if record is None:
            return None
        return ReadStream(
            identifier=record["identifier"],
            user_id=record["user_id"],
            scope=Scope(record["scope"]),
            expires_at=record["expires_at"],
            format=RowFormat(record["format"]),
            schema=msgspec.json.decode(record["schema"], type=Schema),
            slices=msgspec.json.decode(record["slices"], type=tuple[RowSlice, ...]),
        )

    def _one(self, statement: str, **parameters: object) -> Record:
        record = self._connection.record(statement, **parameters)
        if record is None:
            raise LookupError(f"{statement} found nothing for {parameters}")
        return record


def _content(group: Sequence[Record]) -> Content:
    key = "|".join(record["content_key"] for record in group)
    return records.content(group, hashlib.md5(key.encode(), usedforsecurity=False).hexdigest())
