-- Releases: which are served, who is healthy, who is refused what.
CREATE DATABASE releases;
-- only a session that has the library from its beginning is fenced
ALTER DATABASE releases SET session_preload_libraries = 'pg_tandem';
\c releases
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set VERBOSITY default
\pset format unaligned
\pset null '-'
-- by a session that declares its release, too
SET tandem.release = 1;
CREATE EXTENSION pg_tandem;
RESET tandem.release;
\pset tuples_only
CREATE ROLE tandem_node;
CREATE ROLE tandem_hostile LOGIN;
GRANT CREATE ON DATABASE releases TO tandem_hostile;
CREATE TABLE items (id int PRIMARY KEY, price int);
INSERT INTO items SELECT i, i FROM generate_series(1, 3) i;
GRANT ALL ON items TO tandem_node;
CREATE VIEW seen AS SELECT release, state, reason, since IS NOT NULL AS since, contracting, migrations FROM tandem.releases;

-- Before anything is known no release is, but there is no fence either: the application was there before.
SELECT * FROM seen;
SELECT * FROM tandem.health(41);
SELECT * FROM tandem.health(999);
CALL tandem.wait_for_release(41, '0.1 s');
SET tandem.release = 41;
SELECT count(*) FROM items;
UPDATE items SET price = price WHERE id = 1;
SELECT release, release_state FROM tandem.sessions WHERE pid = pg_backend_pid();
RESET tandem.release;

-- What is no release.
SELECT * FROM tandem.health(NULL);
SELECT * FROM tandem.health(0);
SELECT * FROM tandem.health(-1);
SELECT tandem.register_release(NULL);
SELECT tandem.register_release(0);
SELECT tandem.switch_release(NULL);
SELECT tandem.switch_release(-5);
CALL tandem.wait_for_release(NULL);
CALL tandem.wait_for_release(0, '1 s');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.create_migration('none', release => 0);
SELECT tandem.create_migration('none', release => -1);
\echo :LAST_ERROR_SQLSTATE

-- A release that needs no migration is made known; a pointer is put on it.
SELECT tandem.register_release(41, 'the first');
SELECT * FROM seen;
SELECT tandem.switch_release(41);
SELECT * FROM seen;
SELECT tandem.register_release(41);
SELECT release, comment FROM tandem.release;
SELECT * FROM tandem.health(42);
SELECT tandem.switch_release(42);
\echo :LAST_ERROR_SQLSTATE
-- an older one is served as long as nothing was contracted
SELECT * FROM tandem.health(40);
SELECT tandem.switch_release(40);
SELECT tandem.switch_release(41);

-- A migration without a release says nothing of releases.
SELECT tandem.create_migration('quiet');
SELECT * FROM seen;
CALL tandem.abort('quiet');

-- One with a release makes it known, to read only until every row is filled.
BEGIN;
SELECT tandem.create_migration('cents', release => 42);
SELECT tandem.add_column('cents', 'items', 'cents', 'bigint');
SELECT tandem.sync_column('cents', 'items', 'price', 'cents', 'price * 100', 'cents / 100');
COMMIT;
SELECT * FROM seen;
SELECT * FROM tandem.health(41);
SELECT * FROM tandem.health(42);
SELECT * FROM tandem.health(43);
SELECT tandem.switch_release(42);
\echo :LAST_ERROR_SQLSTATE
CALL tandem.wait_for_release(42, '0 s');
\echo :LAST_ERROR_SQLSTATE
CALL tandem.wait_for_release(43, '0.1 s');
BEGIN;
CALL tandem.wait_for_release(41);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- Dependencies beyond the schema.
SELECT healthy, reason FROM tandem.health(41, '{"search-index": 7}');
SELECT tandem.set_dependency('search-index', 6);
SELECT healthy, reason FROM tandem.health(41, '{"search-index": 7}');
SELECT tandem.set_dependency('search-index', 7);
SELECT healthy, reason FROM tandem.health(41, '{"search-index": 7}');
SELECT healthy, reason FROM tandem.health(41, '{"search-index": 7, "queue": 1}');
SELECT healthy, reason FROM tandem.health(41, '{}');
SELECT healthy, reason FROM tandem.health(41, NULL);
-- the release is the first reason
SELECT healthy, reason FROM tandem.health(43, '{"search-index": 8}');
SELECT * FROM tandem.health(41, '[]');
SELECT * FROM tandem.health(41, '[7]');
SELECT * FROM tandem.health(41, '7');
SELECT * FROM tandem.health(41, '{"search-index": "7"}');
SELECT * FROM tandem.health(41, '{"search-index": null}');
SELECT * FROM tandem.health(41, '{"search-index": {"version": 7}}');
SELECT * FROM tandem.health(43, '{"search-index": [7]}');
SELECT * FROM tandem.health(41, '{"search-index": 1e20}');
SELECT * FROM tandem.health(41, '{"search-index": 7.4}');
SELECT healthy FROM tandem.health(41, '{"search-index": 7.0}');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.set_dependency(NULL, 1);
SELECT tandem.set_dependency('', 1);
SELECT tandem.set_dependency('search-index', NULL);
\echo :LAST_ERROR_SQLSTATE

