-- name: owner_by_key
SELECT id, kind, name FROM owners WHERE name_key = :name_key;

-- name: owners_exist
SELECT EXISTS (SELECT 1 FROM owners) AS found;

-- name: administers
-- Whether a user is this owner, or administers this organization.
SELECT :owner_id = :user_id OR EXISTS (
    SELECT 1 FROM memberships
    WHERE organization_id = :owner_id AND user_id = :user_id AND role = 'administrator'
) AS administers;

-- name: add_owner
INSERT INTO owners (kind, name, name_key, created_at)
VALUES (:kind, :name, :name_key, :created_at)
RETURNING id, kind, name;
