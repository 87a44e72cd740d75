-- Statements that contract and abort show are right as they are; what takes long to know of a contract holds nobody up.
CREATE DATABASE ending_remedies;
\c ending_remedies
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE ROLE tandem_remedies_stranger;
CREATE SCHEMA calls;
\set VERBOSITY default

-- what a type without an equality of its own is compared by, in the statement that abort shows
CREATE TABLE calls.documents (id integer PRIMARY KEY, a integer);
INSERT INTO calls.documents VALUES (1, 1), (2, 2);
SELECT tandem.create_migration('documents');
SELECT tandem.add_column('documents', 'calls.documents', 'j', 'json', default_value => $$'{}'$$);
SELECT tandem.add_column('documents', 'calls.documents', 'k', 'json', up => 'to_json(a)');
CALL tandem.migrate('documents');
UPDATE calls.documents SET j = '{"own": 1}', k = '{"own": 2}' WHERE id = 1;
CALL tandem.abort('documents');
SELECT * FROM calls.documents WHERE j::text IS DISTINCT FROM ('{}'::json)::json::text;
SELECT * FROM calls.documents WHERE k::text IS DISTINCT FROM ((to_json(a)))::json::text;
CALL tandem.abort('documents', force => true);

-- a name as long as it may be, of characters of several bytes, in a remedy
CREATE TABLE calls.long_names (id integer PRIMARY KEY, a integer, b integer);
DO $$ BEGIN EXECUTE format('ALTER TABLE calls.long_names ADD CONSTRAINT %I CHECK (a + b > 0)', repeat('ä', 31)); END $$;
SELECT tandem.create_migration('long names');
SELECT tandem.add_column('long names', 'calls.long_names', 'n', 'bigint');
SELECT tandem.sync_column('long names', 'calls.long_names', 'a', 'n', 'a::bigint', 'n::integer');
SET client_min_messages = error;
CALL tandem.migrate('long names');
\pset tuples_only on
\pset format unaligned
SELECT remedy FROM tandem.preview_contract('long names') WHERE part = 'check constraints';
SELECT remedy FROM tandem.preview_contract('long names') WHERE part = 'check constraints' \gexec
\pset tuples_only off
\pset format aligned
SELECT conname, octet_length(conname) FROM pg_constraint WHERE conrelid = 'calls.long_names'::regclass AND contype = 'c' ORDER BY 1;
CALL tandem.contract('long names', accept => '{check constraints}');

-- from server 18 on, what is unique without overlaps is so again by a constraint alone
CREATE TABLE calls.stays (id int4range, at int4range, a int4range);
INSERT INTO calls.stays VALUES ('[1,2)', '[1,5)', '[7,8)');
SELECT tandem.create_migration('stays');
SELECT tandem.add_column('stays', 'calls.stays', 'during', 'int4range');
SELECT tandem.sync_column('stays', 'calls.stays', 'at', 'during', 'at', 'during');
CALL tandem.migrate('stays');
DO $$
DECLARE
	said text = '';
	remedy text;
BEGIN
	IF current_setting('server_version_num')::integer < 180000 THEN RETURN; END IF;
	EXECUTE 'ALTER TABLE calls.stays ADD CONSTRAINT no_overlap UNIQUE (id, at WITHOUT OVERLAPS)';
	BEGIN
		CALL tandem.contract('stays');
	EXCEPTION WHEN dependent_objects_still_exist THEN
		said = SQLERRM;
	END;
	SELECT p.remedy INTO STRICT remedy FROM tandem.preview_contract('stays') p WHERE p.part = 'unique constraints';
	EXECUTE remedy;
	SELECT p.remedy INTO STRICT remedy FROM tandem.preview_contract('stays') p WHERE p.part = 'unique constraints';
	IF said !~ 'would lose more' OR remedy <> 'none is needed' THEN
		RAISE 'contract: %, afterwards: %', said, remedy;
	END IF;
END $$;
CALL tandem.contract('stays');

-- what takes long to fold: a stranger does not wait for it, and it can be cancelled
CREATE TABLE calls.slow (id integer PRIMARY KEY, v numeric DEFAULT 5);
SELECT tandem.create_migration('slow');
SELECT tandem.add_column('slow', 'calls.slow', 'n', 'numeric');
SELECT tandem.sync_column('slow', 'calls.slow', 'v', 'n', 'v + 1', 'n - 1', keep_old => true);
CALL tandem.migrate('slow');
ALTER TABLE calls.slow ADD CONSTRAINT slow CHECK (v + factorial(32000) + factorial(32001) + factorial(32002) + factorial(32003) + factorial(32004) + factorial(32005) + factorial(32006) + factorial(32007) > 0) NOT VALID;
-- in which of its queries that comes is no matter
\set SHOW_CONTEXT never
SET statement_timeout = '200ms';
SELECT name, contract_parts FROM tandem.migrations WHERE name = 'slow';
\set SHOW_CONTEXT errors
SET statement_timeout = '5s';
SET ROLE tandem_remedies_stranger;
SELECT name, contract_parts FROM tandem.migrations WHERE name = 'slow';
RESET ROLE;
RESET statement_timeout;
CALL tandem.abort('slow', force => true);

\c postgres
DROP DATABASE ending_remedies;
DROP ROLE tandem_remedies_stranger;
