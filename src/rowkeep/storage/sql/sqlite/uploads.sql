-- name: upload_by_key
SELECT * FROM upload_facts WHERE table_id = :table_id AND name_key = :name_key;

-- name: uploads_of_table
SELECT * FROM upload_facts WHERE table_id = :table_id AND id > :after_id ORDER BY id LIMIT :count;

-- name: content_uploads
-- The uploads that a table holds (see contents_of_tables), in the order of their rows.
WITH RECURSIVE lineage (source_id) AS (
    SELECT :table_id
    UNION ALL
    SELECT tables.parent_id
    FROM lineage JOIN tables ON tables.id = lineage.source_id
    WHERE tables.parent_id IS NOT NULL AND (
        tables.upload_merge_strategy = 'append'
        OR NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.table_id = tables.id)
    )
)
SELECT upload_facts.* FROM lineage CROSS JOIN upload_facts ON upload_facts.table_id = lineage.source_id
WHERE upload_facts.id > :after_id
ORDER BY upload_facts.id LIMIT :count;

-- name: uploads_of_streams
-- :origin_ids is a JSON array of the uploads in which streams began. Their uploads in all versions, from
-- the id :first_id on.
SELECT upload_facts.* FROM (
    SELECT asked.value AS id FROM json_each(:origin_ids) AS asked
    UNION ALL
    SELECT uploads.id FROM json_each(:origin_ids) AS asked CROSS JOIN uploads ON uploads.origin_id = asked.value
) AS found
CROSS JOIN upload_facts ON upload_facts.id = found.id
WHERE found.id >= :first_id
ORDER BY found.id;

-- name: earlier_stream
-- The stream by this name in the versions that a table was made from, the latest one.
WITH RECURSIVE lineage (table_id, distance) AS (
    SELECT parent_id, 1 FROM tables WHERE id = :table_id
    UNION ALL
    SELECT tables.parent_id, lineage.distance + 1 FROM lineage JOIN tables ON tables.id = lineage.table_id
)
SELECT upload_facts.*
FROM lineage CROSS JOIN upload_facts ON upload_facts.table_id = lineage.table_id
WHERE upload_facts.name_key = :name_key AND upload_facts.type = 'stream'
ORDER BY lineage.distance LIMIT 1;

-- name: schema
SELECT version, variables FROM schemas WHERE upload_id = :upload_id AND version = :version;

-- name: upload_place
SELECT owners.kind AS owner_kind, owners.name AS owner_name, datasets.identifier AS dataset_identifier,
    datasets.name AS dataset_name, versions.major, versions.minor, tables.identifier AS table_identifier,
    tables.name AS table_name, tables.upload_merge_strategy AS merge_strategy, uploads.name AS upload_name,
    uploads.type AS upload_type, uploads.updates_by_default
FROM uploads
JOIN tables ON tables.id = uploads.table_id
JOIN versions ON versions.id = tables.version_id
JOIN datasets ON datasets.id = versions.dataset_id
JOIN owners ON owners.id = datasets.owner_id
WHERE uploads.id = :upload_id;

-- name: last_upload_id
-- Of those that are gone too: SQLite keeps it.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'uploads'), 0) AS id;

-- name: chain_state
SELECT row_count, chain_first_row AS first_row, commit_count, chain FROM streams WHERE upload_id = :upload_id;

-- name: streams
SELECT upload_id FROM streams WHERE upload_id > :after_id ORDER BY upload_id LIMIT :count;

-- name: stream
SELECT streams.*, (
    SELECT coalesce(sum(removed_rows.row_count), 0) FROM removed_rows
    WHERE removed_rows.upload_id = streams.upload_id
) AS removed_row_sum
FROM streams WHERE upload_id = :upload_id;

-- name: deleted_uploads
-- Deleted uploads that no read session may ask for any more.
SELECT upload_id FROM deleted_uploads
WHERE upload_id NOT IN (
    SELECT slices.value ->> 'upload_id' FROM read_sessions, json_each(read_sessions.slices) AS slices
    WHERE read_sessions.expires_at > :now
)
LIMIT :count;

-- name: add_upload
INSERT INTO uploads (table_id, name, name_key, type, updates_by_default, schema_version, created_at, origin_id)
VALUES (:table_id, :name, :name_key, :type, :updates_by_default, :schema_version, :now, :origin_id)
RETURNING id;

-- name: add_recovered_upload
INSERT INTO uploads (id, table_id, name, name_key, type, updates_by_default, schema_version, created_at)
VALUES (:id, :table_id, :name, :name_key, :type, :updates_by_default, :schema_version, :now);

-- name: add_stream
INSERT INTO streams (upload_id, row_count, byte_count, latest_offset_token)
VALUES (:upload_id, 0, 0, :latest_offset_token);

-- name: add_schema
INSERT INTO schemas (upload_id, version, variables) VALUES (:upload_id, :version, :variables);

-- name: continue_uploads
-- The streams of the version that :version_id was made from once more, empty.
INSERT INTO uploads (table_id, name, name_key, type, updates_by_default, schema_version, created_at, origin_id)
SELECT tables.id, uploads.name, uploads.name_key, uploads.type, uploads.updates_by_default, 1, :now,
    coalesce(uploads.origin_id, uploads.id)
FROM tables JOIN uploads ON uploads.table_id = tables.parent_id
WHERE tables.version_id = :version_id AND uploads.type = 'stream'
ORDER BY uploads.id;

-- name: continue_schemas
INSERT INTO schemas (upload_id, version, variables)
SELECT continued_uploads.upload_id, 1, upload_facts.variables
FROM continued_uploads JOIN upload_facts ON upload_facts.id = continued_uploads.earlier_id
WHERE continued_uploads.version_id = :version_id;

-- name: continue_streams
INSERT INTO streams (upload_id, row_count, byte_count, latest_offset_token)
SELECT continued_uploads.upload_id, 0, 0, streams.latest_offset_token
FROM continued_uploads JOIN streams ON streams.upload_id = continued_uploads.earlier_id
WHERE continued_uploads.version_id = :version_id;

-- name: set_schema_version
UPDATE uploads SET schema_version = :version WHERE id = :upload_id;

-- name: delete_upload
DELETE FROM uploads WHERE id = :id;

-- name: forget_segments
DELETE FROM segments WHERE upload_id = :upload_id;

-- name: forget_schemas
DELETE FROM schemas WHERE upload_id = :upload_id;

-- name: forget_upload
DELETE FROM deleted_uploads WHERE upload_id = :upload_id;
