-- Quarantine: rows that did not fit and were skipped, as they came.

-- How much the quarantine of an upload holds; there is none before the first row was skipped.
CREATE TABLE quarantines (
    upload_id INTEGER PRIMARY KEY REFERENCES uploads (id) ON DELETE CASCADE,
    row_count INTEGER NOT NULL DEFAULT 0,
    byte_count INTEGER NOT NULL DEFAULT 0,
    -- the rows that went out for want of room since it was emptied
    dropped_count INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE quarantined_rows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    upload_id INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    -- the row's place in its request, from 0
    position INTEGER NOT NULL,
    -- the key of its request
    key TEXT,
    quarantined_at INTEGER NOT NULL,
    -- the size of what follows
    byte_count INTEGER NOT NULL,
    -- CRC-32 of the rest (storage/quarantine.py)
    checksum INTEGER NOT NULL,
    -- a JSON array of {variable, message}
    reasons TEXT NOT NULL,
    content BLOB NOT NULL
) STRICT;
-- Oldest first: an index ends in the row id.
CREATE INDEX quarantined_rows_in_order ON quarantined_rows (upload_id);

CREATE TRIGGER quarantined_rows_come AFTER INSERT ON quarantined_rows
BEGIN
    UPDATE quarantines
    SET row_count = row_count + 1, byte_count = byte_count + NEW.byte_count
    WHERE upload_id = NEW.upload_id;
END;
CREATE TRIGGER quarantined_rows_go AFTER DELETE ON quarantined_rows
BEGIN
    UPDATE quarantines
    SET row_count = row_count - 1, byte_count = byte_count - OLD.byte_count
    WHERE upload_id = OLD.upload_id;
END;

-- What a receipt says of skipped rows, as JSON; null when there were none.
ALTER TABLE receipts ADD COLUMN skipped TEXT;
