-- name: receipts_of_keys
-- :keys is a JSON array of [upload_id, key].
SELECT receipts.upload_id, receipts.key, receipts.digest, receipts.row_count, receipts.change,
    receipts.skipped
FROM json_each(:keys) AS asked
JOIN receipts ON receipts.upload_id = asked.value ->> 0 AND receipts.key = asked.value ->> 1;

-- name: add_entries
-- :entries is a JSON array of [upload_id, row_count, byte_count, schema_version, codec, offset, length,
-- checksum]; offset and length cut the entry's payload out of :payloads. At most one entry per upload.
-- Adds nothing when the catalog is not at :catalog_version. A trigger moves the stream's counters.
INSERT INTO entries (upload_id, first_row, row_count, byte_count, schema_version, codec, checksum,
    committed_at, payload)
SELECT streams.upload_id, streams.row_count, added.value ->> 1, added.value ->> 2, added.value ->> 3,
    added.value ->> 4, added.value ->> 7, :now,
    substr(:payloads, (added.value ->> 5) + 1, added.value ->> 6)
FROM json_each(:entries) AS added
JOIN streams ON streams.upload_id = added.value ->> 0
WHERE (SELECT version FROM catalog_state) = :catalog_version;

-- name: add_receipts
-- :receipts is a JSON array of [upload_id, key, digest as hex, row_count, change, skipped], the last two as
-- JSON text or null.
INSERT INTO receipts (upload_id, key, digest, row_count, change, skipped, upkeep_pass)
SELECT added.value ->> 0, added.value ->> 1, unhex(added.value ->> 2), added.value ->> 3,
    added.value ->> 4, added.value ->> 5, (SELECT passes FROM upkeep_state)
FROM json_each(:receipts) AS added;

-- name: prune_receipts
-- Those that have seen more than :passes_min passes; the first may have come right after they were written.
DELETE FROM receipts WHERE upkeep_pass < (SELECT passes FROM upkeep_state) - :passes_min;

-- name: count_upkeep_pass
UPDATE upkeep_state SET passes = passes + 1;

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

-- name: streams
SELECT upload_id FROM streams WHERE upload_id > :after_id ORDER BY upload_id LIMIT :count;

-- name: stream
SELECT row_count, byte_count, sealed_row_count, sealed_byte_count FROM streams WHERE upload_id = :upload_id;

-- name: entry_start
-- The entry that holds row :row begins here.
SELECT max(first_row) AS first_row FROM entries WHERE upload_id = :upload_id AND first_row <= :row;
