-- How much room keys have left, and what a writer is told whose value the old type cannot hold.
CREATE DATABASE keys;
ALTER DATABASE keys SET session_preload_libraries = 'pg_tandem';
\c keys
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only
\pset null '-'
CREATE EXTENSION pg_tandem;
CREATE ROLE tandem_clerk;

-- 1. What is listed: numbered columns of keys, and what refers to them, to any depth and in cycles.
CREATE DOMAIN counted AS smallint;
CREATE TABLE orders (id serial PRIMARY KEY, parent int REFERENCES orders, n int UNIQUE, code varchar(3), price numeric(4,2), day date, note text);
CREATE TABLE lines (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id int NOT NULL REFERENCES orders, small smallint REFERENCES orders, other int UNIQUE);
CREATE TABLE order_notes (order_id int PRIMARY KEY REFERENCES orders);
CREATE TABLE order_note_words (order_id bigint REFERENCES order_notes);
CREATE SEQUENCE "Down" INCREMENT -1 MINVALUE -1000;
CREATE SEQUENCE own_end MAXVALUE 200;
CREATE SEQUENCE round MAXVALUE 10 CYCLE;
CREATE TABLE "Odd" ("The id" counted DEFAULT nextval('"Down"') UNIQUE, until_200 bigint DEFAULT nextval('own_end'), region text, round int DEFAULT nextval('round'),
	PRIMARY KEY (region, until_200), UNIQUE (region, round));
