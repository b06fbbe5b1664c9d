-- A user's exports, newest first, and those that have long been finished.
CREATE INDEX exports_of_users ON jobs (user_id, id) WHERE kind = 'export';
CREATE INDEX exports_by_time ON jobs (finished_at) WHERE kind = 'export';

-- What links for others are signed with; one row. With a new secret no link of before is good any more.
CREATE TABLE link_secrets (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    secret BLOB NOT NULL
) STRICT;
INSERT INTO link_secrets (id, secret) VALUES (1, randomblob(32));
