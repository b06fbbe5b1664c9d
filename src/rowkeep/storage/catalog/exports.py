"""Exports: jobs whose results are files (model/exports.py). A file that no export names is garbage."""

import msgspec

from rowkeep.model.exports import ExportResult
from rowkeep.model.jobs import Job
from rowkeep.storage.catalog.records import nouns
from rowkeep.storage.catalog.state import Editing, Reading


class Exports(Reading):
    """Reads the exports of users."""

    def of_user(self, user_id: int, before_id: int, count: int) -> list[Job]:
        """Returns a user's exports with smaller ids than `before_id`, newest first."""
        found = self._connection.records("exports_of_user", user_id=user_id, before_id=before_id, count=count)
        return nouns(Job, found)

    def unfinished_count(self, user_id: int) -> int:
        """Returns how many exports of a user are queued or running."""
        return int(self._one("unfinished_exports", user_id=user_id)["export_count"])

    def file_names(self) -> set[str]:
        """Returns the names of the files of all exports."""
        results = [record["result"] for record in self._connection.records("export_results")]
        decoded = (msgspec.json.decode(result, type=ExportResult) for result in results)
        return {file.name for result in decoded for file in result.files}

    def link_secret(self) -> bytes:
        """Returns the key that download links are signed with."""
        return bytes(self._one("link_secret")["secret"])


class ExportEditor(Exports, Editing):
    """Reads and deletes exports."""

    def expire(self, finished_before: int) -> int:
        """Deletes exports that finished before a time. Returns their number. Their files are swept later."""
        return len(self._connection.records("expire_exports", finished_before=finished_before))

    def delete(self, job_id: int) -> None:
        """Deletes an export. The sweep removes its files."""
        self._run("delete_export", id=job_id)

    def renew_link_secret(self) -> None:
        """Makes a new signing key, so that every earlier download link stops working."""
        self._run("new_link_secret")
