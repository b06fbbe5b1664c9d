-- name: catalog_version
SELECT version FROM catalog_state;

-- name: catalog_changed
UPDATE catalog_state SET version = version + 1;

-- name: owner_by_key
SELECT id, kind, name FROM owners WHERE name_key = :name_key;

-- name: add_owner
INSERT INTO owners (kind, name, name_key, created_at)
VALUES (:kind, :name, :name_key, :created_at)
RETURNING id, kind, name;

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

-- name: token_by_hash
SELECT tokens.user_id, owners.name AS user_name, tokens.scopes, tokens.expires_at
FROM tokens JOIN owners ON owners.id = tokens.user_id
WHERE tokens.hash = :hash AND tokens.revoked_at IS NULL;

-- name: add_token
INSERT INTO tokens (user_id, hash, scopes, created_at, expires_at)
VALUES (:user_id, :hash, :scopes, :created_at, :expires_at)
RETURNING id;

-- name: tokens
SELECT tokens.id, owners.name AS user_name, tokens.scopes, tokens.created_at, tokens.expires_at,
    tokens.revoked_at
FROM tokens JOIN owners ON owners.id = tokens.user_id
ORDER BY tokens.id;

-- name: revoke_token
UPDATE tokens SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL RETURNING id;

-- name: add_read_stream
INSERT INTO read_streams (identifier, user_id, scope, expires_at, format, schema, slices)
VALUES (:identifier, :user_id, :scope, :expires_at, :format, :schema, :slices);

-- name: read_stream
SELECT identifier, user_id, scope, expires_at, format, schema, slices
FROM read_streams WHERE identifier = :identifier AND expires_at > :now;

-- name: prune_read_streams
DELETE FROM read_streams WHERE expires_at <= :now;
