-- name: segment_at
-- The segment that holds row :row, if one does, without its batches.
SELECT upload_id, first_row, row_count, byte_count, schema_version, file_name, file_bytes, checksums, chain
FROM segments
WHERE upload_id = :upload_id AND first_row = (
    SELECT max(first_row) FROM segments WHERE upload_id = :upload_id AND first_row <= :row
) AND first_row + row_count > :row;

-- name: segment_batches
SELECT batches FROM segments WHERE upload_id = :upload_id AND first_row = :first_row;

-- name: segments
-- The segments from :first_row on, without their checksums and batches.
SELECT upload_id, first_row, row_count, byte_count, schema_version, file_name, file_bytes
FROM segments WHERE upload_id = :upload_id AND first_row >= :first_row ORDER BY first_row LIMIT :count;

-- name: segment_files
SELECT file_name FROM segments;

-- name: uploads_to_compact
SELECT upload_id FROM segments WHERE byte_count < :bytes_max
GROUP BY upload_id HAVING count(*) >= :count_min;

-- name: move_sealed_end
-- Moves nothing when the rows are not the ones that are next to be sealed.
UPDATE streams
SET sealed_row_count = sealed_row_count + :row_count, sealed_byte_count = sealed_byte_count + :byte_count
WHERE upload_id = :upload_id AND sealed_row_count = :first_row
RETURNING upload_id;

-- name: add_segment
INSERT INTO segments (upload_id, first_row, row_count, byte_count, schema_version, file_name, file_bytes,
    checksums, batches, chain)
VALUES (:upload_id, :first_row, :row_count, :byte_count, :schema_version, :file_name, :file_bytes,
    :checksums, :batches, :chain);

-- name: fill_stream
-- Rows that were never in the journal. Finds nothing when the upload has rows, or is gone.
UPDATE streams
SET row_count = :row_count, byte_count = :byte_count, sealed_row_count = :row_count,
    sealed_byte_count = :byte_count, chain = :chain, commit_count = iif(:row_count > 0, 1, 0)
WHERE upload_id = :upload_id AND row_count = 0
RETURNING upload_id;

-- name: recover_stream
UPDATE streams
SET row_count = :row_count, byte_count = :byte_count, sealed_row_count = :row_count,
    sealed_byte_count = :byte_count, chain = :chain, chain_first_row = :chain_first_row,
    commit_count = :commit_count
WHERE upload_id = :upload_id;

-- name: delete_segments
DELETE FROM segments WHERE upload_id = :upload_id AND first_row >= :first_row AND first_row < :row_end
RETURNING row_count;
