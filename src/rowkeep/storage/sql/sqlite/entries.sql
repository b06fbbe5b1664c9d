-- name: entry_start
-- The entry that holds row :row begins here.
SELECT max(first_row) AS first_row FROM entries WHERE upload_id = :upload_id AND first_row <= :row;

-- name: entries
-- The entries from :first_row on until their bytes reach :bytes_max, at least one.
SELECT entries.*
FROM (
    SELECT first_row, sum(byte_count) OVER (ORDER BY first_row) - byte_count AS bytes_before
    FROM (
        SELECT first_row, byte_count
        FROM entries
        WHERE upload_id = :upload_id AND first_row >= :first_row AND first_row < :row_end
        ORDER BY first_row
        LIMIT 1000
    )
) AS chosen
JOIN entries ON entries.upload_id = :upload_id AND entries.first_row = chosen.first_row
WHERE chosen.bytes_before < :bytes_max
ORDER BY entries.first_row;

-- name: entry_outlines
-- The entries from :first_row on, without their payloads.
SELECT first_row, row_count, byte_count, schema_version, is_continued
FROM entries WHERE upload_id = :upload_id AND first_row >= :first_row ORDER BY first_row LIMIT :count;

-- name: journal_bytes
SELECT coalesce(sum(byte_count - sealed_byte_count), 0) AS byte_count FROM streams;

-- name: uploads_to_seal
-- The uploads of which more than :bytes_min wait in the journal, those with most first. Rows without
-- variables cannot be sealed.
SELECT waiting.upload_id, waiting.first_row, waiting.byte_count, entries.committed_at AS oldest_at
FROM (
    SELECT upload_id, sealed_row_count AS first_row, byte_count - sealed_byte_count AS byte_count
    FROM streams
    WHERE streams.byte_count - streams.sealed_byte_count > :bytes_min
    ORDER BY byte_count DESC
    LIMIT :count
) AS waiting
JOIN entries ON entries.upload_id = waiting.upload_id AND entries.first_row = waiting.first_row
JOIN upload_facts ON upload_facts.id = waiting.upload_id AND upload_facts.variables <> '[]'
ORDER BY waiting.byte_count DESC;

-- name: released_uploads_to_seal
-- They count as old, however old their rows are: nothing joins them any more.
SELECT streams.upload_id, streams.sealed_row_count AS first_row,
    streams.byte_count - streams.sealed_byte_count AS byte_count, 0 AS oldest_at
FROM streams
JOIN upload_facts ON upload_facts.id = streams.upload_id AND upload_facts.variables <> '[]'
JOIN tables ON tables.id = upload_facts.table_id
JOIN versions ON versions.id = tables.version_id AND versions.released_at IS NOT NULL
WHERE streams.row_count > streams.sealed_row_count
LIMIT :count;

-- name: uploads_with_sealed_entries
SELECT upload_id, sealed_row_count FROM streams
WHERE sealed_row_count > 0 AND EXISTS (
    SELECT 1 FROM entries
    WHERE entries.upload_id = streams.upload_id AND entries.first_row < streams.sealed_row_count
);

-- name: drop_entries
-- The first entries before :row_end, until their bytes reach :bytes_max, at most 1,000.
DELETE FROM entries WHERE upload_id = :upload_id AND first_row IN (
    SELECT first_row FROM (
        SELECT first_row, sum(byte_count) OVER (ORDER BY first_row) - byte_count AS bytes_before
        FROM (
            SELECT first_row, byte_count FROM entries
            WHERE upload_id = :upload_id AND first_row < :row_end ORDER BY first_row LIMIT 1000
        )
    )
    WHERE bytes_before < :bytes_max
)
RETURNING first_row;
