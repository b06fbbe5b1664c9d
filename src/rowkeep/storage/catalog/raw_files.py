"""Raw files: the files of file index tables. Their content is in `storage/raw_contents.py`."""

from collections.abc import Sequence

import msgspec

from rowkeep.model.raw_files import RawFile
from rowkeep.storage.catalog.records import json_text, noun, nouns, the_noun
from rowkeep.storage.catalog.state import Editing, Reading


class PlacedFile(RawFile, frozen=True):
    """A file and the place where it was added."""

    table_id: int
    version_id: int
    dataset_id: int


class NewRawFile(msgspec.Struct, frozen=True):
    """The values of a file to add. `row` is the number of its row, which has been added already."""

    identifier: str
    upload_id: int
    row: int
    name: str
    size: int
    md5: bytes
    sha256: str
    temp_upload: str
    added_at: int


class RawFiles(Reading):
    """Reads the files of file index tables."""

    def find(self, identifier: str) -> PlacedFile | None:
        """Returns a file by its identifier, or None when it was removed."""
        return noun(PlacedFile, self._connection.record("raw_file", identifier=identifier))

    def brought_by(self, table_id: int, temp_uploads: Sequence[str]) -> dict[str, RawFile]:
        """Returns files of a table, by the temporary uploads that they came from."""
        found = self._connection.records(
            "raw_files_of_temp_uploads", table_id=table_id, temp_uploads=json_text(temp_uploads)
        )
        return {file.temp_upload: file for file in nouns(RawFile, found)}

    def of_identifiers(self, identifiers: Sequence[str]) -> list[PlacedFile]:
        """Returns the files with these identifiers, in this order. Unknown identifiers are left out."""
        found = self._connection.records("raw_files_of_identifiers", identifiers=json_text(identifiers))
        return nouns(PlacedFile, found)

    def page(self, table_id: int, after_id: int, count: int) -> list[RawFile]:
        """Returns the files of a table, its own and earlier versions', with ids above `after_id`."""
        found = self._connection.records(
            "raw_files_of_table", table_id=table_id, after_id=after_id, count=count
        )
        return nouns(RawFile, found)

    def named(self, table_id: int, names: Sequence[str]) -> dict[str, RawFile]:
        """Returns the files of a table that have one of these names, by name."""
        found = self._connection.records("raw_files_of_names", table_id=table_id, names=json_text(names))
        return {file.name: file for file in nouns(RawFile, found)}

    def changed_at(self, table_id: int) -> int:
        """Returns when the list of a table's files last changed, or a later time."""
        return int(self._one("raw_files_changed_at", table_id=table_id)["changed_at"])

    def version_ids(self, file_id: int) -> list[int]:
        """Returns the ids of the versions that hold a file, oldest first."""
        found = self._connection.records("versions_of_raw_file", id=file_id)
        return [record["version_id"] for record in found]

    def contents(self) -> dict[str, int]:
        """Returns the sizes of all file contents, by SHA-256."""
        return {record["sha256"]: record["size"] for record in self._connection.records("raw_file_contents")}


class RawFileEditor(RawFiles, Editing):
    """Reads and edits the files of file index tables."""

    def add(self, new: NewRawFile) -> RawFile:
        """Adds a file."""
        return the_noun(RawFile, self._one("add_raw_file", **msgspec.structs.asdict(new)))

    def remove(self, file_id: int, user_id: int) -> None:
        """Removes a file and its row. Read sessions that were opened before still show the row."""
        self._run("remove_raw_file", id=file_id, now=self._now)
        removed = self._one("remove_row_of_raw_file", id=file_id, now=self._now, user_id=user_id)
        self._run("count_removed_raw_file", upload_id=removed["upload_id"])
