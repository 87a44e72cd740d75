-- Partitions that come while a migration is under way: what was empty then has nothing to fill.
CREATE DATABASE new_partitions;
\c new_partitions
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION pg_tandem;
\pset format unaligned
\pset tuples_only
\pset null '-'
CREATE VIEW plain AS SELECT c.oid::regclass AS view, string_agg(a.attname, ', ' ORDER BY a.attnum)
		FILTER (WHERE NOT pg_column_is_updatable(c.oid, a.attnum, false)) AS read_only
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
	WHERE c.relkind = 'v' AND c.relnamespace::regnamespace::text LIKE 'release%' GROUP BY c.oid ORDER BY 1;
CREATE VIEW steps AS SELECT s.relation, s.step, s.state, s.rows_done, s.rows_filled FROM tandem.progress s
	WHERE s.migration = 'm' AND s.step IN ('backfill', 'verify') ORDER BY s.relation::text, s.step;
CREATE TABLE t (id integer, a integer, n integer) PARTITION BY RANGE (id);
-- an UPDATE of another column fills a row that is unfilled
CREATE PROCEDURE touch_all() LANGUAGE sql AS 'UPDATE t SET n = n + 1';
-- a row in which the new column is NULL since somebody said so
CREATE PROCEDURE say_null(integer) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t (id, a, n) VALUES ($1, 1, 0);
	UPDATE t SET b = NULL WHERE id = $1;
END $$;
CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (0) TO (10);
INSERT INTO t VALUES (1, 10, 0), (2, 20, 0);
SELECT tandem.create_migration('m', release => 42);
SELECT tandem.add_column('m', 't', 'b', 'integer');
-- up of a NULL is none
SELECT tandem.sync_column('m', 't', 'a', 'b', 'coalesce(a, 0)', 'b');

-- In phase expand: a NULL that a writer gives is his, in a partition of any kind that was empty.
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (10) TO (20);
CALL say_null(11);
CALL touch_all();
SELECT * FROM t1;
CREATE TABLE like_t (LIKE t);
ALTER TABLE t ATTACH PARTITION like_t FOR VALUES FROM (20) TO (30);
CALL say_null(21);
CREATE TABLE below PARTITION OF t FOR VALUES FROM (30) TO (50) PARTITION BY RANGE (id);
CREATE TABLE below1 PARTITION OF below FOR VALUES FROM (30) TO (40);
CALL say_null(31);
CREATE SCHEMA s CREATE TABLE t2 PARTITION OF public.t FOR VALUES FROM (50) TO (60);
CALL say_null(51);
CREATE TABLE tree (LIKE t) PARTITION BY RANGE (id);
CREATE TABLE tree1 PARTITION OF tree FOR VALUES FROM (60) TO (70);
ALTER TABLE t ATTACH PARTITION tree FOR VALUES FROM (60) TO (70);
CALL say_null(61);
CALL touch_all();
SELECT * FROM t WHERE id > 10 ORDER BY id;
-- one that came with rows is filled, also those that were written in the transaction that attached it
CREATE TABLE full_t (LIKE t);
INSERT INTO full_t VALUES (71, NULL, 0);
ALTER TABLE t ATTACH PARTITION full_t FOR VALUES FROM (70) TO (80);
BEGIN;
CREATE TABLE full_too (LIKE t);
INSERT INTO full_too VALUES (81, NULL, 0);
ALTER TABLE t ATTACH PARTITION full_too FOR VALUES FROM (80) TO (90);
COMMIT;
CALL touch_all();
SELECT * FROM t WHERE id > 70 ORDER BY id;
-- a second sync of the migration finds rows there that are unfilled for it, not for the first
SELECT tandem.add_column('m', 't', 'c', 'integer');
SELECT tandem.sync_column('m', 't', 'id', 'c', 'id', 'c', keep_old => true);
-- also where their length does not tell
VACUUM FULL t1;
CALL touch_all();
SELECT * FROM t WHERE id IN (11, 21) ORDER BY id;
-- the fill and verify leave them as they are; views are plain then
SELECT tandem.create_views(41), tandem.create_views(42);
SELECT * FROM plain;
CALL tandem.migrate('m');
SELECT * FROM steps;
SELECT * FROM t ORDER BY id;
SELECT * FROM plain;
SELECT phase FROM tandem.migrations;

