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

-- name: add_membership
INSERT INTO memberships (organization_id, user_id, role) VALUES (:organization_id, :user_id, :role);

-- name: membership_role
SELECT role FROM memberships WHERE organization_id = :organization_id AND user_id = :user_id;

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

-- name: dataset_by_key
SELECT * FROM dataset_facts WHERE owner_key = :owner_key AND name_key = :name_key;

-- name: dataset_by_reference_id
SELECT * FROM dataset_facts WHERE owner_key = :owner_key AND reference_id = :reference_id;

-- name: datasets_of_owner
SELECT * FROM dataset_facts WHERE owner_id = :owner_id AND id > :after_id ORDER BY id LIMIT :count;

-- name: add_dataset
INSERT INTO datasets (owner_id, identifier, reference_id, name, name_key, description,
    public_access_level, created_at, updated_at)
VALUES (:owner_id, :identifier, substr(:identifier, 1, 4), :name, :name_key, :description,
    :public_access_level, :now, :now)
RETURNING id;

-- name: add_version
INSERT INTO versions (dataset_id, position, created_at, updated_at)
VALUES (:dataset_id, 0, :now, :now);

-- name: delete_dataset
DELETE FROM datasets WHERE id = :id;

-- name: table_by_key
SELECT * FROM table_facts WHERE version_id = :version_id AND name_key = :name_key;

-- name: table_by_reference_id
SELECT * FROM table_facts WHERE version_id = :version_id AND reference_id = :reference_id;

-- name: tables_of_version
SELECT * FROM table_facts WHERE version_id = :version_id AND id > :after_id ORDER BY id LIMIT :count;

-- name: add_table
INSERT INTO tables (version_id, identifier, reference_id, name, name_key, description,
    upload_merge_strategy, is_file_index, created_at, updated_at)
VALUES (:version_id, :identifier, substr(:identifier, 1, 4), :name, :name_key, :description,
    :upload_merge_strategy, :is_file_index, :now, :now);

-- name: delete_table
DELETE FROM tables WHERE id = :id;

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

-- name: add_read_stream
INSERT INTO read_streams (identifier, user_id, expires_at, format, schema, slices)
VALUES (:identifier, :user_id, :expires_at, :format, :schema, :slices);

-- name: read_stream
SELECT identifier, user_id, expires_at, format, schema, slices
FROM read_streams WHERE identifier = :identifier AND expires_at > :now;

-- name: prune_read_streams
DELETE FROM read_streams WHERE expires_at <= :now;
