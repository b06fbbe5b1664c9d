-- name: receipts_of_keys
-- :keys is a JSON array of [upload_id, key]. A stream knows its keys in every version: the rows are in the
-- upload `holder_id`, of the version with the tag of `major` and `minor` (null while it is unreleased).
SELECT asked.value ->> 0 AS upload_id, receipts.key, receipts.digest, receipts.row_count, receipts.change,
    receipts.skipped, receipts.committed_at, receipts.commit_number, receipts.first_row, receipts.sha256,
    receipts.chain, holders.id AS holder_id, versions.major, versions.minor, removed_rows.removed_at
FROM json_each(:keys) AS asked
CROSS JOIN uploads ON uploads.id = asked.value ->> 0
CROSS JOIN receipts ON receipts.origin_id = coalesce(uploads.origin_id, uploads.id)
    AND receipts.key = asked.value ->> 1
CROSS JOIN uploads AS holders ON holders.id = coalesce(receipts.upload_id, receipts.origin_id)
CROSS JOIN tables ON tables.id = holders.table_id
CROSS JOIN versions ON versions.id = tables.version_id
LEFT JOIN removed_rows ON removed_rows.upload_id = holders.id AND removed_rows.key = receipts.key;

-- name: requests_of_upload
-- The keys that an upload knows, newest first; those of :time follow each other by key. A request from before its
-- time was noted comes last.
SELECT key, time FROM (
    SELECT receipts.key, coalesce(receipts.committed_at, 0) AS time
    FROM uploads CROSS JOIN receipts
    WHERE uploads.id = :upload_id AND receipts.origin_id = coalesce(uploads.origin_id, uploads.id)
    UNION ALL
    SELECT rejections.key, rejections.rejected_at AS time FROM rejections WHERE rejections.upload_id = :upload_id
)
WHERE time <= :time
ORDER BY time DESC, key DESC
LIMIT :count OFFSET :skipped;

-- name: last_key_between
-- The last key of a long insert's groups: those between its bounds that end in as many digits as they do.
SELECT key FROM receipts
WHERE origin_id = (SELECT coalesce(origin_id, id) FROM uploads WHERE id = :upload_id) AND key BETWEEN :first_key AND :last_key
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
    SELECT 1 FROM uploads CROSS JOIN receipts
    WHERE uploads.id = :upload_id AND receipts.origin_id = coalesce(uploads.origin_id, uploads.id)
        AND receipts.key = :key
);

-- name: trim_rejections
-- All but the latest :count of an upload go.
DELETE FROM rejections WHERE upload_id = :upload_id AND id <= (
    SELECT id FROM rejections WHERE upload_id = :upload_id ORDER BY id DESC LIMIT 1 OFFSET :count
);

-- name: remove_rows
-- The rows of a request that went into this very upload; nothing when they are removed already.
INSERT INTO removed_rows (upload_id, key, first_row, row_count, removed_at, user_id)
SELECT uploads.id, receipts.key, receipts.first_row, receipts.row_count, :now, :user_id
FROM uploads CROSS JOIN receipts
WHERE uploads.id = :upload_id AND receipts.origin_id = coalesce(uploads.origin_id, uploads.id)
    AND receipts.key = :key AND coalesce(receipts.upload_id, receipts.origin_id) = uploads.id
ON CONFLICT (upload_id, key) DO NOTHING
RETURNING row_count;

-- name: count_removed_rows
UPDATE streams SET removed_row_count = removed_row_count + :row_count WHERE upload_id = :upload_id;

-- name: carry_rejections
-- Those of streams that go on in the version :version_id go along.
UPDATE rejections SET upload_id = (
    SELECT continued_uploads.upload_id FROM continued_uploads
    WHERE continued_uploads.version_id = :version_id AND continued_uploads.earlier_id = rejections.upload_id
)
WHERE upload_id IN (SELECT earlier_id FROM continued_uploads WHERE version_id = :version_id);

-- name: move_rejections
UPDATE rejections SET upload_id = :upload_id WHERE upload_id = :earlier_id;
