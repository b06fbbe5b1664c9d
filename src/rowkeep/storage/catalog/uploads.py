"""Uploads: the sources of rows in tables, with their schemas and counters."""

from collections.abc import Sequence

import msgspec

from rowkeep.model.receipts import ChainState
from rowkeep.model.recovery import UploadPlace
from rowkeep.model.references import upload_key
from rowkeep.model.resources import Upload, UploadType, version_tag
from rowkeep.model.schema import Schema
from rowkeep.storage.base import Record
from rowkeep.storage.catalog import records
from rowkeep.storage.catalog.records import json_text, noun, the_noun
from rowkeep.storage.catalog.state import Editing, Reading


class NewUpload(msgspec.Struct, frozen=True):
    """The values of an upload to add. The key of `name` must be free.

    `earlier` is the upload of an earlier version whose stream it continues; None for a new stream.
    """

    table_id: int
    name: str
    type: UploadType
    schema: Schema
    updates_by_default: bool
    earlier: Upload | None = None


class Uploads(Reading):
    """Reads uploads."""

    def find(self, table_id: int, name: str) -> Upload | None:
        """Returns an upload by its name; `.` and `_` count as the same (see `upload_key`)."""
        record = self._connection.record("upload_by_key", table_id=table_id, name_key=upload_key(name))
        return None if record is None else records.upload(record)

    def earlier_stream(self, table_id: int, name: str) -> Upload | None:
        """Returns the latest stream with a name in the versions before the table's own."""
        record = self._connection.record("earlier_stream", table_id=table_id, name_key=upload_key(name))
        return None if record is None else records.upload(record)

    def page(self, table_id: int, after_id: int, count: int) -> list[Upload]:
        """Returns the table's own uploads after an id, oldest first."""
        found = self._connection.records(
            "uploads_of_table", table_id=table_id, after_id=after_id, count=count
        )
        return [records.upload(record) for record in found]

    def content_page(self, table_id: int, after_id: int, count: int) -> list[Upload]:
        """Returns the uploads whose rows a table has, its own and earlier versions'.

        Ids are above `after_id`.
        """
        found = self._connection.records("content_uploads", table_id=table_id, after_id=after_id, count=count)
        return [records.upload(record) for record in found]

    def of_streams(self, origin_ids: Sequence[int], first_id: int) -> list[Upload]:
        """Returns the uploads of streams in all versions, with ids from `first_id` on, in order.

        A stream is named by the id of its first upload.
        """
        found = self._connection.records(
            "uploads_of_streams", origin_ids=json_text(origin_ids), first_id=first_id
        )
        return [records.upload(record) for record in found]

    def schema(self, upload_id: int, version: int) -> Schema:
        """Returns one version of an upload's schema. Raises LookupError when there is none."""
        record = self._one("schema", upload_id=upload_id, version=version)
        return records.schema(record["version"], record["variables"])

    def place(self, upload_id: int) -> UploadPlace | None:
        """Returns where an upload is, by names and identifiers.

        None for a deleted upload and a query's result.

        None for a deleted upload and a query's result.
        """
        record = self._connection.record("upload_place", upload_id=upload_id)
        if record is None:
            return None
        return the_noun(UploadPlace, {**record, "version_tag": version_tag(record["major"], record["minor"])})

    def last_id(self) -> int:
        """Returns the highest id that an upload ever had, or 0."""
        return int(self._one("last_upload_id")["id"])

    def chain_state(self, upload_id: int) -> ChainState | None:
        """Returns the row count and the chain of an upload."""
        return noun(ChainState, self._connection.record("chain_state", upload_id=upload_id))

    def ids(self, after_id: int, count: int) -> list[int]:
        """Returns the ids of all uploads after an id, of every table."""
        found = self._connection.records("streams", after_id=after_id, count=count)
        return [record["upload_id"] for record in found]

    def counters(self, upload_id: int) -> Record | None:
        """Returns the counters of an upload, as they are stored and as they follow from its removed rows."""
        return self._connection.record("stream", upload_id=upload_id)

    def forgettable(self, now: int, count: int) -> list[int]:
        """Returns the ids of deleted uploads whose rows no read session needs any more."""
        found = self._connection.records("deleted_uploads", now=now, count=count)
        return [record["upload_id"] for record in found]


class UploadEditor(Uploads, Editing):
    """Reads and edits uploads."""

    def add(self, new: NewUpload) -> Upload:
        """Adds an empty upload with the first version of its schema.

        An upload that continues an earlier one takes over its keys and its offset token. Raises
        DuplicateError when the name is taken.
        """
        added = self._one(
            "add_upload",
            table_id=new.table_id,
            name=new.name,
            name_key=upload_key(new.name),
            type=new.type.value,
            updates_by_default=int(new.updates_by_default),
            schema_version=new.schema.version,
            origin_id=None if new.earlier is None else new.earlier.origin_id,
            now=self._now,
        )
        token = None if new.earlier is None else new.earlier.latest_offset_token
        self._run("add_stream", upload_id=added["id"], latest_offset_token=token)
        self._add_schema(added["id"], new.schema)
        key = upload_key(new.name)
        return records.upload(self._one("upload_by_key", table_id=new.table_id, name_key=key))

    def add_recovered(self, upload_id: int, new: NewUpload, schemas: Sequence[Schema]) -> None:
        """Adds an upload under its former id, with the known versions of its schema.

        Raises DuplicateError when the name is taken.
        """
        self._run(
            "add_recovered_upload",
            id=upload_id,
            table_id=new.table_id,
            name=new.name,
            name_key=upload_key(new.name),
            type=new.type.value,
            updates_by_default=int(new.updates_by_default),
            schema_version=new.schema.version,
            now=self._now,
        )
        self._run("add_stream", upload_id=upload_id, latest_offset_token=None)
        for schema in schemas:
            self._add_schema(upload_id, schema)

    def continue_streams(self, version_id: int) -> None:
        """Gives a new version the streams of its parent, empty, with their schemas and offset tokens."""
        self._run("continue_uploads", version_id=version_id, now=self._now)
        self._run("continue_schemas", version_id=version_id)
        self._run("continue_streams", version_id=version_id)

    def change_schema(self, upload_id: int, schema: Schema) -> None:
        """Adds a version of an upload's schema and makes it the current one."""
        self._announce_change()
        self._add_schema(upload_id, schema)
        self._run("set_schema_version", upload_id=upload_id, version=schema.version)

    def keep_schema(self, upload_id: int, schema: Schema) -> None:
        """Stores the schema of a query's result, whose rows are stored like those of an upload."""
        self._add_schema(upload_id, schema)

    def _add_schema(self, upload_id: int, schema: Schema) -> None:
        variables = json_text(schema.variables)
        self._run("add_schema", upload_id=upload_id, version=schema.version, variables=variables)

    def delete(self, upload_id: int) -> None:
        """Deletes an upload. Its rows stay until no read session needs them."""
        self._announce_change()
        self._run("delete_upload", id=upload_id)

    def forget(self, upload_id: int) -> None:
        """Deletes what is left of a deleted upload after its entries."""
        for statement in ("forget_segments", "forget_schemas", "forget_upload"):
            self._run(statement, upload_id=upload_id)
