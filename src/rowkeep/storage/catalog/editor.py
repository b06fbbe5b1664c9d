"""What changes the catalog, over any database: named statements within one transaction.

Whatever makes something untrue that was true before (not what only adds) moves the catalog version, so
that batches checked before are checked again (services/insert/insert.py).
"""

import time
from collections.abc import Mapping, Sequence

import msgspec

from rowkeep.model.access import AccessLevel
from rowkeep.model.receipts import Rejection
from rowkeep.model.references import name_key, new_identifier, reference_id, upload_key
from rowkeep.model.resources import (
    Dataset,
    MemberRole,
    Owner,
    OwnerKind,
    ReadStream,
    Segment,
    Table,
    Version,
)
from rowkeep.model.schema import Schema, VariableMetadata
from rowkeep.storage.base import Connection, NewDataset, NewTable, NewUpload
from rowkeep.storage.catalog.catalog import SqlCatalogView
from rowkeep.storage.catalog.records import json_text, stream_record

REJECTIONS_MAX = 1_000  # of one upload


class SqlCatalogEditor(SqlCatalogView):
    """A transaction that may change the catalog."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._now = time.time_ns() // 1_000_000

    def _run(self, statement: str, **parameters: object) -> None:
        self._connection.records(statement, **parameters)

    def _announce_change(self) -> None:
        self._run("catalog_changed")

    def _free_identifier(self, taken: str, **parameters: object) -> str:
        """A new id; there are few reference ids, so one that `taken` finds is drawn again."""
        while True:
            identifier = new_identifier()
            if self._connection.record(taken, **parameters, reference_id=reference_id(identifier)) is None:
                return identifier

    def add_owner(self, kind: OwnerKind, name: str) -> Owner:
        """A new user or organization; DuplicateError when the name is taken."""
        record = self._one(
            "add_owner", kind=kind.value, name=name, name_key=name.casefold(), created_at=self._now
        )
        return msgspec.convert(record, Owner)

    def set_member(self, organization_id: int, user_id: int, role: MemberRole) -> None:
        """Makes a user a member of an organization, or changes what they are there."""
        self._announce_change()
        self._run("set_membership", organization_id=organization_id, user_id=user_id, role=role.value)

    def delete_member(self, organization_id: int, user_id: int) -> None:
        """Ends a membership."""
        self._announce_change()
        self._run("delete_membership", organization_id=organization_id, user_id=user_id)

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

    def set_grant(self, dataset_id: int, grantee_id: int, level: AccessLevel) -> None:
        """Grants a level on a dataset, in place of what was granted before."""
        self._announce_change()
        self._run("set_grant", dataset_id=dataset_id, grantee_id=grantee_id, access_level=level.value)

    def delete_grant(self, dataset_id: int, grantee_id: int) -> None:
        """Takes a grant back."""
        self._announce_change()
        self._run("delete_grant", dataset_id=dataset_id, grantee_id=grantee_id)

    def add_dataset(self, new: NewDataset) -> None:
        """A new dataset with its first, unreleased version; DuplicateError when the name is taken."""
        record = self._one(
            "add_dataset",
            owner_id=new.owner.id,
            identifier=self._free_identifier("reference_id_of_owner", owner_id=new.owner.id),
            name=new.name,
            name_key=name_key(new.name),
            description=new.description,
            public_access_level=new.public_access_level.value,
            now=self._now,
        )
        self._one("add_version", dataset_id=record["id"], now=self._now)

    def update_dataset(self, dataset: Dataset) -> None:
        """Stores what of a dataset can change; DuplicateError when its name is taken."""
        self._announce_change()
        self._run(
            "update_dataset",
            id=dataset.id,
            name=dataset.name,
            name_key=name_key(dataset.name),
            description=dataset.description,
            public_access_level=dataset.public_access_level.value,
            labels=json_text(dataset.labels),
            tags=json_text(dataset.tags),
            methodology_markdown=dataset.methodology_markdown,
            usage_markdown=dataset.usage_markdown,
            now=self._now,
        )

    def delete_dataset(self, dataset_id: int) -> None:
        """Deletes a dataset with all it holds."""
        self._announce_change()
        self._run("delete_dataset", id=dataset_id)

    def add_version(self, parent: Version) -> int:
        """An unreleased version that starts with the tables of its parent; its id."""
        record = self._one("add_version", dataset_id=parent.dataset_id, now=self._now)
        self._run("carry_tables", version_id=record["id"], parent_version_id=parent.id)
        self._run("carry_variable_metadata", version_id=record["id"])
        return int(record["id"])

    def update_version(self, version: Version) -> None:
        """Stores a version's label and release notes."""
        self._run(
            "update_version",
            id=version.id,
            label=version.label,
            release_notes=version.release_notes,
            now=self._now,
        )

    def release_version(self, version_id: int, tag: tuple[int, int], release_notes: str | None) -> None:
        """Freezes a version under a tag, major and minor."""
        self._announce_change()
        self._run(
            "release_version",
            id=version_id,
            major=tag[0],
            minor=tag[1],
            release_notes=release_notes,
            now=self._now,
        )

    def unrelease_version(self, version_id: int) -> None:
        """Makes a released version the unreleased one again."""
        self._announce_change()
        self._run("unrelease_version", id=version_id, now=self._now)

    def hide_version(self, version_id: int) -> None:
        """Hides a released version until it is shown again."""
        self._announce_change()
        self._run("mark_version_deleted", id=version_id, deleted_at=self._now, now=self._now)

    def show_version(self, version_id: int) -> None:
        """Shows a version again that was hidden."""
        self._announce_change()
        self._run("mark_version_deleted", id=version_id, deleted_at=None, now=self._now)

    def delete_version(self, version_id: int) -> None:
        """Deletes an unreleased version with all that is only in it."""
        self._announce_change()
        self._run("delete_version", id=version_id)

    def add_table(self, new: NewTable) -> None:
        """A new table; DuplicateError when the name is taken."""
        self._run(
            "add_table",
            version_id=new.version_id,
            identifier=self._free_identifier("table_by_reference_id", version_id=new.version_id),
            name=new.name,
            name_key=name_key(new.name),
            description=new.description,
            upload_merge_strategy=new.upload_merge_strategy,
            is_file_index=int(new.is_file_index),
            now=self._now,
        )

    def update_table(self, table: Table) -> None:
        """Stores what of a table can change; DuplicateError when its name is taken."""
        self._announce_change()
        self._run(
            "update_table",
            id=table.id,
            name=table.name,
            name_key=name_key(table.name),
            description=table.description,
            upload_merge_strategy=table.upload_merge_strategy.value,
            now=self._now,
        )

    def delete_table(self, table_id: int) -> None:
        """Deletes a table of an unreleased version, with its own uploads."""
        self._announce_change()
        self._run("delete_table", id=table_id)

    def set_variable_metadata(self, metadata: Mapping[int, Mapping[str, VariableMetadata]]) -> None:
        """Says something of variables, by table id and name in lower case."""
        said = [
            [table_id, key, variable.label, variable.description, variable.value_labels]
            for table_id, variables in metadata.items()
            for key, variable in variables.items()
        ]
        self._run("set_variable_metadata", variables=json_text(said))

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
        self._run("add_stream", upload_id=record["id"])
        add_schema(self._connection, record["id"], new.schema)

    def delete_upload(self, upload_id: int) -> None:
        """Deletes an upload with all its rows."""
        self._announce_change()
        self._run("delete_upload", id=upload_id)

    def add_rejection(self, upload_id: int, key: str, rejection: Rejection) -> None:
        """Keeps what was answered to a refused request with a key; the oldest go."""
        self._run(
            "add_rejection",
            upload_id=upload_id,
            key=key,
            now=rejection.rejected_at,
            message=rejection.message,
            row_errors=json_text(rejection.row_errors),
            row_error_count=rejection.row_error_count,
        )
        self._run("trim_rejections", upload_id=upload_id, count=REJECTIONS_MAX)

    def remove_rows(self, upload_id: int, key: str, user_id: int) -> None:
        """Removes the rows of a request that went in; nothing when it was done before."""
        removed = self._connection.record(
            "remove_rows", upload_id=upload_id, key=key, user_id=user_id, now=self._now
        )
        if removed is not None:
            self._run("count_removed_rows", upload_id=upload_id, row_count=removed["row_count"])

    def add_read_streams(self, streams: Sequence[ReadStream]) -> None:
        """Remembers the streams of a read session."""
        for stream in streams:
            self._run("add_read_stream", **stream_record(stream))

    def name_sealed(self, segment: Segment) -> bool:
        """Puts sealed rows in the place of their entries; False when they are not the next to be sealed."""
        moved = self._connection.record(
            "move_sealed_end",
            upload_id=segment.upload_id,
            first_row=segment.first_row,
            row_count=segment.row_count,
            byte_count=segment.byte_count,
        )
        if moved is not None:
            self._run("add_segment", **msgspec.structs.asdict(segment))
        return moved is not None

    def name_compacted(self, segment: Segment) -> bool:
        """Puts a segment in the place of those that hold the same rows; False when there are none."""
        replaced = self._connection.records(
            "delete_segments",
            upload_id=segment.upload_id,
            first_row=segment.first_row,
            row_end=segment.row_end,
        )
        if sum(record["row_count"] for record in replaced) == segment.row_count:
            self._run("add_segment", **msgspec.structs.asdict(segment))
            return True
        if replaced:
            raise LookupError(f"the segments of upload {segment.upload_id} are not those that were compacted")
        return False

    def drop_entries(self, upload_id: int, row_end: int, bytes_max: int) -> int:
        """Deletes some entries of rows before one, about so many bytes of them before encoding; how many."""
        dropped = self._connection.records(
            "drop_entries", upload_id=upload_id, row_end=row_end, bytes_max=bytes_max
        )
        return len(dropped)

    def forget_upload(self, upload_id: int) -> None:
        """Deletes what is left of a deleted upload; its entries must be gone."""
        for statement in ("forget_segments", "forget_schemas", "forget_upload"):
            self._run(statement, upload_id=upload_id)

    def empty_quarantine(self, upload_id: int) -> None:
        """Deletes the rows of a quarantine, and forgets how many left it."""
        self._run("empty_quarantine", upload_id=upload_id)
        self._run("forget_dropped_rows", upload_id=upload_id)

    def prune(self) -> None:
        """Drops expired read streams."""
        self._run("prune_read_streams", now=self._now)


def add_schema(connection: Connection, upload_id: int, schema: Schema) -> None:
    """Stores one version of an upload's schema."""
    connection.records(
        "add_schema", upload_id=upload_id, version=schema.version, variables=json_text(schema.variables)
    )
