-- What would fail in migrate or at contract, or break with ADD COLUMN, is said at expand.
CREATE DATABASE known_at_expand;
\c known_at_expand
SET client_min_messages = warning;
\set VERBOSITY default
\pset format unaligned
CREATE EXTENSION pg_tandem;
SET client_min_messages = notice;

-- An old column in a partition key, at any level, also in an expression.
CREATE TABLE parts (k integer, a integer, b integer, n integer) PARTITION BY LIST (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1) PARTITION BY RANGE ((a + 1));
CREATE TABLE parts_1_1 PARTITION OF parts_1 FOR VALUES FROM (0) TO (10);
SELECT tandem.create_migration('m');
SELECT tandem.sync_column('m', 'parts', 'k', 'n', 'k', 'n');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.sync_column('m', 'parts', 'a', 'n', 'a', 'n');
SELECT tandem.sync_columns('m', 'parts', '{b,a}', '{n}', '{b}', '{n,NULL}');
SELECT tandem.sync_column('m', 'parts', 'a', 'n', 'a', 'n', keep_old => true);
SELECT tandem.add_column('m', 'parts', 'd', 'integer', up => 'k + a');
SET client_min_messages = warning;
CALL tandem.migrate('m');
SET client_min_messages = notice;
CALL tandem.contract('m');

-- A table that publishes UPDATE and has no replica identity.
CREATE TABLE log (id integer, a integer, b integer);
SET client_min_messages = error;
CREATE PUBLICATION p FOR TABLE log;
SET client_min_messages = notice;
SELECT tandem.create_migration('log');
SELECT tandem.sync_column('log', 'log', 'a', 'b', 'a', 'b');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.add_column('log', 'log', 'c', 'integer', up => 'a + 1');
SELECT tandem.add_column('log', 'log', 'c', 'integer');
-- as the hint says
ALTER TABLE log ADD PRIMARY KEY (id);
SELECT tandem.sync_column('log', 'log', 'a', 'b', 'a', 'b');

-- No room: columns that were dropped count; rows that have a value in each column.
DO $$
BEGIN
	EXECUTE format('CREATE TABLE wide (%s)', (SELECT string_agg(format('c%s text', i), ', ') FROM generate_series(1, 420) i));
	EXECUTE format('CREATE TABLE full_of (%s)', (SELECT string_agg(format('c%s boolean', i), ', ') FROM generate_series(1, 1600) i));
	EXECUTE format('CREATE TABLE fixed (%s)', (SELECT string_agg(format('c%s bigint', i), ', ') FROM generate_series(1, 900) i));
END $$;
ALTER TABLE full_of DROP COLUMN c1, DROP COLUMN c2;
SELECT tandem.create_migration('wide');
SELECT tandem.add_column('wide', 'wide', 'another', 'text');
SELECT tandem.add_column('wide', 'full_of', 'another', 'boolean');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.add_column('wide', 'fixed', 'another', 'bigint');
-- what the statistics know of
CREATE TABLE short (LIKE wide);
DO $$
BEGIN
	EXECUTE format('INSERT INTO short SELECT %s FROM generate_series(1, 20)', (SELECT string_agg(quote_literal('x'), ', ') FROM generate_series(1, 421) i));
END $$;
ANALYZE short;
SELECT tandem.add_column('wide', 'short', 'one_more', 'integer');

-- Functions that rely on the columns of the table being what they are.
CREATE TABLE orders (id integer PRIMARY KEY, total integer);
CREATE TABLE archive (LIKE orders);
CREATE TABLE "Odd.[t" (id integer);
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO archive SELECT OLD.*; RETURN NULL; END';
CREATE TRIGGER keep AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION keep();
CREATE FUNCTION keep_all() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO archive SELECT o.* FROM old_rows o; RETURN NULL; END';
CREATE TRIGGER keep_all AFTER DELETE ON orders REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_all();
CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.* IS DISTINCT FROM NEW.* THEN NEW.total = 0; END IF; RETURN NEW; END';
CREATE TRIGGER changed BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION changed();
CREATE FUNCTION star() RETURNS void LANGUAGE sql AS 'INSERT INTO archive SELECT * FROM Orders WHERE id > 7';
CREATE FUNCTION of_alias() RETURNS void LANGUAGE plpgsql AS 'BEGIN INSERT INTO archive SELECT o.* FROM public.orders o; END';
CREATE FUNCTION copies() RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE 'COPY orders TO stdout'; END$$;
CREATE FUNCTION gives() RETURNS SETOF orders LANGUAGE sql AS 'SELECT id, total FROM orders';
CREATE FUNCTION counts() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM orders WHERE total * 2 > 4';
CREATE FUNCTION other() RETURNS void LANGUAGE sql AS 'INSERT INTO archive SELECT * FROM archive -- orders2, old_orders';
CREATE FUNCTION names() RETURNS void LANGUAGE sql AS 'INSERT INTO archive SELECT id, total FROM orders';
CREATE FUNCTION odd() RETURNS bigint LANGUAGE plpgsql AS 'DECLARE r record; BEGIN SELECT * INTO r FROM "Odd.[t"; RETURN 1; END';
SELECT tandem.create_migration('orders');
SELECT tandem.add_column('orders', 'orders', 'cents', 'bigint');
-- once for a table
SELECT tandem.add_column('orders', 'orders', 'more', 'bigint');
SELECT tandem.add_column('orders', 'Odd.[t', 'more', 'bigint');
SELECT tandem.add_column('orders', '"Odd.[t"', 'more', 'bigint');
-- and after a plain ALTER TABLE
BEGIN;
SELECT tandem.create_migration('plain');
ALTER TABLE orders ADD COLUMN plain integer;
SELECT tandem.sync_column('plain', 'orders', 'total', 'plain', 'total', 'plain');
ROLLBACK;
-- whichever call is the first
BEGIN;
SELECT tandem.create_migration('built');
ALTER TABLE orders ADD COLUMN built integer;
SELECT tandem.add_index('built', 'CREATE INDEX orders_built ON orders (built)');
SELECT tandem.sync_column('built', 'orders', 'total', 'built', 'total', 'built');
ROLLBACK;

-- A name that only views show is no way around what another migration replaces.
SELECT tandem.create_migration('type', release => 42);
SELECT tandem.add_column('type', 'archive', 'cents', 'bigint');
SELECT tandem.sync_column('type', 'archive', 'total', 'cents', 'total * 100', 'cents / 100');
SELECT tandem.create_migration('name', release => 43);
SELECT tandem.sync_column('name', 'archive', 'total', 'sum', 'total', stored => false);
SELECT tandem.sync_column('name', 'archive', 'cents', 'sum', 'cents', stored => false);
\c postgres
DROP DATABASE known_at_expand;
