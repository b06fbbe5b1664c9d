"""Temporary uploads: files that were sent to a table and wait to be loaded.

The content lies in the data directory under the identifier (storage/local_files.py), and counts once
`complete` says how large it is. An upload takes it, once; what nobody takes expires.
"""

import msgspec

from rowkeep.model.temp_uploads import TempUpload
from rowkeep.storage.catalog.records import noun
from rowkeep.storage.catalog.state import Editing, Reading


class NewTempUpload(msgspec.Struct, frozen=True):
    """The values of a temporary upload to add. `size` is the announced size."""

    identifier: str
    table_id: int
    user_id: int
    name: str | None
    size: int | None
    expires_at: int


class TempUploads(Reading):
    """Reads temporary uploads."""

    def find(self, identifier: str) -> TempUpload | None:
        """Returns a temporary upload by its identifier, even when it has expired."""
        return noun(TempUpload, self._connection.record("temp_upload", identifier=identifier))

    def identifiers(self) -> set[str]:
        """Returns the identifiers of all temporary uploads. They are the names of the files."""
        return {record["identifier"] for record in self._connection.records("temp_upload_identifiers")}

    def byte_count(self) -> int:
        """Returns the total size of all temporary uploads; of unfinished ones the announced size counts."""
        return int(self._one("temp_upload_bytes")["byte_count"])


class TempUploadEditor(TempUploads, Editing):
    """Reads and edits temporary uploads."""

    def add(self, new: NewTempUpload) -> TempUpload:
        """Adds a temporary upload without content."""
        added = self._one("add_temp_upload", **msgspec.structs.asdict(new), now=self._now)
        return msgspec.convert(added, TempUpload)

    def receive(self, identifier: str, byte_count: int, size: int | None) -> None:
        """Stores how many bytes are durable, and the announced size of the whole."""
        self._run("receive_temp_upload", identifier=identifier, byte_count=byte_count, size=size)

    def complete(self, identifier: str, byte_count: int) -> None:
        """Marks the content as complete and durable."""
        self._run("complete_temp_upload", identifier=identifier, byte_count=byte_count)

    def take(self, identifier: str, upload_id: int) -> bool:
        """Gives the content to an upload. Returns False when it is not complete, or another has it."""
        taken = self._connection.record("take_temp_upload", identifier=identifier, upload_id=upload_id)
        return taken is not None

    def delete(self, identifier: str) -> None:
        """Deletes a temporary upload. The sweep removes its file."""
        self._run("delete_temp_upload", identifier=identifier)

    def prune(self) -> None:
        """Deletes the temporary uploads that have expired and were not taken by an upload."""
        self._run("prune_temp_uploads", now=self._now)
