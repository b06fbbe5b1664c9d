-- The catalog: who there is, what they own, what it looks like.

CREATE TABLE catalog_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- Counts the transactions that changed the catalog; inserts of rows do not count.
    version INTEGER NOT NULL
) STRICT;
INSERT INTO catalog_state (id, version) VALUES (1, 1);

CREATE TABLE owners (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'organization')),
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
    organization_id INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('administrator', 'member')),
    PRIMARY KEY (organization_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_of_user ON memberships (user_id);

CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE TABLE datasets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,
    identifier TEXT NOT NULL,
    reference_id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    description TEXT,
    -- ranks as in model/access.py
    public_access_level INTEGER NOT NULL CHECK (public_access_level BETWEEN 0 AND 4),
    -- JSON arrays of text
    labels TEXT NOT NULL DEFAULT '[]',
    tags TEXT NOT NULL DEFAULT '[]',
    methodology_markdown TEXT,
    usage_markdown TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (owner_id, name_key),
    UNIQUE (owner_id, reference_id)
) STRICT;
-- For pages in the order of creation: an index ends in the row id.
CREATE INDEX datasets_in_order ON datasets (owner_id);

-- Who else may do what with a dataset: a user, or everyone in an organization.
CREATE TABLE grants (
    dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    grantee_id INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,
    access_level INTEGER NOT NULL CHECK (access_level BETWEEN 1 AND 5),
    PRIMARY KEY (dataset_id, grantee_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_of_grantee ON grants (grantee_id);

CREATE TABLE versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    -- counts from 0; only the last may be unreleased
    position INTEGER NOT NULL,
    -- the parts of the tag, v1.0; null while unreleased
    major INTEGER,
    minor INTEGER,
    label TEXT,
    release_notes TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    released_at INTEGER,
    deleted_at INTEGER,
    UNIQUE (dataset_id, position)
) STRICT;
CREATE UNIQUE INDEX versions_unreleased ON versions (dataset_id) WHERE released_at IS NULL;

CREATE TABLE tables (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    -- the same table in the version that this one was made from
    parent_id INTEGER REFERENCES tables (id),
    identifier TEXT NOT NULL,
    reference_id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    description TEXT,
    upload_merge_strategy TEXT NOT NULL CHECK (upload_merge_strategy IN ('append', 'replace')),
    is_file_index INTEGER NOT NULL CHECK (is_file_index IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (version_id, name_key),
    UNIQUE (version_id, reference_id)
) STRICT;
-- For pages in the order of creation: an index ends in the row id.
CREATE INDEX tables_in_order ON tables (version_id);
CREATE INDEX tables_of_parent ON tables (parent_id);

-- What was said of a table's variables; where there is no row, what their uploads declare counts.
CREATE TABLE variable_metadata (
    table_id INTEGER NOT NULL REFERENCES tables (id) ON DELETE CASCADE,
    name_key TEXT NOT NULL,
    label TEXT,
    description TEXT,
    -- a JSON array of {value, label}
    value_labels TEXT NOT NULL,
    PRIMARY KEY (table_id, name_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE uploads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    table_id INTEGER NOT NULL REFERENCES tables (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    type TEXT NOT NULL,
    -- whether rows may change the schema when a request does not say (contract 7.1)
    updates_by_default INTEGER NOT NULL CHECK (updates_by_default IN (0, 1)),
    schema_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (table_id, name_key)
) STRICT;
-- For pages in the order of creation: an index ends in the row id.
CREATE INDEX uploads_in_order ON uploads (table_id);

CREATE TABLE schemas (
    upload_id INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    variables TEXT NOT NULL,
    PRIMARY KEY (upload_id, version)
) STRICT, WITHOUT ROWID;

-- The journal: committed rows that are not in a segment.

-- How much an upload holds; moves with every commit, in the same transaction as the entries.
CREATE TABLE streams (
    upload_id INTEGER PRIMARY KEY REFERENCES uploads (id) ON DELETE CASCADE,
    row_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL
) STRICT;

-- One b-tree, so that a small commit writes two pages (this and the stream's counters) and not three.
CREATE TABLE entries (
    upload_id INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    first_row INTEGER NOT NULL,
    row_count INTEGER NOT NULL CHECK (row_count > 0),
    byte_count INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    -- CRC-32 of the payload and of what is said of it here (storage/journal.py)
    checksum INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (upload_id, first_row)
) STRICT, WITHOUT ROWID;
-- A trigger, so that one statement can be a whole commit (see journal.py).
CREATE TRIGGER entries_grow_streams AFTER INSERT ON entries
BEGIN
    UPDATE streams
    SET row_count = row_count + NEW.row_count, byte_count = byte_count + NEW.byte_count
    WHERE upload_id = NEW.upload_id;
END;

-- What a request with an Idempotency-Key was answered, written with its rows.
CREATE TABLE receipts (
    upload_id INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    row_count INTEGER NOT NULL,
    change TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (upload_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_by_time ON receipts (created_at);

-- Reads that were promised a snapshot.

CREATE TABLE read_streams (
    identifier TEXT PRIMARY KEY,
    -- whose session it is; null for an anonymous reader
    user_id INTEGER,
    -- what a token must hold to read it
    scope TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    format TEXT NOT NULL,
    schema TEXT NOT NULL,
    slices TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX read_streams_by_time ON read_streams (expires_at);

-- How resources are read: facts and derived sizes together. A filter on a view reaches its tables' indexes.

CREATE VIEW dataset_facts AS
SELECT datasets.*, owners.kind AS owner_kind, owners.name AS owner_name, owners.name_key AS owner_key,
    (SELECT versions.id FROM versions
     WHERE versions.dataset_id = datasets.id AND versions.released_at IS NULL) AS next_version_id,
    (SELECT versions.id FROM versions
     WHERE versions.dataset_id = datasets.id AND versions.released_at IS NOT NULL
         AND versions.deleted_at IS NULL
     ORDER BY versions.position DESC LIMIT 1) AS current_version_id
FROM datasets
JOIN owners ON owners.id = datasets.owner_id;

-- The level that each user has on each dataset. No UNION, so that a dataset and a user from around the view
-- reach the indexes: a level costs a few look-ups, however many datasets, grants and members there are.
CREATE VIEW user_levels AS
SELECT datasets.id AS dataset_id, users.id AS user_id,
    CASE
        WHEN datasets.owner_id = users.id THEN 5
        WHEN EXISTS (
            SELECT 1 FROM memberships
            WHERE memberships.organization_id = datasets.owner_id AND memberships.user_id = users.id
                AND memberships.role = 'administrator'
        ) THEN 5
        ELSE max(
            coalesce((
                SELECT grants.access_level FROM grants
                WHERE grants.dataset_id = datasets.id AND grants.grantee_id = users.id
            ), 0),
            coalesce((
                SELECT max(grants.access_level)
                FROM memberships CROSS JOIN grants
                    ON grants.dataset_id = datasets.id AND grants.grantee_id = memberships.organization_id
                WHERE memberships.user_id = users.id
            ), 0)
        )
    END AS access_level
FROM datasets CROSS JOIN owners AS users;

CREATE VIEW upload_facts AS
SELECT uploads.*, schemas.variables, streams.row_count, streams.byte_count
FROM uploads
JOIN schemas ON schemas.upload_id = uploads.id AND schemas.version = uploads.schema_version
JOIN streams ON streams.upload_id = uploads.id;
