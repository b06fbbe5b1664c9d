-- name: raw_file
SELECT raw_files.*, uploads.table_id, tables.version_id, versions.dataset_id
FROM raw_files
JOIN uploads ON uploads.id = raw_files.upload_id
JOIN tables ON tables.id = uploads.table_id
JOIN versions ON versions.id = tables.version_id
WHERE raw_files.identifier = :identifier AND raw_files.removed_at IS NULL;

-- name: raw_files_of_temp_uploads
-- :temp_uploads is a JSON array. The files that they brought to a table.
SELECT raw_files.*
FROM json_each(:temp_uploads) AS asked
JOIN raw_files ON raw_files.temp_upload = asked.value AND raw_files.removed_at IS NULL
JOIN uploads ON uploads.id = raw_files.upload_id AND uploads.table_id = :table_id;

-- name: raw_files_of_identifiers
-- :identifiers is a JSON array; in its order.
SELECT raw_files.*, uploads.table_id, tables.version_id, versions.dataset_id
FROM json_each(:identifiers) AS asked
CROSS JOIN raw_files ON raw_files.identifier = asked.value AND raw_files.removed_at IS NULL
CROSS JOIN uploads ON uploads.id = raw_files.upload_id
CROSS JOIN tables ON tables.id = uploads.table_id
CROSS JOIN versions ON versions.id = tables.version_id
ORDER BY asked.key;

-- name: raw_files_of_table
-- The files of a table, of its own version and of those before that it keeps (see contents_of_tables).
WITH RECURSIVE lineage (source_id) AS (
    SELECT :table_id
    UNION ALL
    SELECT tables.parent_id
    FROM lineage JOIN tables ON tables.id = lineage.source_id
    WHERE tables.parent_id IS NOT NULL AND (
        tables.upload_merge_strategy = 'append'
        OR NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.table_id = tables.id)
    )
)
SELECT raw_files.* FROM lineage
CROSS JOIN uploads ON uploads.table_id = lineage.source_id
CROSS JOIN raw_files ON raw_files.upload_id = uploads.id
WHERE raw_files.removed_at IS NULL AND raw_files.id > :after_id
ORDER BY raw_files.id LIMIT :count;

-- name: raw_files_of_names
-- :names is a JSON array. Those files of a table that have one of these names.
WITH RECURSIVE lineage (source_id) AS (
    SELECT :table_id
    UNION ALL
    SELECT tables.parent_id
    FROM lineage JOIN tables ON tables.id = lineage.source_id
    WHERE tables.parent_id IS NOT NULL AND (
        tables.upload_merge_strategy = 'append'
        OR NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.table_id = tables.id)
    )
)
SELECT raw_files.* FROM lineage
CROSS JOIN uploads ON uploads.table_id = lineage.source_id
CROSS JOIN json_each(:names) AS asked
CROSS JOIN raw_files ON raw_files.upload_id = uploads.id AND raw_files.name = asked.value
    AND raw_files.removed_at IS NULL;

-- name: raw_files_changed_at
-- When the list of a table's files may have changed last: a file came or went, or what the table is made of.
WITH RECURSIVE lineage (source_id) AS (
    SELECT :table_id
    UNION ALL
    SELECT tables.parent_id FROM lineage JOIN tables ON tables.id = lineage.source_id
    WHERE tables.parent_id IS NOT NULL
)
SELECT max(
    (
        SELECT coalesce(max(max(raw_files.added_at, coalesce(raw_files.removed_at, 0))), 0)
        FROM lineage
        CROSS JOIN uploads ON uploads.table_id = lineage.source_id
        CROSS JOIN raw_files ON raw_files.upload_id = uploads.id
    ),
    (SELECT max(tables.updated_at) FROM lineage CROSS JOIN tables ON tables.id = lineage.source_id),
    (
        SELECT max(max(versions.updated_at, coalesce(versions.released_at, 0), coalesce(versions.deleted_at, 0)))
        FROM versions WHERE versions.dataset_id = (
            SELECT own.dataset_id FROM tables CROSS JOIN versions AS own ON own.id = tables.version_id
            WHERE tables.id = :table_id
        )
    ),
    (SELECT coalesce(max(uploads.created_at), 0) FROM uploads WHERE uploads.table_id = :table_id)
) AS changed_at;

-- name: versions_of_raw_file
-- The versions that hold a file: its own, and those after it whose table keeps what was there.
WITH RECURSIVE holders (table_id) AS (
    SELECT uploads.table_id FROM raw_files JOIN uploads ON uploads.id = raw_files.upload_id
    WHERE raw_files.id = :id
    UNION ALL
    SELECT tables.id
    FROM holders JOIN tables ON tables.parent_id = holders.table_id
    WHERE tables.upload_merge_strategy = 'append'
        OR NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.table_id = tables.id)
)
SELECT tables.version_id FROM holders JOIN tables ON tables.id = holders.table_id ORDER BY tables.version_id;

-- name: raw_file_contents
-- The content of all files, once each.
SELECT sha256, min(size) AS size FROM raw_files WHERE removed_at IS NULL GROUP BY sha256;

-- name: add_raw_file
INSERT INTO raw_files (identifier, upload_id, row, name, size, md5, sha256, temp_upload, added_at)
VALUES (:identifier, :upload_id, :row, :name, :size, :md5, :sha256, :temp_upload, :added_at)
RETURNING *;

-- name: remove_raw_file
UPDATE raw_files SET removed_at = :now WHERE id = :id;

-- name: remove_row_of_raw_file
-- Its row is left out of reads from now on, as those of an undone request are.
INSERT INTO removed_rows (upload_id, key, first_row, row_count, removed_at, user_id)
SELECT upload_id, identifier, row, 1, :now, :user_id FROM raw_files WHERE id = :id
RETURNING upload_id;

-- name: count_removed_raw_file
UPDATE streams SET removed_row_count = removed_row_count + 1 WHERE upload_id = :upload_id;
