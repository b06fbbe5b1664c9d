-- name: queries_of_user
SELECT * FROM jobs WHERE kind = 'query' AND user_id = :user_id AND id < :before_id
ORDER BY id DESC LIMIT :count;

-- name: unfinished_queries
SELECT count(*) AS query_count FROM jobs
WHERE kind = 'query' AND user_id = :user_id AND status IN ('queued', 'running');

-- name: expire_queries
-- What a reader has filtered is a result too.
DELETE FROM jobs WHERE kind IN ('query', 'filter') AND finished_at < :finished_before RETURNING id;

-- name: give_result_up
INSERT OR IGNORE INTO deleted_uploads (upload_id) VALUES (:upload_id);