-- When the migration is done so far: a new partition is filled and proved as it is.
CREATE TEMPORARY TABLE versions AS SELECT tgrelid, oid, xmin AS version FROM pg_trigger WHERE tgname = '~tandem_sync';
CREATE VIEW changed AS SELECT t.tgrelid::regclass FROM pg_trigger t JOIN versions v USING (oid) WHERE t.xmin <> v.version ORDER BY 1;
CREATE TABLE day1 PARTITION OF t FOR VALUES FROM (100) TO (110);
SELECT tandem.create_views(42);
SELECT * FROM plain;
CALL say_null(101);
INSERT INTO release_42.t (id, b) VALUES (102, 2);
INSERT INTO release_41.t (id, a) VALUES (103, 3);
CALL touch_all();
SELECT * FROM day1;
SELECT * FROM steps WHERE relation = 'day1'::regclass;
SELECT relation, rows_checked, rows_unfilled, rows_mismatched FROM tandem.verify('m') WHERE relation = 'day1'::regclass;
SELECT * FROM tandem.syncs;
BEGIN;
CALL tandem.contract('m', undeclared => 'ignore');
SELECT * FROM day1;
ROLLBACK;
-- migrate again has nothing to do, and leaves the triggers alone
CALL tandem.migrate('m');
SELECT * FROM steps WHERE relation = 'day1'::regclass;
SELECT * FROM day1;
SELECT * FROM changed;
-- a rewrite of the partition changes nothing
VACUUM FULL day1;
CALL touch_all();
SELECT * FROM day1 WHERE id = 101;

-- One that comes with rows: views stay plain, contract waits until migrate has filled it.
CREATE TABLE came (LIKE t);
INSERT INTO came VALUES (111, NULL, 0);
ALTER TABLE t ATTACH PARTITION came FOR VALUES FROM (110) TO (120);
SELECT tandem.create_views(42), tandem.create_views(43);
SELECT * FROM plain;
CALL tandem.contract('m', undeclared => 'ignore');
CALL tandem.migrate('m');
SELECT * FROM steps WHERE relation = 'came'::regclass;
SELECT * FROM t WHERE id > 100 ORDER BY id;
SELECT * FROM plain;

-- Detached, written and attached again, it is as one that comes with rows; emptied, as one that is new.
ALTER TABLE t DETACH PARTITION day1;
UPDATE day1 SET a = NULL, b = NULL WHERE id = 102;
ALTER TABLE t ATTACH PARTITION day1 FOR VALUES FROM (100) TO (110);
CALL touch_all();
SELECT * FROM day1 ORDER BY id;
ALTER TABLE t DETACH PARTITION day1;
TRUNCATE day1;
ALTER TABLE t ATTACH PARTITION day1 FOR VALUES FROM (100) TO (110);
CALL say_null(101);
CALL touch_all();
SELECT * FROM day1;
SELECT * FROM steps WHERE relation = 'day1'::regclass;
-- brought back in a transaction that is rolled back it is not noted
ALTER TABLE t DETACH PARTITION day1;
TRUNCATE day1;
BEGIN;
SAVEPOINT s;
ALTER TABLE t ATTACH PARTITION day1 FOR VALUES FROM (100) TO (110);
ROLLBACK TO s;
INSERT INTO day1 (id) VALUES (104);
ALTER TABLE t ATTACH PARTITION day1 FOR VALUES FROM (100) TO (110);
COMMIT;
CALL touch_all();
SELECT * FROM day1;

-- When the trigger was out of force nothing is taken for granted any more.
CREATE TABLE day2 PARTITION OF t FOR VALUES FROM (120) TO (130);
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
ALTER TABLE day2 DISABLE TRIGGER "~tandem_sync";
INSERT INTO day2 (id) VALUES (121);
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
SELECT count(*) FROM tandem.fill_mark WHERE relation = 'day2'::regclass;
CALL tandem.migrate('m');
SELECT count(*) FROM tandem.fill_mark;
SELECT id, a, b FROM day2;
SELECT * FROM plain;

-- Without event triggers a new partition is one that is to be filled.
ALTER EVENT TRIGGER tandem_note_table_change DISABLE;
CREATE TABLE day3 PARTITION OF t FOR VALUES FROM (130) TO (140);
ALTER EVENT TRIGGER tandem_note_table_change ENABLE ALWAYS;
CALL tandem.contract('m', undeclared => 'ignore');
CALL tandem.migrate('m');
CREATE TABLE day4 PARTITION OF t FOR VALUES FROM (140) TO (150);
CALL tandem.contract('m', undeclared => 'ignore');
SELECT count(*) FROM tandem.fill_mark;
SELECT * FROM plain;
SELECT tandem.note_table_change();
\c postgres
DROP DATABASE new_partitions;
