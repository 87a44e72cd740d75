-- What a statement in a worker evaluates finds its names under the search_path of the session that expanded, whatever
-- the default of the role is.  C16 of test/faults.md.
CREATE DATABASE expand_path;
\c expand_path
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA app;
SET search_path = app, public;
CREATE FUNCTION helper(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1 > 0; END $$;
CREATE FUNCTION is_good(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN helper($1); END $$;
CREATE TABLE items (id integer PRIMARY KEY, a integer);
INSERT INTO items SELECT i, i FROM generate_series(1, 3) i;

BEGIN;
SELECT tandem.create_migration('m');
SELECT tandem.add_column('m', 'items', 'b', 'integer');
SELECT tandem.sync_column('m', 'items', 'a', 'b', 'a', 'b');
SELECT tandem.add_constraint('m', 'items', 'b_is_good', 'CHECK (is_good(b))');
COMMIT;

-- The caller's own path does not matter, either.
RESET search_path;
CALL tandem.migrate('m');
SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'app.items'::regclass AND contype = 'c';
SELECT name, phase FROM tandem.migrations;

-- Nor is it changed.
SHOW search_path;

\c postgres
DROP DATABASE expand_path;
