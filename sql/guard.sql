-- DDL on a table with a live sync: refused, or followed, or shown as broken.
CREATE DATABASE guard;
\c guard
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION pg_tandem;
\pset null '-'
\pset format unaligned
\pset tuples_only

CREATE SCHEMA app;
CREATE SCHEMA lib;
SET search_path = app, lib, public;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN level AS integer CHECK (VALUE >= 0);
CREATE FUNCTION lib.up(integer) RETURNS level IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TABLE t (id integer PRIMARY KEY, a integer, b level, m text, n mood, other text);
CREATE TRIGGER noted BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO t VALUES (1, 1);
SELECT tandem.create_migration('g');
SELECT tandem.sync_column('g', 't', 'a', 'b', 'up(a)', 'b / 2');
SELECT tandem.sync_column('g', 't', 'm', 'n', 'm::mood', 'n::text');
CREATE VIEW rules AS SELECT migration, relation, old_columns, new_columns, health, problem FROM tandem.syncs;
SELECT * FROM rules;

-- the columns
ALTER TABLE t RENAME COLUMN a TO c;
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE t RENAME b TO c;
ALTER TABLE t DROP COLUMN a;
ALTER TABLE t DROP COLUMN a CASCADE;
ALTER TABLE t DROP COLUMN b CASCADE;
ALTER TABLE t DROP COLUMN a, ADD COLUMN a integer;
ALTER TABLE t ALTER COLUMN a TYPE bigint;
ALTER TABLE t ALTER COLUMN a TYPE text;
ALTER TABLE t ALTER COLUMN m TYPE varchar(20);
ALTER TABLE t ALTER COLUMN b TYPE text;
ALTER TABLE t ALTER COLUMN n TYPE text USING n::text;
-- the trigger
DROP TRIGGER "~tandem_sync" ON t;
\echo :LAST_ERROR_SQLSTATE
ALTER TRIGGER "~tandem_sync" ON t RENAME TO aaa;
ALTER TABLE t DISABLE TRIGGER "~tandem_sync";
ALTER TABLE t ENABLE TRIGGER "~tandem_sync";
ALTER TABLE t ENABLE REPLICA TRIGGER "~tandem_sync";
ALTER TABLE t DISABLE TRIGGER USER;
ALTER TABLE t DISABLE TRIGGER ALL;
CREATE OR REPLACE TRIGGER "~tandem_sync" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note();
CREATE OR REPLACE TRIGGER "~tandem_sync" BEFORE INSERT OR UPDATE ON t FOR EACH ROW WHEN (new.id > 5)
	EXECUTE FUNCTION tandem.sync_row('1', 'g', '0', 'error', 'error', '', '{a}', '{b}', '{a}', '{}');
DROP FUNCTION tandem.sync_row();
DROP FUNCTION tandem.sync_row() CASCADE;
-- what up uses: the trigger would go with it
DROP FUNCTION up(integer);
DROP FUNCTION up(integer) CASCADE;
DROP TYPE mood CASCADE;
DROP DOMAIN level CASCADE;
DROP SCHEMA lib CASCADE;
ALTER FUNCTION up(integer) RENAME TO upper2;
ALTER FUNCTION up(integer) SET SCHEMA public;
ALTER ROUTINE up(integer) RENAME TO upper2;
ALTER TYPE mood RENAME TO feeling;
ALTER TYPE mood SET SCHEMA public;
ALTER SCHEMA lib RENAME TO library;
\set VERBOSITY terse
DROP EXTENSION pg_tandem;
\set VERBOSITY default
SELECT * FROM rules;
-- all of that has left the sync in force
INSERT INTO t VALUES (2, 2);
UPDATE t SET b = 4, n = 'happy' WHERE id = 1;
SELECT * FROM t ORDER BY id;

