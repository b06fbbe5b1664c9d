-- name: versions_by_id
-- :ids is a JSON array of version ids.
SELECT versions.* FROM json_each(:ids) AS asked JOIN versions ON versions.id = asked.value;

-- name: version_by_tag
SELECT * FROM versions WHERE dataset_id = :dataset_id AND major = :major AND minor = :minor;

-- name: versions_of_dataset
SELECT * FROM versions
WHERE dataset_id = :dataset_id AND id > :after_id
    AND (:sees_unreleased OR (released_at IS NOT NULL AND deleted_at IS NULL))
ORDER BY id LIMIT :count;

-- name: version_before
SELECT * FROM versions
WHERE dataset_id = :dataset_id AND position < :position AND deleted_at IS NULL
ORDER BY position DESC LIMIT 1;

-- name: version_after
SELECT * FROM versions
WHERE dataset_id = :dataset_id AND position > :position AND deleted_at IS NULL
ORDER BY position LIMIT 1;

-- name: last_tag
SELECT major, minor FROM versions
WHERE dataset_id = :dataset_id AND released_at IS NOT NULL
ORDER BY major DESC, minor DESC LIMIT 1;

-- name: sizes_of_versions
-- :ids is a JSON array of version ids. What each holds, and all that its dataset keeps.
-- CROSS JOIN keeps SQLite from going through all uploads there are to find those of the lineage.
WITH RECURSIVE lineage (version_id, source_id) AS (
    SELECT tables.version_id, tables.id
    FROM json_each(:ids) AS asked JOIN tables ON tables.version_id = asked.value
    UNION ALL
    SELECT lineage.version_id, tables.parent_id
    FROM lineage JOIN tables ON tables.id = lineage.source_id
    WHERE tables.parent_id IS NOT NULL AND (
        tables.upload_merge_strategy = 'append'
        OR NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.table_id = tables.id)
    )
)
SELECT versions.id,
    (SELECT count(*) FROM tables WHERE tables.version_id = versions.id) AS table_count,
    coalesce(held.byte_count, 0) AS byte_count,
    (SELECT coalesce(sum(upload_facts.byte_count), 0)
     FROM versions AS siblings JOIN tables ON tables.version_id = siblings.id
     JOIN upload_facts ON upload_facts.table_id = tables.id
     WHERE siblings.dataset_id = versions.dataset_id) AS dataset_byte_count
FROM json_each(:ids) AS asked
JOIN versions ON versions.id = asked.value
LEFT JOIN (
    SELECT lineage.version_id, sum(upload_facts.byte_count) AS byte_count
    FROM lineage CROSS JOIN upload_facts ON upload_facts.table_id = lineage.source_id
    GROUP BY lineage.version_id
) AS held ON held.version_id = versions.id;

-- name: add_version
INSERT INTO versions (dataset_id, position, parent_id, created_at, updated_at)
SELECT :dataset_id, coalesce(max(position) + 1, 0), :parent_id, :now, :now
FROM versions WHERE dataset_id = :dataset_id
RETURNING *;

-- name: carry_tables
-- The tables of a version once more, for the next.
INSERT INTO tables (version_id, parent_id, identifier, reference_id, name, name_key, description,
    upload_merge_strategy, is_file_index, created_at, updated_at)
SELECT :version_id, id, identifier, reference_id, name, name_key, description, upload_merge_strategy,
    is_file_index, created_at, updated_at
FROM tables WHERE version_id = :parent_version_id ORDER BY id;

-- name: carry_variable_metadata
INSERT INTO variable_metadata (table_id, name_key, label, description, value_labels, is_declared)
SELECT tables.id, variable_metadata.name_key, variable_metadata.label, variable_metadata.description,
    variable_metadata.value_labels, variable_metadata.is_declared
FROM tables JOIN variable_metadata ON variable_metadata.table_id = tables.parent_id
WHERE tables.version_id = :version_id;

-- name: update_version
UPDATE versions
SET label = :label, release_notes = :release_notes, updated_at = :now
WHERE id = :id
RETURNING *;

-- name: release_version
UPDATE versions
SET major = :major, minor = :minor, release_notes = :release_notes, released_at = :now, updated_at = :now
WHERE id = :id
RETURNING *;

-- name: unrelease_version
UPDATE versions SET major = NULL, minor = NULL, released_at = NULL, updated_at = :now WHERE id = :id
RETURNING *;

-- name: mark_version_deleted
UPDATE versions SET deleted_at = :deleted_at, updated_at = :now WHERE id = :id
RETURNING *;

-- name: delete_version
DELETE FROM versions WHERE id = :id;