-- The fence.  A node of a release that may read only:
CREATE TABLE side (id int);
GRANT ALL ON side TO tandem_node;
GRANT CREATE ON SCHEMA public TO tandem_node;
GRANT pg_read_server_files TO tandem_node;
CREATE FUNCTION writes() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO side VALUES (1) RETURNING id';
CREATE FUNCTION reads() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM items); END';
SET SESSION AUTHORIZATION tandem_node;
PREPARE reading AS SELECT price FROM items WHERE id = $1;
PREPARE writing AS UPDATE items SET price = price WHERE id = $1;
EXECUTE writing(1);
SET tandem.release = 42;
SELECT price, cents FROM items ORDER BY id;
EXECUTE reading(2);
EXECUTE writing(1);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
INSERT INTO items VALUES (4, 4);
UPDATE items SET price = 4;
DELETE FROM items;
MERGE INTO items USING (SELECT 1 AS id) s ON items.id = s.id WHEN MATCHED THEN DELETE;
TRUNCATE items;
SELECT FROM items FOR UPDATE;
SELECT FROM items FOR KEY SHARE;
WITH w AS (INSERT INTO side VALUES (1) RETURNING id) SELECT * FROM w;
WITH w AS (INSERT INTO side VALUES (1) RETURNING id) SELECT tandem.health((SELECT max(id) FROM w));
WITH w AS (INSERT INTO side VALUES (1) RETURNING id) SELECT * FROM tandem.health((SELECT max(id) FROM w));
COPY items FROM '/dev/null';
COPY items (id, price) TO stdout;
COPY (SELECT id FROM items ORDER BY id) TO stdout;
COPY (DELETE FROM items RETURNING id) TO stdout;
COPY side FROM '/dev/null';
NOTIFY side;
SELECT writes();
SELECT tandem.health(writes());
SELECT reads();
DO $$ BEGIN PERFORM count(*) FROM items; END $$;
DO $$ BEGIN DELETE FROM items; END $$;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM items ORDER BY id;
FETCH 2 FROM c;
CLOSE c;
DECLARE c CURSOR FOR SELECT id FROM items FOR UPDATE;
ROLLBACK;
EXPLAIN (COSTS off) SELECT FROM side;
BEGIN;
LOCK TABLE items IN ACCESS SHARE MODE;
COMMIT;
SET statement_timeout = 0;
SHOW statement_timeout;
DISCARD PLANS;
\set VERBOSITY default
-- DDL is what scripts do, and what it has just made holds nothing of others
BEGIN;
CREATE TABLE mine AS SELECT 1 AS id;
INSERT INTO mine VALUES (2);
TRUNCATE mine;
COPY mine FROM '/dev/null';
CREATE TEMP TABLE notes (id int);
INSERT INTO notes SELECT id FROM items;
SELECT FROM notes FOR UPDATE;
DROP TABLE mine, notes;
INSERT INTO side VALUES (1);
ROLLBACK;
-- one statement of a block is refused, as any error is
BEGIN;
SELECT count(*) FROM items;
SAVEPOINT a;
DELETE FROM items;
ROLLBACK TO a;
SELECT count(*) FROM items;
COMMIT;
RESET tandem.release;
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM side;
SET client_min_messages = error;
CALL tandem.migrate('cents');
SET client_min_messages = warning;

