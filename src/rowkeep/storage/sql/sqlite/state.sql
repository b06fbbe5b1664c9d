-- name: catalog_version
SELECT version FROM catalog_state;

-- name: catalog_changed
UPDATE catalog_state SET version = version + 1;
