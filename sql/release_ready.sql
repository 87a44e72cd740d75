-- A release that was ready stays ready; one that an unfilled migration names is not.
CREATE DATABASE release_ready;
ALTER DATABASE release_ready SET session_preload_libraries = 'pg_tandem';
\c release_ready
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null '-'
\pset tuples_only
CREATE EXTENSION pg_tandem;
CREATE ROLE tandem_owner;
CREATE TABLE items (id int PRIMARY KEY, price int);
INSERT INTO items SELECT i, i FROM generate_series(1, 3) i;
ALTER TABLE items OWNER TO tandem_owner;
CREATE VIEW states AS SELECT release, state, migrations FROM tandem.releases;

-- Who may not move releases may have no migration with one: its hint is the remedy.
SET ROLE tandem_owner;
SELECT tandem.create_migration('cents', release => 42);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM tandem.migrations;
SELECT tandem.create_migration('cents');
CALL tandem.abort('cents');
RESET ROLE;
GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO tandem_owner;
SET ROLE tandem_owner;
BEGIN;
SELECT tandem.create_migration('cents', release => 42);
SELECT tandem.add_column('cents', 'items', 'cents', 'bigint');
SELECT tandem.sync_column('cents', 'items', 'price', 'cents', 'price * 100', 'cents / 100');
COMMIT;
RESET ROLE;
-- the grant is asked for once
REVOKE EXECUTE ON FUNCTION tandem.switch_release(integer) FROM tandem_owner;
SELECT * FROM states;
SELECT healthy, state FROM tandem.health(42);
CALL tandem.wait_for_release(42, '0.1 s');
SELECT healthy, state FROM tandem.health(999);
CALL tandem.wait_for_release(999, '0.1 s');
SET ROLE tandem_owner;
SET client_min_messages = notice;
-- the same call again changes nothing, in any phase
SELECT tandem.create_migration('cents', release => 42);
SET client_min_messages = warning;
CALL tandem.migrate('cents');
RESET ROLE;
SELECT * FROM states;

