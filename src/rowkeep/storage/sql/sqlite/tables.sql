-- name: table_by_key
SELECT * FROM tables WHERE version_id = :version_id AND name_key = :name_key;

-- name: table_by_reference_id
SELECT * FROM tables WHERE version_id = :version_id AND reference_id = :reference_id;

-- name: tables_of_version
SELECT * FROM tables WHERE version_id = :version_id AND id > :after_id ORDER BY id LIMIT :count;

-- name: contents_of_tables
-- :ids is a JSON array of table ids. What each table holds: its own uploads, and unless they replace
-- them, those of the versions before. One row for each schema that its uploads have, in the order of
-- their first uploads; content_key differs when the rows do, and is null for a schema without rows.
WITH RECURSIVE lineage (table_id, source_id) AS (
    SELECT value, value FROM json_each(:ids)
    UNION ALL
    SELECT lineage.table_id, tables.parent_id
    FROM lineage JOIN tables ON tables.id = lineage.source_id
    WHERE tables.parent_id IS NOT NULL AND (
        tables.upload_merge_strategy = 'append'
        OR NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.table_id = tables.id)
    )
)
SELECT lineage.table_id, upload_facts.variables, sum(upload_facts.row_count) AS row_count,
    sum(upload_facts.byte_count) AS byte_count,
    group_concat(
        upload_facts.id || ':' || upload_facts.schema_version || ':' || upload_facts.row_count
            || '/' || upload_facts.row_end, ';'
        ORDER BY upload_facts.id
    ) FILTER (WHERE upload_facts.row_end > 0) AS content_key
FROM lineage CROSS JOIN upload_facts ON upload_facts.table_id = lineage.source_id
GROUP BY lineage.table_id, upload_facts.variables
ORDER BY lineage.table_id, min(upload_facts.id);

-- name: add_table
INSERT INTO tables (version_id, identifier, reference_id, name, name_key, description,
    upload_merge_strategy, is_file_index, created_at, updated_at)
VALUES (:version_id, :identifier, substr(:identifier, 1, 4), :name, :name_key, :description,
    :upload_merge_strategy, :is_file_index, :now, :now)
RETURNING *;

-- name: update_table
UPDATE tables
SET name = :name, name_key = :name_key, description = :description,
    upload_merge_strategy = :upload_merge_strategy, updated_at = :now
WHERE id = :id
RETURNING *;

-- name: delete_table
DELETE FROM tables WHERE id = :id;
