-- The files of file index tables. Each is a row of an upload too; one that was removed stays here until its
-- upload goes, so that lists know when they changed last.
CREATE TABLE raw_files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identifier TEXT NOT NULL UNIQUE,
    upload_id INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    -- the number of its row
    row INTEGER NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    md5 BLOB NOT NULL,
    -- the SHA-256 in hex, which is the name of the file with the content
    sha256 TEXT NOT NULL,
    -- the temporary upload that brought it: a request that is sent again names it again
    temp_upload TEXT NOT NULL UNIQUE,
    added_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX raw_files_by_name ON raw_files (upload_id, name) WHERE removed_at IS NULL;
CREATE INDEX raw_files_by_content ON raw_files (sha256) WHERE removed_at IS NULL;