-- Works, and the sync goes on.
ALTER TABLE t RENAME TO u;
ALTER TABLE u SET SCHEMA public;
ALTER TABLE u RENAME COLUMN other TO another;
ALTER TABLE u DROP COLUMN another;
ALTER TABLE u ADD COLUMN x text, ALTER COLUMN a SET NOT NULL, ALTER COLUMN a SET DEFAULT 7, ADD CHECK (a < 100);
ALTER TABLE u DISABLE TRIGGER noted;
ALTER TABLE u ENABLE TRIGGER noted;
ALTER TRIGGER noted ON u RENAME TO noticed;
DROP TRIGGER noticed ON u;
CREATE TRIGGER noted AFTER UPDATE ON u FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER "~~late" AFTER UPDATE ON u FOR EACH ROW EXECUTE FUNCTION note();
CREATE INDEX ON u (a);
TRUNCATE u;
CREATE OR REPLACE FUNCTION lib.up(integer) RETURNS level IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 3';
ALTER TYPE mood ADD VALUE 'angry';
ALTER TYPE mood RENAME VALUE 'sad' TO 'unhappy';
ALTER DOMAIN level ADD CHECK (VALUE < 1000);
CREATE TABLE unrelated (a integer, b integer);
CREATE TRIGGER "~~late" BEFORE UPDATE ON unrelated FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE unrelated RENAME a TO c;
DROP TRIGGER "~~late" ON unrelated;
DROP TABLE unrelated;
SELECT * FROM rules;
INSERT INTO u (id, a, m) VALUES (1, 1, 'angry');
SELECT * FROM u;

-- A trigger that would fire after the sync.
CREATE TRIGGER "~~later" BEFORE UPDATE ON u FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER sooner BEFORE UPDATE ON u FOR EACH ROW EXECUTE FUNCTION note();
SELECT health, problem FROM rules;

-- Partitions.
CREATE TABLE p (k integer, a integer, b integer) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
INSERT INTO p VALUES (1, 1);
SELECT tandem.create_migration('p');
SELECT tandem.sync_column('p', 'p', 'a', 'b', 'a + 1', 'b - 1');
ALTER TABLE p1 DISABLE TRIGGER "~tandem_sync";
ALTER TABLE p1 DISABLE TRIGGER USER;
ALTER TABLE p DISABLE TRIGGER USER;
ALTER TABLE ONLY p DISABLE TRIGGER USER;
DROP TRIGGER "~tandem_sync" ON p1;
CREATE TRIGGER "~~late" BEFORE UPDATE ON p1 FOR EACH ROW EXECUTE FUNCTION note();
CALL tandem.migrate('p');
-- a new partition is synced at once
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
INSERT INTO p VALUES (2, 2);
-- one that is attached is synced from then on, and filled by the next migrate; till then the gate is shut
CREATE TABLE p3 (b integer, k integer, a integer);
INSERT INTO p3 VALUES (NULL, 3, 3);
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES IN (3);
INSERT INTO p3 VALUES (NULL, 3, 33);
SELECT * FROM p ORDER BY k, a;
CALL tandem.contract('p');
CALL tandem.migrate('p');
SELECT * FROM p ORDER BY k, a;
SELECT relation, state, rows_filled FROM tandem.progress WHERE migration = 'p' AND step = 'backfill';
-- attaching a table that has a trigger after ours
CREATE TABLE p4 (k integer, a integer, b integer);
CREATE TRIGGER "~~late" BEFORE UPDATE ON p4 FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE p ATTACH PARTITION p4 FOR VALUES IN (4);
DROP TABLE p4;
-- a subtree
CREATE TABLE p5 (k integer, a integer, b integer) PARTITION BY LIST (k);
CREATE TABLE p5_1 PARTITION OF p5 FOR VALUES IN (5);
INSERT INTO p5 VALUES (5, 1);
ALTER TABLE p ATTACH PARTITION p5 FOR VALUES IN (5);
-- detached: a table of its own, without the sync
ALTER TABLE p DETACH PARTITION p3;
INSERT INTO p3 VALUES (NULL, 3, 333);
SELECT * FROM p3 ORDER BY a;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'p3'::regclass;
DROP TABLE p2;
SELECT health, problem FROM rules WHERE migration = 'p';
CALL tandem.migrate('p');
SELECT * FROM p ORDER BY k, a;
CALL tandem.contract('p');
SELECT attrelid::regclass, attname FROM pg_attribute WHERE attrelid IN ('p'::regclass, 'p1'::regclass, 'p5_1'::regclass) AND attname IN ('a', 'b') ORDER BY 1;

