-- tandem.ddl_check: what lint calls a danger, of a large table, is told or refused before anything is locked.
CREATE DATABASE tandem_ddl_check;
\c tandem_ddl_check
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE TABLE large (id int PRIMARY KEY, amount int, note text);
INSERT INTO large SELECT i, i, repeat('x', 100) FROM generate_series(1, 1000) i;
CREATE TABLE small (id int PRIMARY KEY, amount int, note text);
SET tandem.ddl_check_size = '64kB';
-- what an error says, but for the size, which is not the same on all servers
CREATE FUNCTION refused(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN NEXT 'done';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	RETURN NEXT message;
	RETURN NEXT hint;
END $$;
\set VERBOSITY terse

-- off is the default
SHOW tandem.ddl_check;
ALTER TABLE large ALTER amount TYPE bigint;
SET tandem.ddl_check = warn;
ALTER TABLE large ALTER amount TYPE int;
\d large
SET tandem.ddl_check = refuse;
ALTER TABLE large ALTER amount TYPE bigint;
SELECT * FROM refused('ALTER TABLE large ALTER amount TYPE bigint');
\d large
ALTER TABLE small ALTER amount TYPE bigint;
CREATE INDEX large_note ON large (note);
SELECT 1 \; CREATE INDEX large_note ON large (note);
CREATE INDEX CONCURRENTLY large_note ON large (note);
SELECT * FROM refused('DROP INDEX large_note');
DROP INDEX CONCURRENTLY large_note;
TRUNCATE large;
VACUUM FULL large;
VACUUM large;
REINDEX TABLE large;
REINDEX TABLE CONCURRENTLY large;
ALTER TABLE large ADD extra int DEFAULT 5;
COMMENT ON TABLE large IS 'x';
-- wherever it comes from
DO $$BEGIN EXECUTE 'ALTER TABLE large DROP extra'; END$$;
CREATE FUNCTION drops() RETURNS void LANGUAGE sql AS 'ALTER TABLE large DROP extra';
SELECT drops();
PREPARE p AS SELECT 1;
-- new tables, and temporary ones
CREATE TABLE copy AS SELECT * FROM large;
CREATE TEMP TABLE own AS SELECT * FROM large;
ALTER TABLE own ALTER amount TYPE bigint;
DROP TABLE own;
-- a size of nothing: every table
SET tandem.ddl_check_size = 0;
ALTER TABLE small ALTER amount TYPE text;
-- what the server cannot make sense of it says itself
ALTER TABLE nothing ALTER amount TYPE text;

-- what pg_tandem runs is not checked, and what is run to be taken back is not, either
SELECT tandem.create_migration('amount', 42);
SELECT tandem.change_column('amount', 'large', 'amount', 'bigint', bare_table => true);
CALL tandem.migrate('amount');
CALL tandem.contract('amount', undeclared => 'ignore');
SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'large'::regclass AND attname = 'amount';
SELECT tandem.record_shape(42, '{large}');
SELECT relation, column_name, problem FROM tandem.check_shape(42, 'ALTER TABLE large DROP note');
-- what is kept is checked, what is taken back is not
CALL tandem.rehearse('ALTER TABLE large ALTER note TYPE char(200)');
SELECT lock_mode, predicted_lock_mode FROM tandem.rehearsals WHERE relation = 'public.large' AND rehearsal = (SELECT max(rehearsal) FROM tandem.rehearsals);
CALL tandem.rehearse('ALTER TABLE large ALTER note TYPE char(200)', keep => true);
SHOW tandem.ddl_check;

-- a script of pg_dump is not checked: it has no other way
SELECT set_config('search_path', '', false);
ALTER TABLE public.large ADD CONSTRAINT again UNIQUE (id, note);
SET check_function_bodies = off;
ALTER TABLE public.large ADD CONSTRAINT again UNIQUE (id, note);
RESET search_path;
ALTER TABLE large DROP CONSTRAINT again, ADD CHECK (amount > 0);
RESET check_function_bodies;
ALTER TABLE large DROP CONSTRAINT again;

-- the lock is not waited for longer than said
SET tandem.ddl_check_lock_timeout = '150ms';
CREATE FUNCTION timeout_is() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'lock_timeout is %', current_setting('lock_timeout'); END$$;
CREATE EVENT TRIGGER timeout_is ON ddl_command_start EXECUTE FUNCTION timeout_is();
ALTER TABLE large ADD more int;
SET lock_timeout = '100ms';
ALTER TABLE large ADD still int;
SET lock_timeout = '1min';
ALTER TABLE large ADD even int;
SHOW lock_timeout;
BEGIN;
ALTER TABLE large ADD x int;
SHOW lock_timeout;
ROLLBACK;
SET tandem.ddl_check_lock_timeout = 0;
ALTER TABLE large ADD last int;
DROP EVENT TRIGGER timeout_is;

-- without the extension there is nothing to ask
DROP EXTENSION pg_tandem CASCADE;
ALTER TABLE small ALTER amount TYPE text;
\c contrib_regression
DROP DATABASE tandem_ddl_check;
