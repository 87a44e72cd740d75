-- A down that does not give back what up was computed from loses the old value.
-- It is said at expand, of some rows, and counted by migrate and by verify.
CREATE DATABASE rows_lossy;
\c rows_lossy
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION pg_tandem;
\pset null '-'

-- The example: euros as cents, and back by an integer division.
CREATE TABLE orders (id integer PRIMARY KEY, price numeric);
INSERT INTO orders VALUES (1, 12.00), (2, 12.99), (3, NULL), (4, 5.5), (5, 7), (6, 0.01), (7, 0.02);
SELECT tandem.create_migration('cents');
SELECT tandem.add_column('cents', 'orders', 'price_cents', 'integer');
SELECT tandem.sync_column('cents', 'orders', 'price', 'price_cents',
	up => 'price * 100', down => 'price_cents / 100');
-- Rows that the trigger fills are not counted by the fill, but by verify: 8 is
-- lossy, 9 and what N has written of 7 are not.
INSERT INTO orders (id, price) VALUES (8, 0.03), (9, 3);
UPDATE orders SET price_cents = 200 WHERE id = 7;
SELECT rows_checked, rows_unfilled, rows_mismatched, rows_lossy, sample FROM tandem.verify('cents');
CALL tandem.migrate('cents');
SELECT step, rows_filled, rows_lossy, lossy_rows FROM tandem.progress
	WHERE migration = 'cents' AND step <> 'analyze';
SELECT rows_checked, rows_unfilled, rows_mismatched, rows_lossy, sample FROM tandem.verify('cents');
-- again: nothing is counted twice, and it is said again
CALL tandem.migrate('cents');
SELECT step, rows_lossy FROM tandem.progress WHERE migration = 'cents' AND step <> 'analyze';
-- once the new release has written such a row the value is gone, and no more to be lost
UPDATE orders SET price_cents = price_cents + 0 WHERE id = 4;
UPDATE orders SET price_cents = 551 WHERE id = 4;
SELECT * FROM orders WHERE id = 4;
SELECT rows_lossy FROM tandem.verify('cents');
CALL tandem.abort('cents');
CALL tandem.abort('cents', force => true);

-- What counts is the type's own equality, or the image where it has none; a
-- null is equal to a null.
CREATE TABLE types (id integer PRIMARY KEY, n numeric, t json, c char(3));
INSERT INTO types VALUES (1, 1.50, '{"a":1}', 'x'), (2, 2, '{"a": 1}', NULL), (3, NULL, NULL, 'z');
SELECT tandem.create_migration('types');
SELECT tandem.add_column('types', 'types', 'n_new', 'text'), tandem.add_column('types', 'types', 't_new', 'jsonb'),
	tandem.add_column('types', 'types', 'c_new', 'text');
SELECT tandem.sync_column('types', 'types', 'n', 'n_new', 'trim_scale(n)::text', 'n_new::numeric');
SELECT tandem.sync_column('types', 'types', 'c', 'c_new', 'c', 'c_new');
SELECT tandem.sync_column('types', 'types', 't', 't_new', 't::jsonb', 't_new::json');
CALL tandem.migrate('types');
SELECT rows_lossy, sample FROM tandem.verify('types');

-- A down that fails loses the value as well, one row among others; the fill and
-- verify go on, and each row is filled once.
CREATE TABLE fails (id integer PRIMARY KEY, a integer);
INSERT INTO fails SELECT i, i FROM generate_series(1, 3000) i;
SELECT tandem.create_migration('fails');
SELECT tandem.add_column('fails', 'fails', 'b', 'integer');
SELECT tandem.sync_column('fails', 'fails', 'a', 'b', 'a', 'CASE WHEN b = 2001 THEN 1 / (b - 2001) ELSE b END');
CALL tandem.migrate('fails');
SELECT step, rows_filled, rows_mismatched, rows_lossy, lossy_rows FROM tandem.progress
	WHERE migration = 'fails' AND step <> 'analyze';
