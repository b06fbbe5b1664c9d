-- name: add_read_stream
INSERT INTO read_streams (identifier, user_id, scope, expires_at, format, schema, slices)
VALUES (:identifier, :user_id, :scope, :expires_at, :format, :schema, :slices);

-- name: read_stream
SELECT identifier, user_id, scope, expires_at, format, schema, slices
FROM read_streams WHERE identifier = :identifier AND expires_at > :now;

-- name: prune_read_streams
DELETE FROM read_streams WHERE expires_at <= :now;
