-- name: dataset_by_key
SELECT dataset_facts.*, coalesce((
    SELECT access_level FROM user_levels WHERE dataset_id = dataset_facts.id AND user_id = :user_id
), 0) AS user_level
FROM dataset_facts WHERE owner_key = :owner_key AND name_key = :name_key;

-- name: dataset_by_reference_id
SELECT dataset_facts.*, coalesce((
    SELECT access_level FROM user_levels WHERE dataset_id = dataset_facts.id AND user_id = :user_id
), 0) AS user_level
FROM dataset_facts WHERE owner_key = :owner_key AND reference_id = :reference_id;

-- name: datasets_of_owner
-- Those that a user sees; what was never released shows itself to editors alone.
SELECT * FROM (
    SELECT dataset_facts.*, coalesce((
        SELECT access_level FROM user_levels WHERE dataset_id = dataset_facts.id AND user_id = :user_id
    ), 0) AS user_level
    FROM dataset_facts WHERE owner_id = :owner_id AND id > :after_id
)
WHERE (:sees_unreleased AND user_level = 5)
    OR (current_version_id IS NOT NULL AND (user_level > 0 OR public_access_level > 0))
ORDER BY id LIMIT :count;

-- name: reference_id_of_owner
SELECT reference_id FROM datasets WHERE owner_id = :owner_id AND reference_id = :reference_id;

-- name: add_dataset
INSERT INTO datasets (owner_id, identifier, reference_id, name, name_key, description,
    public_access_level, created_at, updated_at)
VALUES (:owner_id, :identifier, substr(:identifier, 1, 4), :name, :name_key, :description,
    :public_access_level, :now, :now)
RETURNING id;

-- name: update_dataset
UPDATE datasets
SET name = :name, name_key = :name_key, description = :description,
    public_access_level = :public_access_level, labels = :labels, tags = :tags,
    methodology_markdown = :methodology_markdown, usage_markdown = :usage_markdown, updated_at = :now
WHERE id = :id;

-- name: delete_dataset
DELETE FROM datasets WHERE id = :id;

-- name: grants_of_dataset
SELECT owners.id, owners.kind AS grantee_kind, owners.name AS grantee_name, grants.access_level
FROM grants JOIN owners ON owners.id = grants.grantee_id
WHERE grants.dataset_id = :dataset_id AND owners.id > :after_id
ORDER BY owners.id LIMIT :count;

-- name: grant
SELECT owners.id, owners.kind AS grantee_kind, owners.name AS grantee_name, grants.access_level
FROM grants JOIN owners ON owners.id = grants.grantee_id
WHERE grants.dataset_id = :dataset_id AND grants.grantee_id = :grantee_id;

-- name: set_grant
INSERT INTO grants (dataset_id, grantee_id, access_level) VALUES (:dataset_id, :grantee_id, :access_level)
ON CONFLICT (dataset_id, grantee_id) DO UPDATE SET access_level = excluded.access_level;

-- name: delete_grant
DELETE FROM grants WHERE dataset_id = :dataset_id AND grantee_id = :grantee_id;

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

-- name: add_version
INSERT INTO versions (dataset_id, position, created_at, updated_at)
SELECT :dataset_id, coalesce(max(position) + 1, 0), :now, :now FROM versions WHERE dataset_id = :dataset_id
RETURNING id;

-- name: update_version
UPDATE versions
SET label = :label, release_notes = :release_notes, updated_at = :now
WHERE id = :id;

-- name: release_version
UPDATE versions
SET major = :major, minor = :minor, release_notes = :release_notes, released_at = :now, updated_at = :now
WHERE id = :id;

-- name: unrelease_version
UPDATE versions SET major = NULL, minor = NULL, released_at = NULL, updated_at = :now WHERE id = :id;

-- name: mark_version_deleted
UPDATE versions SET deleted_at = :deleted_at, updated_at = :now WHERE id = :id;

-- name: delete_version
DELETE FROM versions WHERE id = :id;

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
    (SELECT coalesce(sum(streams.byte_count), 0)
     FROM versions AS siblings JOIN tables ON tables.version_id = siblings.id
     JOIN uploads ON uploads.table_id = tables.id JOIN streams ON streams.upload_id = uploads.id
     WHERE siblings.dataset_id = versions.dataset_id) AS dataset_byte_count
FROM json_each(:ids) AS asked
JOIN versions ON versions.id = asked.value
LEFT JOIN (
    SELECT lineage.version_id, sum(streams.byte_count) AS byte_count
    FROM lineage CROSS JOIN uploads ON uploads.table_id = lineage.source_id
    JOIN streams ON streams.upload_id = uploads.id
    GROUP BY lineage.version_id
) AS held ON held.version_id = versions.id;
