-- name: schema_objects
-- Every table, index, view and trigger, with the text that made it; SQLite's own are left out.
SELECT type || ' ' || name AS name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND sql IS NOT NULL;
