-- name: dataset_by_key
SELECT dataset_facts.*, coalesce((
    SELECT access_level FROM user_levels WHERE dataset_id = dataset_facts.id AND user_id = :user_id
), 0) AS user_level
FROM dataset_facts WHERE owner_key = :owner_key AND name_key = :name_key;

-- name: dataset_by_reference_id
SELECT dataset_facts.*, coalesce((
    SELECT access_level FROM user_levels WHERE dataset_id = dataset_facts.id AND user_id = :user_id
), 0) AS user_level
FROM dataset_facts WHERE owner_key = :owner_key AND reference_id = :reference_id;

-- name: dataset_by_id
SELECT dataset_facts.*, coalesce((
    SELECT access_level FROM user_levels WHERE dataset_id = dataset_facts.id AND user_id = :user_id
), 0) AS user_level
FROM dataset_facts WHERE id = :id;

-- name: datasets_of_owner
-- Those that a user sees; what was never released shows itself to editors alone, and so do labels: with :labels,
-- a JSON array, those that have one of them.
SELECT * FROM (
    SELECT dataset_facts.*, coalesce((
        SELECT access_level FROM user_levels WHERE dataset_id = dataset_facts.id AND user_id = :user_id
    ), 0) AS user_level
    FROM dataset_facts WHERE owner_id = :owner_id AND id > :after_id
)
WHERE CASE
    WHEN :labels IS NOT NULL THEN :sees_unreleased AND user_level = 5 AND EXISTS (
        SELECT 1 FROM json_each(labels) AS given JOIN json_each(:labels) AS asked ON asked.value = given.value
    )
    ELSE (:sees_unreleased AND user_level = 5)
        OR (current_version_id IS NOT NULL AND (user_level > 0 OR public_access_level > 0))
END
ORDER BY id LIMIT :count;

-- name: datasets_given_to_user
-- Those of any owner that a user was given, by ownership, membership or grant; newest first.
SELECT dataset_facts.*, user_levels.access_level AS user_level
FROM user_levels JOIN dataset_facts ON dataset_facts.id = user_levels.dataset_id
WHERE user_levels.user_id = :user_id AND user_levels.dataset_id < :before_id AND (
    (:sees_unreleased AND user_levels.access_level = 5)
    OR (dataset_facts.current_version_id IS NOT NULL AND user_levels.access_level > 0)
)
ORDER BY dataset_facts.id DESC LIMIT :count;

-- name: reference_id_of_owner
SELECT reference_id FROM datasets WHERE owner_id = :owner_id AND reference_id = :reference_id;

-- name: add_dataset
INSERT INTO datasets (owner_id, identifier, reference_id, name, name_key, description,
    public_access_level, created_at, updated_at)
VALUES (:owner_id, :identifier, substr(:identifier, 1, 4), :name, :name_key, :description,
    :public_access_level, :now, :now)
RETURNING id;

-- name: update_dataset
UPDATE datasets
SET name = :name, name_key = :name_key, description = :description,
    public_access_level = :public_access_level, labels = :labels, tags = :tags,
    methodology_markdown = :methodology_markdown, usage_markdown = :usage_markdown, updated_at = :now
WHERE id = :id;

-- name: delete_dataset
DELETE FROM datasets WHERE id = :id;