SELECT rows_mismatched, rows_lossy, sample FROM tandem.verify('fails');
-- with workers, of several tables, and with triggers fired
CREATE TABLE many (id integer, a numeric) PARTITION BY RANGE (id);
SELECT format('CREATE TABLE many%s PARTITION OF many FOR VALUES FROM (%s) TO (%s)', i, i * 1000, (i + 1) * 1000)
	FROM generate_series(0, 3) i \gexec
INSERT INTO many SELECT i, i / 10.0 FROM generate_series(0, 3999) i;
SELECT tandem.create_migration('many');
SELECT tandem.add_column('many', 'many', 'b', 'integer');
SELECT tandem.sync_column('many', 'many', 'a', 'b', 'a * 10', 'b / 10');
-- which rows are the sample depends on which worker comes first
\set VERBOSITY terse
CALL tandem.migrate('many', workers => 3);
\set VERBOSITY default
SELECT step, sum(rows_filled), sum(rows_lossy), sum(jsonb_array_length(lossy_rows)) FROM tandem.progress
	WHERE migration = 'many' AND step <> 'analyze' GROUP BY step ORDER BY step;
CREATE TABLE fired (id integer PRIMARY KEY, a integer);
INSERT INTO fired SELECT i, i FROM generate_series(1, 10) i;
SELECT tandem.create_migration('fired');
SELECT tandem.add_column('fired', 'fired', 'b', 'integer');
SELECT tandem.sync_column('fired', 'fired', 'a', 'b', 'a / 2', 'b * 2');
SELECT tandem.configure('fired', 'tandem.fire_triggers', 'on');
CALL tandem.migrate('fired');
SELECT step, rows_filled, rows_lossy, lossy_rows FROM tandem.progress WHERE migration = 'fired' AND step <> 'analyze';

-- A row in quarantine has not been given what down would read.  A chain counts
-- each of its rules; two migrations of a table, each its own.
CREATE TABLE chain (id integer PRIMARY KEY, a text);
INSERT INTO chain VALUES (1, '10'), (2, 'x'), (3, '15'), (4, '0');
SELECT tandem.create_migration('first'), tandem.create_migration('second');
SELECT tandem.add_column('first', 'chain', 'b', 'integer'), tandem.add_column('second', 'chain', 'c', 'integer');
SELECT tandem.sync_column('first', 'chain', 'a', 'b', 'a::integer', 'b::text', on_error => 'quarantine');
SELECT tandem.sync_column('second', 'chain', 'b', 'c', 'b / 10', 'c * 10', on_error => 'quarantine');
CALL tandem.migrate('first');
UPDATE chain SET a = '20' WHERE id = 2;
CALL tandem.migrate('first');
CALL tandem.migrate('second');
SELECT migration, step, rows_filled, rows_lossy, lossy_rows FROM tandem.progress
	WHERE relation = 'chain'::regclass AND step <> 'analyze' ORDER BY 1, 2;
SELECT * FROM chain ORDER BY id;

-- a row of which one rule is in quarantine, and another one is filled
CREATE TABLE partly (id integer PRIMARY KEY, a text, x integer);
INSERT INTO partly VALUES (1, 'no number', 1), (2, '02', 2);
SELECT tandem.create_migration('partly');
SELECT tandem.add_column('partly', 'partly', 'b', 'integer'), tandem.add_column('partly', 'partly', 'y', 'integer');
SELECT tandem.sync_column('partly', 'partly', 'a', 'b', 'a::integer', 'b::text', on_error => 'quarantine');
SELECT tandem.sync_column('partly', 'partly', 'x', 'y', 'x', 'y');
CALL tandem.migrate('partly');
SELECT step, rows_filled, rows_quarantined, rows_lossy, lossy_rows FROM tandem.progress
	WHERE migration = 'partly' AND step <> 'analyze' ORDER BY 1;

