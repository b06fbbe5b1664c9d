-- name: temp_upload
SELECT * FROM temp_uploads WHERE identifier = :identifier;

-- name: temp_upload_identifiers
SELECT identifier FROM temp_uploads;

-- name: temp_upload_bytes
SELECT coalesce(sum(coalesce(byte_count, size, 0)), 0) AS byte_count FROM temp_uploads;

-- name: add_temp_upload
INSERT INTO temp_uploads (identifier, table_id, user_id, name, size, created_at, expires_at)
VALUES (:identifier, :table_id, :user_id, :name, :size, :now, :expires_at)
RETURNING *;

-- name: receive_temp_upload
UPDATE temp_uploads SET received_byte_count = :byte_count, size = :size
WHERE identifier = :identifier AND byte_count IS NULL;

-- name: complete_temp_upload
UPDATE temp_uploads SET byte_count = :byte_count WHERE identifier = :identifier;

-- name: take_temp_upload
UPDATE temp_uploads SET upload_id = :upload_id
WHERE identifier = :identifier AND upload_id IS NULL AND byte_count IS NOT NULL
RETURNING id;

-- name: delete_temp_upload
DELETE FROM temp_uploads WHERE identifier = :identifier;

-- name: prune_temp_uploads
DELETE FROM temp_uploads WHERE expires_at <= :now AND upload_id IS NULL;
