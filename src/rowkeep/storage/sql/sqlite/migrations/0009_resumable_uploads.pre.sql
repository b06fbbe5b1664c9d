-- How much of a file that is sent in pieces is there, durable: what its sender may go on from.
ALTER TABLE temp_uploads ADD COLUMN received_byte_count INTEGER NOT NULL DEFAULT 0;
