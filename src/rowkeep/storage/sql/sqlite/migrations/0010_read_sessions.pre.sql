-- Read sessions: one row each. Their streams are cut from it when they are read. Sessions of before are not taken
-- over, since they do not say what their readers must be permitted; their readers open new ones.
CREATE TABLE read_sessions (
    identifier TEXT PRIMARY KEY,
    -- who opened it and has it counted; 0 for an anonymous reader
    opener_id INTEGER NOT NULL,
    -- who alone may read it; null for whoever may see the rows
    user_id INTEGER,
    -- what a token must hold to read it
    scope TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    format TEXT NOT NULL,
    schema TEXT NOT NULL,
    slices TEXT NOT NULL,
    -- the versions that the rows are of, and what access reading them takes
    grounds TEXT NOT NULL,
    stream_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL
) STRICT;
CREATE INDEX read_sessions_by_time ON read_sessions (expires_at);
CREATE INDEX read_sessions_of_openers ON read_sessions (opener_id, expires_at, byte_count);
