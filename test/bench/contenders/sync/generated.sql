-- a stored generated column: one way, and rewrites the table when it is added
ALTER TABLE item ADD COLUMN cents bigint GENERATED ALWAYS AS (price * 100::bigint) STORED;
