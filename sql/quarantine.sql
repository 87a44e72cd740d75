-- Rows whose transform raises: on_error => 'error' fails the statement or stops
-- the backfill, and names the row; 'quarantine' keeps going and keeps a record.
CREATE DATABASE quarantine;
\c quarantine
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset null '-'

-- what there is in quarantine; the keys are as text, whatever their type
CREATE VIEW kept AS
	SELECT migration, relation, key, direction, sqlstate, error FROM tandem.quarantine;

CREATE TABLE people (id integer PRIMARY KEY, age text, name text);
INSERT INTO people VALUES (1, '41'), (2, 'forty'), (3, NULL), (4, '7');
SELECT tandem.create_migration('age');
SELECT tandem.add_column('age', 'people', 'years', 'integer');
SELECT tandem.sync_column('age', 'people', 'age', 'years', 'age::integer',
	'CASE WHEN years = 13 THEN (1 / (years - 13))::text ELSE years::text END', on_error => 'quarantine');

-- In the trigger: the row is stored, with its other side NULL.
INSERT INTO people (id, age) VALUES (5, 'five'), (6, '6');
UPDATE people SET age = 'seven' WHERE id = 4;
INSERT INTO people (id, years) VALUES (7, 13);
UPDATE people SET years = 13 WHERE id = 6;
COPY people (id, age) FROM stdin;
8	eight
9	9
\.
INSERT INTO people (id, age) VALUES (9, 'nine') ON CONFLICT (id) DO UPDATE SET age = excluded.age;
-- both sides given: up says that they agree; up raises and down says that they do not
INSERT INTO people (id, age, years) VALUES (10, '010', 10);
INSERT INTO people (id, age, years) VALUES (11, 'eleven', 11);
SELECT * FROM people ORDER BY id;
SELECT * FROM kept;
-- a record is of the row as it is: one at most, and a rolled back one is none
UPDATE people SET age = 'sept' WHERE id = 4;
BEGIN;
INSERT INTO people (id, age) VALUES (12, 'twelve');
ROLLBACK;
SELECT * FROM kept WHERE key->>'id' IN ('4', '12');
SELECT rows_quarantined FROM tandem.migrations;

-- In the backfill: row 2.
SELECT relation, rows_checked, rows_unfilled, rows_mismatched, sample FROM tandem.verify('age');
CALL tandem.migrate('age');
SELECT * FROM people ORDER BY id;
SELECT * FROM kept WHERE key->>'id' = '2';
SELECT step, state, rows_filled, rows_quarantined, rows_unfilled, rows_mismatched FROM tandem.progress;
SELECT phase, rows_quarantined FROM tandem.migrations;
-- the gate is shut until it is empty
CALL tandem.contract('age');
SELECT state, what FROM tandem.status;
-- a writer mends one, another is deleted; the third is mended by the next release
UPDATE people SET age = '2' WHERE id = 2;
DELETE FROM people WHERE id = 5;
UPDATE people SET years = 99 WHERE id = 9;
UPDATE people SET years = 8 WHERE id = 8;
UPDATE people SET age = '6' WHERE id IN (4, 6, 7);
SELECT state, what FROM tandem.status;
CALL tandem.migrate('age');
SELECT * FROM people ORDER BY id;
SELECT * FROM kept;
CALL tandem.contract('age');
SELECT phase FROM tandem.migrations;

-- A function that is mended: migrate fills the rows itself.
CREATE TABLE docs (doc jsonb, size integer);	-- and no primary key
INSERT INTO docs VALUES ('{"a": "1"}'), ('{"a": "x"}'), ('{"a": "x"}'), (NULL), ('{"b": "\u0022quoted\u0022"}');
CREATE FUNCTION size_of(jsonb) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
	IF NOT $1 ? 'a' THEN RAISE 'no a' USING ERRCODE = 'UE001'; END IF;
	RETURN ($1->>'a')::integer;
