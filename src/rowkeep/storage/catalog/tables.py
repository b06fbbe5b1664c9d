"""Tables of versions, and the uploads that hold their rows."""

import hashlib
from collections.abc import Sequence
from itertools import groupby

import msgspec

from rowkeep.model.references import name_key
from rowkeep.model.resources import Content, Table
from rowkeep.storage.base import Record
from rowkeep.storage.catalog import records
from rowkeep.storage.catalog.records import json_text, noun, nouns, the_noun
from rowkeep.storage.catalog.state import Editing, Reading

_EMPTY = Content(0, 0, (), hashlib.md5(b"", usedforsecurity=False).hexdigest())


class NewTable(msgspec.Struct, frozen=True):
    """The values of a table to add. Without an identifier it gets a new one."""

    version_id: int
    name: str
    description: str | None
    upload_merge_strategy: str
    is_file_index: bool
    identifier: str | None = None


class Tables(Reading):
    """Reads tables."""

    def find(self, version_id: int, key: str, reference_id: str | None) -> Table | None:
        """Returns a table of a version by its reference id, or without one by the key of its name."""
        if reference_id is None:
            record = self._connection.record("table_by_key", version_id=version_id, name_key=key)
        else:
            record = self._connection.record(
                "table_by_reference_id", version_id=version_id, reference_id=reference_id
            )
        return noun(Table, record)

    def page(self, version_id: int, after_id: int, count: int) -> list[Table]:
        """Returns the version's tables after an id, oldest first."""
        found = self._connection.records(
            "tables_of_version", version_id=version_id, after_id=after_id, count=count
        )
        return nouns(Table, found)

    def contents(self, table_ids: Sequence[int]) -> dict[int, Content]:
        """Returns the contents of tables, by table id."""
        found = self._connection.records("contents_of_tables", ids=json_text(table_ids))
        contents = dict.fromkeys(table_ids, _EMPTY)
        for table_id, group in groupby(found, lambda record: int(record["table_id"])):
            contents[table_id] = _content(list(group))
        return contents


class TableEditor(Tables, Editing):
    """Reads and edits tables."""

    def add(self, new: NewTable) -> Table:
        """Adds a table. Raises DuplicateError when the name is taken."""
        record = self._one(
            "add_table",
            version_id=new.version_id,
            identifier=new.identifier
            or self._free_identifier("table_by_reference_id", version_id=new.version_id),
            name=new.name,
            name_key=name_key(new.name),
            description=new.description,
            upload_merge_strategy=new.upload_merge_strategy,
            is_file_index=int(new.is_file_index),
            now=self._now,
        )
        return the_noun(Table, record)

    def update(self, table: Table) -> Table:
        """Stores the changed fields of a table. Raises DuplicateError when its name is taken."""
        self._announce_change()
        record = self._one(
            "update_table",
            id=table.id,
            name=table.name,
            name_key=name_key(table.name),
            description=table.description,
            upload_merge_strategy=table.upload_merge_strategy.value,
            now=self._now,
        )
        return the_noun(Table, record)

    def delete(self, table_id: int) -> None:
        """Deletes a table of an unreleased version, with its own uploads."""
        self._announce_change()
        self._run("delete_table", id=table_id)


def _content(group: Sequence[Record]) -> Content:
    key = records.content_key(group)
    return records.content(group, hashlib.md5(key.encode(), usedforsecurity=False).hexdigest())