-- not these: what is made out of a number, what is no key, what is no integer, what belongs to this session alone
CREATE TABLE others (twice int DEFAULT nextval('own_end') * 2 UNIQUE, plain serial, dotted numeric DEFAULT nextval('own_end') UNIQUE);
CREATE TEMP TABLE passing (id serial PRIMARY KEY);
CREATE TABLE tree (id serial, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE tree_a PARTITION OF tree FOR VALUES IN ('a');
SELECT setval('orders_id_seq', 1073741824), setval('own_end', 150), nextval('round'), nextval('"Down"'), nextval('"Down"');
SELECT * FROM tandem.keys;
-- last_value alone is a secret of the sequence
GRANT SELECT ON SEQUENCE own_end TO tandem_clerk;
SET ROLE tandem_clerk;
SELECT relation, column_name, last_value, percent_used FROM tandem.keys;
SELECT tandem.last_number('own_end'::regclass), tandem.last_number('round'::regclass), tandem.last_number('orders'::regclass), tandem.last_number(0);
RESET ROLE;
DROP TABLE "Odd", others, tree;

-- 2. Without the locks of a lock table, and without waiting for them.
BEGIN;
SELECT count(*) FROM tandem.keys WHERE last_value IS NOT NULL;
SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE l.pid = pg_backend_pid() AND c.relkind = 'S';
COMMIT;

-- 3. While a migration is open: the second columns are not listed, and the rate is known after a while.
SELECT tandem.register_release(41);
SELECT tandem.switch_release(41);
SELECT tandem.create_views(41, schemas => '{public}');
BEGIN;
SELECT tandem.create_migration('wide', release => 42);
SELECT tandem.change_column('wide', 'orders', 'n', 'bigint');
SELECT tandem.change_column('wide', 'orders', 'code', 'varchar(10)');
SELECT tandem.change_column('wide', 'orders', 'price', 'numeric(10,2)');
SELECT tandem.change_column('wide', 'orders', 'day', 'text', up => 'day::text', down => 'day::date');
SELECT tandem.change_column('wide', 'lines', 'order_id', 'bigint', leave => '{lines_order_id_fkey}');
SELECT tandem.add_column('wide', 'orders', 'id8', 'bigint');
SELECT tandem.sync_column('wide', 'orders', 'id', 'id8', 'id', 'id8');
SELECT tandem.add_column('wide', 'orders', 'worth', 'int');
SELECT tandem.sync_column('wide', 'orders', 'note', 'worth', 'length(note)', '(100 / worth)::text');
SELECT tandem.create_views(42, schemas => '{public}');
COMMIT;
SELECT relation, column_name, type, per_day, days_left FROM tandem.keys;
UPDATE tandem.sync SET numbered_at = clock_timestamp() - interval '9 minutes', number = number - 1000 WHERE number IS NOT NULL;
SELECT relation, column_name, per_day, days_left FROM tandem.keys WHERE per_day IS NOT NULL;
UPDATE tandem.sync SET numbered_at = clock_timestamp() - interval '2 days', number = number - 1073740824 WHERE number IS NOT NULL;
SELECT relation, column_name, round(per_day, -6), round(days_left) FROM tandem.keys WHERE per_day IS NOT NULL;
UPDATE tandem.sync SET number = 1073741824 WHERE number IS NOT NULL;
SELECT relation, column_name, per_day, days_left FROM tandem.keys WHERE per_day IS NOT NULL;
SET client_min_messages = error;
CALL tandem.migrate('wide');
SET client_min_messages = warning;

-- 4. A value that the old type cannot hold: which column, type and migration, and how much room there is.
SET search_path = release_42;
INSERT INTO orders (id8, n) VALUES (1, 3000000000);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO orders (id8, code) VALUES (2, 'abcdefg');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO orders (id8, price) VALUES (3, 12345.67);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO orders (id8, day) VALUES (3, 'yesteryear');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO orders (id8) VALUES (3000000000);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO orders (id8) VALUES (4);
INSERT INTO lines (order_id) VALUES (4);
UPDATE lines SET order_id = 3000000000;
\echo :LAST_ERROR_SQLSTATE
-- another error is shown as it is
INSERT INTO orders (id8, worth) VALUES (5, 0);
\echo :LAST_ERROR_SQLSTATE
-- the statement of the hint, wherever it is executed
SET search_path = pg_catalog;
CREATE FUNCTION public.told(statement text, OUT column_name name, OUT max_value bigint, OUT left bigint) LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE statement;
EXCEPTION WHEN numeric_value_out_of_range THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	EXECUTE format('SELECT k.column_name, k.max_value, k.max_value - k.last_value FROM (%s) k', substring(hint FROM 'SELECT [^;]*')) INTO column_name, max_value, "left";
END $$;
SELECT * FROM public.told('UPDATE release_42.lines SET order_id = 3000000000');
SELECT * FROM public.told('INSERT INTO release_42.orders (id8) VALUES (3000000000)');
SELECT * FROM public.told('INSERT INTO release_42.orders (id8, n) VALUES (7, 3000000000)');
SET search_path = public;
-- what a function of down has caught, or explained, is its own
CREATE FUNCTION small(bigint) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	RETURN $1::int;
EXCEPTION WHEN numeric_value_out_of_range THEN
	IF $1 > 5000000000 THEN
		RAISE EXCEPTION 'too many' USING ERRCODE = '22003', HINT = 'Order less.';
	END IF;
	RETURN -1;
END $$;
BEGIN;
SELECT tandem.create_migration('other', release => 43);
SELECT tandem.change_column('other', 'lines', 'other', 'bigint', up => 'other', down => 'small(other)');
SELECT tandem.create_views(43, schemas => '{public}');
COMMIT;
CALL tandem.migrate('other');
SET search_path = release_43;
INSERT INTO lines (order_id, other) VALUES (4, 4000000000);
SELECT other FROM release_42.lines WHERE other IS NOT NULL;
INSERT INTO lines (order_id, other) VALUES (4, 6000000000);
\echo :LAST_ERROR_SQLSTATE
RESET search_path;
CALL tandem.abort('other', force => true);

-- 5. The sequence itself ends first: the server's error names it, and the view says so.
SELECT setval('orders_id_seq', 2147483647);
SET search_path = release_42;
INSERT INTO orders (n) VALUES (9);
\echo :LAST_ERROR_SQLSTATE
RESET search_path;
SELECT relation, column_name, sequence, max_value - last_value, percent_used FROM tandem.keys WHERE percent_used > 99;

-- 6. A key with its sequence: until contract that ends where the old column does, also where the server would cut the number.
\c postgres
CREATE DATABASE keys_end;
ALTER DATABASE keys_end SET session_preload_libraries = 'pg_tandem';
\c keys_end
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE TABLE of_serial (id serial PRIMARY KEY, note text);
CREATE TABLE of_identity (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
CREATE TABLE of_small (id smallint GENERATED BY DEFAULT AS IDENTITY (INCREMENT -1 MINVALUE -32768 MAXVALUE 100) PRIMARY KEY, note text);
SELECT tandem.register_release(41);
SELECT tandem.switch_release(41);
SELECT tandem.create_views(41, schemas => '{public}');
BEGIN;
SELECT tandem.create_migration('key', release => 42);
SELECT tandem.change_column('key', 'of_serial', 'id', 'bigint', cascade => true);
SELECT tandem.change_column('key', 'of_identity', 'id', 'bigint', cascade => true);
SELECT tandem.change_column('key', 'of_small', 'id', 'int', cascade => true);
SELECT tandem.create_views(42, schemas => '{public}');
COMMIT;
CALL tandem.migrate('key');
CREATE VIEW bounds AS SELECT seqrelid::regclass, seqtypid::regtype, seqmin, seqmax FROM pg_sequence WHERE seqrelid::regclass::text LIKE 'of_%' ORDER BY seqrelid::regclass::text;
SELECT * FROM bounds;
SELECT setval('of_serial_id_seq', 2147483646), setval('of_identity_id_seq', 2147483646), setval('of_small_id_seq', -32767);
CREATE FUNCTION insert_two() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	name text;
	got bigint;
BEGIN
	FOREACH name IN ARRAY '{release_42.of_serial,release_42.of_identity,release_42.of_small,release_41.of_serial,release_41.of_identity,release_41.of_small}'::text[] LOOP
		BEGIN
			EXECUTE format('INSERT INTO %s (note) VALUES (%L) RETURNING id', name, name) INTO got;
			RETURN NEXT format('%s %s', name, got);
		EXCEPTION WHEN OTHERS THEN
			RETURN NEXT format('%s %s %s', name, sqlstate, sqlerrm);
		END;
	END LOOP;
END $$;
SELECT * FROM insert_two();
SELECT relation, type, sequence, last_value, max_value, percent_used FROM tandem.keys ORDER BY relation::text;
SELECT tandem.switch_release(42);
SET client_min_messages = error;
CALL tandem.contract('key', undeclared => 'ignore');
SELECT * FROM bounds;
SELECT * FROM insert_two() i WHERE i LIKE 'release_42%';
SELECT relation, type, sequence, last_value, max_value FROM tandem.keys ORDER BY relation::text;

\c postgres
SET client_min_messages = warning;
DROP DATABASE keys;
DROP DATABASE keys_end;
DROP ROLE tandem_clerk;
