-- name: variable_metadata
-- :table_ids is a JSON array.
SELECT variable_metadata.* FROM json_each(:table_ids) AS asked
JOIN variable_metadata ON variable_metadata.table_id = asked.value;

-- name: set_variable_metadata
-- :variables is a JSON array of [table_id, name_key, label, description, value_labels, is_declared]. What was
-- declared replaces only what was declared before.
INSERT INTO variable_metadata (table_id, name_key, label, description, value_labels, is_declared)
SELECT said.value ->> 0, said.value ->> 1, said.value ->> 2, said.value ->> 3, said.value -> 4, said.value ->> 5
FROM json_each(:variables) AS said
WHERE true
ON CONFLICT (table_id, name_key) DO UPDATE
SET label = excluded.label, description = excluded.description, value_labels = excluded.value_labels,
    is_declared = excluded.is_declared
WHERE excluded.is_declared <= variable_metadata.is_declared;