END $$;
SELECT tandem.create_migration('size');
SELECT tandem.sync_column('size', 'docs', 'doc', 'size', 'size_of(doc)', on_error => 'quarantine');
CALL tandem.migrate('size');
SELECT * FROM kept;
INSERT INTO docs (doc) VALUES ('{"b": 2}');
INSERT INTO docs (doc) VALUES ('{"b": 2}');
SELECT count(*) FROM kept;
CREATE OR REPLACE FUNCTION size_of(jsonb) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
	SELECT length($1::text)
$$;
CALL tandem.migrate('size');
SELECT * FROM kept;
SELECT * FROM docs ORDER BY doc::text, size;
CALL tandem.abort('size', force => true);

-- The down side, in a table with a key of several columns and types.
CREATE TABLE "Keys" ("Day" date, "it's" text COLLATE "C", part numeric(10,2), a text, b integer, PRIMARY KEY ("Day", "it's", part));
INSERT INTO "Keys" VALUES ('2024-02-29', E'tab\t"quote"', 1.50, 'x'), ('2024-03-01', 'ä', 2, 'y');
SELECT tandem.create_migration('keys');
SELECT tandem.sync_column('keys', '"Keys"', 'a', 'b', 'a::integer', '(1 / b)::text', on_error => 'quarantine');
-- the writer's way to write dates is not that of the session that migrates
SET datestyle = 'SQL, DMY';
UPDATE "Keys" SET b = 0 WHERE part = 2;
RESET datestyle;
CALL tandem.migrate('keys');
SELECT * FROM kept;
UPDATE "Keys" SET b = 1 WHERE part = 2;
UPDATE "Keys" SET a = '15' WHERE part = 1.50;
CALL tandem.migrate('keys');
SELECT * FROM kept;
SELECT * FROM "Keys" ORDER BY 1;
-- what is in quarantine goes with the migration
UPDATE "Keys" SET a = 'raises';
CALL tandem.abort('keys');
SELECT count(*) FROM tandem.quarantined_row;

-- Errors that do not tell of the row are raised even so.
CREATE TABLE states (a integer, b integer);
CREATE FUNCTION in_state(text) RETURNS integer STABLE LANGUAGE plpgsql AS $$ BEGIN
	RAISE 'state %', $1 USING ERRCODE = $1;
END $$;
SELECT tandem.create_migration('states');
SELECT tandem.sync_column('states', 'states', 'a', 'b', $$ in_state(to_char(a, 'FM00000')) $$, on_error => 'quarantine');
INSERT INTO states VALUES (22023);		-- a wrong value
INSERT INTO states VALUES (40001);		-- try the transaction again
INSERT INTO states VALUES (53200);		-- out of memory
INSERT INTO states VALUES (57014);		-- canceled
SELECT a, b FROM states;
CALL tandem.abort('states');

-- on_error => 'error': the statement fails and says whose expression it was.
CREATE TABLE rows (id integer, part text, a text, filler text, PRIMARY KEY (id, part));
INSERT INTO rows SELECT i, 'p', CASE WHEN i = 2500 THEN 'not a number' ELSE i::text END, repeat('x', 200)
	FROM generate_series(1, 3000) i;
SELECT tandem.create_migration('rows');
SELECT tandem.add_column('rows', 'rows', 'b', 'integer');
SELECT tandem.sync_column('rows', 'rows', 'a', 'b', 'a::integer', '(100 / b)::text');
INSERT INTO rows VALUES (0, 'p', 'none');
\echo :LAST_ERROR_SQLSTATE
UPDATE rows SET b = 0 WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
-- and the backfill stops, says at which row, and keeps what it has done
SET tandem.batch_target = '1ms';
CALL tandem.migrate('rows');
\echo :LAST_ERROR_SQLSTATE
SELECT count(b) > 0 AS kept, bool_and(b = id) AS right, count(b) < 2999 AS some_left FROM rows;
SELECT step, state, rows_filled = (SELECT count(b) FROM rows) AS rows, error FROM tandem.progress WHERE migration = 'rows';
CALL tandem.migrate('rows');
UPDATE rows SET a = '2500' WHERE id = 2500;
CALL tandem.migrate('rows');
SELECT count(*) FROM rows WHERE b IS DISTINCT FROM id;
-- each row once
SELECT step, state, rows_filled, error FROM tandem.progress WHERE migration = 'rows';
SELECT count(DISTINCT xmin::text) > 3 AS many_batches FROM rows;
CALL tandem.contract('rows');

