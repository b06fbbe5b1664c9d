-- How large rows are to whoever reads them. What streams count is text with the names of variables in it, several
-- times as large as the same rows in Arrow, which is what clients mean when they choose how to read.
-- An estimate, from how wide the types are; texts are taken for what is left of a row's text without the names
-- and without what the other values take in it.

-- row_bits: a row in Arrow without its texts. row_text_bytes: what a row's text has beside texts; null where no
-- variable holds text.
ALTER TABLE schemas ADD COLUMN row_bits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE schemas ADD COLUMN row_text_bytes INTEGER;

CREATE VIEW schema_sizes AS
SELECT schemas.upload_id, schemas.version,
    sum(CASE variables.value ->> 'type'
        WHEN 'boolean' THEN 1 WHEN 'date' THEN 32 WHEN 'string' THEN 32 WHEN 'geography' THEN 32 ELSE 64
    END) AS row_bits,
    iif(
        sum(variables.value ->> 'type' IN ('string', 'geography')),
        1 + sum(length(variables.value ->> 'name') + 4 + CASE variables.value ->> 'type'
            WHEN 'boolean' THEN 5 WHEN 'integer' THEN 6 WHEN 'float' THEN 8 WHEN 'date' THEN 12
            WHEN 'time' THEN 12 WHEN 'dateTime' THEN 24 ELSE 2
        END),
        NULL
    ) AS row_text_bytes
FROM schemas CROSS JOIN json_each(schemas.variables) AS variables
GROUP BY schemas.upload_id, schemas.version;

UPDATE schemas SET (row_bits, row_text_bytes) = (
    SELECT schema_sizes.row_bits, schema_sizes.row_text_bytes FROM schema_sizes
    WHERE schema_sizes.upload_id = schemas.upload_id AND schema_sizes.version = schemas.version
)
WHERE variables <> '[]';

CREATE TRIGGER schemas_have_sizes AFTER INSERT ON schemas WHEN NEW.variables <> '[]'
BEGIN
    UPDATE schemas SET (row_bits, row_text_bytes) = (
        SELECT schema_sizes.row_bits, schema_sizes.row_text_bytes FROM schema_sizes
        WHERE schema_sizes.upload_id = NEW.upload_id AND schema_sizes.version = NEW.version
    )
    WHERE upload_id = NEW.upload_id AND version = NEW.version;
END;

-- byte_count is that estimate, of the rows that are shown.
DROP VIEW upload_facts;
CREATE VIEW upload_facts AS
SELECT uploads.id, uploads.table_id, uploads.name, uploads.name_key, uploads.type, uploads.updates_by_default,
    uploads.schema_version, uploads.created_at, coalesce(uploads.origin_id, uploads.id) AS origin_id,
    schemas.variables, streams.row_count - streams.removed_row_count AS row_count,
    streams.row_count AS row_end, streams.latest_offset_token,
    CAST((streams.row_count - streams.removed_row_count) * (
        schemas.row_bits / 8.0
        + coalesce(max(0.0, 1.0 * streams.byte_count / max(streams.row_count, 1) - schemas.row_text_bytes), 0.0)
    ) AS INTEGER) AS byte_count
FROM uploads
JOIN schemas ON schemas.upload_id = uploads.id AND schemas.version = uploads.schema_version
JOIN streams ON streams.upload_id = uploads.id;
