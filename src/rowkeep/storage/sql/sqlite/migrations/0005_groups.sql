-- Entries and receipts go in as one statement, so that a group with keys can be a whole commit by itself too (see
-- journal.py). What is inserted into this view is a group; see `add_group` in journal.sql for its columns.

CREATE VIEW groups AS
SELECT NULL AS entries, NULL AS payloads, NULL AS receipts, NULL AS catalog_version, NULL AS committed_at
WHERE FALSE;

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
    INSERT INTO receipts (upload_id, key, digest, row_count, change, commit_number, first_row, sha256, chain,
        skipped, committed_at)
    SELECT added.value ->> 0, added.value ->> 1, unhex(added.value ->> 2), added.value ->> 3,
        added.value ->> 4, added.value ->> 5, added.value ->> 6, unhex(added.value ->> 7),
        unhex(added.value ->> 8), added.value ->> 9, NEW.committed_at
    FROM json_each(NEW.receipts) AS added;
    INSERT INTO entries (upload_id, first_row, row_count, byte_count, schema_version, codec, checksum,
        committed_at, payload, is_continued, chain)
    SELECT added.value ->> 0, added.value ->> 8, added.value ->> 1, added.value ->> 2, added.value ->> 3,
        added.value ->> 4, added.value ->> 7, NEW.committed_at,
        substr(NEW.payloads, (added.value ->> 5) + 1, added.value ->> 6), added.value ->> 9,
        unhex(added.value ->> 10)
    FROM json_each(NEW.entries) AS added;
END;