-- A column that contract drops: a NULL is of quarantine where the row has a note; what release 41 has written stays.
SELECT tandem.register_release(41), tandem.switch_release(41);
CREATE TABLE parted (id integer PRIMARY KEY, s integer, a integer);
INSERT INTO parted VALUES (1, 4, 25), (2, 5, NULL), (3, 0, NULL);
SELECT tandem.create_views(41, '{parted}');
SELECT tandem.create_migration('parted', 42);
SELECT tandem.drop_column('parted', 'parted', 'a', '100 / s', on_error => 'quarantine');
SELECT tandem.create_views(42, '{parted}');
UPDATE release_42.parted SET s = 0 WHERE id = 1;
INSERT INTO release_42.parted VALUES (10, 0), (11, 0), (12, 0), (13, 0);
UPDATE release_41.parted SET s = 2 WHERE id = 10;
UPDATE release_42.parted SET s = 2 WHERE id = 11;
UPDATE release_41.parted SET s = 2, a = 7 WHERE id = 12;
UPDATE release_41.parted SET a = NULL WHERE id = 12;
-- other rows take keys of such
DELETE FROM parted WHERE id = 13;
INSERT INTO release_41.parted VALUES (13, 0, NULL), (14, 2, NULL);
UPDATE parted SET id = 30 WHERE id = 3;
SELECT key, direction, error FROM kept;
CALL tandem.migrate('parted');
SELECT * FROM parted ORDER BY id;
SELECT key, direction, error FROM kept;
SELECT tandem.switch_release(42);
CALL tandem.contract('parted', undeclared => 'ignore');
UPDATE release_42.parted SET s = 5 WHERE id = 1;
CALL tandem.migrate('parted');
SELECT * FROM parted ORDER BY id;
CALL tandem.contract('parted', undeclared => 'ignore');

-- another BEFORE trigger has the last one look at the row again: the NULL of the older release is its own
CREATE TABLE tidied (id integer PRIMARY KEY, n integer, divisor integer, ratio integer);
CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := abs(NEW.n); RETURN NEW; END';
CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON tidied FOR EACH ROW EXECUTE FUNCTION tidy();
SELECT tandem.create_views(42, '{tidied}');
SELECT tandem.create_migration('tidied', 43);
SELECT tandem.add_column('tidied', 'tidied', 'm', 'integer', up => 'n + 1');
SELECT tandem.drop_column('tidied', 'tidied', 'ratio', down => '100 / divisor', on_error => 'quarantine');
SELECT tandem.create_views(43, '{tidied}');
INSERT INTO release_42.tidied VALUES (1, -1, 0, NULL), (2, 2, 2, NULL);
UPDATE release_42.tidied SET n = -3, divisor = 0;
INSERT INTO release_43.tidied (id, n, divisor) VALUES (3, -1, 0);
SELECT key FROM tandem.quarantine WHERE migration = 'tidied';
UPDATE release_42.tidied SET n = -4, divisor = 1 WHERE id < 3;
UPDATE release_43.tidied SET n = -4, divisor = 1 WHERE id = 3;
SELECT * FROM tidied ORDER BY id;
SELECT key FROM tandem.quarantine WHERE migration = 'tidied';

-- status of a migration whose table is gone
CREATE TABLE gone (id integer PRIMARY KEY, a integer);
SELECT tandem.create_migration('gone');
SELECT tandem.add_column('gone', 'gone', 'b', 'integer', up => 'a');
DROP TABLE gone;
SELECT state, what FROM tandem.status WHERE migration = 'gone';

\c postgres
DROP DATABASE quarantine;
