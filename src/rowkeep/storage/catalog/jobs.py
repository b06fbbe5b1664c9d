"""Jobs: what they are to do, who runs them, and their results (model/jobs.py describes their states)."""

from collections.abc import Sequence

import msgspec

from rowkeep.model.jobs import ATTEMPTS_MAX, Job, JobKind, JobStatus
from rowkeep.model.references import new_identifier
from rowkeep.storage.catalog.records import json_text, noun, nouns
from rowkeep.storage.catalog.state import Editing, Reading


class NewJob(msgspec.Struct, frozen=True):
    """The values of a job to add. `arguments` is JSON."""

    kind: JobKind
    user_id: int
    arguments: str
    upload_id: int | None = None


class Lease(msgspec.Struct, frozen=True):
    """Who runs a job, and until when no other process may take it (epoch milliseconds)."""

    holder: str
    lease_until: int


class Jobs(Reading):
    """Reads jobs."""

    def find(self, job_id: int) -> Job | None:
        """Returns a job by its id."""
        return noun(Job, self._connection.record("job", id=job_id))

    def find_named(self, identifier: str) -> Job | None:
        """Returns a job by its identifier."""
        return noun(Job, self._connection.record("job_by_identifier", identifier=identifier))

    def queued(self, kind: JobKind, count: int) -> list[Job]:
        """Returns queued jobs of a kind: the oldest of each user, oldest first."""
        return nouns(Job, self._connection.records("queued_jobs", kind=kind.value, count=count))

    def of_uploads(self, upload_ids: Sequence[int]) -> dict[int, Job]:
        """Returns the jobs that fill uploads, by upload id. Streams have none."""
        found = self._connection.records("jobs_of_uploads", upload_ids=json_text(upload_ids))
        return {job.upload_id: job for job in nouns(Job, found) if job.upload_id is not None}

    def unfinished_count(self) -> int:
        """Returns how many jobs are queued or running."""
        return int(self._one("unfinished_job_count")["count"])

    def unfilled_upload(self, version_id: int) -> tuple[str, JobStatus] | None:
        """Returns the name and job status of an upload in a version that is not fully loaded, or None."""
        record = self._connection.record("unfilled_upload", version_id=version_id)
        return None if record is None else (record["name"], JobStatus(record["status"]))


class JobEditor(Jobs, Editing):
    """Reads and edits jobs."""

    def add(self, new: NewJob) -> Job:
        """Adds a queued job."""
        added = self._one(
            "add_job",
            identifier=new_identifier(),
            kind=new.kind.value,
            user_id=new.user_id,
            upload_id=new.upload_id,
            arguments=new.arguments,
            now=self._now,
        )
        job = self.find(added["id"])
        if job is None:
            raise LookupError("the job just added is not there")
        return job

    def begin(self, job_id: int, lease: Lease) -> bool:
        """Takes a queued job. Returns False when it is not queued any more."""
        begun = self._connection.record(
            "begin_job", id=job_id, holder=lease.holder, lease_until=lease.lease_until, now=self._now
        )
        return begun is not None

    def renew(self, job_id: int, lease: Lease, fraction: float) -> bool:
        """Extends the lease of a running job and stores its progress.

        Returns False when its holder has lost it.
        """
        renewed = self._connection.record(
            "renew_job", id=job_id, holder=lease.holder, lease_until=lease.lease_until, fraction=fraction
        )
        return renewed is not None

    def complete(self, job_id: int, holder: str, result: str) -> bool:
        """Completes a job. Returns False, and does nothing, when its holder has lost it."""
        return self._finish(job_id, holder, "completed", result=result)

    def fail(self, job_id: int, holder: str, error: str, result: str | None = None) -> bool:
        """Marks a job as failed, with the reason for the user. Returns False when its holder has lost it."""
        return self._finish(job_id, holder, "failed", error=error, result=result)

    def _finish(
        self, job_id: int, holder: str, status: str, *, result: str | None = None, error: str | None = None
    ) -> bool:
        finished = self._connection.record(
            "finish_job", id=job_id, holder=holder, status=status, result=result, error=error, now=self._now
        )
        return finished is not None

    def cancel(self, job_id: int) -> bool:
        """Cancels a job as its user asked. Returns False when it has already ended."""
        return self._connection.record("cancel_job", id=job_id, now=self._now) is not None

    def give_back(self, job_id: int, holder: str) -> None:
        """Queues a job again that its holder cannot finish, for example because the server stops."""
        self._run("give_job_back", id=job_id, holder=holder)

    def try_again(self, job_id: int, holder: str) -> None:
        """Queues a job again whose worker died, as far as is known not because of the job."""
        self._run("requeue_job", id=job_id, holder=holder)

    def take_back_lost(self, holder: str) -> None:
        """Queues the jobs of dead holders again. Jobs that were begun too often are failed instead.

        A holder is dead when its lease has run out, or when it has the name `holder`, which a new process has
        just taken.
        """
        for statement in ("fail_lost_jobs", "requeue_lost_jobs"):
            self._run(statement, holder=holder, now=self._now, attempts_max=ATTEMPTS_MAX)
