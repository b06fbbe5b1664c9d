-- A user's queries, newest first, and those that have long been finished.
CREATE INDEX queries_of_users ON jobs (user_id, id) WHERE kind = 'query';
CREATE INDEX queries_by_time ON jobs (finished_at) WHERE kind = 'query';
