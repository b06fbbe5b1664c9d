"""Entries: rows in the journal. The code in `storage/journal/` writes them."""

import msgspec

from rowkeep.model.resources import Entry, UnsealedUpload
from rowkeep.storage.base import Group, NewEntry
from rowkeep.storage.catalog.records import nouns
from rowkeep.storage.catalog.state import Editing, Reading


class EntryOutline(msgspec.Struct, frozen=True):
    """An entry without its payload."""

    first_row: int
    row_count: int
    byte_count: int
    schema_version: int
    is_continued: bool


class Entries(Reading):
    """Reads entries, and finds the uploads that have some."""

    def holding(self, upload_id: int, first_row: int, row_end: int, bytes_max: int) -> list[Entry]:
        """Returns the entries that hold the rows from `first_row` on, in order.

        Stops at `row_end`, or after `bytes_max` bytes (before encoding). Returns at least one entry.
        """
        start = self._one("entry_start", upload_id=upload_id, row=first_row)["first_row"]
        return [] if start is None else self.beginning(upload_id, start, row_end, bytes_max)

    def beginning(self, upload_id: int, first_row: int, row_end: int, bytes_max: int) -> list[Entry]:
        """Returns the entries that begin with `first_row` or a later row, bounded as for `holding`."""
        found = self._connection.records(
            "entries", upload_id=upload_id, first_row=first_row, row_end=row_end, bytes_max=bytes_max
        )
        return nouns(Entry, found)

    def outlines(self, upload_id: int, first_row: int, count: int) -> list[EntryOutline]:
        """Returns the entries that begin with `first_row` or a later row, without their payloads."""
        found = self._connection.records(
            "entry_outlines", upload_id=upload_id, first_row=first_row, count=count
        )
        return nouns(EntryOutline, found)

    def byte_count(self) -> int:
        """Returns how many bytes of rows, before encoding, are not in segments yet."""
        return int(self._one("journal_bytes")["byte_count"])

    def uploads_to_seal(self, bytes_min: int, count: int) -> list[UnsealedUpload]:
        """Returns the uploads with more than `bytes_min` waiting in the journal, those with most first."""
        found = self._connection.records("uploads_to_seal", bytes_min=bytes_min, count=count)
        return nouns(UnsealedUpload, found)

    def released_uploads_to_seal(self, count: int) -> list[UnsealedUpload]:
        """Returns the uploads of released versions that have rows in the journal."""
        return nouns(UnsealedUpload, self._connection.records("released_uploads_to_seal", count=count))

    def sealed_ends(self) -> list[tuple[int, int]]:
        """Returns the uploads that still have entries of rows that are in segments.

        Each item is an upload's id, and the row number before which all its rows are in segments.
        """
        found = self._connection.records("uploads_with_sealed_entries")
        return [(record["upload_id"], record["sealed_row_count"]) for record in found]


class EntryEditor(Entries, Editing):
    """Reads, adds and deletes entries."""

    def add(self, entry: NewEntry, catalog_version: int) -> None:
        """Adds an entry. Raises DuplicateError when its upload does not end at the entry's first row."""
        self._connection.add_group(Group(catalog_version, self._now, [entry], []))

    def drop(self, upload_id: int, row_end: int, bytes_max: int) -> int:
        """Deletes the oldest entries before `row_end`, about `bytes_max` bytes before encoding.

        Returns the number of deleted entries.

        Returns how many were deleted.
        """
        dropped = self._connection.records(
            "drop_entries", upload_id=upload_id, row_end=row_end, bytes_max=bytes_max
        )
        return len(dropped)
