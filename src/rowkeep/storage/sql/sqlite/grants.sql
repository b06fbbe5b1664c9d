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
