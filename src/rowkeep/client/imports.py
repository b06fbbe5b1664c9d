"""Imports files into a table: makes what is missing, sends each file, waits for its load, or undoes it all.

Types are found by the server, from every value of a file; so a file is loaded first and looked at then.
That costs nothing that could not be taken back: rows that are not released are seen by the dataset's editors
alone, and `take_back` deletes the uploads and what else the import has made.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from rowkeep.client.api import Api, Json
from rowkeep.client.errors import InsertError
from rowkeep.client.files.progress import Transfer
from rowkeep.client.patience import Notice
from rowkeep.client.places import Place
from rowkeep.client.sending import FileSender

POLL_SECONDS = 0.2
UNFINISHED = ("queued", "running")
COMPLETED = "completed"
EXAMPLE_ROWS = 50
EXAMPLES_MAX = 3


class FileSaid(msgspec.Struct, frozen=True):
    """The person's options for files. Other options are found by the server. `types` are by column name."""

    types: Mapping[str, str] = {}
    null_markers: Sequence[str] = ()
    delimiter: str | None = None
    encoding: str | None = None
    file_type: str | None = None
    has_header_row: bool = True
    skips_bad_records: bool = False

    @property
    def draft(self) -> Json:
        """Returns the options as properties of an upload."""
        said: Json = {
            "type": self.file_type,
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "nullMarkers": list(self.null_markers) or None,
            "hasHeaderRow": None if self.has_header_row else False,
            "skipBadRecords": self.skips_bad_records or None,
            "schema": [{"name": name, "type": type_} for name, type_ in self.types.items()] or None,
        }
        return {name: value for name, value in said.items() if value is not None}


class LoadFailed(InsertError):
    """A file could not be loaded. `upload` says why, and which records are bad."""

    def __init__(self, file: Path, upload: Json) -> None:
        said = str(upload["errorMessage"] or "the load failed.")
        # The server speaks of the API's property.
        super().__init__(f"{file}: {said.replace('set skipBadRecords', 'say --on-error quarantine')}")
        self.file = file
        self.upload = upload


class Import:
    """The import of files into one table of the next version of a dataset."""

    def __init__(self, api: Api, place: Place, notice: Notice) -> None:
        self.api = api
        self._notice = notice
        self._given = place
        self.place = msgspec.structs.replace(place, dataset=f"{place.dataset}:next")
        self.uploads: dict[Path, Json] = {}
        self._made: list[str] = []

    def make_missing(self) -> None:
        """Makes the dataset, its next version and the table if they are missing."""
        dataset = self.api.find(self._given.dataset_path)
        if dataset is None:
            self._make_dataset()
        elif dataset["nextVersion"] is None and dataset["version"]["isReleased"]:
            self.api.change("POST", f"{self._given.dataset_path}/versions", {})
            self._notice(f"opened the next version of {self._given.dataset_reference}")
        if self.api.find(self.place.path) is None:
            made = self.api.change("POST", f"{self.place.dataset_path}/tables", {"name": self._given.table})
            self._made.append(str(made["uri"]))
            self._notice(f"made the table {self._given.reference}")

    def taken(self, files: Sequence[Path]) -> list[Path]:
        """Returns the files whose names are already those of uploads in the next version."""
        taken = self._upload_names(self.place)
        return [file for file in files if file.name.lower() in taken]

    def released(self, files: Sequence[Path]) -> list[Path]:
        """Returns the files whose rows a released version has. Later versions keep these rows."""
        current = msgspec.structs.replace(self._given, dataset=f"{self._given.dataset}:current")
        table = self.api.find(current.path)
        if table is None or table["uploadMergeStrategy"] != "append":
            return []
        taken = self._upload_names(current)
        return [file for file in files if file.name.lower() in taken]

    def _upload_names(self, place: Place) -> set[str]:
        if self.api.find(place.path) is None:
            return set()
        return {str(upload["name"]).lower() for upload in self.api.pages(f"{place.path}/uploads")}

    def load(self, file: Path, said: FileSaid) -> Json:
        """Sends a file and waits until it is loaded. Returns its upload. Raises an InsertError, OSError."""
        transfer = Transfer(file.name, file.stat().st_size)
        try:
            sender = FileSender(self.api, self.place.path, self._notice)
            identifier = sender.send(file, transfer.move_to)
            draft = {**said.draft, "name": file.name, "tempUploadId": identifier}
            upload = self.api.change("POST", f"{self.place.path}/uploads", draft)
            self.uploads[file] = upload
            transfer.begin_loading()
            self.uploads[file] = upload = self._wait(upload, transfer.move_to)
        finally:
            transfer.close()
        if upload["status"] != COMPLETED:
            raise LoadFailed(file, upload)
        return upload

    def replace(self, file: Path, said: FileSaid) -> None:
        """Replaces the upload that has a file's name by the file, which was loaded under a free name.

        An upload cannot be renamed, so the file is loaded again. The upload that the person has looked at is
        deleted last, so that its rows are there at every moment.
        """
        looked_at = self.uploads.pop(file)
        self.api.change("DELETE", f"{self.place.path}/uploads/{quote(file.name, safe='')}")
        self.load(file, said)
        self.api.change("DELETE", str(looked_at["uri"]))

    def take_back(self) -> None:
        """Deletes the uploads of this import, and the table and dataset that it has made."""
        self.api.close()  # a request may have been interrupted on its connection
        uploads = [str(upload["uri"]) for upload in self.uploads.values()]
        for uri in [*reversed(uploads), *reversed(self._made)]:
            self.api.change("DELETE", uri)
        self.uploads.clear()
        self._made.clear()

    def examples(self) -> dict[str, list[object]]:
        """Returns some values of each variable, from the first rows of the first upload."""
        found: dict[str, list[object]] = {}
        first = next(iter(self.uploads.values()))["uri"]
        for row in self.api.lines(f"{first}/rows", format="jsonl", maxResults=EXAMPLE_ROWS):
            for name, value in row.items():
                kept = found.setdefault(name, [])
                if value is not None and value not in kept and len(kept) < EXAMPLES_MAX:
                    kept.append(value)
        return found

    def _make_dataset(self) -> None:
        owner = quote(self._given.owner, safe="")
        kind = "organizations" if self.api.find(f"/users/{owner}") is None else "users"
        made = self.api.change("POST", f"/{kind}/{owner}/datasets", {"name": self._given.dataset})
        self._made.append(str(made["uri"]))
        self._notice(f"made the dataset {self._given.dataset_reference}")

    def _wait(self, upload: Json, moved: Callable[[int], None]) -> Json:
        while upload["status"] in UNFINISHED:
            time.sleep(POLL_SECONDS)
            upload = self.api.read(str(upload["uri"]))
            moved(int(upload["percentCompleted"]))
        return upload