-- A restore of data alone has all triggers disabled: ours stays in force, and what is proved stays proved.
CREATE TABLE data (id integer, a integer, b integer);
INSERT INTO data VALUES (1, 1);
CREATE TRIGGER noted BEFORE UPDATE ON data FOR EACH ROW EXECUTE FUNCTION note();
SELECT tandem.create_migration('data');
SELECT tandem.sync_column('data', 'data', 'a', 'b', 'a + 1', 'b - 1');
CALL tandem.migrate('data');
SET client_min_messages = notice;
ALTER TABLE data DISABLE TRIGGER ALL;
SET client_min_messages = warning;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'data'::regclass ORDER BY 1;
COPY data (id, a) FROM stdin;
2	2
\.
COPY data (id, a, b) FROM stdin;
3	3	4
\.
ALTER TABLE data ENABLE TRIGGER ALL;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'data'::regclass ORDER BY 1;
BEGIN;
ALTER TABLE data DISABLE TRIGGER USER, ADD x integer;
SAVEPOINT s;
ALTER TABLE data ENABLE TRIGGER USER;
ALTER TABLE data DISABLE TRIGGER ALL, ENABLE TRIGGER "~tandem_sync";
ROLLBACK TO s;
COMMIT;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'data'::regclass ORDER BY 1;
ALTER TABLE data ENABLE TRIGGER noted;
SELECT * FROM data ORDER BY id;
CALL tandem.contract('data');
SELECT * FROM data ORDER BY id;
-- one that somebody has put out of force before stays as it is, and other commands pass
CREATE TABLE off (a integer, b integer);
SELECT tandem.create_migration('off');
SELECT tandem.sync_column('off', 'off', 'a', 'b', 'a');
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
ALTER TABLE off DISABLE TRIGGER "~tandem_sync";
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
ALTER TABLE off DISABLE TRIGGER ALL;
ALTER TABLE off ADD x integer;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'off'::regclass;
ALTER TABLE off ENABLE ALWAYS TRIGGER "~tandem_sync";
CALL tandem.abort('off');

-- Dropping the table leaves a migration that can only be aborted.
DROP TABLE u;
SELECT health, problem FROM rules WHERE migration = 'g';
CALL tandem.migrate('g');
CALL tandem.abort('g');
SELECT name, phase FROM tandem.migrations;

-- DROP EXTENSION with live syncs: refused; with CASCADE the triggers go, and the tables stay.
CREATE TABLE last (a integer, b integer);
SELECT tandem.create_migration('last');
SELECT tandem.sync_column('last', 'last', 'a', 'b', 'a');
\set VERBOSITY terse
DROP EXTENSION pg_tandem;
\set VERBOSITY default
INSERT INTO last VALUES (1);
-- a child by inheritance is no partition: nothing syncs it, so it is refused, and shown where it came all the same
CREATE TABLE kid () INHERITS (last);
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
CREATE TABLE kid () INHERITS (last);
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
SELECT health, problem FROM tandem.syncs WHERE relation = 'last'::regclass;
ALTER TABLE last ADD x integer;
ALTER TABLE kid NO INHERIT last;
SELECT health, problem FROM tandem.syncs WHERE relation = 'last'::regclass;
DROP VIEW rules;
ALTER EVENT TRIGGER tandem_guard_before DISABLE;
DROP EXTENSION pg_tandem CASCADE;
INSERT INTO last VALUES (2);
SELECT * FROM last;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'last'::regclass;
SELECT evtname FROM pg_event_trigger;
-- and what it guarded is free
ALTER TABLE last RENAME a TO c;

\c postgres
DROP DATABASE guard;
