-- add_column with a value: a derived column, which up computes from columns that stay; a default; NOT NULL.
\set SHOW_CONTEXT never
CREATE DATABASE add_column_up;
\c add_column_up
CREATE EXTENSION pg_tandem;
\pset null '-'
\pset format unaligned

-- Calls a statement and says what came of it.
CREATE PROCEDURE try(statement text) LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
	context text;
BEGIN
	EXECUTE statement;
	RAISE INFO 'taken';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RAISE INFO USING MESSAGE = SQLSTATE || ' ' || message, DETAIL = detail, HINT = hint;
END $$;

-- without the times
CREATE VIEW told AS
	SELECT migration, step, relation, rows_done, rows_filled, rows_quarantined, rows_unfilled, rows_mismatched, rows_own
	FROM tandem.progress WHERE step IN ('backfill', 'verify');

CREATE TABLE orders (id int PRIMARY KEY, net int, rate int DEFAULT 10, note text);
INSERT INTO orders SELECT i, i * 10 FROM generate_series(1, 5) i;
INSERT INTO orders VALUES (6, NULL, NULL);

-- The rule: nothing is old, nothing is hidden from N-1, nothing is dropped.
SELECT tandem.create_migration('gross', release => 42);
SELECT tandem.add_column('gross', 'orders', 'gross', 'int', up => 'net + net * rate / 100', default_value => '-1');
SELECT old_columns, new_columns, up, down, direction, on_conflict, on_error, keep_old, health FROM tandem.syncs;
\d orders
SELECT action, detail FROM tandem.history ORDER BY done_at;
-- rows that are there are not written, and hold no default
SELECT id, gross FROM orders WHERE id < 3 OR id = 6 ORDER BY id;
SELECT tandem.create_views(41, '{orders}');
SELECT tandem.create_views(42, '{orders}');
SELECT table_schema, string_agg(column_name, ',' ORDER BY ordinal_position) FROM information_schema.columns
	WHERE table_schema IN ('release_41', 'release_42') GROUP BY 1 ORDER BY 1;
-- read through until it is filled
SELECT id, net, gross FROM release_42.orders WHERE id < 3 OR id = 6 ORDER BY id;
-- who writes as N-1: computed.  Who declares nothing: the same, unless gross is given.  N: what it says.
INSERT INTO release_41.orders (id, net) VALUES (10, 100);
INSERT INTO orders (id, net) VALUES (11, 100);
INSERT INTO orders (id, net, gross) VALUES (12, 100, 99);
SET tandem.release = 42;
INSERT INTO orders (id, net) VALUES (13, 100);
INSERT INTO orders (id, net, gross) VALUES (14, 100, NULL);
UPDATE orders SET net = 110 WHERE id = 13;
RESET tandem.release;
SELECT id, net, gross FROM orders WHERE id >= 10 ORDER BY id;
-- it follows its sources, both of them, where it has no value of its own
UPDATE orders SET net = 200 WHERE id IN (10, 12);
UPDATE orders SET rate = 20 WHERE id IN (10, 11, 12, 14);
UPDATE orders SET note = 'x' WHERE id IN (11, 13, 1);
SELECT id, net, rate, gross FROM orders WHERE id >= 10 OR id = 1 ORDER BY id;

-- verify: what is not filled; values of their own are counted, and are no mismatch
SELECT * FROM tandem.verify('gross');
SET client_min_messages = warning;
CALL tandem.migrate('gross');
RESET client_min_messages;
SELECT * FROM told;
SELECT relation, rows_checked, rows_unfilled, rows_mismatched, sample, rows_own FROM tandem.verify('gross');
SELECT id, net, rate, gross FROM orders ORDER BY id;
SELECT pg_get_viewdef('release_42.orders'::regclass);
SELECT column_name, column_default FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'orders' AND column_name = 'gross';

-- Contract drops the trigger and nothing else; from then on it is a column as any other.
CALL tandem.contract('gross', undeclared => 'ignore');
\d orders
INSERT INTO orders (id, net) VALUES (20, 100) RETURNING gross;
SELECT to_regclass('release_41.orders'), to_regclass('release_42.orders');
SELECT phase FROM tandem.migrations;
SELECT direction, health FROM tandem.syncs;
