/*
 * rehearse: a script run for real and rolled back; what it has locked, rewritten and read.
 */
CREATE DATABASE tandem_rehearse;
\c tandem_rehearse
CREATE EXTENSION pg_tandem;
CREATE TABLE orders (id integer PRIMARY KEY, price integer, note varchar(10));
INSERT INTO orders SELECT i, i, 'n' || i FROM generate_series(1, 1000) i;
CREATE TABLE items (id integer PRIMARY KEY, order_id integer);
INSERT INTO items SELECT i, i FROM generate_series(1, 10) i;
-- the last one, without what depends on time and version
CREATE VIEW report AS
SELECT statement AS s, line, command, relation, lock_mode, blocks, waiting, rewritten_bytes > 0 AS rewritten, scans,
	predicted_lock_mode AS lint, predicted_rewrite AS r, predicted_scan AS s_, sqlstate, message
FROM tandem.rehearsals WHERE rehearsal = (SELECT max(rehearsal) FROM tandem.rehearsals);
GRANT SELECT ON report TO PUBLIC;
\pset null -

-- what each form of DDL does
CALL tandem.rehearse($$
ALTER TABLE orders ADD COLUMN extra text;
ALTER TABLE orders ALTER note TYPE text;

ALTER TABLE orders ALTER price TYPE bigint;
$$);
SELECT * FROM report;
CALL tandem.rehearse('CREATE INDEX ON orders (price)');
SELECT * FROM report;
CALL tandem.rehearse('ALTER TABLE items ADD FOREIGN KEY (order_id) REFERENCES orders');
SELECT * FROM report;
CALL tandem.rehearse('ALTER TABLE items ADD FOREIGN KEY (order_id) REFERENCES orders NOT VALID; ALTER TABLE items VALIDATE CONSTRAINT items_order_id_fkey');
SELECT s, relation, lock_mode, blocks, scans > 0 AS scanned FROM report WHERE relation <> 'public.orders';
CALL tandem.rehearse('ALTER TABLE orders ALTER price SET NOT NULL; UPDATE orders SET price = 0; SELECT * FROM orders WHERE price = 1');
SELECT * FROM report;
CALL tandem.rehearse('TRUNCATE items; INSERT INTO items VALUES (1, 1); DROP TABLE orders');
SELECT s, line, command, relation, lock_mode, rewritten FROM report;
-- what it makes itself nobody else sees
CALL tandem.rehearse('CREATE TABLE made (id integer); INSERT INTO made SELECT generate_series(1, 1000); ALTER TABLE made ALTER id TYPE bigint; CREATE TEMP TABLE passing (a integer)');
SELECT * FROM report;
-- nothing of it is left
SELECT count(*), pg_typeof(min(price)), to_regclass('made') FROM orders;
SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0;
-- what is measured
CALL tandem.rehearse('UPDATE orders SET note = price; SET LOCAL work_mem = 64; SELECT count(*) FROM (SELECT a FROM generate_series(1, 100000) a ORDER BY a DESC) s');
SELECT statement, wal_bytes > 1000 AS wal, temp_bytes > 10000 AS temporary, duration > '0' AS time FROM tandem.rehearsals WHERE rehearsal = (SELECT max(rehearsal) FROM tandem.rehearsals) AND relation IS NULL ORDER BY 1;
SELECT bool_and(held > '0') FROM tandem.rehearsals WHERE relation IS NOT NULL;
SHOW work_mem;

-- transactions of the script
CALL tandem.rehearse($$BEGIN;
LOCK orders IN SHARE MODE;
COMMIT;
SAVEPOINT s;
INSERT INTO items VALUES (100, 100); SELECT pg_sleep(0.02);
ROLLBACK;$$);
SELECT * FROM report;
SELECT l.held < i.held AS released FROM tandem.rehearsals l, tandem.rehearsals i
WHERE l.rehearsal = i.rehearsal AND l.lock_mode = 'ShareLock' AND i.relation = 'public.items' AND i.command = 'INSERT' AND l.rehearsal = (SELECT max(rehearsal) FROM tandem.rehearsals);
-- constraints that are deferred
ALTER TABLE items ADD CONSTRAINT orders_there FOREIGN KEY (order_id) REFERENCES orders DEFERRABLE INITIALLY DEFERRED;
CALL tandem.rehearse(E'INSERT INTO items VALUES (2000, 2000);\nSELECT 1');
CALL tandem.rehearse(E'BEGIN;\nINSERT INTO items VALUES (2000, 2000);\nCOMMIT;\nSELECT 1');
ALTER TABLE items DROP CONSTRAINT orders_there;

