-- Whatever ends or begins, a release is left that may write.
CREATE DATABASE last_writer;
ALTER DATABASE last_writer SET session_preload_libraries = 'pg_tandem';
\c last_writer
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
\pset null '-'
\pset tuples_only
CREATE EXTENSION pg_tandem;
CREATE ROLE tandem_owner;
CREATE ROLE tandem_other;
GRANT CREATE ON SCHEMA public TO tandem_owner, tandem_other;
GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO tandem_owner, tandem_other;
CREATE VIEW states AS SELECT release, state FROM tandem.releases;
GRANT SELECT ON states TO PUBLIC;
CREATE PROCEDURE expand(migration text, release integer) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, a int); INSERT INTO %1$I VALUES (1, 1)', migration);
	PERFORM tandem.create_migration(migration, release => release);
	PERFORM tandem.add_column(migration, migration, 'b', 'int');
	PERFORM tandem.sync_column(migration, migration, 'a', 'b', 'a', 'b');
END $$;

-- Who may not move releases keeps nobody's migration from its end.
REVOKE EXECUTE ON FUNCTION tandem.switch_release(integer) FROM tandem_other;
SET ROLE tandem_other;
CALL expand('stranger', 42);
RESET ROLE;
GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO tandem_other;

-- Two scripts of one release, one of them not filled, and nobody has ever switched.
SET ROLE tandem_owner;
CALL expand('one', 42);
CALL expand('two', 42);
CALL tandem.migrate('one');
SELECT * FROM states;
CALL tandem.contract('one');
\echo :LAST_ERROR_SQLSTATE
CALL tandem.contract('one', force => true);
BEGIN;
CALL tandem.contract('one');
ROLLBACK;
SELECT * FROM states;
SET tandem.release = 41;
UPDATE one SET a = 2;
RESET tandem.release;
-- a migration without a release is not concerned, nor does it concern others
CALL expand('quiet', NULL);
CALL expand('abandoned', NULL);
CALL tandem.migrate('quiet');
CALL tandem.contract('quiet');
-- of another role, abandoned: of a later release, and of an earlier one once 42 was ready
CALL tandem.migrate('two');
RESET ROLE;
SET ROLE tandem_other;
CALL expand('later', 43);
CALL expand('earlier', 40);
RESET ROLE;
SET ROLE tandem_owner;
SELECT * FROM states;
CALL tandem.contract('one');
SELECT * FROM states;
SET tandem.release = 42;
UPDATE one SET b = 3;
RESET tandem.release;
-- the second retires nothing more
CALL tandem.contract('two');
-- the oldest release that is left takes no new migration, for it may be the only one
CALL expand('three', 42);
\echo :LAST_ERROR_SQLSTATE
CALL expand('three', 44);
SELECT * FROM states;

-- What 44 waits for is another role's, and of an earlier release: it is no less read only.
CALL tandem.migrate('three');
SELECT reason FROM tandem.health(44);
CALL tandem.contract('three');
RESET ROLE;
CALL tandem.migrate('later');
CALL tandem.abort('earlier');
SET ROLE tandem_owner;
CALL tandem.contract('three');
SELECT * FROM states;

-- Where there is a current release it must be moved first: and until it can be, that is what is said.
SELECT tandem.switch_release(44);
CALL expand('four', 45);
CALL expand('five', 45);
CALL tandem.migrate('four');
CALL tandem.contract('four');
CALL tandem.abort('five');
CALL tandem.contract('four');
SELECT tandem.switch_release(45);
CALL tandem.contract('four');
SELECT * FROM states;
RESET ROLE;

-- A release that a transaction has written as, whatever its isolation, is not begun again.
CALL expand('seven', 51);
CALL tandem.migrate('seven');
CALL expand('eight', 52);
CALL tandem.migrate('eight');
CALL expand('nine', 53);
CALL tandem.migrate('nine');
SET tandem.release = 51;
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE seven SET a = 2;
COMMIT;
SET tandem.release = 52;
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE eight SET b = 2;
COMMIT;
SET tandem.release = 53;
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE nine SET b = 2;
ROLLBACK;
RESET tandem.release;
SELECT releases, state FROM tandem.release_state WHERE state = 'used' AND lower(releases) > 50 ORDER BY 1;
SELECT tandem.create_migration('ten', release => 51);
SELECT tandem.create_migration('ten', release => 52);
-- rolled back
SELECT tandem.create_migration('ten', release => 53);

\c postgres
SET client_min_messages = warning;
DROP DATABASE last_writer;
DROP ROLE tandem_owner, tandem_other;
