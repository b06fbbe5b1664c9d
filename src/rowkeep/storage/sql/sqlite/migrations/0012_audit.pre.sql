-- The audit log: who did what to what, when, and from where. An entry is written in the transaction of its act.
CREATE TABLE audit_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    done_at INTEGER NOT NULL,
    action TEXT NOT NULL,
    -- what it was done to, as people write it; it stays readable when that is gone
    subject TEXT NOT NULL,
    -- whose that is; null for what belongs to the whole server
    owner_id INTEGER REFERENCES owners (id),
    -- its data set, by what is never used twice
    dataset_identifier TEXT,
    details TEXT NOT NULL,
    -- who sent the request, and with which token; null for a command on the machine
    user_id INTEGER REFERENCES owners (id),
    token_id INTEGER,
    address TEXT,
    request_id TEXT,
    -- who ran the command, as the machine knows them
    system_user TEXT
) STRICT;
CREATE INDEX audit_entries_of_owners ON audit_entries (owner_id, id);
CREATE INDEX audit_entries_of_datasets ON audit_entries (dataset_identifier, id);
CREATE INDEX audit_entries_by_time ON audit_entries (done_at);
