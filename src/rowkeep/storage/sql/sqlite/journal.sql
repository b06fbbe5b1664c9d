-- name: group_state
-- Where the catalog stands, and where each of some uploads does; :upload_ids is a JSON array.
SELECT catalog_state.version, streams.upload_id, streams.row_count, streams.chain, streams.commit_count,
    streams.latest_offset_token
FROM catalog_state
LEFT JOIN json_each(:upload_ids) AS asked
LEFT JOIN streams ON streams.upload_id = asked.value;

-- name: receipts_of_keys
-- :keys is a JSON array of [upload_id, key].
SELECT receipts.*, removed_rows.removed_at
FROM json_each(:keys) AS asked
JOIN receipts ON receipts.upload_id = asked.value ->> 0 AND receipts.key = asked.value ->> 1
LEFT JOIN removed_rows ON removed_rows.upload_id = receipts.upload_id AND removed_rows.key = receipts.key;

-- name: add_group
-- :entries is a JSON array of [upload_id, row_count, byte_count, schema_version, codec, offset, length,
-- checksum, first_row, is_continued, chain as hex]; offset and length cut the entry's payload out of
-- :payloads. At most one entry per upload.
-- :receipts is a JSON array of [upload_id, key, digest as hex, row_count, change as JSON text or null,
-- commit_number, first_row, sha256 as hex, chain as hex, skipped as JSON text or null].
-- Fails, and adds nothing, when the catalog is not at :catalog_version, when any upload does not end where its
-- entry begins, and when a key is known. Triggers do it, and move the streams' counters and chains.
INSERT INTO groups (entries, payloads, receipts, catalog_version, committed_at)
VALUES (:entries, :payloads, :receipts, :catalog_version, :now);

-- name: entries
-- The entries from :first_row on until their bytes reach :bytes_max, at least one.
SELECT entries.*
FROM (
    SELECT first_row, sum(byte_count) OVER (ORDER BY first_row) - byte_count AS bytes_before
    FROM (
        SELECT first_row, byte_count
        FROM entries
        WHERE upload_id = :upload_id AND first_row >= :first_row AND first_row < :row_end
        ORDER BY first_row
        LIMIT 1000
    )
) AS chosen
JOIN entries ON entries.upload_id = :upload_id AND entries.first_row = chosen.first_row
WHERE chosen.bytes_before < :bytes_max
ORDER BY entries.first_row;

-- name: set_offset_tokens
-- :tokens is a JSON array of [upload_id, token].
UPDATE streams SET latest_offset_token = moved.value ->> 1
FROM json_each(:tokens) AS moved WHERE streams.upload_id = moved.value ->> 0;

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

-- name: last_key_between
-- The last key of a long insert's groups: those between its bounds that end in as many digits as they do.
SELECT key FROM receipts
WHERE upload_id = :upload_id AND key BETWEEN :first_key AND :last_key
    AND length(key) = length(:first_key) AND substr(key, -12) NOT GLOB '*[^0-9]*'
ORDER BY key DESC
LIMIT 1;

-- name: rejection
SELECT * FROM rejections WHERE upload_id = :upload_id AND key = :key;

-- name: remove_rows
-- The rows of a request that went in; nothing when they are removed already.
INSERT INTO removed_rows (upload_id, key, first_row, row_count, removed_at, user_id)
SELECT upload_id, key, first_row, row_count, :now, :user_id
FROM receipts WHERE upload_id = :upload_id AND key = :key
ON CONFLICT (upload_id, key) DO NOTHING
RETURNING row_count;

-- name: count_removed_rows
UPDATE streams SET removed_row_count = removed_row_count + :row_count WHERE upload_id = :upload_id;

-- name: removed_rows
-- :upload_ids is a JSON array.
SELECT removed_rows.upload_id, removed_rows.first_row, removed_rows.first_row + removed_rows.row_count AS row_end
FROM json_each(:upload_ids) AS asked
JOIN removed_rows ON removed_rows.upload_id = asked.value AND removed_rows.row_count > 0
ORDER BY removed_rows.upload_id, removed_rows.first_row;

-- name: streams
SELECT upload_id FROM streams WHERE upload_id > :after_id ORDER BY upload_id LIMIT :count;

-- name: stream
SELECT streams.*, (
    SELECT coalesce(sum(removed_rows.row_count), 0) FROM removed_rows
    WHERE removed_rows.upload_id = streams.upload_id
) AS removed_row_sum
FROM streams WHERE upload_id = :upload_id;

-- name: chain_state
SELECT row_count, chain_first_row AS first_row, commit_count, chain FROM streams WHERE upload_id = :upload_id;

-- name: entry_start
-- The entry that holds row :row begins here.
SELECT max(first_row) AS first_row FROM entries WHERE upload_id = :upload_id AND first_row <= :row;