-- filled: it is ready, the pointer goes there and back
SELECT * FROM seen;
CALL tandem.wait_for_release(42, '0 s');
SELECT * FROM tandem.health(42);
SELECT tandem.switch_release(42);
SELECT * FROM seen;
SELECT tandem.switch_release(41);
SELECT * FROM seen;
SELECT tandem.switch_release(42);
SET SESSION AUTHORIZATION tandem_node;
SET tandem.release = 42;
UPDATE items SET cents = 500 WHERE id = 1;
SET tandem.release = 41;
SELECT price FROM items WHERE id = 1;
UPDATE items SET price = 6 WHERE id = 1;
-- newer than what is known: it may do what touches no row that is there
SET tandem.release = 43;
SELECT count(*) FROM items;
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT 1;
SELECT relname FROM pg_class WHERE relname = 'items';
SELECT count(*) FROM information_schema.columns WHERE table_name = 'items';
SELECT release FROM tandem.releases WHERE state = 'current';
BEGIN;
CREATE TABLE mine (id int);
INSERT INTO mine VALUES (1);
SELECT id FROM mine;
SELECT id FROM mine UNION SELECT id FROM items;
ROLLBACK;
CREATE TABLE mine AS SELECT id FROM items;
UPDATE items SET price = price;
TRUNCATE items;
COPY items TO stdout;
COPY items FROM '/dev/null';
LOCK TABLE items IN ACCESS SHARE MODE;
SELECT reads();
\set VERBOSITY default
BEGIN;
SELECT count(*) FROM items;
ROLLBACK;
BEGIN;
SET LOCAL tandem.release = 42;
SELECT count(*) FROM items;
COMMIT;
SELECT count(*) FROM items;
-- it may ask why, and set what it is
SELECT * FROM tandem.health(43);
SELECT healthy FROM tandem.health(43);
SELECT tandem.health(43);
SET tandem.release = 42;
SELECT cents FROM items WHERE id = 1;
RESET SESSION AUTHORIZATION;
RESET tandem.release;

-- Contract: not of a release that is current; the old release is retired, and there is no way back.
SELECT tandem.switch_release(41);
CALL tandem.contract('cents');
BEGIN;
CALL tandem.contract('cents');
ROLLBACK;
SELECT tandem.switch_release(42);
BEGIN;
CALL tandem.contract('cents');
ROLLBACK;
SELECT * FROM seen;
CALL tandem.contract('cents');
SELECT * FROM seen;
SELECT * FROM tandem.health(41);
SELECT tandem.switch_release(41);
\echo :LAST_ERROR_SQLSTATE
CALL tandem.wait_for_release(41);
\echo :LAST_ERROR_SQLSTATE
SET SESSION AUTHORIZATION tandem_node;
SET tandem.release = 41;
SELECT 1;
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
UPDATE items SET cents = 0;
COPY items TO stdout;
LOCK TABLE items IN ACCESS SHARE MODE;
DO $$ BEGIN PERFORM 1 FROM items; END $$;
DO $$ BEGIN PERFORM 1 FROM items; EXCEPTION WHEN SQLSTATE '55T01' THEN RAISE WARNING 'refused'; END $$;
EXPLAIN (COSTS off) SELECT FROM side;
SELECT tandem.health((SELECT max(id) FROM items));
\set VERBOSITY default
SELECT * FROM tandem.health(41);
RESET tandem.release;
RESET SESSION AUTHORIZATION;

-- A migration that is aborted takes its release with it.
BEGIN;
SELECT tandem.create_migration('gone', release => 44);
SELECT tandem.add_column('gone', 'items', 'label', 'text');
SELECT tandem.sync_column('gone', 'items', 'cents', 'label', 'cents::text');
COMMIT;
SELECT release, state FROM seen;
SELECT healthy, state FROM tandem.health(43);
CALL tandem.abort('gone');
SELECT release, state FROM seen;

-- Sessions that do not say what they are.
SET tandem.undeclared = 'never';
SET tandem.undeclared = 'refuse';
SELECT 'a superuser is let in';
SET SESSION AUTHORIZATION tandem_node;
SELECT 1;
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
CREATE TABLE mine (id int);
BEGIN;
SELECT 1;
ROLLBACK;
\set VERBOSITY default
SELECT * FROM tandem.health(42);
SET tandem.release = 42;
SELECT 'declared';
RESET tandem.release;
SET tandem.undeclared = 'allow';
\echo :LAST_ERROR_SQLSTATE
RESET SESSION AUTHORIZATION;
SET tandem.undeclared = 'warn';
SET SESSION AUTHORIZATION tandem_node;
SELECT 1;
BEGIN;
SELECT 'warned';
SELECT 'once a transaction';
COMMIT;
RESET SESSION AUTHORIZATION;
RESET tandem.undeclared;

