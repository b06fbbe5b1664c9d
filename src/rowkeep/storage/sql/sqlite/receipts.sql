-- name: receipts_of_keys
-- :keys is a JSON array of [upload_id, key].
SELECT receipts.*, removed_rows.removed_at
FROM json_each(:keys) AS asked
JOIN receipts ON receipts.upload_id = asked.value ->> 0 AND receipts.key = asked.value ->> 1
LEFT JOIN removed_rows ON removed_rows.upload_id = receipts.upload_id AND removed_rows.key = receipts.key;

-- name: last_key_between
-- The last key of a long insert's groups: those between its bounds that end in as many digits as they do.
SELECT key FROM receipts
WHERE upload_id = :upload_id AND key BETWEEN :first_key AND :last_key
    AND length(key) = length(:first_key) AND substr(key, -12) NOT GLOB '*[^0-9]*'
ORDER BY key DESC
LIMIT 1;

-- name: rejection
SELECT * FROM rejections WHERE upload_id = :upload_id AND key = :key;

-- name: removed_rows
-- :upload_ids is a JSON array.
SELECT removed_rows.upload_id, removed_rows.first_row, removed_rows.first_row + removed_rows.row_count AS row_end
FROM json_each(:upload_ids) AS asked
JOIN removed_rows ON removed_rows.upload_id = asked.value AND removed_rows.row_count > 0
ORDER BY removed_rows.upload_id, removed_rows.first_row;

-- name: add_rejection
-- Adds nothing when the key's rows have gone in meanwhile, or the upload is gone.
INSERT OR REPLACE INTO rejections (upload_id, key, rejected_at, message, row_errors, row_error_count)
SELECT streams.upload_id, :key, :now, :message, :row_errors, :row_error_count
FROM streams
WHERE streams.upload_id = :upload_id AND NOT EXISTS (
    SELECT 1 FROM receipts WHERE receipts.upload_id = :upload_id AND receipts.key = :key
);

-- name: trim_rejections
-- All but the latest :count of an upload go.
DELETE FROM rejections WHERE upload_id = :upload_id AND id <= (
    SELECT id FROM rejections WHERE upload_id = :upload_id ORDER BY id DESC LIMIT 1 OFFSET :count
);

-- name: remove_rows
-- The rows of a request that went in; nothing when they are removed already.
INSERT INTO removed_rows (upload_id, key, first_row, row_count, removed_at, user_id)
SELECT upload_id, key, first_row, row_count, :now, :user_id
FROM receipts WHERE upload_id = :upload_id AND key = :key
ON CONFLICT (upload_id, key) DO NOTHING
RETURNING row_count;

-- name: count_removed_rows
UPDATE streams SET removed_row_count = removed_row_count + :row_count WHERE upload_id = :upload_id;
