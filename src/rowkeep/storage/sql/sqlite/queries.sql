-- name: queries_of_user
SELECT * FROM jobs WHERE kind = 'query' AND user_id = :user_id AND id < :before_id
ORDER BY id DESC LIMIT :count;

-- name: unfinished_queries
SELECT count(*) AS query_count FROM jobs
WHERE kind = 'query' AND user_id = :user_id AND status IN ('queued', 'running');

-- name: result_bytes
-- What the results of a user take on the disk.
SELECT coalesce(sum(segments.file_bytes), 0) AS byte_count
FROM jobs JOIN segments ON segments.upload_id = -jobs.id
WHERE jobs.kind IN ('query', 'filter') AND jobs.user_id = :user_id;

-- name: expire_queries
-- What a reader has filtered is a result too.
DELETE FROM jobs WHERE kind IN ('query', 'filter') AND finished_at < :finished_before RETURNING id;

-- name: give_result_up
INSERT OR IGNORE INTO deleted_uploads (upload_id) VALUES (:upload_id);