-- what is of top level alone, of psql, or cannot be undone: said, and passed over
CALL tandem.rehearse($$\set name value
SELECT :name;
CREATE INDEX CONCURRENTLY ON orders (price);
VACUUM orders;
ALTER SYSTEM SET work_mem = '1GB';
COPY items FROM stdin;
77	1
\.
COPY items TO '/tmp/should-not-be-there';
COPY items TO PROGRAM 'false';
PREPARE p AS SELECT 1;
LOAD 'plpgsql';
CHECKPOINT;
SELECT 1;$$);
SELECT * FROM report;
-- statements of top level by a worker, on request: they are kept, with what stands before them
CALL tandem.rehearse('VACUUM orders', top_level => true);
BEGIN;
CALL tandem.rehearse('VACUUM orders', true, top_level => true);
ROLLBACK;
CALL tandem.rehearse($$CREATE SCHEMA shop;
SET search_path = shop, public;
CREATE TABLE made (id integer);
CREATE INDEX CONCURRENTLY made_id ON made (id);
VACUUM (ANALYZE) orders;
REINDEX INDEX CONCURRENTLY made_id;
ALTER SYSTEM SET work_mem = '1GB';
BEGIN;
VACUUM orders;
COMMIT;
INSERT INTO made VALUES (1);
DROP INDEX CONCURRENTLY made_id;
CREATE UNIQUE INDEX CONCURRENTLY nothing ON gone (id);
SELECT 1;$$, keep => true, top_level => true);
SELECT s, line, command, sqlstate, message FROM report WHERE relation IS NULL;
SELECT DISTINCT kept FROM tandem.rehearsals WHERE rehearsal = (SELECT max(rehearsal) FROM tandem.rehearsals);
SELECT to_regclass('shop.made_id'), count(*) FROM shop.made;
SHOW search_path;
RESET search_path;
DROP SCHEMA shop CASCADE;
-- with the caller's rights, and no more
CREATE ROLE regress_builder LOGIN;
REVOKE CONNECT ON DATABASE tandem_rehearse FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO regress_builder;
SET ROLE regress_builder;
CREATE TABLE built (id integer);
CALL tandem.rehearse('VACUUM built', true, top_level => true);
RESET ROLE;
GRANT CONNECT ON DATABASE tandem_rehearse TO PUBLIC;
SET ROLE regress_builder;
CALL tandem.rehearse('CREATE INDEX CONCURRENTLY built_id ON built (id)', true, top_level => true);
CALL tandem.rehearse('CREATE INDEX CONCURRENTLY ON orders (price)', true, top_level => true);
RESET ROLE;
-- a role that the script takes is not the worker's
CALL tandem.rehearse('SET ROLE regress_builder; VACUUM built', true, top_level => true);
SELECT s, command, message FROM report WHERE relation IS NULL;
SELECT to_regclass('built_id');
DROP OWNED BY regress_builder;
DROP ROLE regress_builder;
CREATE TYPE mood AS ENUM ('sad');
CALL tandem.rehearse($$ALTER TYPE mood ADD VALUE 'happy'; SELECT 'happy'::mood; SELECT 1$$);
SELECT * FROM report;

-- mistakes: the line, and what has run before
CALL tandem.rehearse(E'SELECT 1;\n\nSELECT 1 +;\nSELECT 2');
SELECT * FROM report;
CALL tandem.rehearse(E'ALTER TABLE orders ADD extra text;\n\nSELECT 1,\n nothing\nFROM orders;\nSELECT 2');
SELECT * FROM report;
CALL tandem.rehearse(E'SELECT 1;\nSELECT 1 / 0');
CALL tandem.rehearse('');
SELECT count(*) FROM report;
CALL tandem.rehearse('-- nothing');
CALL tandem.rehearse(NULL);

