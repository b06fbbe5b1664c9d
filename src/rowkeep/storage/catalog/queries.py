"""Queries: jobs whose results are rows (model/queries.py)."""

from rowkeep.model.jobs import Job
from rowkeep.model.queries import result_upload_id
from rowkeep.storage.catalog.records import nouns
from rowkeep.storage.catalog.state import Editing, Reading


class Queries(Reading):
    """Reads the queries of users."""

    def of_user(self, user_id: int, before_id: int, count: int) -> list[Job]:
        """Returns a user's queries, newest first, those before a job's id."""
        found = self._connection.records("queries_of_user", user_id=user_id, before_id=before_id, count=count)
        return nouns(Job, found)

    def unfinished_count(self, user_id: int) -> int:
        """Returns how many queries of a user are queued or running."""
        return int(self._one("unfinished_queries", user_id=user_id)["query_count"])

    def result_bytes(self, user_id: int) -> int:
        """Returns how much the results of a user's queries and filters take on the disk."""
        return int(self._one("result_bytes", user_id=user_id)["byte_count"])


class QueryEditor(Queries, Editing):
    """Reads queries and lets them go."""

    def expire(self, finished_before: int) -> int:
        """Deletes queries that have long been finished, and gives their rows up. Returns how many."""
        expired = self._connection.records("expire_queries", finished_before=finished_before)
        for record in expired:
            self._run("give_result_up", upload_id=result_upload_id(record["id"]))
        return len(expired)