-- migrate again, which fails: a partition brings a row that up cannot compute
CREATE FUNCTION strict_up(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN IF $1 < 0 THEN RAISE EXCEPTION 'negative'; END IF; RETURN $1; END $$;
CREATE TABLE log (id int, a int) PARTITION BY RANGE (id);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (1) TO (10);
INSERT INTO log VALUES (1, 1);
BEGIN;
SELECT tandem.create_migration('log', release => 43);
SELECT tandem.add_column('log', 'log', 'b', 'int');
SELECT tandem.sync_column('log', 'log', 'a', 'b', 'strict_up(a)');
COMMIT;
CALL tandem.migrate('log');
SELECT * FROM states;
CREATE TABLE log_2 (id int, a int, b int);
INSERT INTO log_2 VALUES (10, -1);
ALTER TABLE log ATTACH PARTITION log_2 FOR VALUES FROM (10) TO (20);
SELECT * FROM states;
\set VERBOSITY terse
CALL tandem.migrate('log');
\set VERBOSITY default
SELECT name, phase FROM tandem.migrations WHERE name = 'log';
SELECT * FROM states;
SET tandem.release = 43;
UPDATE log_1 SET a = 2;
RESET tandem.release;
SELECT tandem.create_views(43);
SELECT * FROM states;
ALTER TABLE log DETACH PARTITION log_2;
CALL tandem.migrate('log');
SELECT * FROM states;

-- A typo puts nobody back; what is lower waits for itself alone.
SELECT tandem.create_migration('typo', release => 4);
SELECT * FROM states;
CALL tandem.abort('typo');
SELECT tandem.switch_release(42);
SELECT tandem.create_migration('typo', release => 4);
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.create_migration('typo', release => 42);
SELECT tandem.create_migration('cents', release => 42);
-- 43 was written as, above, by a session that says so no longer
SELECT tandem.create_migration('second', release => 43);
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.create_migration('second', release => 44);
CALL tandem.abort('second');

-- Several scripts of one release, before anybody works as it.
CREATE TABLE pages (id int PRIMARY KEY, title text);
INSERT INTO pages VALUES (1, 'Ada');
BEGIN;
SELECT tandem.create_migration('slug', release => 45);
SELECT tandem.add_column('slug', 'pages', 'slug', 'text');
SELECT tandem.sync_column('slug', 'pages', 'title', 'slug', 'lower(title)', 'initcap(slug)');
COMMIT;
CALL tandem.migrate('slug');
SELECT tandem.register_release(46);
SELECT release, state FROM states WHERE release > 43;
BEGIN;
SELECT tandem.create_migration('shout', release => 45);
SELECT tandem.add_column('shout', 'pages', 'shout', 'text');
SELECT tandem.sync_column('shout', 'pages', 'title', 'shout', 'upper(title)');
COMMIT;
SELECT release, state FROM states WHERE release > 43;
CALL tandem.wait_for_release(45, '0.1 s');
SELECT tandem.switch_release(45);
SELECT tandem.switch_release(46);
SELECT tandem.switch_release(42);
-- one that has no migration of its own waits for those before it
SELECT tandem.register_release(47);
SELECT release, state FROM states WHERE release > 43;
CALL tandem.migrate('shout');
SELECT release, state FROM states WHERE release > 43;
-- a use that is rolled back is none
SET tandem.release = 45;
BEGIN;
UPDATE pages SET slug = 'eva';
ROLLBACK;
RESET tandem.release;
SELECT tandem.create_migration('third', release => 45);
SELECT release, state FROM states WHERE release = 45;
CALL tandem.abort('third');
SELECT release, state FROM states WHERE release = 45;
-- nor is one whose statement fails; the session's next one is, of a serializable transaction, too
SET tandem.release = 45;
UPDATE pages SET slug = 'eva' RETURNING 1 / (id - 1);
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE pages SET slug = 'eva';
COMMIT;
SELECT releases, state FROM tandem.release_state WHERE state = 'used' AND releases @> 45::bigint;
BEGIN;
UPDATE pages SET slug = 'eva';
UPDATE pages SET slug = 'eve';
COMMIT;
RESET tandem.release;
SELECT releases, state FROM tandem.release_state WHERE state = 'used' ORDER BY 1;
SELECT tandem.create_migration('third', release => 45);

-- What contract retires is not begun again, nor what it leaves as the oldest.
SELECT tandem.switch_release(43);
CALL tandem.contract('cents', undeclared => 'ignore');
CALL tandem.contract('log', undeclared => 'ignore');
SELECT * FROM states;
SELECT tandem.create_migration('late', release => 42);
SELECT tandem.create_migration('late', release => 43);
SELECT releases, state FROM tandem.release_state ORDER BY 1, 2;
SET client_min_messages = notice;
SELECT tandem.create_migration('log', release => 43);

-- A registry that has lost its notes serves nobody, and says how to mend that.
SET client_min_messages = warning;
BEGIN;
DELETE FROM tandem.release_state;
SELECT tandem.set_dependency('x', 1);
SELECT * FROM tandem.health(45);
SELECT tandem.register_release(45);
SELECT * FROM tandem.health(45);
ROLLBACK;

-- No view is so dear, to a planner without statistics, that it is compiled.
CREATE FUNCTION cost_of(view text) RETURNS float LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE format('EXPLAIN (FORMAT json) SELECT * FROM tandem.%I', view) INTO plan;
	RETURN plan->0->'Plan'->>'Total Cost';
END $$;
SELECT viewname FROM pg_views WHERE schemaname = 'tandem' AND cost_of(viewname) >= current_setting('jit_above_cost')::float;

\c postgres
SET client_min_messages = warning;
DROP DATABASE release_ready;
DROP ROLE tandem_owner;
