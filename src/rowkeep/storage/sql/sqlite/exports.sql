-- name: exports_of_user
SELECT * FROM jobs WHERE kind = 'export' AND user_id = :user_id AND id < :before_id
ORDER BY id DESC LIMIT :count;

-- name: unfinished_exports
SELECT count(*) AS export_count FROM jobs
WHERE kind = 'export' AND user_id = :user_id AND status IN ('queued', 'running');

-- name: export_results
SELECT result FROM jobs WHERE kind = 'export' AND status = 'completed';

-- name: expire_exports
DELETE FROM jobs WHERE kind = 'export' AND finished_at < :finished_before RETURNING id;

-- name: delete_export
DELETE FROM jobs WHERE id = :id AND kind = 'export';

-- name: link_secret
SELECT secret FROM link_secrets;

-- name: new_link_secret
UPDATE link_secrets SET secret = randomblob(32);
