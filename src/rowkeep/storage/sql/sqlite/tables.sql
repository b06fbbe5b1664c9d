-- name: table_by_key
SELECT * FROM tables WHERE version_id = :version_id AND name_key = :name_key;

-- name: table_by_reference_id
SELECT * FROM tables WHERE version_id = :version_id AND reference_id = :reference_id;

-- name: tables_of_version
SELECT * FROM tables WHERE version_id = :version_id AND id > :after_id ORDER BY id LIMIT :count;

-- name: add_table
INSERT INTO tables (version_id, identifier, reference_id, name, name_key, description,
    upload_merge_strategy, is_file_index, created_at, updated_at)
VALUES (:version_id, :identifier, substr(:identifier, 1, 4), :name, :name_key, :description,
    :upload_merge_strategy, :is_file_index, :now, :now);

-- name: carry_tables
-- The tables of a version once more, for the next.
INSERT INTO tables (version_id, parent_id, identifier, reference_id, name, name_key, description,
    upload_merge_strategy, is_file_index, created_at, updated_at)
SELECT :version_id, id, identifier, reference_id, name, name_key, description, upload_merge_strategy,
    is_file_index, created_at, updated_at
FROM tables WHERE version_id = :parent_version_id ORDER BY id;

-- name: carry_variable_metadata
INSERT INTO variable_metadata (table_id, name_key, label, description, value_labels)
SELECT tables.id, variable_metadata.name_key, variable_metadata.label, variable_metadata.description,
    variable_metadata.value_labels
FROM tables JOIN variable_metadata ON variable_metadata.table_id = tables.parent_id
WHERE tables.version_id = :version_id;

-- name: update_table
UPDATE tables
SET name = :name, name_key = :name_key, description = :description,
    upload_merge_strategy = :upload_merge_strategy, updated_at = :now
WHERE id = :id;

-- name: delete_table
DELETE FROM tables WHERE id = :id;

-- name: variable_metadata
-- :table_ids is a JSON array.
SELECT variable_metadata.* FROM json_each(:table_ids) AS asked
JOIN variable_metadata ON variable_metadata.table_id = asked.value;

-- name: set_variable_metadata
-- :variables is a JSON array of [table_id, name_key, label, description, value_labels].
INSERT INTO variable_metadata (table_id, name_key, label, description, value_labels)
SELECT said.value ->> 0, said.value ->> 1, said.value ->> 2, said.value ->> 3, said.value -> 4
FROM json_each(:variables) AS said
WHERE true
ON CONFLICT (table_id, name_key) DO UPDATE
SET label = excluded.label, description = excluded.description, value_labels = excluded.value_labels;

-- name: contents_of_tables
-- :ids is a JSON array of table ids. What each table holds: its own uploads, and unless they replace
-- them, those of the versions before. One row for each schema that its uploads have, in the order of
-- their first uploads; content_key differs when the content does.
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
    ) AS content_key
FROM lineage CROSS JOIN upload_facts ON upload_facts.table_id = lineage.source_id
GROUP BY lineage.table_id, upload_facts.variables
ORDER BY lineage.table_id, min(upload_facts.id);

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

-- name: upload_by_key
SELECT * FROM upload_facts WHERE table_id = :table_id AND name_key = :name_key;

-- name: uploads_of_table
SELECT * FROM upload_facts WHERE table_id = :table_id AND id > :after_id ORDER BY id LIMIT :count;

-- name: add_upload
INSERT INTO uploads (table_id, name, name_key, type, updates_by_default, schema_version, created_at)
VALUES (:table_id, :name, :name_key, :type, :updates_by_default, :schema_version, :now)
RETURNING id;

-- name: add_schema
INSERT INTO schemas (upload_id, version, variables) VALUES (:upload_id, :version, :variables);

-- name: set_schema_version
UPDATE uploads SET schema_version = :version WHERE id = :upload_id;

-- name: schema
SELECT version, variables FROM schemas WHERE upload_id = :upload_id AND version = :version;

-- name: add_stream
INSERT INTO streams (upload_id, row_count, byte_count) VALUES (:upload_id, 0, 0);

-- name: delete_upload
DELETE FROM uploads WHERE id = :id;
