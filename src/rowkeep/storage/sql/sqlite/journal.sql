-- name: group_state
-- Where the catalog stands, and where each of some uploads does; :upload_ids is a JSON array.
SELECT catalog_state.version, streams.upload_id, streams.row_count, streams.chain, streams.commit_count,
    streams.latest_offset_token
FROM catalog_state
LEFT JOIN json_each(:upload_ids) AS asked
LEFT JOIN streams ON streams.upload_id = asked.value;

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

-- name: set_offset_tokens
-- :tokens is a JSON array of [upload_id, token].
UPDATE streams SET latest_offset_token = moved.value ->> 1
FROM json_each(:tokens) AS moved WHERE streams.upload_id = moved.value ->> 0;
