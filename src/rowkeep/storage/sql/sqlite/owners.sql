-- name: owner_by_key
SELECT id, kind, name FROM owners WHERE name_key = :name_key;

-- name: add_owner
INSERT INTO owners (kind, name, name_key, created_at)
VALUES (:kind, :name, :name_key, :created_at)
RETURNING id, kind, name;
