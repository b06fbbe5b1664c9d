-- name: job
SELECT * FROM jobs WHERE id = :id;

-- name: job_by_identifier
SELECT * FROM jobs WHERE identifier = :identifier;

-- name: queued_jobs
-- Of every user the oldest.
SELECT * FROM jobs WHERE id IN (
    SELECT min(id) FROM jobs WHERE kind = :kind AND status = 'queued' GROUP BY user_id
)
ORDER BY id LIMIT :count;

-- name: unfinished_job_count
SELECT count(*) AS count FROM jobs WHERE status IN ('queued', 'running');

-- name: jobs_of_uploads
-- :upload_ids is a JSON array.
SELECT jobs.* FROM json_each(:upload_ids) AS asked JOIN jobs ON jobs.upload_id = asked.value;

-- name: unfilled_upload
SELECT uploads.name, jobs.status
FROM tables
JOIN uploads ON uploads.table_id = tables.id
JOIN jobs ON jobs.upload_id = uploads.id AND jobs.status <> 'completed'
WHERE tables.version_id = :version_id
ORDER BY uploads.id LIMIT 1;

-- name: add_job
INSERT INTO jobs (identifier, kind, status, user_id, upload_id, arguments, created_at)
VALUES (:identifier, :kind, 'queued', :user_id, :upload_id, :arguments, :now)
RETURNING id;

-- name: begin_job
UPDATE jobs
SET status = 'running', holder = :holder, lease_until = :lease_until, started_at = :now, fraction = 0,
    attempts = attempts + 1
WHERE id = :id AND status = 'queued'
RETURNING id;

-- name: renew_job
UPDATE jobs SET lease_until = :lease_until, fraction = :fraction
WHERE id = :id AND status = 'running' AND holder = :holder
RETURNING id;

-- name: finish_job
UPDATE jobs
SET status = :status, result = :result, error = :error, finished_at = :now, holder = NULL,
    lease_until = NULL, fraction = iif(:status = 'completed', 1, fraction)
WHERE id = :id AND status = 'running' AND holder = :holder
RETURNING id;

-- name: cancel_job
UPDATE jobs SET status = 'cancelled', finished_at = :now, holder = NULL, lease_until = NULL
WHERE id = :id AND status IN ('queued', 'running')
RETURNING id;

-- name: give_job_back
-- It was no failure of the job.
UPDATE jobs
SET status = 'queued', holder = NULL, lease_until = NULL, fraction = 0, attempts = attempts - 1
WHERE id = :id AND status = 'running' AND holder = :holder;

-- name: requeue_job
UPDATE jobs SET status = 'queued', holder = NULL, lease_until = NULL, fraction = 0
WHERE id = :id AND status = 'running' AND holder = :holder;

-- name: fail_lost_jobs
UPDATE jobs
SET status = 'failed', finished_at = :now, holder = NULL, lease_until = NULL,
    error = 'The server stopped ' || attempts || ' times while it worked on this. Try again, and if it stops '
        || 'again, tell the people who run it.'
WHERE status = 'running' AND (holder = :holder OR lease_until < :now) AND attempts >= :attempts_max;

-- name: requeue_lost_jobs
UPDATE jobs SET status = 'queued', holder = NULL, lease_until = NULL, fraction = 0
WHERE status = 'running' AND (holder = :holder OR lease_until < :now) AND attempts < :attempts_max;