-- Not counted: a sync that is one-way, or volatile.
CREATE TABLE others (id integer PRIMARY KEY, a numeric, b numeric);
INSERT INTO others VALUES (1, 1.5, 1.5);
SELECT tandem.create_migration('others');
SELECT tandem.add_column('others', 'others', 'a_new', 'integer'), tandem.add_column('others', 'others', 'b_new', 'integer');
SELECT tandem.sync_column('others', 'others', 'a', 'a_new', 'a');
SET client_min_messages = notice;
SELECT tandem.sync_column('others', 'others', 'b', 'b_new', 'b + random() * 0', 'b_new');
SET client_min_messages = warning;
CALL tandem.migrate('others');
SELECT rows_unfilled, rows_mismatched, rows_lossy FROM tandem.verify('others');

-- At expand up and down are tried on rows of nulls and of defaults: what an
-- INSERT that names no column of its release, or gives a null, would store.
CREATE FUNCTION expand(name text, old text, new text, up text, down text DEFAULT NULL, on_error text DEFAULT 'error') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (id integer PRIMARY KEY, old %s, seq serial, at timestamptz DEFAULT now())', name, old);
	EXECUTE format('INSERT INTO %I (id, old) VALUES (1, DEFAULT)', name);
	PERFORM tandem.create_migration(name);
	EXECUTE format('ALTER TABLE %I ADD COLUMN new %s', name, new);
	PERFORM tandem.sync_column(name, name, 'old', 'new', up, down, on_error => on_error);
END $$;
-- nothing to say
SELECT expand('nullable', 'boolean', 'text', 'old::text', 'new::boolean');
SELECT expand('coalesced', 'boolean NOT NULL DEFAULT false', 'text', 'old::text', 'coalesce(new, $$false$$)::boolean');
SELECT expand('defaulted', 'boolean NOT NULL DEFAULT false', 'text NOT NULL DEFAULT $$false$$', 'old::text', 'new::boolean');
SELECT expand('sequenced', 'integer NOT NULL DEFAULT 0', 'integer', 'old', 'coalesce(new, seq)');
-- an INSERT of N that does not name new, or gives null
SELECT expand('not_null', 'boolean NOT NULL DEFAULT false', 'text', 'old::text', 'new = $$true$$');
SELECT expand('null_only', 'boolean NOT NULL DEFAULT false', 'text DEFAULT $$false$$', 'old::text', 'new = $$true$$');
-- one of N-1
SELECT expand('up_null', 'boolean', 'text NOT NULL DEFAULT $$x$$', 'old::text', 'new::boolean');
-- an expression that fails on it
SELECT expand('down_fails', 'integer DEFAULT 1', 'integer', 'old', '1 / coalesce(new, 0)');
SELECT expand('all_fails', 'integer DEFAULT 1', 'integer', 'old', '1 / 0');
-- on a row that is there
CREATE FUNCTION picky(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN IF $1 = 2 THEN RAISE 'not 2'; END IF; RETURN $1; END $$;
SELECT expand('up_fails', 'integer DEFAULT 2', 'integer', 'picky(old)', 'new');
SELECT expand('up_quarantined', 'integer DEFAULT 2', 'integer', 'picky(old)', 'new', 'quarantine');
-- nothing that they do lasts, and what takes long is ended
CREATE TABLE written (n integer);
CREATE FUNCTION writes(integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS
	$$ BEGIN INSERT INTO written VALUES ($1); RETURN $1; END $$;
CREATE FUNCTION has_written(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN writes($1); END';
CREATE FUNCTION sleeps(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN PERFORM pg_sleep(100); RETURN $1; END $$;
SELECT expand('writing', 'integer DEFAULT 2', 'integer', 'has_written(old)', 'new');
SELECT count(*) FROM written;
UPDATE writing SET old = 3;
SELECT count(*) FROM written;
SET statement_timeout = '50s';
SELECT expand('sleeping', 'integer DEFAULT 2', 'integer', 'sleeps(old)', 'sleeps(new)');
RESET statement_timeout;
-- a cancel of the user's is one
BEGIN;
SET LOCAL statement_timeout = 60;
SELECT expand('cancelled', 'integer DEFAULT 2', 'integer', 'sleeps(old)', 'sleeps(new)');
ROLLBACK;

\c postgres
DROP DATABASE rows_lossy;
