-- name: set_membership
INSERT INTO memberships (organization_id, user_id, role) VALUES (:organization_id, :user_id, :role)
ON CONFLICT (organization_id, user_id) DO UPDATE SET role = excluded.role;

-- name: membership
SELECT owners.id, owners.name AS user_name, memberships.role
FROM memberships JOIN owners ON owners.id = memberships.user_id
WHERE memberships.organization_id = :organization_id AND memberships.user_id = :user_id;

-- name: members_of_organization
SELECT owners.id, owners.name AS user_name, memberships.role
FROM memberships JOIN owners ON owners.id = memberships.user_id
WHERE memberships.organization_id = :organization_id AND owners.id > :after_id
ORDER BY owners.id LIMIT :count;

-- name: administrator_count
SELECT count(*) AS count FROM memberships
WHERE organization_id = :organization_id AND role = 'administrator';

-- name: delete_membership
DELETE FROM memberships WHERE organization_id = :organization_id AND user_id = :user_id;
