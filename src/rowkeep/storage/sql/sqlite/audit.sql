-- name: add_audit_entry
-- Who did it is looked up by the token, in the same transaction.
INSERT INTO audit_entries (done_at, action, subject, owner_id, dataset_identifier, details, user_id, token_id,
    address, request_id, system_user)
SELECT :now, :action, :subject, :owner_id, :dataset_identifier, :details, tokens.user_id, tokens.id,
    :address, :request_id, :system_user
FROM (SELECT :token_hash AS hash) AS origin LEFT JOIN tokens ON tokens.hash = origin.hash;

-- name: audit_entries
-- All there are, newest first.
SELECT audit_entries.*, owners.name AS user_name
FROM audit_entries LEFT JOIN owners ON owners.id = audit_entries.user_id
WHERE audit_entries.id < :before_id ORDER BY audit_entries.id DESC LIMIT :count;

-- name: audit_entries_of_owner
SELECT audit_entries.*, owners.name AS user_name
FROM audit_entries LEFT JOIN owners ON owners.id = audit_entries.user_id
WHERE audit_entries.owner_id = :owner_id AND audit_entries.id < :before_id
ORDER BY audit_entries.id DESC LIMIT :count;

-- name: audit_entries_of_dataset
SELECT audit_entries.*, owners.name AS user_name
FROM audit_entries LEFT JOIN owners ON owners.id = audit_entries.user_id
WHERE audit_entries.dataset_identifier = :dataset_identifier AND audit_entries.id < :before_id
ORDER BY audit_entries.id DESC LIMIT :count;

-- name: prune_audit_entries
DELETE FROM audit_entries WHERE done_at < :before;
