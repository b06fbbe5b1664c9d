-- Streams that go on in the next version: each version has an upload of its own for them.

DROP VIEW upload_facts;
DROP TRIGGER groups_go_in;
DROP TRIGGER receipts_replace_rejections;

-- The upload in which a stream began; null in that upload itself.
ALTER TABLE uploads ADD COLUMN origin_id INTEGER REFERENCES uploads (id);
CREATE INDEX uploads_of_origin ON uploads (origin_id);

CREATE VIEW upload_facts AS
SELECT uploads.id, uploads.table_id, uploads.name, uploads.name_key, uploads.type, uploads.updates_by_default,
    uploads.schema_version, uploads.created_at, coalesce(uploads.origin_id, uploads.id) AS origin_id,
    schemas.variables, streams.row_count - streams.removed_row_count AS row_count,
    streams.row_count AS row_end, streams.byte_count, streams.latest_offset_token
FROM uploads
JOIN schemas ON schemas.upload_id = uploads.id AND schemas.version = uploads.schema_version
JOIN streams ON streams.upload_id = uploads.id;

-- The uploads of a version in which streams of the version before go on.
CREATE VIEW continued_uploads AS
SELECT tables.version_id, continuing.id AS upload_id, earlier.id AS earlier_id
FROM tables
JOIN uploads AS earlier ON earlier.table_id = tables.parent_id
JOIN uploads AS continuing ON continuing.table_id = tables.id AND continuing.name_key = earlier.name_key
WHERE continuing.origin_id IS NOT NULL;

-- A key belongs to a stream, whatever the version: receipts are kept by the upload in which it began, and
-- say which upload holds their rows; null: that upload itself.
ALTER TABLE receipts RENAME COLUMN upload_id TO origin_id;
ALTER TABLE receipts ADD COLUMN upload_id INTEGER;
CREATE TRIGGER continued_uploads_leave_receipts AFTER DELETE ON uploads WHEN OLD.origin_id IS NOT NULL
BEGIN
    DELETE FROM receipts WHERE origin_id = OLD.origin_id AND upload_id = OLD.id;
END;
-- A request that was refused may be sent again corrected.
CREATE TRIGGER receipts_replace_rejections AFTER INSERT ON receipts
BEGIN
    DELETE FROM rejections WHERE upload_id = coalesce(NEW.upload_id, NEW.origin_id) AND key = NEW.key;
END;

-- The groups of 0005, with receipts by their stream.
CREATE TRIGGER groups_go_in INSTEAD OF INSERT ON groups
BEGIN
    SELECT RAISE(ABORT, 'the catalog has moved')
    WHERE (SELECT version FROM catalog_state) <> NEW.catalog_version;
    SELECT RAISE(ABORT, 'an upload does not end where its entry begins')
    WHERE json_array_length(NEW.entries) <> (
        SELECT count(*) FROM json_each(NEW.entries) AS stated
        JOIN streams ON streams.upload_id = stated.value ->> 0 AND streams.row_count = stated.value ->> 8
    );
    -- A key that is known fails here, and with it the statement.
    INSERT INTO receipts (origin_id, upload_id, key, digest, row_count, change, commit_number, first_row,
        sha256, chain, skipped, committed_at)
    SELECT coalesce(uploads.origin_id, uploads.id), iif(uploads.origin_id IS NULL, NULL, uploads.id),
        added.value ->> 1, unhex(added.value ->> 2), added.value ->> 3, added.value ->> 4, added.value ->> 5,
        added.value ->> 6, unhex(added.value ->> 7), unhex(added.value ->> 8), added.value ->> 9,
        NEW.committed_at
    FROM json_each(NEW.receipts) AS added CROSS JOIN uploads ON uploads.id = added.value ->> 0;
    INSERT INTO entries (upload_id, first_row, row_count, byte_count, schema_version, codec, checksum,
        committed_at, payload, is_continued, chain)
    SELECT added.value ->> 0, added.value ->> 8, added.value ->> 1, added.value ->> 2, added.value ->> 3,
        added.value ->> 4, added.value ->> 7, NEW.committed_at,
        substr(NEW.payloads, (added.value ->> 5) + 1, added.value ->> 6), added.value ->> 9,
        unhex(added.value ->> 10)
    FROM json_each(NEW.entries) AS added;
END;

-- The version that an unreleased one was made from.
ALTER TABLE versions ADD COLUMN parent_id INTEGER REFERENCES versions (id) ON DELETE SET NULL;
CREATE INDEX versions_of_parent ON versions (parent_id);
UPDATE versions SET parent_id = (
    SELECT parents.version_id
    FROM tables JOIN tables AS parents ON parents.id = tables.parent_id
    WHERE tables.version_id = versions.id LIMIT 1
);

-- What was declared of variables in the versions before, in the schemas of uploads: the uploads of this one win.
ALTER TABLE variable_metadata ADD COLUMN is_declared INTEGER NOT NULL DEFAULT 0
    CHECK (is_declared IN (0, 1));
