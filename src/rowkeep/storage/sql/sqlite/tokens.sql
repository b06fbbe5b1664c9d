-- name: token_by_hash
SELECT tokens.user_id, owners.name AS user_name, tokens.scopes, tokens.expires_at
FROM tokens JOIN owners ON owners.id = tokens.user_id
WHERE tokens.hash = :hash AND tokens.revoked_at IS NULL;

-- name: add_token
INSERT INTO tokens (user_id, hash, scopes, created_at, expires_at)
VALUES (:user_id, :hash, :scopes, :created_at, :expires_at)
RETURNING id, (SELECT name FROM owners WHERE owners.id = tokens.user_id) AS user_name, scopes, created_at,
    expires_at, revoked_at;

-- name: tokens
SELECT tokens.id, owners.name AS user_name, tokens.scopes, tokens.created_at, tokens.expires_at,
    tokens.revoked_at
FROM tokens JOIN owners ON owners.id = tokens.user_id
ORDER BY tokens.id;

-- name: revoke_token
UPDATE tokens SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL
RETURNING (SELECT name FROM owners WHERE owners.id = tokens.user_id) AS user_name;
