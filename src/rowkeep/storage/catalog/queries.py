"""Queries: jobs whose results are rows (model/queries.py)."""

from rowkeep.model.jobs import Job
from rowkeep.model.queries import result_upload_id
from rowkeep.storage.catalog.records import nouns
from rowkeep.storage.catalog.state import Editing, Reading


class Queries(Reading):
    """Reads the queries of users."""

    def of_user(self, user_id: int, before_id: int, count: int) -> list[Job]:
        """Returns a user's queries with smaller ids than `before_id`, newest first."""
        found = self._connection.records("queries_of_user", user_id=user_id, before_id=before_id, count=count)
        return nouns(Job, found)

    def unfinished_count(self, user_id: int) -> int:
        """Returns how many queries of a user are queued or running."""
        return int(self._one("unfinished_queries", user_id=user_id)["query_count"])

    def result_bytes(self, user_id: int) -> int:
        """Returns how many bytes the results of a user's queries and filters take on the disk."""
        return int(self._one("result_bytes", user_id=user_id)["byte_count"])


class QueryEditor(Queries, Editing):
    """Reads and deletes queries."""

    def expire(self, finished_before: int) -> int:
        """Deletes queries that finished before a time, and marks their rows for deletion.

        Returns their number.
        """
        expired = self._connection.records("expire_queries", finished_before=finished_before)
        for record in expired:
            self._run("give_result_up", upload_id=result_upload_id(record["id"]))
        return len(expired)
