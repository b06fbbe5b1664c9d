-- name: quarantine
SELECT row_count, byte_count, dropped_count FROM quarantines WHERE upload_id = :upload_id;

-- name: quarantines_of_uploads
-- :ids is a JSON array of upload ids.
SELECT quarantines.upload_id, quarantines.row_count
FROM json_each(:ids) AS asked CROSS JOIN quarantines ON quarantines.upload_id = asked.value;

-- name: last_quarantined_row
SELECT coalesce(max(id), 0) AS id FROM quarantined_rows WHERE upload_id = :upload_id;

-- name: quarantined_rows
-- Those after :after_id up to :last_id, until their bytes reach :bytes_max, at least one, at most :count.
SELECT quarantined_rows.*
FROM (
    SELECT id, sum(byte_count) OVER (ORDER BY id) - byte_count AS bytes_before
    FROM (
        SELECT id, byte_count FROM quarantined_rows
        WHERE upload_id = :upload_id AND id > :after_id AND id <= :last_id ORDER BY id LIMIT :count
    )
) AS chosen
CROSS JOIN quarantined_rows ON quarantined_rows.id = chosen.id
WHERE chosen.bytes_before < :bytes_max
ORDER BY quarantined_rows.id;

-- name: count_quarantined_rows
-- How many of :ids, a JSON array, are still there.
SELECT count(*) AS count FROM json_each(:ids) AS asked
CROSS JOIN quarantined_rows ON quarantined_rows.id = asked.value AND quarantined_rows.upload_id = :upload_id;

-- name: open_quarantine
INSERT INTO quarantines (upload_id) VALUES (:upload_id) ON CONFLICT (upload_id) DO NOTHING;

-- name: add_quarantined_rows
-- :rows is a JSON array of [position, reasons, checksum, offset, length]; offset and length cut the row out
-- of :contents. A trigger moves the counters.
INSERT INTO quarantined_rows (upload_id, position, key, quarantined_at, byte_count, checksum, reasons, content)
SELECT :upload_id, added.value ->> 0, :key, :now,
    octet_length(added.value ->> 1) + (added.value ->> 4), added.value ->> 2, added.value ->> 1,
    substr(:contents, (added.value ->> 3) + 1, added.value ->> 4)
FROM json_each(:rows) AS added
ORDER BY added.key;

-- name: drop_quarantined_rows
-- The oldest: :rows_over of them, and as many as it takes for :bytes_over, at most :count.
DELETE FROM quarantined_rows WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (ORDER BY id) AS number,
            sum(byte_count) OVER (ORDER BY id) - byte_count AS bytes_before
        FROM (
            SELECT id, byte_count FROM quarantined_rows
            WHERE upload_id = :upload_id ORDER BY id LIMIT :count
        )
    )
    WHERE number <= :rows_over OR bytes_before < :bytes_over
)
RETURNING id;

-- name: count_dropped_rows
UPDATE quarantines SET dropped_count = dropped_count + :count WHERE upload_id = :upload_id;

-- name: release_quarantined_rows
DELETE FROM quarantined_rows
WHERE +upload_id = :upload_id AND id IN (SELECT asked.value FROM json_each(:ids) AS asked);

-- name: empty_quarantine
DELETE FROM quarantined_rows WHERE upload_id = :upload_id;

-- name: forget_dropped_rows
UPDATE quarantines SET dropped_count = 0 WHERE upload_id = :upload_id;

-- name: carry_quarantined_rows
-- Those of streams that go on in the version :version_id go along.
UPDATE quarantined_rows SET upload_id = (
    SELECT continued_uploads.upload_id FROM continued_uploads
    WHERE continued_uploads.version_id = :version_id AND continued_uploads.earlier_id = quarantined_rows.upload_id
)
WHERE upload_id IN (SELECT earlier_id FROM continued_uploads WHERE version_id = :version_id);

-- name: carry_quarantines
UPDATE quarantines SET upload_id = (
    SELECT continued_uploads.upload_id FROM continued_uploads
    WHERE continued_uploads.version_id = :version_id AND continued_uploads.earlier_id = quarantines.upload_id
)
WHERE upload_id IN (SELECT earlier_id FROM continued_uploads WHERE version_id = :version_id);

-- name: move_quarantine
UPDATE quarantines SET upload_id = :upload_id WHERE upload_id = :earlier_id;

-- name: move_quarantined_rows
UPDATE quarantined_rows SET upload_id = :upload_id WHERE upload_id = :earlier_id;