-- limits
CALL tandem.rehearse('ALTER TABLE orders ADD extra text', max_lock_mode => 'SHARE UPDATE EXCLUSIVE');
SELECT * FROM report;
CALL tandem.rehearse('ALTER TABLE orders ADD extra text', max_lock_mode => 'accessexclusivelock');
CALL tandem.rehearse('CREATE INDEX ON orders (price)', max_lock_mode => 'RowExclusiveLock');
CALL tandem.rehearse('SELECT 1', max_lock_mode => 'strong');
CALL tandem.rehearse('ALTER TABLE orders ALTER price TYPE bigint', max_rewrite_bytes => 1000000);
\set VERBOSITY terse
CALL tandem.rehearse(E'\nALTER TABLE orders ALTER price TYPE bigint', max_rewrite_bytes => 0);
CALL tandem.rehearse('SELECT 1', max_rewrite_bytes => -1);
CALL tandem.rehearse('ALTER TABLE orders ADD extra text; SELECT pg_sleep(0.05)', max_lock_time => '1 ms');
CALL tandem.rehearse('SELECT count(*) FROM orders; SELECT pg_sleep(0.05)', max_lock_time => '1 ms');
CALL tandem.rehearse('ALTER TABLE orders ADD extra text', max_lock_time => '1 min');
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE FUNCTION exceeded(script text, limits text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE format('CALL tandem.rehearse(%L, %s)', script, limits);
	RETURN NEXT 'within the limits';
EXCEPTION WHEN program_limit_exceeded THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN NEXT regexp_replace(detail, '\d+ bytes', 'N bytes', 'g');
END $$;
-- what is passed over counts as lint says
SELECT * FROM exceeded(E'VACUUM FULL orders;\nREINDEX TABLE CONCURRENTLY orders', $$max_lock_mode => 'SHARE'$$);
SELECT * FROM exceeded('VACUUM FULL orders', 'max_rewrite_bytes => 0');
SELECT * FROM exceeded('CREATE INDEX CONCURRENTLY ON orders (price); VACUUM orders', $$max_lock_mode => 'SHARE UPDATE EXCLUSIVE', max_rewrite_bytes => 0$$);
-- an index counts where its lock keeps away more than that of its table
SELECT * FROM exceeded('REINDEX TABLE orders', $$max_lock_mode => 'SHARE'$$);
SELECT * FROM exceeded('REINDEX INDEX orders_pkey', 'max_rewrite_bytes => 0');
SELECT * FROM exceeded('UPDATE orders SET price = price WHERE id = 1', $$max_lock_mode => 'ROW EXCLUSIVE'$$);
CALL tandem.rehearse('REINDEX TABLE orders; ALTER TABLE orders ALTER price TYPE bigint');
SELECT s, relation, lock_mode FROM report WHERE relation IS NOT NULL;
-- what is stored apart is written anew too, and partitions are so together
CREATE TABLE long (id int, data text);
ALTER TABLE long ALTER data SET STORAGE external;
INSERT INTO long SELECT i, repeat('x', 20000) FROM generate_series(1, 50) i;
SELECT * FROM exceeded('ALTER TABLE long ALTER id TYPE bigint', 'max_rewrite_bytes => 900000');
CREATE TABLE parts (id int, amount int) PARTITION BY LIST (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
INSERT INTO parts SELECT 1 + i % 2, i FROM generate_series(1, 40000) i;
-- 720 kB each, at the least
SELECT * FROM exceeded(E'SELECT 1;\nALTER TABLE parts ALTER amount TYPE bigint', 'max_rewrite_bytes => 1400000');
SELECT * FROM exceeded(E'SELECT 1;\nALTER TABLE parts ALTER amount TYPE bigint', 'max_rewrite_bytes => 10000000');
CALL tandem.rehearse('SELECT 1', max_lock_time => '-1 s');
SELECT * FROM exceeded('ALTER TABLE orders ADD extra text', $$max_lock_time => '1000000 years'$$);
-- the line of an error behind letters of several bytes
CALL tandem.rehearse(E'SELECT ''\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\n\n'' ||\n\n nothing_there');
\set SHOW_CONTEXT errors
-- within a transaction block the report goes with the error: it says all
BEGIN;
CALL tandem.rehearse(E'SELECT 1;\nALTER TABLE orders ADD extra text', max_lock_mode => 'SHARE');
ROLLBACK;
BEGIN;
CALL tandem.rehearse(E'SELECT 1;\nALTER TABLE orders ADD extra text');
SELECT s, relation, lock_mode FROM report;
COMMIT;
DO $$BEGIN CALL tandem.rehearse(E'SELECT 1;\nSELECT nothing'); END$$;

-- kept, but not beyond a limit or an error
CALL tandem.rehearse('ALTER TABLE orders ADD kept text', keep => true);
CALL tandem.rehearse('ALTER TABLE orders ADD not_kept text', keep => true, max_lock_mode => 'SHARE');
CALL tandem.rehearse('ALTER TABLE orders ADD not_kept text; SELECT 1 / 0', keep => true);
SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname ~ 'kept';
SELECT kept, sqlstate, message FROM tandem.rehearsals WHERE rehearsal > (SELECT max(rehearsal) - 3 FROM tandem.rehearsals) AND (command <> 'ALTER TABLE' OR kept AND relation IS NULL);
ALTER TABLE orders DROP kept;

-- hostile: nothing of these outlives the rehearsal, and the report is there
CREATE ROLE regress_author;
CREATE ROLE regress_other;
SET log_min_messages = warning;
CALL tandem.rehearse('DROP EXTENSION pg_tandem CASCADE');
CALL tandem.rehearse('DROP SCHEMA tandem CASCADE');
CALL tandem.rehearse('DO $d$BEGIN EXECUTE ''DROP EXTENSION pg_tandem CASCADE''; EXECUTE ''CREATE EXTENSION pg_tandem''; END$d$');
CALL tandem.rehearse('DO $d$BEGIN EXECUTE ''DROP EXTENSION pg_tandem CASCADE''; END$d$', keep => true);
SELECT extname FROM pg_extension WHERE extname = 'pg_tandem';
CALL tandem.rehearse('DO $d$BEGIN INSERT INTO items VALUES (99, 1); COMMIT; END$d$');
CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN INSERT INTO items VALUES (99, 1); COMMIT; END';
CALL tandem.rehearse('CALL commits()');
-- what commits is passed over, as what else runs at top level alone
SELECT tandem.create_migration('alone');
CALL tandem.rehearse('CALL tandem.migrate(''alone''); CALL commits(); SELECT 1');
SELECT statement, command, sqlstate, message FROM tandem.rehearsals WHERE rehearsal = (SELECT max(rehearsal) FROM tandem.rehearsals) ORDER BY statement;
CALL tandem.abort('alone');
SELECT count(*) FROM items WHERE id = 99;
CALL tandem.rehearse('CALL tandem.rehearse(''SELECT 1'')');
CALL tandem.rehearse('SET ROLE regress_author; SET search_path = nowhere; SET lock_timeout = 0; SET SESSION AUTHORIZATION regress_other');
SELECT current_user = session_user, current_setting('search_path') AS path;
CALL tandem.rehearse('SET ROLE regress_author; SET work_mem = ''123kB''', keep => true);
SELECT current_user = session_user, current_setting('work_mem');
RESET work_mem;
CALL tandem.rehearse('SET SESSION AUTHORIZATION regress_author', keep => true);
SELECT current_user = 'regress_author' AS author, session_user = 'regress_author' AS author;
CALL tandem.rehearse(repeat('SELECT 1; ', 2000));
SELECT count(*) FROM report;
CALL tandem.rehearse('SELECT ''' || repeat('x', 1000000) || ''';' || repeat('(', 10) || 'SELECT 1' || repeat(')', 10));
SELECT count(*), max(message) FROM report;

-- rights: those of the caller, who sees what he has rehearsed
GRANT SELECT ON orders TO regress_author;
SET ROLE regress_author;
CALL tandem.rehearse('SELECT count(*) FROM orders');
SELECT * FROM report;
CALL tandem.rehearse('ALTER TABLE orders ADD extra text');
CALL tandem.rehearse('RESET ROLE; ALTER TABLE orders ADD extra text');
CALL tandem.rehearse('DELETE FROM tandem.rehearsal');
SELECT DISTINCT rehearsed_by FROM tandem.rehearsals;
SET ROLE regress_other;
SELECT count(*) FROM tandem.rehearsals;
RESET ROLE;
SELECT count(*) > 10 FROM tandem.rehearsals;
-- a role of the same number is another one
UPDATE tandem.rehearsal SET name = 'former' WHERE name = 'regress_author';
SET ROLE regress_author;
SELECT count(*) FROM tandem.rehearsals;
RESET ROLE;
-- reports are forgotten
UPDATE tandem.rehearsal SET rehearsed_at = now() - interval '10 years';
CALL tandem.rehearse('SELECT 1');
SELECT count(*) FROM tandem.rehearsals;
SELECT count(*) FROM tandem.rehearsal_row;
BEGIN READ ONLY;
CALL tandem.rehearse('SELECT 1');
ROLLBACK;

\c postgres
DROP DATABASE tandem_rehearse;
DROP ROLE regress_author, regress_other;
