-- name: add_read_session
INSERT INTO read_sessions (identifier, opener_id, user_id, scope, expires_at, format, schema, slices, grounds,
    stream_count, byte_count)
VALUES (:identifier, :opener_id, :user_id, :scope, :expires_at, :format, :schema, :slices, :grounds,
    :stream_count, length(:schema) + length(:slices) + length(:grounds));

-- name: read_session
SELECT identifier, opener_id, user_id, scope, expires_at, format, schema, slices, grounds, stream_count
FROM read_sessions WHERE identifier = :identifier AND expires_at > :now;

-- name: read_sessions_of_opener
-- How many unexpired sessions one opener has, and how many bytes they take.
SELECT count(*) AS session_count, coalesce(sum(byte_count), 0) AS byte_count
FROM read_sessions WHERE opener_id = :opener_id AND expires_at > :now;

-- name: prune_read_sessions
DELETE FROM read_sessions WHERE expires_at <= :now;
