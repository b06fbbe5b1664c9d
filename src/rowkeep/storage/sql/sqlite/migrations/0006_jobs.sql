-- Jobs: all that takes longer than a request; and files that were sent to be loaded.

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identifier TEXT NOT NULL UNIQUE,
    -- load, export, query
    kind TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    -- who asked
    user_id INTEGER NOT NULL,
    -- the upload that a load fills; the job goes with it
    upload_id INTEGER UNIQUE REFERENCES uploads (id) ON DELETE CASCADE,
    -- JSON, of what the kind says
    arguments TEXT NOT NULL,
    result TEXT,
    -- why it failed, for who asked
    error TEXT,
    -- how much is done, from 0 to 1
    fraction REAL NOT NULL DEFAULT 0,
    -- how often it was begun
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    -- who runs it, and until when nobody else may take it
    holder TEXT,
    lease_until INTEGER
) STRICT;
CREATE INDEX jobs_to_do ON jobs (kind, status, user_id, id) WHERE status IN ('queued', 'running');

-- Files that were sent and wait to be loaded; the content is in the data directory, under the identifier.
CREATE TABLE temp_uploads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identifier TEXT NOT NULL UNIQUE,
    table_id INTEGER NOT NULL REFERENCES tables (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL,
    name TEXT,
    -- how large it is said to become, if anybody knows
    size INTEGER,
    -- how large it is; null until all of it is there, durable
    byte_count INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- the upload that took it to be filled with; it no longer expires then, and goes with the upload
    upload_id INTEGER UNIQUE REFERENCES uploads (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX temp_uploads_by_time ON temp_uploads (expires_at);
CREATE INDEX temp_uploads_of_tables ON temp_uploads (table_id);
