-- Which row a fill has failed at is told beside the first error, and never in its place.
CREATE DATABASE failed_rows;
\c failed_rows
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset null '-'

-- a type whose values cannot be shown
CREATE TYPE secret;
CREATE FUNCTION secret_in(cstring) RETURNS secret LANGUAGE internal STRICT IMMUTABLE AS 'textin';
CREATE FUNCTION secret_out(secret) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS 'shell_out';
CREATE TYPE secret (INPUT = secret_in, OUTPUT = secret_out, LIKE = text);
CREATE CAST (secret AS text) WITHOUT FUNCTION;
CREATE TABLE hidden (a secret);
INSERT INTO hidden VALUES ('1'), ('two');
SELECT secret_in('3');

SELECT tandem.create_migration('hidden');
SELECT tandem.add_column('hidden', 'hidden', 'b', 'integer');
SELECT tandem.sync_column('hidden', 'hidden', 'a', 'b', 'a::text::integer');
CALL tandem.migrate('hidden');
SELECT state, error FROM tandem.progress WHERE step = 'backfill';
-- and is the migration's problem; the error is for those who may read the table
SELECT problem FROM tandem.migrations;
CREATE ROLE regress_reader;
SET ROLE regress_reader;
SELECT problem FROM tandem.migrations;
RESET ROLE;
DROP ROLE regress_reader;
-- with a key that can be
ALTER TABLE hidden ADD id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
CALL tandem.migrate('hidden');
UPDATE hidden SET a = '2' WHERE id = 2;
CALL tandem.migrate('hidden');
SELECT problem FROM tandem.migrations;
SELECT id, b FROM hidden ORDER BY id;

-- what a row in quarantine fails at when it is tried again, beside its transform
CREATE TABLE kept (id integer PRIMARY KEY, a text);
INSERT INTO kept VALUES (1, '1');
CREATE FUNCTION number(text) RETURNS integer LANGUAGE sql STABLE AS 'SELECT $1::integer';
SELECT tandem.create_migration('kept');
SELECT tandem.add_column('kept', 'kept', 'b', 'integer');
SELECT tandem.sync_column('kept', 'kept', 'a', 'b', 'number(a)', on_error => 'quarantine');
CALL tandem.migrate('kept');
INSERT INTO kept VALUES (2, 'two');
CREATE OR REPLACE FUNCTION number(text) RETURNS integer LANGUAGE sql STABLE AS 'SELECT length($1)';
ALTER TABLE kept ADD CONSTRAINT small CHECK (b IS DISTINCT FROM 3) NOT VALID;
CALL tandem.migrate('kept');
SELECT key FROM tandem.quarantine;
ALTER TABLE kept DROP CONSTRAINT small;
CALL tandem.migrate('kept');
SELECT * FROM kept ORDER BY id;
SELECT key FROM tandem.quarantine;
