-- Whoever may name a table can make a view or a function over it, though he may not read it; nobody but he, or a
-- superuser, could drop it.  It holds up neither contract nor abort, and goes.
CREATE DATABASE stray;
\c stray
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE ROLE tandem_stray_owner;
CREATE ROLE tandem_stray_reader;
CREATE ROLE tandem_stray;
CREATE SCHEMA app AUTHORIZATION tandem_stray_owner;
GRANT USAGE ON SCHEMA app TO tandem_stray, tandem_stray_reader;
CREATE SCHEMA evil AUTHORIZATION tandem_stray;
CREATE SCHEMA good AUTHORIZATION tandem_stray_reader;
\set VERBOSITY terse

SET ROLE tandem_stray_owner;
CREATE TABLE app.t (id integer PRIMARY KEY, a serial, b integer) PARTITION BY RANGE (id);
CREATE TABLE app.t1 PARTITION OF app.t FOR VALUES FROM (0) TO (100);
INSERT INTO app.t (id) VALUES (1), (2);
GRANT SELECT ON app.t TO tandem_stray_reader;
SELECT tandem.create_migration('m');
SELECT tandem.add_column('m', 'app.t', 'n', 'bigint');
SELECT tandem.sync_column('m', 'app.t', 'a', 'n', 'a * 10::bigint', '(n / 10)::integer');
ALTER TABLE app.t ALTER n SET DEFAULT 0;
CALL tandem.migrate('m');
RESET ROLE;

SET ROLE tandem_stray;
SELECT * FROM app.t;
CREATE VIEW evil.new_side AS SELECT n FROM app.t;
CREATE VIEW evil.of_leaf AS SELECT n FROM app.t1;
CREATE VIEW evil.old_side AS SELECT a FROM app.t;
CREATE VIEW evil.over AS SELECT a FROM evil.old_side;
CREATE FUNCTION evil.both() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT max(n + a) FROM app.t; END;
CREATE TABLE evil.numbered (x integer DEFAULT nextval('app.t_a_seq'), y integer);
RESET ROLE;

-- what a role with a right has made counts, as before
SET ROLE tandem_stray_reader;
CREATE VIEW good.new_side AS SELECT n FROM app.t;
CREATE VIEW good.old_side AS SELECT a FROM app.t;
RESET ROLE;
SET ROLE tandem_stray_owner;
\set VERBOSITY default
CALL tandem.abort('m', force => true);
CALL tandem.contract('m', accept => '{defaults,not null,sequences}');
\set VERBOSITY terse
RESET ROLE;
DROP VIEW good.new_side, good.old_side;

SET ROLE tandem_stray_owner;
SET client_min_messages = notice;
BEGIN;
CALL tandem.abort('m', force => true);
SELECT a.attname FROM pg_attribute a WHERE a.attrelid = 'app.t'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1;
ROLLBACK;
CALL tandem.contract('m', undeclared => 'ignore', accept => '{defaults,not null,sequences}');
SELECT a.attname FROM pg_attribute a WHERE a.attrelid = 'app.t'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1;
RESET ROLE;
SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'evil'::regnamespace ORDER BY 1;

\c postgres
DROP DATABASE stray;
DROP ROLE tandem_stray_owner, tandem_stray_reader, tandem_stray;