-- Who is there.
SET tandem.release = 42;
SELECT release, release_state, user_name = current_user, state, xact_start IS NOT NULL FROM tandem.sessions WHERE pid = pg_backend_pid();
-- also after an advisory unlock, and after SET
SELECT pg_advisory_unlock_all();
SELECT release FROM tandem.sessions WHERE pid = pg_backend_pid();
SET tandem.release = 43;
SET tandem.release = 44;
RESET tandem.release;
SELECT release, release_state FROM tandem.sessions WHERE pid = pg_backend_pid();
BEGIN;
SET LOCAL tandem.release = 42;
SELECT release FROM tandem.sessions WHERE pid = pg_backend_pid();
COMMIT;
SELECT release, release_state FROM tandem.sessions WHERE pid = pg_backend_pid();

-- A hostile role.
SET client_min_messages = notice;
SET SESSION AUTHORIZATION tandem_hostile;
\set VERBOSITY terse
SELECT tandem.switch_release(41);
SELECT tandem.register_release(50);
SELECT tandem.set_dependency('search-index', 1000);
SET tandem.undeclared = 'refuse';
ALTER ROLE tandem_hostile SET tandem.undeclared = 'refuse';
\set VERBOSITY sqlstate
ALTER ROLE tandem_node SET tandem.release = 1;
\set VERBOSITY default
INSERT INTO tandem.registry (current) VALUES (1);
UPDATE tandem.registry SET lowest = 1000;
DELETE FROM tandem.registry;
SELECT * FROM tandem.registry;
INSERT INTO tandem.release VALUES (1000000);
INSERT INTO tandem.dependency VALUES ('search-index', 1000);
CREATE FUNCTION tandem.health(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
\set VERBOSITY default
CREATE SCHEMA hostile;
CREATE TABLE hostile.t (id int PRIMARY KEY, a int);
SELECT tandem.create_migration('hostile', release => 1000000);
SELECT tandem.create_migration('hostile');
SELECT tandem.add_column('hostile', 'hostile.t', 'b', 'int');
SELECT tandem.sync_column('hostile', 'hostile.t', 'a', 'b', 'a', 'b');
SELECT * FROM tandem.health(1000000);
SET client_min_messages = warning;
CALL tandem.migrate('hostile');
RESET client_min_messages;
SELECT step, rows_done, rows_filled, rows_unfilled, rows_mismatched FROM tandem.progress WHERE migration = 'hostile' AND step <> 'analyze';
CALL tandem.contract('hostile');
SELECT phase FROM tandem.migrations WHERE name = 'hostile';
SELECT release, state FROM tandem.releases;
SELECT healthy, state FROM tandem.health(42);
-- the same of a session of somebody else as pg_stat_activity gives
SELECT count(*) FROM tandem.sessions s JOIN pg_stat_activity a USING (pid)
	WHERE (s.user_name, s.application_name, s.client_addr, s.state, s.xact_start)
	IS DISTINCT FROM (a.usename, a.application_name, a.client_addr, a.state, a.xact_start);
RESET SESSION AUTHORIZATION;

-- Who may switch is a matter of a grant; his migrations count.
GRANT EXECUTE ON FUNCTION tandem.switch_release(int) TO tandem_hostile;
SET SESSION AUTHORIZATION tandem_hostile;
SELECT tandem.create_migration('trusted', release => 45);
SELECT release, state FROM tandem.releases;
RESET SESSION AUTHORIZATION;
CALL tandem.abort('trusted');

-- What force alone ends never becomes ready: the pointer cannot go there before, and goes along.
SET client_min_messages = warning;
CREATE TABLE pages (id int PRIMARY KEY, title text);
INSERT INTO pages VALUES (1, 'Ada');
BEGIN;
SELECT tandem.create_migration('slug', release => 46);
SELECT tandem.add_column('slug', 'pages', 'slug', 'text');
SELECT tandem.sync_column('slug', 'pages', 'title', 'slug', 'lower(title)');
COMMIT;
UPDATE pages SET slug = 'her own';
\set VERBOSITY terse
CALL tandem.migrate('slug');
SELECT tandem.switch_release(46);
CALL tandem.contract('slug');
\set VERBOSITY default
SELECT release, state FROM tandem.releases;
CALL tandem.contract('slug', force => true);
SELECT release, state FROM tandem.releases;

\c postgres
SET client_min_messages = warning;
DROP DATABASE releases;
DROP ROLE tandem_node, tandem_hostile;
