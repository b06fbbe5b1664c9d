-- Receipts that can be checked, requests that can be asked after and undone, offset tokens.

DROP VIEW upload_facts;
DROP TRIGGER entries_grow_streams;

-- The chain of each upload (model/chain.py) and how many commits brought it rows. Rows that are there already
-- were accepted without a digest: the chain covers those from chain_first_row on.
ALTER TABLE streams ADD COLUMN chain BLOB NOT NULL
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';
ALTER TABLE streams ADD COLUMN chain_first_row INTEGER NOT NULL DEFAULT 0;
UPDATE streams SET chain_first_row = row_count;
ALTER TABLE streams ADD COLUMN commit_count INTEGER NOT NULL DEFAULT 0;
-- How many rows were removed by undoing their requests; they keep their numbers.
ALTER TABLE streams ADD COLUMN removed_row_count INTEGER NOT NULL DEFAULT 0;
-- Where a producer of the upload stands, in its own words.
ALTER TABLE streams ADD COLUMN latest_offset_token TEXT;

-- The chain after the last whole batch of an entry; the last one goes on in the next entry if is_continued.
ALTER TABLE entries ADD COLUMN is_continued INTEGER NOT NULL DEFAULT 0 CHECK (is_continued IN (0, 1));
ALTER TABLE entries ADD COLUMN chain BLOB;
-- A trigger, so that one statement can be a whole commit (see journal.py).
CREATE TRIGGER entries_grow_streams AFTER INSERT ON entries
BEGIN
    UPDATE streams
    SET row_count = row_count + NEW.row_count, byte_count = byte_count + NEW.byte_count,
        chain = NEW.chain, commit_count = commit_count + 1 - NEW.is_continued
    WHERE upload_id = NEW.upload_id;
END;

-- The packed row counts of a segment's batches, those that the chain covers, and the chain after the last.
ALTER TABLE segments ADD COLUMN batches BLOB NOT NULL DEFAULT x'';
ALTER TABLE segments ADD COLUMN chain BLOB;

-- Keys are kept as long as their upload. What was answered before there were chains has no row numbers.
DROP INDEX receipts_by_upkeep_pass;
ALTER TABLE receipts DROP COLUMN upkeep_pass;
DROP TABLE upkeep_state;
ALTER TABLE receipts ADD COLUMN committed_at INTEGER;
ALTER TABLE receipts ADD COLUMN commit_number INTEGER;
ALTER TABLE receipts ADD COLUMN first_row INTEGER;
ALTER TABLE receipts ADD COLUMN sha256 BLOB;
ALTER TABLE receipts ADD COLUMN chain BLOB;

-- Requests with a key that were refused for their rows: the latest of each upload.
CREATE TABLE rejections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    upload_id INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    rejected_at INTEGER NOT NULL,
    message TEXT NOT NULL,
    -- a JSON array of {row, variable, message}
    row_errors TEXT NOT NULL,
    row_error_count INTEGER NOT NULL,
    UNIQUE (upload_id, key)
) STRICT;
CREATE INDEX rejections_in_order ON rejections (upload_id);
-- A request that was refused may be sent again corrected.
CREATE TRIGGER receipts_replace_rejections AFTER INSERT ON receipts
BEGIN
    DELETE FROM rejections WHERE upload_id = NEW.upload_id AND key = NEW.key;
END;

-- Requests that were undone: which rows they had (none: first_row is null), by whom and when.
CREATE TABLE removed_rows (
    upload_id INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    first_row INTEGER,
    row_count INTEGER NOT NULL,
    removed_at INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    PRIMARY KEY (upload_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX removed_rows_in_order ON removed_rows (upload_id, first_row);

-- row_count is how many rows an upload shows, row_end the number after its last.
CREATE VIEW upload_facts AS
SELECT uploads.*, schemas.variables, streams.row_count - streams.removed_row_count AS row_count,
    streams.row_count AS row_end, streams.byte_count, streams.latest_offset_token
FROM uploads
JOIN schemas ON schemas.upload_id = uploads.id AND schemas.version = uploads.schema_version
JOIN streams ON streams.upload_id = uploads.id;
