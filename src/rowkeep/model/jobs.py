"""Jobs: work that takes longer than a request.

Theory
------
A job is a row in the catalog: what is to be done, who asked for it, and how far it is.

    queued → running → completed | failed | cancelled

Whoever runs it holds a lease, renewed while it runs. What a job makes is nobody's until one transaction names
it and completes the job; so a crash at any moment leaves nothing or all of it. A job whose lease has run out
was left by a process that died: it is queued again, and after `ATTEMPTS_MAX` of that failed, since it may be
what the processes died of.
"""

from enum import StrEnum

import msgspec

ATTEMPTS_MAX = 3


class JobKind(StrEnum):
    """The kinds of jobs."""

    LOAD = "load"
    EXPORT = "export"
    QUERY = "query"
    FILTER = "filter"


class JobStatus(StrEnum):
    """The states of a job, spelled as on the wire."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (JobStatus.QUEUED, JobStatus.RUNNING)


class Job(msgspec.Struct, frozen=True):
    """A job as the catalog knows it. `arguments` and `result` are JSON whose form depends on the kind.

    `upload_id` is the upload that a load fills. `fraction` is the progress from 0 to 1. `attempts` counts how
    often the job was begun. `error` is the message for the caller who asked.
    """

    id: int
    identifier: str
    kind: JobKind
    status: JobStatus
    user_id: int
    upload_id: int | None
    arguments: str
    result: str | None
    error: str | None
    fraction: float
    attempts: int
    created_at: int
    started_at: int | None
    finished_at: int | None

    @property
    def is_finished(self) -> bool:
        """Returns whether the job has ended."""
        return self.status not in UNFINISHED
