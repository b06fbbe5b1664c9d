-- Segments: rows that have left the journal for immutable files, and rows that outlive their upload.

-- Entries and schemas stay when their upload is deleted, for as long as a read session may ask for its rows;
-- so they no longer refer to the upload. A rebuilt table is the only way to drop a reference.
DROP VIEW upload_facts;

CREATE TABLE kept_schemas (
    upload_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    variables TEXT NOT NULL,
    PRIMARY KEY (upload_id, version)
) STRICT, WITHOUT ROWID;
INSERT INTO kept_schemas (upload_id, version, variables)
SELECT upload_id, version, variables FROM schemas ORDER BY upload_id, version;
DROP TABLE schemas;
ALTER TABLE kept_schemas RENAME TO schemas;

-- One b-tree, so that a small commit writes two pages (this and the stream's counters) and not three.
CREATE TABLE kept_entries (
    upload_id INTEGER NOT NULL,
    first_row INTEGER NOT NULL,
    row_count INTEGER NOT NULL CHECK (row_count > 0),
    byte_count INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    -- CRC-32 of the payload and of what is said of it here (storage/journal.py)
    checksum INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (upload_id, first_row)
) STRICT, WITHOUT ROWID;
INSERT INTO kept_entries (upload_id, first_row, row_count, byte_count, schema_version, codec, checksum,
    committed_at, payload)
SELECT upload_id, first_row, row_count, byte_count, schema_version, codec, checksum,
    CAST(unixepoch('subsec') * 1000 AS INTEGER), payload
FROM entries ORDER BY upload_id, first_row;
DROP TABLE entries;
ALTER TABLE kept_entries RENAME TO entries;
-- A trigger, so that one statement can be a whole commit (see journal.py).
CREATE TRIGGER entries_grow_streams AFTER INSERT ON entries
BEGIN
    UPDATE streams
    SET row_count = row_count + NEW.row_count, byte_count = byte_count + NEW.byte_count
    WHERE upload_id = NEW.upload_id;
END;

-- The rows before this one are in segments, the others in entries. Kept beside the counters because what
-- waits to be sealed is asked for every few seconds, of all uploads.
ALTER TABLE streams ADD COLUMN sealed_row_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN sealed_byte_count INTEGER NOT NULL DEFAULT 0;

-- Immutable Parquet files in segments/ (storage/segments.py).
CREATE TABLE segments (
    upload_id INTEGER NOT NULL,
    first_row INTEGER NOT NULL,
    row_count INTEGER NOT NULL CHECK (row_count > 0),
    -- the size of the rows as they were in the journal, before encoding
    byte_count INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    file_name TEXT NOT NULL UNIQUE,
    file_bytes INTEGER NOT NULL,
    -- CRC-32 of each block of the file (storage/checked_file.py)
    checksums BLOB NOT NULL,
    PRIMARY KEY (upload_id, first_row)
) STRICT, WITHOUT ROWID;

-- Uploads that are deleted and whose rows are still there; the trigger sees cascades too.
CREATE TABLE deleted_uploads (
    upload_id INTEGER PRIMARY KEY
) STRICT;
CREATE TRIGGER uploads_leave_rows AFTER DELETE ON uploads
BEGIN
    INSERT INTO deleted_uploads (upload_id) VALUES (OLD.id);
END;

-- Receipts are forgotten by how often upkeep has passed since, not by the clock on the wall: one that jumps
-- forward must not make a repeated request insert again. Those that are there begin anew.
CREATE TABLE upkeep_state (
    passes INTEGER NOT NULL
) STRICT;
INSERT INTO upkeep_state (passes) VALUES (0);
UPDATE receipts SET created_at = 0;
DROP INDEX receipts_by_time;
ALTER TABLE receipts RENAME COLUMN created_at TO upkeep_pass;
CREATE INDEX receipts_by_upkeep_pass ON receipts (upkeep_pass);

CREATE VIEW upload_facts AS
SELECT uploads.*, schemas.variables, streams.row_count, streams.byte_count
FROM uploads
JOIN schemas ON schemas.upload_id = uploads.id AND schemas.version = uploads.schema_version
JOIN streams ON streams.upload_id = uploads.id;
