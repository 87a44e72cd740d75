-- one UPDATE of all rows
ALTER TABLE item ADD COLUMN cents bigint;
\timing on
UPDATE item SET cents = price * 100::bigint;
